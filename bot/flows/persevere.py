"""Steps that talk to GitHub, kept up while GitHub is away. Waits are durable: no worker sleeps, a restart resumes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bot.engine import Flow
from bot.github.errors import GitHubUnavailable, NotAsked, RateLimited
from bot.ops.clock import Clock

log = structlog.get_logger()
Result = TypeVar("Result")

PAUSES = (1.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds before each further try; the last one repeats."""

TRIES = 100
"""With the pauses above: almost eight hours, longer than GitHub was ever away."""


async def persevere(
    flow: Flow, clock: Clock, name: str, body: Callable[..., Awaitable[Result]], *args: object
) -> Result:
    """Run a step; while GitHub is unavailable or asks for patience, wait and run it again.

    Raises:
        GitHubUnavailable: it stayed away for all tries.
    """
    tried = 0
    while True:
        try:
            return await flow.step(name, body, *args)
        except (GitHubUnavailable, RateLimited) as trouble:
            # What was not sent is no try: after an outage of seconds it must not wait for minutes.
            tried += not isinstance(trouble, NotAsked)
            if tried == TRIES:
                raise
            pause = _pause(trouble, tried, clock)
            log.warning("step_postponed", step=name, seconds=pause, because=str(trouble))
        await flow.sleep(pause)


def _pause(trouble: GitHubUnavailable | RateLimited, tried: int, clock: Clock) -> float:
    if isinstance(trouble, NotAsked | RateLimited):
        # The wait is computed from the clock, but dbos records its end, so a replay waits no longer.
        return max(1.0, (trouble.until - clock.now()).total_seconds())
    return PAUSES[min(tried, len(PAUSES)) - 1]
