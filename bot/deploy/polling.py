"""Waiting for what tells nobody when it happens: processes that are not ours, files of others, routers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

POLL = 0.02


async def until(holds: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Whether something holds within so many seconds; asked once at least."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        if await holds():
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(POLL)
