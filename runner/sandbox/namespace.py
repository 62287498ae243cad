"""A mount namespace of the runner's own: what is mounted in it nobody else sees, and it is gone when the runner is.

Entered once, before this process has a second thread: the kernel lets only a process with one thread into a new user
namespace, and gives a mount namespace to one thread alone.
"""

from __future__ import annotations

import os

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEW_MOUNTS = 0x00020000
NEW_USERS = 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_SLAVE = 2, 4, 4096, 16384, 1 << 19
_MNT_DETACH = 2


class CannotMount(Exception):
    """This process may not mount anything, or not this. The message says why."""


class Powers(Value):
    """What this process may do: `drop` is whether boxes can run as users other than ours."""

    __slots__ = ("drop",)

    def __init__(self, *, drop: bool) -> None:
        self.drop = drop


_entered: list[Powers] = []


def enter() -> Powers:
    """Move this process into mounts of its own; again, it only says what was found the first time.

    Raises:
        CannotMount: the machine does not let us. Nothing has changed.
    """
    if not _entered:
        _entered.append(Powers(drop=_unshare()))
    return _entered[0]


def is_entered() -> bool:
    """Whether mounts that are made now are seen by this process and what it starts alone."""
    return bool(_entered)


def bind(source: str, target: str) -> None:
    """Let a directory or file be seen at a second place too, with what is mounted below it.

    Raises:
        CannotMount: it cannot.
    """
    _mount(source, target, "", _MS_BIND | _MS_REC, "")


def tmpfs(target: str, *, size: int, mode: int) -> None:
    """Mount an empty file system that holds at most `size` bytes.

    Raises:
        CannotMount: it cannot.
    """
    # Each file costs the kernel about a kilobyte that `size` does not count.
    files = max(4096, size >> 12)
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},nr_inodes={files},mode={mode:o}")


def overlay(directory: str, *, target: str, lower: list[str], upper: str, work: str) -> None:
    """Mount the union of directories, the first of `lower` on top, with `upper` taking what is written.

    All are names in `directory`: a path of its own could hold the colons and commas that part the options.

    Raises:
        CannotMount: it cannot.
    """
    options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"
    home = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.chdir(directory)
        try:
            _mount("overlay", target, "overlay", _MS_NOSUID | _MS_NODEV, f"{options},userxattr")
        except CannotMount:  # A kernel before 5.11, where only root mounts these, and without that option.
            _mount("overlay", target, "overlay", _MS_NOSUID | _MS_NODEV, options)
    finally:
        os.fchdir(home)
        os.close(home)


def detach(target: str) -> None:
    """Take a mount away, with all that is mounted on it; what is in use goes when it no longer is. Never fails."""
    _libc().umount2(os.fsencode(target), _MNT_DETACH)


def part() -> int:
    """Give this process a copy of its mounts: what is mounted from now on is there for it and what it starts alone.

    Returns:
        A descriptor to `rejoin` the mounts that it had.

    Raises:
        CannotMount: it cannot. Nothing has changed.
    """
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    if refused := _unshare_call(NEW_MOUNTS):
        os.close(before)
        message = f"no mount namespace of its own: {refused}"
        raise CannotMount(message)
    return before


def rejoin(before: int) -> None:
    """Go back to the mounts that `part` left; what was started meanwhile keeps the others. Closes the descriptor.

    Raises:
        CannotMount: it cannot, which leaves this process where it should not be.
    """
    import ctypes

    home = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc().setns(before, NEW_MOUNTS) != 0:
            message = f"the way back to our mounts is closed: {os.strerror(ctypes.get_errno())}"
            raise CannotMount(message)
        os.fchdir(home)  # the kernel has put us into the root directory.
    finally:
        os.close(home)
        os.close(before)


def _unshare() -> bool:
    uid, gid = os.geteuid(), os.getegid()
    drop = uid == 0
    refused = _unshare_call(NEW_MOUNTS) if drop else "we are not root"
    if refused:
        drop = False
        if refused := _unshare_call(NEW_MOUNTS | NEW_USERS):
            message = f"no mount namespace of our own: {refused}"
            raise CannotMount(message)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    # The machine's later mounts reach us; ours stay here.
    _mount("none", "/", "", _MS_REC | _MS_SLAVE, "")
    return drop


def _unshare_call(flags: int) -> str:
    import ctypes

    if _libc().unshare(ctypes.c_int(flags)) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    import ctypes

    code = _libc().mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    if code != 0:
        what = kind or "bind"
        message = f"{target}: {what} mount refused: {os.strerror(ctypes.get_errno())}"
        raise CannotMount(message)


class _Libc:
    """The few calls that Python has no name for."""

    mount: Callable[..., int]
    setns: Callable[..., int]
    umount2: Callable[..., int]
    unshare: Callable[..., int]

    def __init__(self) -> None:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        self.mount = library.mount
        self.setns = library.setns
        self.umount2 = library.umount2
        self.unshare = library.unshare


_loaded: list[_Libc] = []


def _libc() -> _Libc:
    if not _loaded:
        _loaded.append(_Libc())
    return _loaded[0]
