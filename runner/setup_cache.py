"""Keeps what setups made, so that the next run with the same key need not make it again.

A result is made where it stays: programs in it (a virtual environment's) hold its path. It counts as made once its
record, written last and at once, is there. Two locks guard it: whoever makes it holds `make`, whoever uses it shares
`use`, and it is removed only by who has both. Results of one trust level are never looked for by another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import stat

from runner.execute.files import remove_tree
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 8 << 30  # of all results of a cache and trust level
MOST_RESULTS = 40
_AGAIN_MS = 50
_READ = 1 << 20
_BLOCK = 512  # the unit of st_blocks


class CannotKeep(Exception):
    """A result that is not kept. The message says why; the result itself can be used by this run."""


class Result:
    """One setup's result, or the room for it. `directory` is what $SETUP_DIR names.

    `made`: it is there already. `kept`: it will be found again. `note` is something that a person should know.
    """

    __slots__ = ("_shelf", "directory", "kept", "made", "note")

    def __init__(self, directory: str, *, shelf: _Shelf | None = None, made: bool = False, note: str = "") -> None:
        self.directory = directory
        self.kept = shelf is not None
        self.made = made
        self.note = note
        self._shelf = shelf

    def keep(self) -> None:
        """The setup has succeeded: others may use what it made from now on, and nobody may change it.

        Raises:
            CannotKeep: it was not kept.
        """
        if self._shelf:
            self._shelf.publish()

    def drop(self) -> None:
        """The setup has failed: nothing of it is kept."""
        if self._shelf:
            self._shelf.abandon()


class SetupCache:
    """The results of one trust level.

    Args:
        directory: where they are kept; created.
        trust: T0, T1 or "" for local runs. There is none for T2: a stranger's result is not even another's.
        verify: compare the whole content before it is used again, because boxes could have changed it; otherwise what
            the file system tells of each file is compared.
        fresh: use nothing that is there.
        most_bytes: that all results together may have.
    """

    def __init__(
        self, directory: str, *, trust: str, verify: bool, fresh: bool = False, most_bytes: int = MOST_BYTES
    ) -> None:
        self._directory = os.path.join(os.path.abspath(directory), trust or "local")
        self._verify = verify
        self._fresh = fresh
        self._most = most_bytes
        self._shelves: list[_Shelf] = []

    def take(self, key: str, *, elsewhere: str, stop: Callable[[], str]) -> Result:
        """The result of that key, or room to make it in; waits while another run makes it.

        Args:
            key: see `runner.setup_key`.
            elsewhere: a directory to make it in when it cannot be kept; created.
            stop: when it answers anything, nothing is waited for any more.
        """
        try:
            found = self._take(key, stop)
        except OSError as error:
            found = f"the setup's result is not kept: {error.strerror}"
        if isinstance(found, Result):
            return found
        os.mkdir(elsewhere, 0o755)
        return Result(elsewhere, note=found)

    def _take(self, key: str, stop: Callable[[], str]) -> Result | str:
        """See `take`; a sentence when it cannot be kept, "" when nobody need be told."""
        shelf = _Shelf(os.path.join(self._directory, key), verify=self._verify)
        self._shelves.append(shelf)
        note = ""
        if not self._fresh and shelf.use():
            if shelf.is_as_made():
                return Result(shelf.tree, shelf=shelf, made=True)
            note = "what the setup made was changed afterwards; it is made again"
        while not shelf.claim():
            if stop():
                return ""
            select.poll().poll(_AGAIN_MS)
        if not self._fresh and not note and shelf.use() and shelf.is_as_made():
            shelf.yield_()  # another run made it while we waited.
            return Result(shelf.tree, shelf=shelf, made=True)
        if not shelf.clear():
            shelf.yield_()
            return note or "another run uses what the setup made before; this result is not kept"
        return Result(shelf.tree, shelf=shelf, note=note)

    def close(self) -> None:
        """Nothing is used any more. What was used longest ago goes, until the rest is within bounds."""
        for shelf in self._shelves:
            shelf.close()
        self._shelves.clear()
        self._make_room()

    def _make_room(self) -> None:
        try:
            names = [entry.name for entry in os.scandir(self._directory) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return
        records = {name: _read_record(os.path.join(self._directory, name)) for name in names}
        oldest_first = sorted(names, key=lambda name: records[name].used)
        size = sum(record.size for record in records.values())
        for number, name in enumerate(oldest_first):
            if size <= self._most and len(names) - number <= MOST_RESULTS and records[name].made:
                continue
            if _remove(os.path.join(self._directory, name)):
                size -= records[name].size


class _Record:
    """What is known of a result without looking into it. `used` is when, in nanoseconds; 0 for one that is not made."""

    __slots__ = ("content", "made", "size", "state", "used")

    def __init__(self, *, made: bool, size: int = 0, used: int = 0, content: str = "", state: str = "") -> None:
        self.made = made
        self.size = size
        self.used = used
        self.content = content
        self.state = state


def _read_record(shelf: str) -> _Record:
    path = os.path.join(shelf, "made.json")
    try:
        with open(path, encoding="utf-8") as stream:
            told = json.load(stream)
            used = os.fstat(stream.fileno()).st_mtime_ns
        return _Record(made=True, size=int(told["size"]), used=used, content=told["content"], state=told["state"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _Record(made=False)


class _Shelf:
    """The place of one result.

    Raises:
        OSError: there is no such place.
    """

    def __init__(self, directory: str, *, verify: bool) -> None:
        self.tree = os.path.join(directory, "tree")
        self._directory = directory
        self._verify = verify
        self._make = _Lock(os.path.join(directory, "make"))
        self._use = _Lock(os.path.join(directory, "use"))

    def use(self) -> bool:
        """Begin to use it, if it is made."""
        if not self._use.take(fcntl.LOCK_SH) or not _read_record(self._directory).made:
            self._use.free()
            return False
        return True

    def is_as_made(self) -> bool:
        """Whether it is what was made. Says when it was last used."""
        record = _read_record(self._directory)
        try:
            same = _digest(self.tree, content=self._verify) == (record.content if self._verify else record.state)
        except OSError:
            same = False
        if same:
            os.utime(os.path.join(self._directory, "made.json"))
        else:
            self._use.free()
        return same

    def claim(self) -> bool:
        """Begin to make it, if nobody else does."""
        return self._make.take(fcntl.LOCK_EX)

    def yield_(self) -> None:
        """Do not make it after all."""
        self._make.free()

    def clear(self) -> bool:
        """Make an empty directory of it. False when somebody uses what is there."""
        if not self._use.take(fcntl.LOCK_EX):
            return False
        try:
            os.unlink(os.path.join(self._directory, "made.json"))
        except FileNotFoundError:
            pass
        _remove_read_only(self.tree)
        os.mkdir(self.tree, 0o755)
        return True

    def publish(self) -> None:
        """See `Result.keep`."""
        try:
            size = _take_over(self.tree)
            told = {
                "size": size,
                "content": _digest(self.tree, content=True),
                "state": _digest(self.tree, content=False),
            }
            write_whole(os.path.join(self._directory, "made.json"), [json.dumps(told)])
        except OSError as error:
            message = f"the setup's result is not kept: {error.strerror}"
            raise CannotKeep(message) from error
        # Shared by us before anybody can have it alone, who would remove it.
        self._use.take(fcntl.LOCK_SH)
        self._make.free()

    def abandon(self) -> None:
        """See `Result.drop`."""
        remove_tree(self.tree)
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._make.close()
        self._use.close()


class _Lock:
    """A lock on a file, held by this process and no child of it.

    The file may be removed with what it guards; a lock on a file that is not at its path any more guards nothing.

    Raises:
        OSError: there is no such file, and none could be made.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._open()

    def take(self, how: int) -> bool:
        """Take it shared or alone, if that is possible now."""
        try:
            fcntl.flock(self._fd, how | fcntl.LOCK_NB)
            while not self._is_there():
                self._open()
                fcntl.flock(self._fd, how | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def free(self) -> None:
        """Let others have it."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let others have it, for good."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self.close()
        os.makedirs(os.path.dirname(self._path), mode=0o711, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False


def _remove(directory: str) -> bool:
    """Remove a result that nobody makes or uses. The locks' files go last, and only with the directory."""
    try:
        shelf = _Shelf(directory, verify=False)
    except OSError:
        return False
    try:
        if not (shelf.claim() and shelf.clear()):
            return False
        remove_tree(directory)
    except OSError:
        return False
    finally:
        shelf.close()
    return True


def _remove_read_only(tree: str) -> None:
    """Remove what `_take_over` made read-only."""
    directories = [path for path, status in _walk(tree) if stat.S_ISDIR(status.st_mode)] if os.path.isdir(tree) else []
    for path in directories:
        os.chmod(path, 0o700)
    remove_tree(tree)


def _walk(tree: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in a tree and the tree itself, never through a link; in an order of its own."""
    yield tree, os.lstat(tree)
    directories = [tree]
    for directory in directories:  # grows while it is read
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                directories.append(entry.path)
            yield entry.path, status


def _take_over(tree: str) -> int:
    """Make everything in a tree ours and read-only; returns its size.

    A file with more names than one is left as it is: another one may lie elsewhere, in a package manager's own cache.

    Raises:
        CannotKeep: something in it is neither file, directory nor link.
    """
    mine = (os.geteuid(), os.getegid())
    size = 0
    for path, status in list(_walk(tree)):
        size += status.st_blocks * _BLOCK
        if stat.S_ISLNK(status.st_mode):
            if status.st_uid != mine[0]:
                os.lchown(path, *mine)
            continue
        plain = stat.S_ISREG(status.st_mode)
        if not plain and not stat.S_ISDIR(status.st_mode):
            message = f"the setup's result is not kept: {os.path.relpath(path, tree)} is no file"
            raise CannotKeep(message)
        if plain and status.st_nlink > 1:
            continue
        if status.st_uid != mine[0]:
            os.lchown(path, *mine)
        readable = 0o444 if plain and not status.st_mode & 0o111 else 0o555
        os.chmod(path, readable)
    return size


def _digest(tree: str, *, content: bool) -> str:
    """What a tree holds, or what the file system says of it.

    The latter tells any change too, since nobody can set a file's change time back, but also a copy from the original.
    """
    digest = hashlib.blake2b(digest_size=20)
    for path, status in _walk(tree):
        facts = [os.path.relpath(path, tree), f"{status.st_mode:o}", str(status.st_uid)]
        if stat.S_ISLNK(status.st_mode):
            facts.append(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            facts.append(str(status.st_size))
        if not content:
            facts += [str(status.st_ino), str(status.st_mtime_ns), str(status.st_ctime_ns)]
        digest.update(os.fsencode("\0".join([*facts, ""])))
        if content and stat.S_ISREG(status.st_mode):
            with open(path, "rb", 0) as stream:
                while part := stream.read(_READ):
                    digest.update(part)
    return digest.hexdigest()
