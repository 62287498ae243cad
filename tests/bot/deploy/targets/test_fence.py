"""Who has lost the lease changes nothing, whatever the order in which two controllers come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.deploy.target import Fenced
from bot.deploy.targets.fence import Fence

TOKENS = st.lists(st.integers(min_value=0, max_value=20), min_size=1, max_size=12)


@pytest.mark.deployment(9)
@given(tokens=TOKENS)
def test_a_token_passes_exactly_when_none_higher_was_there(
    tokens: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("place")

    async def come() -> None:
        highest = 0
        for token in tokens:
            fence = Fence(place, token)
            try:
                async with fence.passed():
                    passed = True
            except Fenced:
                passed = False
            assert passed == (token >= highest)
            highest = max(highest, token)
            assert fence.highest == highest

    asyncio.run(come())


@pytest.mark.deployment(9)
async def test_of_two_who_race_the_older_does_nothing_after_the_newer(tmp_path: Path) -> None:
    done: list[int] = []

    async def change(token: int, times: Iterable[int]) -> None:
        fence = Fence(tmp_path, token)
        for _ in times:
            async with fence.passed():
                done.append(token)
            await asyncio.sleep(0.001)

    older, newer = await asyncio.gather(change(1, count()), change(2, range(20)), return_exceptions=True)
    assert isinstance(older, Fenced)
    assert newer is None
    assert done == sorted(done)
    assert done.count(2) == 20


async def test_nobody_changes_anything_while_another_does(tmp_path: Path) -> None:
    inside = 0

    async def change(token: int) -> None:
        nonlocal inside
        async with Fence(tmp_path, token).passed():
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.005)
            inside -= 1

    await asyncio.gather(*(change(7) for _ in range(5)))


def test_a_look_passes_by_nobody_newer(tmp_path: Path) -> None:
    async def come() -> None:
        async with Fence(tmp_path, 3).passed():
            pass

    asyncio.run(come())
    Fence(tmp_path, 3).check()
    with pytest.raises(Fenced, match="token 2 is older than 3"):
        Fence(tmp_path, 2).check()
