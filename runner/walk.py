"""Lists what may be a box. It only looks at names and stats, so that a warm start need not open a file."""

from __future__ import annotations

import os
import re

from runner.errors import BadMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIER_DIRECTORY = re.compile(r"tier-([0-9]{1,3})(?:-[A-Za-z0-9._-]+)?")


class Found:
    """One name in a tier directory, or in `boxes/` itself. `path` is relative to the tree."""

    __slots__ = ("changed", "is_dir", "is_file", "link", "modified", "name", "path", "size", "suite", "tier_dir")

    def __init__(self, entry: os.DirEntry[str], *, path: str, suite: str, tier_dir: str) -> None:
        self.name = entry.name
        self.path = path
        self.suite = suite
        self.tier_dir = tier_dir  # "" in `boxes/` itself
        self.link = os.readlink(entry.path) if entry.is_symlink() else ""
        try:
            status = entry.stat()
        except OSError:  # a link to nowhere is said to be one when it is read.
            status = entry.stat(follow_symlinks=False)
        self.is_dir = _followed(entry.is_dir)
        self.is_file = _followed(entry.is_file)
        self.size = status.st_size
        self.modified = status.st_mtime_ns
        self.changed = status.st_ctime_ns

    def print_(self) -> str:
        """Differs as soon as the file was written to or replaced. A directory's own times say nothing that matters."""
        if self.is_dir:
            return f"{self.path}/ {self.link}"
        return f"{self.path} {self.size} {self.modified} {self.changed} {self.link}"


def _followed(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link to itself.
        return False


def walk(tree: str, roots: Mapping[str, str]) -> list[Found]:
    """Everything that stands in `boxes/` and its tier directories, of every suite, sorted by path.

    Args:
        tree: the absolute path of a repository.
        roots: the directory of each suite, relative to `tree`.
    """
    found: list[Found] = []
    for suite, root in roots.items():
        top = join(root, "boxes")
        for item in _list(tree, top, suite, ""):
            found.append(item)
            if item.is_dir and TIER_DIRECTORY.fullmatch(item.name):
                found += _list(tree, item.path, suite, item.name)
    return found


def _list(tree: str, directory: str, suite: str, tier_dir: str) -> list[Found]:
    try:
        with os.scandir(f"{tree}/{directory}") as entries:
            items = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BadMetadata("the directory cannot be read", file=directory) from error
    return [Found(entry, path=f"{directory}/{entry.name}", suite=suite, tier_dir=tier_dir) for entry in items]


def join(root: str, name: str) -> str:
    """`name` below the directory of a suite."""
    return name if root == "." else f"{root}/{name}"
