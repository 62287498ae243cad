"""The rung of a container engine: podman or docker, with an image that is already there. Pure: values in, argv out.

The engine's own profile of system calls applies, and nothing of the engine is reachable from inside.
"""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.sandbox.view import View

_TRIAL_MEMORY = 64 << 20
_TRIAL_PROCESSES = 16


def argv(
    view: View,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    *,
    engine: str,
    image: str,
    name: str = "",
    seconds: int = 0,
) -> tuple[str, ...]:
    """The command that starts a program in a container with this view.

    Ending this command does not end the container: `kill_argv` does.

    Args:
        view: what it sees. A daemon's engine (docker) sees this machine's mounts, not those of our own namespace.
        argv: the program and its arguments, as they are inside.
        env: added to the image's environment. It stands in the command line: nothing secret belongs in it.
        cwd: where it starts, inside.
        engine: the path of podman or docker.
        image: its name; it is never pulled.
        name: of the container, for `kill_argv`.
        seconds: after which podman ends it by itself, should we be gone; 0 for never. Docker has nothing like it.
    """
    limits = view.limits
    uid = os.getuid() if view.uid is None else view.uid
    gid = os.getgid() if view.gid is None else view.gid
    options = [*_confined(engine, limits.memory, limits.processes), f"--user={uid}:{gid}"]
    if _is_podman(engine) and view.uid is None and uid:
        options.append("--userns=keep-id")  # our files stay ours inside.
    empty = ",notmpcopyup" if _is_podman(engine) else ""  # not with the content that the image has there.
    options += [f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={limits.tmp}{empty}", f"--workdir={cwd}"]
    options += [f"--mount={text}" for text in _mounts(view)]
    options += [f"--env={key}={value}" for key, value in env.items()]
    if name:
        options.append(f"--name={name}")
    if seconds and _is_podman(engine):
        options.append(f"--timeout={seconds}")
    return (engine, "run", *options, "--entrypoint=", image, *argv)


def kill_argv(engine: str, name: str) -> tuple[str, ...]:
    """The command that ends a container and everything in it."""
    return (engine, "rm", "--force", *(("--time=0",) if _is_podman(engine) else ()), name)


def trial_argv(engine: str, image: str) -> tuple[str, ...]:
    """The command that tells whether the engine runs that image confined."""
    user = f"--user={os.getuid() or 65534}:{os.getgid() or 65534}"
    return (engine, "run", *_confined(engine, _TRIAL_MEMORY, _TRIAL_PROCESSES), user, "--entrypoint=", image, "true")


def _confined(engine: str, memory: int, processes: int) -> list[str]:
    return [
        *("--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL", "--ipc=private"),
        *("--security-opt=no-new-privileges", f"--pids-limit={processes}"),
        *(f"--memory={memory}", f"--memory-swap={memory}", f"--shm-size={min(memory, 64 << 20)}"),
        *("--ulimit=core=0:0", *_our_limits(), "--log-driver=none"),
        *(("--read-only-tmpfs=false",) if _is_podman(engine) else ()),  # else /tmp, /run and /var/tmp have no size.
    ]


def _our_limits() -> Iterator[str]:
    """An engine sets limits of its own, and fails where they are above ours, or above those that it gave itself."""
    for name, which, most in (("nofile", resource.RLIMIT_NOFILE, 65536), ("nproc", resource.RLIMIT_NPROC, 32768)):
        hard = resource.getrlimit(which)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        yield f"--ulimit={name}={least}:{least}"


def _mounts(view: View) -> Iterator[str]:
    yield _bind(view.tree, view.inside, writable=True)
    yield _bind(view.places, view.places, writable=True)
    for mount in view.mounts:
        yield _bind(mount.source, mount.target, writable=mount.writable)
    for socket in view.sockets.values():
        yield _bind(socket, socket, writable=True)


def _bind(source: str, target: str, *, writable: bool) -> str:
    fields = ["type=bind", f"source={source}", f"target={target}", *(() if writable else ("readonly",))]
    return ",".join(_quoted(field) for field in fields)


def _quoted(field: str) -> str:
    """A field of a line of comma-separated values, which is what engines read a mount as."""
    if "," in field or '"' in field:
        return '"' + field.replace('"', '""') + '"'
    return field


def _is_podman(engine: str) -> bool:
    return os.path.basename(engine).startswith("podman")
