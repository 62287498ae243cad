"""Why a run stops before its end, as a value; as the text of its row; and as the words that people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

_SUPERSEDED = "superseded:"


@dataclass(frozen=True, slots=True)
class Superseded:
    """The pull request has a newer head."""

    by_sha: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody wanted it; `by` is `@login`, or what happened (`closing the pull request`)."""

    by: str


Stop = Superseded | Cancelled


def to_text(stop: Stop) -> str:
    """What a run's row keeps; never empty."""
    match stop:
        case Superseded(by_sha):
            return f"{_SUPERSEDED}{by_sha}"
        case Cancelled(by):
            return by
        case _:
            assert_never(stop)


def from_text(text: str) -> Stop | None:
    """The value of a row's text; None for a run that nobody wants to stop."""
    if not text:
        return None
    sha = text.removeprefix(_SUPERSEDED)
    return Cancelled(text) if sha == text else Superseded(sha)


def in_words(stop: Stop) -> str:
    """Lower case, without a full stop: for the run's page, the list of runs and the log."""
    match stop:
        case Superseded(by_sha):
            return f"superseded by {by_sha[:7]}"
        case Cancelled(by):
            return f"cancelled by {by}"
        case _:
            assert_never(stop)
