"""Git's three ways to print one diff, put together file by file. Pure text in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
GONE = "0" * 40
START = re.compile(r"^diff --git ", re.MULTILINE)
HUNKS = re.compile(r"^@@ ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What a diff did to one file; `sha` is its blob (the old one when removed), `patch` is "" for binary files."""

    path: str
    previous: str
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str


def file_changes(raw: str, numbers: str, patch: str) -> list[FileChange]:
    """Join `git diff-tree`'s `--raw -z`, `--numstat -z` and `-p`, which list the same files in the same order.

    A file that became a link or a submodule is one change to the first two, a removal and an addition to the last.
    """
    changes = []
    pieces = _hunks(patch)
    for (facts, previous, path), (added, removed) in zip(_raw(raw), _numbers(numbers), strict=True):
        old, new, letter = facts[2], facts[3], facts[4][0]
        hunks = next(pieces)
        if letter == "T":
            hunks = "\n".join(filter(None, (hunks, next(pieces))))
        changes.append(
            FileChange(
                path=path,
                previous=previous,
                status=STATUS.get(letter, "changed"),
                sha=old if new == GONE else new,
                additions=added,
                deletions=removed,
                patch=hunks,
            )
        )
    return changes


def _raw(text: str) -> Iterator[tuple[list[str], str, str]]:
    fields = iter(text.split("\0"))
    for field in fields:
        if field:
            facts = field.removeprefix(":").split(" ")
            first = next(fields)
            yield (facts, first, next(fields)) if facts[4][0] in "RC" else (facts, "", first)


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    fields = iter(text.split("\0"))
    for field in fields:
        if field:
            added, removed, path = field.split("\t", 2)
            if not path:  # a rename: old and new path follow.
                next(fields), next(fields)
            yield (0, 0) if added == "-" else (int(added), int(removed))


def _hunks(text: str) -> Iterator[str]:
    for piece in START.split(text)[1:]:
        first = HUNKS.search(piece)
        yield piece[first.start() :].removesuffix("\n") if first else ""
