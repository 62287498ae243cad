"""Reading what follows a command's words. Nothing is guessed: what is not understood is a `Slip` that says where.

Every reader gives a value of a known form; no text of a comment gets any further than these, but reasons, which are
cleaned, bounded, and only ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from bot.domain.text import code, one_line
from runner.errors import BadSelection
from runner.select import parse as parse_selection

LONGEST_REASON = 300
"""Characters of a reason."""

LONGEST_LOCK = 30 * 86_400.0
"""Seconds for which somebody may keep an environment locked."""

_WORD = re.compile(r"\S+")
_BECAUSE = re.compile(r"(?<!\S)because(?!\S)", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r'["“”](.*)["“”]', re.DOTALL)
_AT = re.compile(r"(?<!\S)at(?:\s+(\S+))?\s*\Z", re.IGNORECASE)
_SHA = re.compile(r"[0-9a-f]{7,64}")
_BOX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[0-9]{1,9}")
_BAD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*$;|&()!\[\]\\\"'`<>]|\.\.|@\{|//|/\.|\A[-/.]|[/.]\Z|\.lock\Z")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"([0-9]{1,5})(m|h|d)", re.IGNORECASE)
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
# What phones make of two dashes.
_DASHES = "-\u2013\u2014"
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\s?(Z|UTC|[+-][0-9]{2}:[0-9]{2})?)?"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """A part of a line. `at` is where in the line it begins, counted from 0."""

    text: str
    at: int = 0

    def words(self) -> tuple[Argument, ...]:
        """What stands between spaces."""
        return tuple(Argument(match[0], self.at + match.start()) for match in _WORD.finditer(self.text))

    def part(self, start: int, end: int | None = None) -> Argument:
        """A slice of it without the spaces around."""
        piece = self.text[start:end]
        return Argument(piece.strip(), self.at + start + len(piece) - len(piece.lstrip()))


class Slip(Exception):
    """An argument that cannot be read. Both sentences are Markdown without a full stop; `at` counts from 0."""

    def __init__(self, because: str, hint: str, at: int) -> None:
        self.because = because
        self.hint = hint
        self.at = at
        super().__init__(because, hint, at)


def refuse(because: str, hint: str, at: int) -> NoReturn:
    """Say what is wrong with an argument; see `Slip`."""
    raise Slip(because, hint, at)


def nothing(argument: Argument, usage: str) -> None:
    """There must be no argument.

    Raises:
        Slip: there is one.
    """
    if argument.text:
        refuse(f"{code(usage)} takes no argument", "leave it out", argument.at)


def selection(argument: Argument, *, default: str = "", missing: str = "") -> str:
    """A selection text of the runner; it may name boxes that do not exist, which is found out later.

    Args:
        argument: the text.
        default: what an empty one means; "" if there has to be one.
        missing: the way out when there has to be one and there is none.

    Raises:
        Slip: it cannot be read, or asks for what only a working copy can tell.
    """
    if not argument.text:
        if default:
            return default
        refuse("it does not say which boxes", missing, argument.at)
    _no_flags(argument)
    try:
        refs = parse_selection(argument.text).changed_refs()
    except BadSelection as bad:
        hint = bad.hint or "selections look like `21`, `21-41`, `tier:4`, `tag:smoke` or `failed`"
        refuse(bad.message, hint, argument.at + bad.at)
    if refs:
        refuse(
            "`changed:` needs a working copy with its history, and the bot has none",
            "name the boxes, a tier or a tag",
            argument.at,
        )
    return argument.text


def at_commit(argument: Argument) -> tuple[Argument, str]:
    """What stands before a final `at <sha>`, and the commit in lower case; "" where none is named.

    Raises:
        Slip: what follows `at` is no commit.
    """
    found = _AT.search(argument.text)
    if found is None:
        return argument, ""
    sha = (found[1] or "").lower()
    if not _SHA.fullmatch(sha):
        refuse(_not_a_commit(sha), "write `at` and the commit's SHA, best all of it", argument.at + found.start())
    return argument.part(0, found.start()), sha


def commit(argument: Argument, usage: str) -> str:
    """One commit, in lower case; how much of it is enough, whoever permits something decides.

    Raises:
        Slip: it is none.
    """
    sha = argument.text.lower()
    if not _SHA.fullmatch(sha):
        refuse(
            _not_a_commit(argument.text),
            f"write {code(usage)} with all 40 digits; the check's text has the line",
            argument.at,
        )
    return sha


def reason(argument: Argument, example: str) -> tuple[Argument, str]:
    """What stands before `because`, and the reason after it, on one line.

    Raises:
        Slip: there is none, it stands in no quotes, or it is too long.
    """
    found = _BECAUSE.search(argument.text)
    if found is None:
        refuse("it does not say why", f"end it with a reason: {code(example)}", argument.at + len(argument.text))
    rest = argument.part(found.end())
    quoted = _QUOTED.fullmatch(rest.text)
    if quoted is None:
        refuse("the reason stands in no quotes, or something follows it", f"like so: {code(example)}", rest.at)
    said = one_line(quoted[1], 4 * LONGEST_REASON)
    if not said:
        refuse("the reason is empty", f"like so: {code(example)}", rest.at)
    if len(said) > LONGEST_REASON:
        refuse(f"the reason has {len(said)} characters", f"{LONGEST_REASON} is the most", rest.at)
    return argument.part(0, found.start()), said


def reason_if_any(argument: Argument, example: str) -> tuple[Argument, str]:
    """Like `reason`, but "" where nobody says why.

    Raises:
        Slip: it stands in no quotes, or it is too long.
    """
    return reason(argument, example) if _BECAUSE.search(argument.text) else (argument, "")


def options(argument: Argument, example: str, *, valued: Iterable[str] = (), flags: Iterable[str] = ()) -> Options:
    """The name of an environment, and what follows it in any order; each at most once.

    Args:
        argument: the text, without a reason.
        example: a whole command, shown to whoever wrote none.
        valued: words that another word follows.
        flags: words that stand alone; two dashes before one of them change nothing.

    Raises:
        Slip: there is no name, or something else follows.
    """
    words = argument.words()
    if not words:
        refuse("it does not say which environment", f"like so: {code(example)}", argument.at)
    first, *rest = words
    if not _ENVIRONMENT.fullmatch(first.text):
        refuse(f"{code(first.text, 60)} is not the name of an environment", f"like so: {code(example)}", first.at)
    values: dict[str, Argument] = {}
    known_flags, known_valued = frozenset(flags), frozenset(valued)
    while rest:
        word = rest.pop(0)
        spoken = word.text.lower().lstrip(_DASHES)
        if spoken in values:
            refuse(f"{code(word.text, 60)} is there twice", "write it once", word.at)
        if spoken in known_flags:
            values[spoken] = word
        elif word.text.lower() in known_valued:
            if not rest:
                refuse(f"nothing follows {code(word.text)}", f"like so: {code(example)}", word.at)
            values[spoken] = rest.pop(0)
        else:
            refuse(f"{code(word.text, 60)} is not understood here", f"like so: {code(example)}", word.at)
    return Options(first.text, values)


@dataclass(frozen=True, slots=True)
class Options:
    """What `options` has read: the environment's name, and the words by what introduces them."""

    environment: str
    values: Mapping[str, Argument]

    def sha(self) -> str:
        """The commit after `at`, in lower case; "" where none is named.

        Raises:
            Slip: it is none.
        """
        if (word := self.values.get("at")) is None:
            return ""
        sha = word.text.lower()
        if not _SHA.fullmatch(sha):
            refuse(_not_a_commit(sha), "write `at` and the commit's SHA, best all of it", word.at)
        return sha

    def plan(self) -> str:
        """The hash after `expect`; "" where none is named. All of it, since parts of one can be forged.

        Raises:
            Slip: it is none.
        """
        if (word := self.values.get("expect")) is None:
            return ""
        hashed = word.text.lower()
        if not _HASH.fullmatch(hashed):
            because = f"{code(word.text, 80)} is not the whole hash of a plan"
            refuse(because, "a dry run tells it; it has 64 digits", word.at)
        return hashed

    def seconds(self) -> float | None:
        """The time after `for`; None where none is named.

        Raises:
            Slip: it is none, or too long.
        """
        if (word := self.values.get("for")) is None:
            return None
        found = _TIME.fullmatch(word.text) if word.text.isascii() else None
        seconds = float(found[1]) * _UNITS[found[2].lower()] if found else 0.0
        if not 0 < seconds <= LONGEST_LOCK:
            hint = f"write it like `30m`, `2h` or `3d`; {LONGEST_LOCK / _UNITS['d']:.0f} days are the most"
            refuse(f"{code(word.text, 60)} is no such time", hint, word.at)
        return seconds


