"""Opens what lies in a directory that a box filled: a name there, never what a link of any kind makes of it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Opener = Callable[[str, int], int]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPENAT2 = 437  # on every architecture.
# Neither other file systems, nor the links of /proc, nor symbolic links, nor anything above: linux/openat2.h.
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08


def opener(*, openat2: bool | None = None) -> Opener:
    """A function of a name and its directory's descriptor that opens it for reading, without waiting.

    With openat2 the kernel refuses every link and every other file system on the way. Where it has not got that call,
    O_NOFOLLOW on one name at a time refuses links.

    Args:
        openat2: whether to use it; None looks whether the kernel has it and lets us.
    """
    if openat2 is False:
        return _open_without
    found = _openat2()
    if openat2 is None:
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(found(".", root))
        except OSError:
            return _open_without
        finally:
            os.close(root)
    return found


def _open_without(name: str, directory: int) -> int:
    return os.open(name, _FLAGS, dir_fd=directory)


def _openat2() -> Opener:
    import ctypes

    syscall: Callable[..., int] = ctypes.CDLL(None, use_errno=True).syscall
    how = (ctypes.c_uint64 * 3)(_FLAGS, 0, _RESOLVE)

    def open_with(name: str, directory: int) -> int:
        fd = syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_long(directory),
            ctypes.c_char_p(os.fsencode(name)),
            how,
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if fd < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), name)
        return fd

    return open_with
