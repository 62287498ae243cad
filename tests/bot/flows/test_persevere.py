"""Which failures a step is repeated after, how long the waits are, and when patience ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from bot.engine import Flow
from bot.flows.persevere import PAUSES, TRIES, persevere
from bot.github.errors import (
    BadCredentials,
    Forbidden,
    GitHubUnavailable,
    NotAsked,
    NotFound,
    RateLimited,
    Unprocessable,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
Result = TypeVar("Result")


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return NOW


class Hourglass(Flow):
    """A flow without an engine: it runs its steps and notes its waits instead of waiting."""

    def __init__(self) -> None:
        self.id = "flow"  # the rest of a Flow is its engine, which this one has not
        self.waits: list[float] = []

    async def step(self, name: str, body: Callable[..., Awaitable[Result]], *args: object) -> Result:
        assert name == "ask"
        return await body(*args)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def answers(*script: Exception | str) -> Callable[[], Awaitable[str]]:
    """A step that does what the script says, in order."""
    left = list(script)

    async def ask() -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


AWAY = GitHubUnavailable("GitHub answered 503")


async def test_while_github_is_away_the_waits_grow_and_then_stay() -> None:
    flow = Hourglass()
    assert await persevere(flow, Clock(), "ask", answers(*[AWAY] * 7, "there")) == "there"
    assert flow.waits == [*PAUSES, PAUSES[-1], PAUSES[-1]]


@pytest.mark.parametrize(
    ("until", "wait"),
    [
        pytest.param(NOW + timedelta(minutes=20), 1200.0, id="as-long-as-github-asks"),
        pytest.param(NOW - timedelta(minutes=20), 1.0, id="never-at-once"),
    ],
)
async def test_a_rate_limit_is_waited_for_as_long_as_github_says(until: datetime, wait: float) -> None:
    flow = Hourglass()
    assert await persevere(flow, Clock(), "ask", answers(RateLimited(until), "there")) == "there"
    assert flow.waits == [wait]


async def test_what_was_not_sent_waits_until_it_may_be_and_is_no_try() -> None:
    flow = Hourglass()
    rests = [NotAsked("GitHub was away a moment ago", NOW + timedelta(seconds=left)) for left in (60.0, 41.5, 0.0)]
    assert await persevere(flow, Clock(), "ask", answers(*rests, AWAY, *rests * TRIES, AWAY, "there")) == "there"
    assert flow.waits == [60.0, 41.5, 1.0, PAUSES[0], *[60.0, 41.5, 1.0] * TRIES, PAUSES[1]]


async def test_patience_ends_with_what_github_said_last() -> None:
    flow = Hourglass()
    with pytest.raises(GitHubUnavailable):
        await persevere(flow, Clock(), "ask", answers(*[AWAY] * TRIES, "too late"))
    assert len(flow.waits) == TRIES - 1
    assert round(sum(flow.waits) / 3600) == 8


@pytest.mark.parametrize("answer", [NotFound("no"), Forbidden("no"), BadCredentials("no"), Unprocessable("no")])
async def test_what_will_not_change_by_waiting_is_not_waited_for(answer: Exception) -> None:
    flow = Hourglass()
    with pytest.raises(type(answer)):
        await persevere(flow, Clock(), "ask", answers(answer, "there"))
    assert flow.waits == []
