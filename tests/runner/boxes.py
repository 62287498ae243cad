"""Short ways to write values down in tests."""

from __future__ import annotations

from typing import Any

from runner.model import Attempt, Box, BoxId, Verdict


def box(number: int, tier: int = 1, *, suite: str = "", **fields: Any) -> Box:
    fields.setdefault("title", f"Box {number}")
    fields.setdefault("source", f"boxes/tier-{tier}/{number:02}_box.sh")
    fields.setdefault("kind", "file")
    return Box(id=BoxId(suite, number), tier=tier, **fields)


def attempts(*outcomes: str) -> list[Attempt]:
    return [Attempt(outcome=Verdict(outcome)) for outcome in outcomes]
