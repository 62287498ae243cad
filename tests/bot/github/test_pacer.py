from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from bot.github.allowance import Allowance, Lane
from bot.github.errors import Overtaken, Paced
from bot.github.pacer import PATIENCE, Pacer, Write

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
CHECK = Write(lane=Lane.CHECKS)


@dataclass
class Stage:
    """A pacer on a clock of the test's own; ten writes go at once, then one every ten seconds."""

    now: float = 0.0
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pacer = Pacer(
            lambda: NOON + timedelta(seconds=self.now),
            Allowance(a_minute=16, an_hour=1000),
            moment=lambda: self.now,
            later=self._later,
        )
        self.burst = 10

    def _later(self, seconds: float, call: Callable[[], None]) -> asyncio.Handle:
        entry = (self.now + seconds, call)
        self.later.append(entry)
        stage = self

        class Timer(asyncio.Handle):
            def __init__(self) -> None:
                """Only `cancel` is used."""

            def cancel(self) -> None:
                if entry in stage.later:
                    stage.later.remove(entry)

        return Timer()

    async def spend_all(self) -> None:
        for _ in range(self.burst):
            await self.pacer.turn(Write(lane=Lane.GATES))

    async def send(self, name: str, write: Write) -> None:
        await self.pacer.turn(write)
        self.sent.append(name)

    async def wish(self, name: str, write: Write) -> asyncio.Task[None]:
        """Ask for a turn, and come back when it was given or is waited for."""
        task = asyncio.create_task(self.send(name, write))
        await quiet()
        return task

    async def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [entry for entry in self.later if entry[0] <= until]:
            entry = min(due, key=lambda one: one[0])
            self.later.remove(entry)
            self.now = entry[0]
            entry[1]()
            await quiet()
        self.now = until


async def quiet() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_may_go_goes_at_once(stage: Stage) -> None:
    await stage.spend_all()
    assert stage.pacer.facts() == {"waiting": 0, "oldest_seconds": 0.0, "sent_last_hour": 10, "overtaken": 0}


async def test_gates_go_before_checks_before_comments(stage: Stage) -> None:
    for _ in range(8):
        await stage.pacer.turn(Write(lane=Lane.GATES))
    wishes = (Lane.COMMENTS, Lane.CHECKS, Lane.GATES)
    await stage.pacer.turn(Write(lane=Lane.GATES))
    await stage.pacer.turn(Write(lane=Lane.GATES))
    tasks = [await stage.wish(lane.name, Write(lane=lane)) for lane in wishes]
    await stage.pass_time(300)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert stage.sent == ["GATES", "CHECKS", "COMMENTS"]


async def test_of_two_writes_of_one_check_the_newer_is_sent(stage: Stage) -> None:
    await stage.spend_all()
    older = await stage.wish("older", Write(lane=Lane.GATES, target="check 1"))
    newer = await stage.wish("newer", Write(lane=Lane.GATES, target="check 1"))
    await stage.pass_time(60)
    await newer
    with pytest.raises(Overtaken):
        await older
    assert stage.sent == ["newer"]


async def test_a_finished_state_is_not_overtaken_by_how_far_it_was(stage: Stage) -> None:
    await stage.spend_all()
    verdict = await stage.wish("verdict", Write(lane=Lane.GATES, target="check 1", final=True))
    late = await stage.wish("late", Write(lane=Lane.GATES, target="check 1"))
    await stage.pass_time(60)
    await verdict
    with pytest.raises(Overtaken):
        await late
    assert stage.sent == ["verdict"]


async def test_what_adds_something_is_never_overtaken(stage: Stage) -> None:
    await stage.spend_all()
    one, two = await stage.wish("one", Write(lane=Lane.GATES)), await stage.wish("two", Write(lane=Lane.GATES))
    await stage.pass_time(200)
    results = await asyncio.gather(one, two, return_exceptions=True)
    assert not any(isinstance(result, Overtaken) for result in results)


async def test_progress_is_left_out_where_it_would_wait(stage: Stage) -> None:
    await stage.spend_all()
    with pytest.raises(Overtaken):
        await stage.pacer.turn(Write(lane=Lane.PROGRESS, target="check 1"))
    assert stage.pacer.facts()["waiting"] == 0


async def test_left_out_progress_takes_no_turn_from_what_waits(stage: Stage) -> None:
    await stage.spend_all()
    waiting = await stage.wish("first", Write(lane=Lane.GATES, target="check 1"))
    with pytest.raises(Overtaken):
        await stage.pacer.turn(Write(lane=Lane.PROGRESS, target="check 1"))
    await stage.pass_time(60)
    await waiting
    assert stage.sent == ["first"]


async def test_a_write_that_would_wait_for_long_is_given_back_with_its_time(stage: Stage) -> None:
    await stage.spend_all()
    await stage.wish("next", Write(lane=Lane.GATES))
    await stage.wish("one more", Write(lane=Lane.GATES))
    with pytest.raises(Paced) as paced:
        await stage.pacer.turn(Write(lane=Lane.GATES))
    assert paced.value.until > NOON + timedelta(seconds=PATIENCE)


async def test_closing_gives_back_all_that_waits_and_lets_nothing_wait_again(stage: Stage) -> None:
    await stage.spend_all()
    waiting = await stage.wish("next", Write(lane=Lane.GATES))
    stage.pacer.close()
    with pytest.raises(Paced):
        await waiting
    with pytest.raises(Paced):
        await stage.pacer.turn(Write(lane=Lane.GATES))
    assert (stage.later, stage.sent) == ([], [])


async def test_a_write_that_is_cancelled_while_it_waits_leaves_its_turn_to_the_next(stage: Stage) -> None:
    await stage.spend_all()
    gone = await stage.wish("gone", Write(lane=Lane.GATES, target="check 1"))
    gone.cancel()
    await quiet()
    assert stage.pacer.facts()["waiting"] == 0
    following = await stage.wish("following", Write(lane=Lane.GATES))
    await stage.pass_time(60)
    await following
    assert stage.sent == ["following"]
