"""Collects what a box left in $BOX_ARTIFACTS. The box may be hostile: its directory is a claim, not a fact.

Links are not followed, at any depth: every step is opened beneath its parent's descriptor. Only regular files with one
name are taken (a hard link may be somebody else's file), of bounded number and size, under names that print;
the secrets in them are not.
"""

from __future__ import annotations

import os
import stat

from runner.beneath import opener
from runner.model import Value
from runner.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.beneath import Opener

MAX_FILES = 200
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 16
_BLOCK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Collected(Value):
    """`names` are the copied files, relative to the target, sorted; `refused` says of each other entry why not."""

    __slots__ = ("names", "refused")

    names: tuple[str, ...]
    refused: tuple[str, ...]

    def __init__(self, names: tuple[str, ...], refused: tuple[str, ...]) -> None:
        self.names = names
        self.refused = refused


def collect(
    source: str,
    target: str,
    *,
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
    redactor: Redactor | None = None,
    openat2: bool | None = None,
) -> Collected:
    """Copy the regular files below `source` into `target`, which is created when there is something to copy.

    Args:
        source: the box's directory; it may be missing.
        target: a directory that is ours; existing files in it are replaced.
        max_files: files that are copied at most.
        max_bytes: their bytes altogether.
        redactor: knows what is taken out of names, and out of contents, where asterisks take its place so that formats
            survive. What is compressed or encrypted is not looked into.
        openat2: see `runner.beneath.opener`.
    """
    try:
        root = os.open(source, _OPEN | os.O_DIRECTORY)
    except OSError:
        return Collected((), ())
    try:
        if not os.listdir(root):
            return Collected((), ())
        collector = _Collector(target, max_files, max_bytes, redactor or Redactor(), opener(openat2=openat2))
        collector.walk(root, "", 0)
    finally:
        os.close(root)
    return Collected(tuple(sorted(collector.names)), tuple(collector.refused))


class _Collector:
    def __init__(self, target: str, max_files: int, max_bytes: int, redactor: Redactor, open_in: Opener) -> None:
        self.names: list[str] = []
        self.refused: list[str] = []
        self._target = target
        self._files = max_files
        self._bytes = max_bytes
        self._redactor = redactor
        self._open_in = open_in

    def walk(self, directory: int, prefix: str, depth: int) -> None:
        for name in sorted(os.listdir(directory)):
            path = prefix + name
            if not _prints(name):
                self._refuse(path, "its name does not print")
                continue
            path = prefix + self._redactor.text(name)
            try:
                # Looked at before it is opened: to open a device can mean to act on it.
                if not _is_takeable(os.stat(name, dir_fd=directory, follow_symlinks=False)):
                    self._refuse(path, "not a regular file")
                    continue
                fd = self._open_in(name, directory)
            except OSError as error:
                self._refuse(path, error.strerror or "cannot be opened")
                continue
            try:
                self._take(fd, path, depth)
            finally:
                os.close(fd)
            if len(self.refused) >= MAX_FILES:
                return

    def _take(self, fd: int, path: str, depth: int) -> None:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            if depth >= MAX_DEPTH:
                self._refuse(path, "nested too deep")
            else:
                self.walk(fd, f"{path}/", depth + 1)
        elif not stat.S_ISREG(status.st_mode):
            self._refuse(path, "not a regular file")
        elif status.st_nlink != 1:
            self._refuse(path, "has a second name")
        elif path in self.names:
            self._refuse(path, "two names differ only in a secret")
        elif len(self.names) >= self._files:
            self._refuse(path, "too many files")
        elif status.st_size > self._bytes:
            self._refuse(path, "too large")
        else:
            try:
                self._copy(fd, path, status.st_size)
            except OSError as error:  # a path too long for this place, a full disk, something in the way.
                self._refuse(path, error.strerror or "cannot be written")

    def _copy(self, fd: int, path: str, size: int) -> None:
        goal = os.path.join(self._target, path)
        os.makedirs(os.path.dirname(goal), exist_ok=True)
        out = os.open(goal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            left = size
            content = self._redactor.stream(same_length=True)
            while left > 0 and (data := os.read(fd, min(_BLOCK, left))):
                _write(out, content.feed(data))
                left -= len(data)
            _write(out, content.flush())
        finally:
            os.close(out)
        self._bytes -= size - left
        self.names.append(path)

    def _refuse(self, path: str, why: str) -> None:
        path = self._redactor.text(path)
        shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in path)
        self.refused.append(f"{shown}: {why}")


def _is_takeable(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _prints(name: str) -> bool:
    return name.isprintable() and not any("\ud800" <= char <= "\udfff" for char in name)
