"""The best rung: namespaces of its own by bubblewrap, as another user where we are root. Pure; makes command lines.

bubblewrap keeps the environment that it was started with, and a box could read it in /proc/1/environ: start these
command lines with an empty one. The box's own environment reaches the warden another way.
"""

from __future__ import annotations

from runner.sandbox.machine import is_below
from runner.sandbox.view import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.sandbox.machine import System
    from runner.sandbox.view import View


def argv(
    view: View,
    argv: Sequence[str],
    env: Mapping[str, str],  # noqa: ARG001 - as every rung; this one gives none.
    cwd: str,
    *,
    system: System,
    events: int = -1,
) -> tuple[str, ...]:
    """The command line that runs `argv` in the view.

    Args:
        view: what is seen, and who sees it.
        argv: the first word is a path inside.
        env: not used: see above.
        cwd: a directory inside.
        system: what of the machine is shown.
        events: a descriptor on which bubblewrap tells the number of the sandbox's first process; no box inherits it.
    """
    return (
        *dropping(view, system),
        system.bwrap,
        *_namespaces(view),
        *(("--json-status-fd", str(events)) if events >= 0 else ()),
        *_system(system, view),
        *_tree(view),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", cwd, "--", *argv),
    )


def dropping(view: View, system: System) -> tuple[str, ...]:
    """The words that make a process another user, who never gets more rights than that."""
    if view.uid is None:
        return ()
    ids = ("--reuid", str(view.uid), "--regid", str(view.gid))
    return (system.setpriv, *ids, "--clear-groups", "--inh-caps=-all", "--no-new-privs", "--")


def _namespaces(view: View) -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
    yield from ("--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session")
    yield from ("--hostname", "box")
    if view.seccomp >= 0:
        yield from ("--seccomp", str(view.seccomp))


def _system(system: System, view: View) -> Iterator[str]:
    for path in system.paths:
        if not path.startswith("/etc/"):  # They are shown in the /etc that is among the view's mounts.
            yield from ("--ro-bind", path, path)
    for name, leads in system.links.items():
        yield from ("--symlink", leads, name)
    yield from ("--proc", "/proc", "--dev", "/dev")
    for directory in ("/dev/shm", "/tmp"):  # noqa: S108 - the box's own.
        yield from ("--perms", "1777", "--size", str(view.limits.tmp), "--tmpfs", directory)
    yield from ("--perms", "0755", "--dir", "/run", "--dir", "/var", "--symlink", "../tmp", "/var/tmp")  # noqa: S108


def _tree(view: View) -> Iterator[str]:
    """The tree in its place, between what may hold that place and what is shown in the tree."""
    above = [mount for mount in view.mounts if not is_below(mount.target, view.inside)]
    below = [mount for mount in view.mounts if is_below(mount.target, view.inside)]
    tree = Mount(view.tree, view.inside, writable=True)
    for mount in (*_in_order(above), tree, *_in_order(below)):
        yield from ("--bind" if mount.writable else "--ro-bind", mount.source, mount.target)
    yield from ("--bind", view.places, view.places)


def _in_order(mounts: Iterable[Mount]) -> list[Mount]:
    """What lies in another comes after it."""
    return sorted(mounts, key=lambda mount: mount.target.count("/"))
