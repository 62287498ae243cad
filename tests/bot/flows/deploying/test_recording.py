"""A deployment that has ended leaves one record, whatever crash came between, and the record never changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.deploy.record import Kept, verify
from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying.recording import keep, record_now, unrecorded
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import put
from tests.fakes.world import open_world


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    secrets = tmp_path / "secrets"
    (secrets / "7-octo-app").mkdir(parents=True)
    (secrets / "7-octo-app" / "API_KEY").write_text("swordfish-and-chips")
    (secrets / "7-octo-app" / "API_KEY").chmod(0o600)
    async with open_world(tmp_path, bot=False) as world:
        world.settings_too["secrets_dir"] = secrets
        await world.start_bot()
        yield world.running.ctx


def text(ctx: Context, number: int) -> str:
    return (ctx.data_dir / "deployments" / str(number) / "record.json").read_text()


async def the_chain(ctx: Context, *numbers: int) -> list[Kept]:
    links = [await ctx.records.of(f"d{number}") for number in numbers]
    return [Kept(link=link, text=text(ctx, link.number)) for link in links if link]


@pytest.mark.deployment(25)
async def test_records_of_an_environment_follow_one_another_and_of_two_environments_do_not(ctx: Context) -> None:
    for n in (1, 2, 3, 4):
        place = {"environment": "staging"} if n == 2 else {}
        await put(ctx, stories.rolled_back(), id=f"d{n}", **place)
        await keep(ctx, f"d{n}")
    assert verify(await the_chain(ctx, 1, 3, 4)) is None
    assert verify(await the_chain(ctx, 2)) is None
    assert json.loads(text(ctx, 3))["previous"]["number"] == 1


async def test_keeping_a_record_again_changes_nothing(ctx: Context) -> None:
    await put(ctx, stories.good(), id="d1", state=State.SUCCEEDED)
    await keep(ctx, "d1")
    before = text(ctx, 1)
    await ctx.deployments.note("d1", because="somebody says otherwise")
    await keep(ctx, "d1")
    assert text(ctx, 1) == before


@pytest.mark.deployment(25)
async def test_two_that_end_at_the_same_moment_get_a_place_each(ctx: Context) -> None:
    for n in range(1, 6):
        await put(ctx, id=f"d{n}", state=State.SUPERSEDED)
    await asyncio.gather(*(keep(ctx, f"d{n}") for n in range(1, 6)))
    links = [link for n in range(1, 6) if (link := await ctx.records.of(f"d{n}"))]
    assert sorted(link.place for link in links) == [1, 2, 3, 4, 5]
    in_order = sorted(links, key=lambda link: link.place)
    assert verify([Kept(link=link, text=text(ctx, link.number)) for link in in_order]) is None


async def test_a_record_that_a_crash_left_without_its_name_gets_it(ctx: Context) -> None:
    await put(ctx, stories.good(), id="d1", state=State.SUCCEEDED)
    await keep(ctx, "d1")
    record = ctx.data_dir / "deployments" / "1" / "record.json"
    before = record.read_text()
    record.rename(record.with_suffix(".new"))
    await keep(ctx, "d1")
    assert record.read_text() == before


async def test_one_that_was_written_aside_before_another_took_its_place_is_made_anew(ctx: Context) -> None:
    await put(ctx, id="d1", state=State.DENIED)
    await put(ctx, id="d2", state=State.DENIED)
    await keep(ctx, "d2")
    aside = ctx.data_dir / "deployments" / "1" / "record.new"
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text('{"hash": "of before the crash"}\n')
    await keep(ctx, "d1")
    assert verify(await the_chain(ctx, 2, 1)) is None
    assert not aside.exists()


async def test_what_a_crash_left_unwritten_is_found_by_the_next_round(ctx: Context) -> None:
    await put(ctx, id="d1", state=State.EXPIRED)
    await put(ctx, stories.to_the_watch(), id="d2", state=State.BAKING)
    await put(ctx, id="d3", state=State.EXPIRED)
    await keep(ctx, "d3")
    assert [one.id for one in await unrecorded(ctx)] == ["d1"]


@pytest.mark.requirement("S-27")
async def test_secrets_that_a_release_printed_are_not_in_its_record(ctx: Context) -> None:
    story = stories.rolled_back()
    story.lines[-2].data["tail"] += "key: swordfish-and-chips\n"  # type: ignore[index]
    story.then("intent", call="hook").then("done", call="hook", code=1, output="ghp_" + "a" * 36)
    await put(ctx, story, id="d1")
    await keep(ctx, "d1")
    assert "swordfish" not in text(ctx, 1)
    assert "ghp_aaaa" not in text(ctx, 1)
    assert "[secret API_KEY]" in text(ctx, 1)


async def test_a_journal_that_is_damaged_leaves_a_record_all_the_same(ctx: Context) -> None:
    row = await put(ctx, stories.rolled_back(), id="d1")
    ctx.deploy_files(row).journal.write_text("no journal\nat all\n")
    await keep(ctx, "d1")
    assert json.loads(text(ctx, 1))["journal"]["head"] == ""


async def test_one_that_goes_on_is_shown_as_it_is_and_has_no_hash_yet(ctx: Context) -> None:
    row = await put(ctx, stories.to_the_watch(), id="d1", state=State.BAKING)
    record = await record_now(ctx, row)
    assert record["states"][-1]["state"] == "baking"
    assert "hash" not in record