def box(argument: Argument, *, optional: bool = False) -> str:
    """The id of one box: `21`, or `api/21`.

    Raises:
        Slip: it is none.
    """
    if optional and not argument.text:
        return ""
    if not _BOX.fullmatch(argument.text):
        said = f"{code(argument.text, 60)} is not the number of a box" if argument.text else "it does not say which box"
        refuse(said, "a box is named like `21`, or `api/21` in a suite", argument.at)
    return argument.text


def branch(argument: Argument) -> str:
    """The name of one branch, or "" for none.

    Raises:
        Slip: git would not take it for the name of a branch, or a shell would not take it for a word.
    """
    words = argument.words()
    if len(words) > 1:
        refuse(f"{code(words[1].text, 60)} is one word too many", "name one branch, or none for all", words[1].at)
    _no_flags(argument)
    found = _BAD_IN_BRANCH.search(argument.text)
    if found or len(argument.text) > 200:
        refuse(
            f"{code(argument.text, 60)} is not the name of a branch", "name one branch, or none for all", argument.at
        )
    return argument.text


def until(argument: Argument) -> tuple[Argument, datetime | None]:
    """What stands before `until`, and the moment after it, in UTC; None where none is named.

    A day alone ends when it begins, in UTC.

    Raises:
        Slip: it is no moment, or has a time without a zone.
    """
    for word in argument.words():
        if word.text.lower() == "until":
            rest = argument.part(word.at - argument.at + len(word.text))
            return argument.part(0, word.at - argument.at), _moment(rest)
    return argument, None


def _moment(argument: Argument) -> datetime:
    hint = "write it like `2026-12-24T18:00Z`, `2026-12-24T18:00+01:00` or `2026-12-24`"
    found = _MOMENT.fullmatch(argument.text.upper())
    if found is None:
        refuse(
            f"{code(argument.text, 60)} is not a moment" if argument.text else "`until` needs a moment",
            hint,
            argument.at,
        )
    day, time, zone = found.groups()
    if time and not zone:
        refuse(f"{code(argument.text, 60)} has no time zone", hint, argument.at)
    offset = "+00:00" if zone in {None, "Z", "UTC"} else zone
    try:
        return datetime.fromisoformat(f"{day}T{time or '00:00'}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        refuse(f"{code(argument.text, 60)} is not in the calendar", hint, argument.at)


def _no_flags(argument: Argument) -> None:
    for word in argument.words():
        if word.text.startswith("-"):
            refuse(f"there is no flag {code(word.text, 60)}", "commands take none", word.at)


def _not_a_commit(text: str) -> str:
    return f"{code(text, 80)} is not the SHA of a commit" if text else "it does not say which commit"
