"""Copies of a working tree, for machines where a control cannot be laid over the tree itself (runner.layers).

The copy holds what the working tree holds, with these exceptions:

- `.git` is left out, so a control can never touch the repository's history.
- Bytecode (`__pycache__`, and a `.pyc` beside its source) is left out: a stale one would hide an edit.
- Virtual environments (a directory with `pyvenv.cfg`) and `node_modules` are symbolic links to the originals: copying
  them costs more than the boxes. A control cannot edit inside them.
- A symbolic link stays one when it points into the tree (an absolute one is made relative, or it would lead back to the
  unbroken original); a link that leaves the tree, a socket, a pipe and a device are left out.

Files are copied, never hard-linked: writing into the copy must not reach the original. Modes and modification times are
kept, so that tools which rebuild by time see the sabotaged file as the newer one.
"""

from __future__ import annotations

import os
import shutil
import stat

LEFT_OUT = frozenset({".git", "__pycache__"})
LINKED = frozenset({"node_modules"})
_CHUNK = 1 << 24


def copy_tree(source: str, target: str) -> tuple[str, ...]:
    """Copy a working tree to `target`, which must not exist.

    Returns:
        The paths, relative to the tree, that are links to the originals.

    Raises:
        OSError: the disk is full or a file is unreadable; part of the copy may exist.
    """
    source = os.path.realpath(source)
    linked: list[str] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        here = os.path.join(target, inside)
        os.mkdir(here, 0o755)
        with os.scandir(os.path.join(source, inside)) as entries:
            for entry in entries:
                path = os.path.join(inside, entry.name)
                if _is_left_out(entry):
                    continue
                if entry.is_symlink():
                    _copy_link(source, target, path)
                elif not entry.is_dir(follow_symlinks=False):
                    _copy_file(entry, os.path.join(target, path))
                elif is_shared(entry.path):
                    os.symlink(entry.path, os.path.join(target, path), target_is_directory=True)
                    linked.append(path)
                elif not contains(entry.path, target):
                    pending.append(path)
    return tuple(linked)


def is_shared(path: str) -> bool:
    """Whether a directory is too large to be copied, and made again rather than edited: an environment, modules."""
    return os.path.basename(path) in LINKED or os.path.exists(os.path.join(path, "pyvenv.cfg"))


def contains(directory: str, path: str) -> bool:
    """Whether a path is a directory or lies in it; both absolute and normal."""
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def _is_left_out(entry: os.DirEntry[str]) -> bool:
    if entry.name in LEFT_OUT:
        return True
    return entry.name.endswith(".pyc") and os.path.exists(entry.path[:-1])


def _copy_link(source: str, target: str, path: str) -> None:
    original = os.path.join(source, path)
    leads = os.path.realpath(original)
    if not contains(source, leads):
        return
    text = os.readlink(original)
    if os.path.isabs(text):
        text = os.path.relpath(leads, os.path.dirname(original))
    os.symlink(text, os.path.join(target, path))


def _copy_file(entry: os.DirEntry[str], target: str) -> None:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return
    with open(entry.path, "rb") as reading, open(target, "xb") as writing:
        _copy_bytes(reading.fileno(), writing.fileno())
        os.fchmod(writing.fileno(), stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        os.utime(writing.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_bytes(reading: int, writing: int) -> None:
    """In the kernel where it can: on copy-on-write file systems that takes no space."""
    try:
        while os.copy_file_range(reading, writing, _CHUNK):
            pass
    except (AttributeError, OSError):
        os.lseek(reading, 0, os.SEEK_SET)
        os.ftruncate(writing, 0)
        os.lseek(writing, 0, os.SEEK_SET)
        with open(reading, "rb", closefd=False) as source, open(writing, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target, _CHUNK)
