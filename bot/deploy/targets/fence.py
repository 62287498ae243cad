"""The highest fencing token that a target has seen. Who comes with a lower one has lost the lease, and is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from bot.deploy.durable import get_json, put
from bot.deploy.locking import held
from bot.deploy.target import Fenced

_WITHIN = 10.0
"""Seconds that one call may hold up another. Calls hold the fence only while they change something."""


class Fence:
    """One target's fence, as one controller meets it.

    Args:
        place: what the target keeps.
        token: of the controller's lease.
    """

    def __init__(self, place: Path, token: int) -> None:
        self._place = place
        self._token = token

    @property
    def highest(self) -> int:
        """The highest token seen."""
        seen = get_json(self._place / "fence.json").get("token", 0)
        return seen if isinstance(seen, int) else 0

    @contextlib.asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Change something, with nobody else changing anything meanwhile.

        Raises:
            Fenced: a newer controller was here. Nothing may be changed.
            TargetUnreachable: another call took too long.
        """
        async with held(self._place / "fence.lock", _WITHIN):
            highest = self.highest
            if self._token < highest:
                message = f"token {self._token} is older than {highest}: another controller has taken over"
                raise Fenced(message)
            if self._token > highest:
                put(self._place / "fence.json", json.dumps({"token": self._token}))
            yield

    def check(self) -> None:
        """See that nobody newer was here.

        Raises:
            Fenced: somebody was.
        """
        if self._token < (highest := self.highest):
            message = f"token {self._token} is older than {highest}: another controller has taken over"
            raise Fenced(message)
