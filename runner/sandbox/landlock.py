"""The rung without namespaces: Landlock and seccomp. `runner.sandbox.confine` does what is written here.

The box sees this machine's own paths and reaches few of them. What it still can, docs/explanation/isolation.md says.
"""

from __future__ import annotations

import os

from runner.sandbox.machine import own_interpreter
from runner.sandbox.seccomp import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.sandbox.machine import System
    from runner.sandbox.view import View

# Beside the machine's programs: what they look up, and nothing that is secret or says who else is here.
_LOOKED_UP = (
    *(f"/etc/{name}" for name in ("passwd", "group", "nsswitch.conf", "hosts", "resolv.conf")),
    *(f"/proc/{name}" for name in ("cpuinfo", "meminfo", "stat", "version", "filesystems", "sys")),
    *("/sys/devices/system/cpu", "/sys/devices/system/node"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def argv(view: View, argv: Sequence[str], env: Mapping[str, str], cwd: str, *, system: System) -> tuple[str, ...]:
    """The command that starts a program with this view and no more.

    Args:
        view: `tree` and `places` become writable where they are on this machine; `inside` cannot be shown. Of `mounts`
            the sources are reachable, the targets are not made. The keys of `sockets` are the only TCP ports.
        argv: the program, an absolute path, and its arguments. Words that name something below `view.inside` are
            changed to where it is.
        env: its whole environment. It stands in the command line, which others can read: nothing secret belongs in it.
        cwd: where it starts, as `argv`.
        system: what of the machine is shown.
    """
    launcher = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confine.py")
    words = [text for word, value in _words(view, env, system) for text in (word, value)]
    command = (relocated(word, view) for word in argv)
    own = (own_interpreter(), "-I", "-S", launcher)
    return (*own, *words, "cwd", relocated(cwd, view), "--", *command)


def _words(view: View, env: Mapping[str, str], system: System) -> Iterator[tuple[str, str]]:
    yield "filter", program(os.uname().machine, "tcp" if view.sockets else "none")
    if view.uid is not None:
        yield "uid", str(view.uid)
    if view.gid is not None:
        yield "gid", str(view.gid)
    for path in (*system.paths, *system.links, *system.files, *_LOOKED_UP):
        yield "read", path
    for path in _DEVICES:
        yield "device", path
    for mount in view.mounts:
        yield "write" if mount.writable else "read", mount.source
    for path in (view.tree, view.places):
        yield "write", path
    for port, socket in sorted(view.sockets.items()):
        yield "port", str(port)
        if socket:
            yield "write", socket
    for name, value in env.items():
        yield "env", f"{name}={value}"


def relocated(word: str, view: View) -> str:
    """A word of a command line, and where the tree is when it names something in it."""
    inside = view.inside.rstrip("/")
    if word == inside or word.startswith(f"{inside}/"):
        return view.tree.rstrip("/") + word[len(inside) :]
    return word
