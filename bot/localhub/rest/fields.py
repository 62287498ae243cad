"""Reading a request body the way GitHub does: a wrong shape is a 422 that says so, in GitHub's words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bot.localhub import refusals
from bot.localhub.clock import parse_timestamp, timestamp

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.localhub.records import Json

SHA = re.compile(r"[0-9a-f]{40}")


def text(body: Json, name: str, *, most: int | None = None) -> str | None:
    """An optional string of at most `most` characters; null counts as absent.

    Raises:
        Refused: 422.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, f"{_literal(value)} is not a string")
    if most is not None and len(value) > most:
        raise _wrong(name, f"only {most} characters are allowed; {len(value)} were supplied")
    return value


def required_text(body: Json, name: str, *, most: int | None = None) -> str:
    """A string that must be there (it may be empty)."""
    value = text(body, name, most=most)
    if value is None:
        raise missing(name)
    return value


def choice(body: Json, name: str, among: Collection[str]) -> str | None:
    """An optional string out of a closed set."""
    value = text(body, name)
    if value is not None and value not in among:
        shown = ", ".join(f'"{one}"' for one in among)
        raise _wrong(name, f'"{value}" is not a member of [{shown}]')
    return value


def flag(body: Json, name: str, *, otherwise: bool = False) -> bool:
    """An optional boolean."""
    value = body.get(name, otherwise)
    if not isinstance(value, bool):
        raise _wrong(name, f"{_literal(value)} is not a boolean")
    return value


def integer(body: Json, name: str, *, required: bool = False) -> int | None:
    """An integer."""
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        reason = f'"{name}" wasn\'t supplied.' if value is None else f"{_literal(value)} is not an integer."
        raise refusals.invalid_request(reason)
    return value


def items(body: Json, name: str, *, most: int) -> list[Any] | None:
    """An optional array of at most `most` items."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong(name, f"{_literal(value)} is not an array")
    if len(value) > most:
        raise _wrong(name, f"no more than {most} items are allowed; {len(value)} were supplied")
    return value


def mapping(body: Json, name: str) -> Json | None:
    """An optional object."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong(name, f"{_literal(value)} is not an object")
    return value


def moment(body: Json, name: str) -> str | None:
    """An optional timestamp, brought to GitHub's format."""
    value = text(body, name)
    if value is None:
        return None
    try:
        return timestamp(parse_timestamp(value))
    except ValueError as wrong:
        raise _wrong(name, f'"{value}" is not a valid date-time') from wrong


def missing(name: str) -> refusals.Refused:
    """The refusal of a body without this member."""
    return refusals.invalid_request(f'"{name}" wasn\'t supplied.')


def _wrong(name: str, what: str) -> refusals.Refused:
    return refusals.invalid_request(f"For 'properties/{name}', {what}.")


def _literal(value: object) -> str:
    return json.dumps(value)[:100]
