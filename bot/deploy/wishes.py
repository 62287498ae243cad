"""What people ask of a deployment that is under way: a file for each wish, so that nobody has to be there to hear it.

The controller looks for them many times a second, says in its journal what came of each, and takes none twice.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.deploy.files import DeployFiles
from bot.deploy.journal import Entry


class Wish(StrEnum):
    """What can be asked for."""

    ROLLBACK = "rollback"  # back to the release before, now.
    PROMOTE = "promote"  # a held release stays; a canary takes its next step.
    ABORT = "abort"  # not this release, as long as no user has seen it.


@dataclass(frozen=True, slots=True)
class Wished:
    """A wish; `name` is its file's and its identity, `by` who has it, `because` what they said."""

    name: str
    wish: Wish
    by: str
    because: str = ""


def wish(files: DeployFiles, wish: Wish, by: str, *, because: str = "", key: str = "") -> None:
    """Ask for something. Safe to repeat with the same `key`, for instance a comment's id: it is one wish.

    Args:
        files: of the deployment.
        wish: what for.
        by: login of whom.
        because: what they said.
        key: tells this wish from others of the same kind: letters, digits, `-`, `_`. Without one each call is a wish.
    """
    files.wishes.mkdir(parents=True, exist_ok=True)
    scratch = files.wishes / f".{wish.value}-{key}-{os.getpid()}"
    with scratch.open("w", encoding="utf-8") as stream:
        json.dump({"wish": wish.value, "by": by, "because": because}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        for name in [f"{wish.value}-{key}.json"] if key else (f"{wish.value}.{n}.json" for n in itertools.count(1)):
            # A name is taken whole or not at all, and by one.
            with contextlib.suppress(FileExistsError):
                os.link(scratch, files.wishes / name)
                break
    finally:
        scratch.unlink()


def pending(files: DeployFiles, entries: Sequence[Entry]) -> tuple[Wished, ...]:
    """The wishes that the journal does not speak of yet, oldest first.

    What grants a wish names it in the same entry, so that a crash can neither lose it nor grant it twice.
    """
    taken = {entry.data["name"] for entry in entries if entry.kind == "wish"}
    taken |= {entry.data["granted"] for entry in entries if "granted" in entry.data}
    found: list[tuple[int, Wished]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(files.wishes) as listing:
        for item in listing:
            if item.name.startswith(".") or item.name in taken:
                continue
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                raw = json.loads((files.wishes / item.name).read_text(encoding="utf-8"))
                one = Wished(item.name, Wish(raw["wish"]), str(raw["by"]), str(raw.get("because", "")))
                found.append((item.stat().st_mtime_ns, one))
    return tuple(one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].name)))
