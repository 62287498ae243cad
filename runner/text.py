"""Text that boxes wrote, made safe to keep and to show. Pure."""

from __future__ import annotations

from runner.later import later

_UNPRINTABLE = later(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str, limit: int) -> str:
    """`text` without control characters and lone surrogates (newline and tab stay), cut to `limit` characters."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return short if short.isprintable() else _UNPRINTABLE.sub("\ufffd", short)
