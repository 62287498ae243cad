"""A story's webhooks in any order, doubled and lost: the same state in the end."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from bot.localhub.acts import pulls as acts
from bot.localhub.records import Delivery
from tests.fakes.tape import Running, Tape, begin, state_of
from tests.fakes.world import REPO, open_world

MOST = 40
"""More than the story has deliveries."""


@st.composite
def plays(draw: st.DrawFn) -> list[tuple[int, str]]:
    """Which deliveries are heard, in which order, and under which id: their own, or that of another hook."""
    order = draw(st.permutations(range(MOST)))
    heard = [number for number in order if draw(st.integers(0, 3)) > 0]
    play = [(number, "") for number in heard]
    for number in draw(st.lists(st.sampled_from(range(MOST)), max_size=8)):
        play.insert(draw(st.integers(0, len(play))), (number, draw(st.sampled_from(["", "-other-hook"]))))
    return play


async def tell(tape: Tape) -> None:
    """What people do, while nobody hears of it. Strangers' pull requests: nothing is executed, so telling is cheap."""
    hub = tape.world.hub
    first = await tape.world.open_pull_request({"x": "y"}, by="eve", branch="first")
    tape.note(first.head)
    second = await tape.world.open_pull_request({"z": "z"}, by="eve", branch="second")
    tape.note(second.head)
    tape.pulls += [first, second]
    tape.said += [second.say("/help", by="eve"), second.say("/boxes run all", by="eve")]
    closed = hub.close_pull_request(REPO, second.number, "eve")
    tape.note(first.push({"x": "w"}))
    acts.reopen(hub.forge, closed, "eve")
    hub.close_pull_request(REPO, first.number, "eve")
    await hub.settled()


async def send(tape: Tape, told: Delivery, other: str) -> None:
    """One webhook as GitHub sent it, or as a second hook would."""
    headers = {**told.request_headers, "X-GitHub-Delivery": told.guid + other}
    transport = httpx.ASGITransport(tape.world.running.app, client=("203.0.113.7", 443))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.example") as client:
        answer = await client.post("/webhooks", content=told.payload.encode(), headers=headers)
    assert answer.is_success


async def state_after(play: Sequence[tuple[int, str]] | None) -> dict[str, Any]:
    """What the world looks like once a play was heard and time has passed; None is all of the story, in order."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_world(Path(directory)) as world:
            tape = Tape(world, Running(1))
            await begin(tape)
            await tape.pass_by()
            ear, world.wire.app = world.wire.app, None
            before = len(world.hub.deliveries())
            await tell(tape)
            told = world.hub.deliveries()[before:]
            assert len(told) <= MOST
            world.wire.app = ear
            for number, other in [(n, "") for n in range(len(told))] if play is None else play:
                if number < len(told):
                    await send(tape, told[number], other)
            await world.settle()
            for _ in range(2):
                await tape.pass_by()
            return await state_of(tape)


@pytest.fixture(scope="module")
def in_order() -> dict[str, Any]:
    return asyncio.run(state_after(None))


def test_told_in_order_the_story_ends_as_one_would_expect(in_order: dict[str, Any]) -> None:
    assert in_order["runs"] == [((0, "head0", "all", "success"), 1), ((2, "head2", "all", "action_required"), 1)]
    assert in_order["reactions"] == [["eyes", "rocket"], ["confused", "eyes"]]
    assert [author for author, _ in in_order["comments"][2]].count("interlock[bot]") == 3
    assert in_order["left open"] == 0


@pytest.mark.requirement("S-22", "S-23", "S-24")
@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each telling takes a second: too long to shrink one.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@example([(number, other) for number in range(MOST) for other in ("", "-other-hook")])
@example([(number, "") for number in reversed(range(MOST))])
@given(plays())
def test_any_order_with_some_doubled_and_some_lost_ends_the_same(
    in_order: dict[str, Any], play: list[tuple[int, str]]
) -> None:
    assert asyncio.run(state_after(play)) == in_order
