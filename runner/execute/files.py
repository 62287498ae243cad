"""Files that a box wrote: read with suspicion, removed without following them."""

from __future__ import annotations

import os
import stat
from time import monotonic, sleep  # noqa: TID251 - what others are about to make tells nobody of it.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_MOVES = 1_000_000
_ELSEWHERE = "elsewhere"
_LAST_FILES_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.05
_OURS = "interlock-"


class NotPlain(Exception):
    """A file is not what it should be: a link, a device, a pipe, or too large. The message says which."""


def read_plain(path: str, limit: int) -> bytes | None:
    """The content of a regular file that may not exist (None).

    Raises:
        NotPlain: it is not a regular file with one name, or holds more than `limit` bytes; nothing was read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPlain("cannot be read, or is a link") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise NotPlain("is not a plain file")
        if status.st_size > limit:
            raise NotPlain("is too large")
        with open(fd, "rb", closefd=False) as stream:
            return stream.read(limit)
    finally:
        os.close(fd)


def remove_tree(path: str) -> None:
    """Remove a directory and all in it, never following a link; what cannot be removed stays.

    A box may have taken permissions away from its own directories: they are given back on the way down. Not recursive,
    since a box may nest directories deeper than Python nests calls.
    """
    _remove_directories([path])


def remove_surely(places: Sequence[str]) -> None:
    """Remove directories in which somebody who is about to end may still make files: a server being set up, say."""
    until = monotonic() + _LAST_FILES_SECONDS
    while True:
        for place in places:
            remove_tree(place)
        places = [place for place in places if os.path.isdir(place)]
        if not places or monotonic() >= until:
            return
        sleep(_LOOK_AGAIN_SECONDS)


def remove_content(path: str, *, keep: tuple[str, ...] = ()) -> None:
    """Remove what is in a directory, but not the subdirectories named in `keep`. As `remove_tree` otherwise.

    A `path` that is itself a link is left alone.
    """
    if not os.path.islink(path):
        kept = {os.path.join(path, name) for name in keep}
        _remove_directories([below for below in _remove_files(path) if below not in kept])


def _remove_directories(directories: list[str]) -> None:
    roots = tuple(directories)
    for directory in directories:  # grows while it is read
        directories.extend(_remove_files(directory))
    for directory in reversed(directories):
        try:
            os.rmdir(directory)
        except OSError:
            continue
    for root in roots:
        if os.path.lexists(root):
            _flatten(root)


def _flatten(root: str) -> None:
    """Remove what is nested so deep that no path reaches it: every directory is moved up to the root, then emptied."""
    try:
        top = os.open(root, _DIRECTORY)
    except OSError:
        return
    try:
        for at in range(_MOST_MOVES):
            below = [name for name in os.listdir(top) if _is_directory(name, top)]
            if not below or not _lift(below, top, at):
                break
    finally:
        os.close(top)
    try:
        os.rmdir(root)
    except OSError:
        return


def _lift(names: list[str], top: int, at: int) -> bool:
    """Empty these directories of `top`, lifting what is in them. False when nothing could be removed."""
    removed = False
    for nth, name in enumerate(names):
        try:
            os.chmod(name, 0o700, dir_fd=top)
            fd = os.open(name, _DIRECTORY, dir_fd=top)
        except OSError:
            continue
        try:
            for inner, entry in enumerate(os.listdir(fd)):
                if _is_directory(entry, fd):
                    os.chmod(entry, 0o700, dir_fd=fd)  # a directory that is moved must be writable
                    os.rename(entry, f".lifted-{at}-{nth}-{inner}", src_dir_fd=fd, dst_dir_fd=top)
                else:
                    os.unlink(entry, dir_fd=fd)
            os.rmdir(name, dir_fd=top)
            removed = True
        except OSError:
            continue
        finally:
            os.close(fd)
    return removed


def _is_directory(name: str, parent: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _remove_files(directory: str) -> list[str]:
    """Remove the files of one directory; returns its subdirectories."""
    below = []
    try:
        entries = os.scandir(directory)
    except PermissionError:
        try:
            os.chmod(directory, 0o700)
            entries = os.scandir(directory)
        except OSError:
            return []
    except OSError:
        return []
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            else:
                _unlink(entry.path)
    return below


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except PermissionError:
        try:
            os.chmod(os.path.dirname(path), 0o700)
            os.unlink(path)
        except OSError:
            return
    except OSError:
        return


def remember(scratch: str, directory: str) -> None:
    """Note a directory that belongs to the run and cannot be below its scratch directory: to be removed with it."""
    with open(os.path.join(scratch, _ELSEWHERE), "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{directory}\n")


def remembered(scratch: str) -> list[str]:
    """The directories that `remember` noted. Boxes without a sandbox can write it: each is looked at again."""
    try:
        with open(os.path.join(scratch, _ELSEWHERE), encoding="utf-8", errors="surrogateescape") as file:
            noted = file.read().splitlines()
    except OSError:
        return []
    ours = [path for path in noted if os.path.isabs(path) and os.path.basename(path).startswith(_OURS)]
    return [path for path in ours if os.path.isdir(path) and not os.path.islink(path)]
