"""Whether a release works with the database as it is: the way back may be closed by a migration. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.deploy.release import Release


@dataclass(frozen=True, slots=True)
class Fits:
    """The release works with that version, or with any."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """The database is behind what the release needs; a migration would help."""

    because: str


@dataclass(frozen=True, slots=True)
class TooNew:
    """The database is ahead of what the release knows; nothing helps but another release."""

    because: str


@dataclass(frozen=True, slots=True)
class NobodyKnows:
    """The release names versions, and nobody could say which one the database has."""

    because: str


Fit = Fits | TooOld | TooNew | NobodyKnows


@dataclass(frozen=True, slots=True)
class Range:
    """The versions that a release works with, both ends included; None for any."""

    low: int | None = None
    high: int | None = None


_RANGE = re.compile(r"(?P<low>[0-9]{1,9})?(?P<to>\.\.)?(?P<high>[0-9]{1,9})?")


def read_range(text: str) -> Range | None:
    """The range of `12..15`, `12..`, `..15` or `12`; None for any other text, and for one that holds nothing."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or (found["low"] is None and found["high"] is None):
        return None
    low, high = (int(end) if end else None for end in (found["low"], found["high"]))
    if not found["to"]:
        return Range(low, low)
    return Range(low, high) if low is None or high is None or low <= high else None


def fit(release: Release, version: int | None) -> Fit:
    """How a release and the database's schema go together.

    Args:
        release: with the versions that it works with.
        version: the database's, None when it could not be read.
    """
    low, high = release.schema_min, release.schema_max
    if low is None and high is None:
        return Fits()
    if version is None:
        return NobodyKnows(f"{release.short} {_wants(low, high)}, and the schema's version is not known")
    if low is not None and version < low:
        return TooOld(f"the schema has version {version}, and {release.short} {_wants(low, high)}")
    if high is not None and version > high:
        return TooNew(f"the schema has version {version}, and {release.short} {_wants(low, high)}")
    return Fits()


def roll_forward_only(release: Release, version: int | None) -> str:
    """Why there is no going back to a release, a sentence; "" when there is."""
    said = fit(release, version)
    return "" if isinstance(said, Fits) else f"roll forward only: {said.because}"


def _wants(low: int | None, high: int | None) -> str:
    if low is None:
        return f"works with versions up to {high}"
    if high is None:
        return f"works with versions from {low}"
    return f"works with version {low}" if low == high else f"works with versions {low} to {high}"
