"""Copies of trees for views: a whole tree for the boxes' group to read, and the top of an overlay, as a layer."""

from __future__ import annotations

import errno
import os
import stat

_CHUNK = 1 << 24
_BLOCK = 512  # the unit of st_blocks
_OPAQUE = "user.overlay.opaque"
# Large, not a box's to change, and shown in place instead of being copied.
_SHOWN = frozenset({".git", "node_modules"})


def copy_tree(source: str, target: str, *, group: int, leave_out: str = "", whole: bool = False) -> tuple[str, ...]:
    """Copy a tree so that `group` may do to it what its owner may. Links stay links; sockets, pipes, devices are left.

    Args:
        source: absolute.
        target: must not exist.
        group: the numeric id.
        leave_out: a directory that may lie in the tree and is not of it.
        whole: leave nothing to be shown in its place.

    Returns:
        Directories that were not copied but made empty: version control, virtual environments, `node_modules`.

    Raises:
        OSError: the disk is full or a file is unreadable; part of the copy may exist.
    """
    shown: list[str] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        here = os.path.join(target, inside)
        status = os.stat(os.path.join(source, inside))
        os.mkdir(here)
        _give(here, group, status.st_mode)
        with os.scandir(os.path.join(source, inside)) as entries:
            for entry in entries:
                path = os.path.join(inside, entry.name)
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), os.path.join(target, path))
                elif not entry.is_dir(follow_symlinks=False):
                    _copy_file(entry.path, os.path.join(target, path), group=group)
                elif entry.path == leave_out:
                    continue
                elif not whole and (entry.name in _SHOWN or os.path.exists(f"{entry.path}/pyvenv.cfg")):
                    os.mkdir(os.path.join(target, path))
                    os.chmod(os.path.join(target, path), 0o755)  # noqa: S103 - empty, and shown over.
                    shown.append(path)
                else:
                    pending.append(path)
    return tuple(shown)


def copy_layer(upper: str, target: str) -> None:
    """Copy what was written on an overlay into an existing directory, what says that something is gone included.

    Raises:
        OSError: it could not be copied whole.
    """
    pending = [""]
    while pending:
        inside = pending.pop()
        here = os.path.join(upper, inside)
        there = os.path.join(target, inside)
        if inside:
            os.mkdir(there)
        os.chmod(there, stat.S_IMODE(os.lstat(here).st_mode) | 0o700)
        if _is_opaque(here):
            os.setxattr(there, _OPAQUE, b"y")
        with os.scandir(here) as entries:
            for entry in entries:
                path = os.path.join(inside, entry.name)
                goal = os.path.join(target, path)
                status = entry.stat(follow_symlinks=False)
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), goal)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                    os.mknod(goal, stat.S_IFCHR | 0o000, 0)  # a whiteout: the name is gone.
                else:
                    _copy_file(entry.path, goal, group=-1)


def lend(layer: str, group: int) -> None:
    """Let `group` do to all of a layer what its owner may."""
    pending = [layer]
    while pending:
        here = pending.pop()
        _give(here, group, os.lstat(here).st_mode)
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    _give(entry.path, group, entry.stat(follow_symlinks=False).st_mode)


def _give(path: str, group: int, mode: int) -> None:
    if group >= 0:
        os.chown(path, os.geteuid(), group)
    os.chmod(path, _shared(mode))


def _shared(mode: int) -> int:
    """The mode with the group's rights as the owner's; nothing that changes who a program runs as."""
    own = mode & 0o700
    return own | own >> 3 | mode & 0o007


def _copy_file(source: str, target: str, *, group: int) -> None:
    try:
        reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if stat.S_ISREG(os.lstat(source).st_mode):
            raise
        return  # a socket
    try:
        status = os.fstat(reading)
        if not stat.S_ISREG(status.st_mode):
            return
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if status.st_blocks * _BLOCK < status.st_size:
                _copy_parts(reading, writing, status.st_size)
            else:
                _copy_bytes(reading, writing)
            if group >= 0:
                os.fchown(writing, -1, group)
            os.fchmod(writing, _shared(status.st_mode) if group >= 0 else stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_bytes(reading: int, writing: int) -> None:
    """In the kernel where it can: on copy-on-write file systems that takes no space."""
    try:
        while os.copy_file_range(reading, writing, _CHUNK):
            pass
    except OSError:
        os.lseek(reading, 0, os.SEEK_SET)
        os.lseek(writing, 0, os.SEEK_SET)
        os.ftruncate(writing, 0)
        while data := os.read(reading, _CHUNK):
            while data:
                data = data[os.write(writing, data) :]


def _copy_parts(reading: int, writing: int, size: int) -> None:
    """What is written of a file that has holes. They stay holes: they cost a box nothing, and would fill our disk."""
    os.ftruncate(writing, size)
    end = 0
    while end < size:
        try:
            start = os.lseek(reading, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # the rest is a hole
            raise
        end = os.lseek(reading, start, os.SEEK_HOLE)
        os.lseek(writing, start, os.SEEK_SET)
        os.lseek(reading, start, os.SEEK_SET)
        while start < end and (data := os.read(reading, min(_CHUNK, end - start))):
            start += len(data)
            while data:
                data = data[os.write(writing, data) :]


def _is_opaque(directory: str) -> bool:
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False
