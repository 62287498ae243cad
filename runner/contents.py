"""What files hold, as digests; at the speed of a stat where an index says that a file is as it was.

The index believes a file's size, inode and times, and no file that changed within the clock's tick in which it was
read (git calls such an entry racy).
"""

from __future__ import annotations

import json
import os
import re
import stat
from hashlib import blake2b
from time import time_ns

from runner.changed import glob_pattern
from runner.tree_copy import LEFT_OUT, is_shared
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FORMAT = "interlock.contents/1"
TICK = 20_000_000  # nanoseconds: file systems stamp files with a clock this coarse.
_BLOCK = 1 << 20


class Contents:
    """The files of one tree as they are when they are first asked for.

    Version control, bytecode, and what boxes share (virtual environments, `node_modules`) are not content; of the last
    two the names of what is installed are.

    Args:
        root: the tree.
        index: the file that remembers digests; "" for none. It may be lost.
    """

    def __init__(self, root: str, *, index: str = "") -> None:
        self._root = root
        self._index_file = index
        self._known = self._load()
        self._lines: dict[str, str] | None = None
        self._digests: dict[tuple[str, ...], str] = {}

    def of_tree(self) -> str:
        """The digest of all of it."""
        return self._digest(("**",), lambda: self._all().values())

    def of_inputs(self, directory: str, globs: Sequence[str]) -> str:
        """The digest of the files that a box declares as inputs, relative to its suite's directory."""
        prefix = "" if directory in {"", "."} else f"{directory}/"
        patterns = tuple(sorted(glob_pattern(prefix + glob.removeprefix("./")) for glob in globs))

        def lines() -> Iterable[str]:
            pattern = re.compile("|".join(patterns))
            return (line for path, line in self._all().items() if pattern.fullmatch(path))

        return self._digest(patterns, lines)

    def of_file(self, path: str) -> str:
        """What one file is, by its path from the root, and what it leads to if it is a link; "" if there is none."""
        every = self._all()
        own = os.path.normpath(path)
        real = os.path.relpath(os.path.realpath(os.path.join(self._root, path)), os.path.realpath(self._root))
        return "\n".join(every.get(name) or self._unlisted(name) for name in dict.fromkeys((own, real)))

    def _unlisted(self, name: str) -> str:
        """A file in a directory of which only what is installed counts, because it says that it is an environment."""
        if name.startswith(os.pardir):
            return ""
        try:
            return file_digest(os.path.join(self._root, name))
        except OSError:
            return ""

    def save(self) -> None:
        """Remember what was read. A place that cannot be written forgets it."""
        if not self._index_file or self._lines is None:
            return
        text = json.dumps({"format": FORMAT, "root": self._root, "files": self._known}, separators=(",", ":"))
        try:
            os.makedirs(os.path.dirname(self._index_file), exist_ok=True)
            write_whole(self._index_file, [text])
        except OSError:
            return

    def _digest(self, name: tuple[str, ...], lines: Callable[[], Iterable[str]]) -> str:
        if name not in self._digests:
            whole = blake2b(digest_size=16)
            for line in lines():
                whole.update(line.encode(errors="surrogateescape") + b"\n")
            self._digests[name] = whole.hexdigest()
        return self._digests[name]

    def _all(self) -> dict[str, str]:
        """A line for each path, sorted: all that may matter about it."""
        if self._lines is None:
            found: dict[str, str] = {}
            before, self._known = self._known, {}
            self._racy = time_ns() - TICK
            pending = [""]
            while pending:
                inside = pending.pop()
                try:
                    entries = os.scandir(os.path.join(self._root, inside))
                except OSError as error:
                    found[inside] = f"{inside} unreadable {error.errno}"
                    continue
                with entries:
                    for entry in entries:
                        path = os.path.join(inside, entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name in LEFT_OUT:
                                continue
                            if is_shared(entry.path):
                                found[path] = f"{path} {installed(entry.path)}"
                            else:
                                pending.append(path)
                        elif not (entry.name.endswith(".pyc") and os.path.exists(entry.path[:-1])):
                            found[path] = f"{path} {self._line(entry, path, before)}"
            self._lines = dict(sorted(found.items()))
        return self._lines

    def _line(self, entry: os.DirEntry[str], path: str, before: dict[str, list[object]]) -> str:
        try:
            if entry.is_symlink():
                return f"link {os.readlink(entry.path)}"
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return f"special {stat.S_IFMT(status.st_mode)}"
            seen = [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
            known = before.get(path)
            digest = str(known[-1]) if known and known[:-1] == seen else file_digest(entry.path)
            if status.st_ctime_ns < self._racy:
                self._known[path] = [*seen, digest]
            return f"{'x' if status.st_mode & 0o100 else '-'} {digest}"
        except OSError as error:
            return f"unreadable {error.errno}"

    def _load(self) -> dict[str, list[object]]:
        try:
            with open(self._index_file, encoding="utf-8") as file:
                stored = json.load(file)
            if stored["format"] == FORMAT and stored["root"] == self._root:
                return {str(path): list(entry) for path, entry in stored["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return {}


def file_digest(path: str) -> str:
    """What a regular file holds.

    Raises:
        OSError: it cannot be read.
    """
    whole = blake2b(digest_size=16)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            whole.update(block)
    return whole.hexdigest()


def installed(directory: str) -> str:
    """What is installed in a virtual environment or `node_modules`, by the names that installers leave."""
    names: list[str] = []
    if os.path.basename(directory) == "node_modules":
        names = _stamps([os.path.join(directory, ".package-lock.json"), os.path.join(directory, ".yarn-integrity")])
        names += _names(directory)
    else:
        names = _stamps([os.path.join(directory, "pyvenv.cfg")])
        library = os.path.join(directory, "lib")
        for version in _names(library):
            names += _names(os.path.join(library, version, "site-packages"))
    return blake2b("\n".join(names).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _stamps(paths: Iterable[str]) -> list[str]:
    """When files were last written; those that exist."""
    stamps = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        stamps.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return stamps
