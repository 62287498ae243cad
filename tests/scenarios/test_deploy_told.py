"""What stays of a bad release and of the good one after it: records, a page, an issue, notices, releases on GitHub."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.cli import main
from bot.domain.deploy.states import State
from bot.localhub.records import Issue
from tests.fakes.app_in_slot import behaves, end_everything, free_port
from tests.fakes.chat import Chat, open_chat
from tests.fakes.world import OK, REPO, World, open_world
from tests.scenarios.test_deploy import BOX, config, deployments, push

pytestmark = pytest.mark.skipif(
    not (shutil.which("haproxy") or shutil.which("caddy")), reason="missing component: a router (haproxy or caddy)"
)


@pytest.fixture
def chat() -> Iterator[Chat]:
    with open_chat() as chat:
        yield chat


@pytest.fixture
async def world(tmp_path: Path, chat: Chat) -> AsyncIterator[World]:
    """A bot that may deploy, and whose owner has laid down whom to tell."""
    names = tmp_path / "secrets" / "notify"
    names.mkdir(parents=True)
    (names / "ops").write_text(f"{chat.url}/ops\n")
    (names / "ops").chmod(0o600)
    async with open_world(tmp_path, bot=False) as world:
        world.settings_too = {
            "deploy_targets": "process,command",
            "deploy_unconfined": "yes",
            "secrets_dir": tmp_path / "secrets",
        }
        world.repository({"README.md": "soon\n"})
        installed = world.hub.installation("octo")
        may = {**installed.permissions, "contents": "write", "issues": "write"}
        world.hub.state.installations.change(installed, permissions=may)
        await world.start_bot()
        try:
            yield world
        finally:
            await world.stop_bot()
            await end_everything(world.data_dir)


def issues(world: World) -> list[Issue]:
    return list(world.hub.state.issues.where(repository_id=world.hub.repository(REPO).id))


@pytest.mark.deployment(25)
async def test_a_bad_release_and_the_good_one_after_it_are_told_shown_and_kept(
    world: World, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    configured = config(free_port(), notify="[ops]", release="true")
    push(world, {BOX: OK, **behaves("one"), **configured})
    await world.settle()
    push(world, behaves("bad", bad_after=5))
    await world.settle()

    first, bad = await deployments(world)
    assert (first.state, bad.state) == (State.SUCCEEDED, State.ROLLED_BACK)
    [issue] = issues(world)
    assert (issue.state, issue.title) == ("open", f"production was rolled back from {bad.short}")
    assert "| probes | new |" in str(issue.body)
    page = await world.page(f"/deployments/{bad.number}")
    assert "Deployment to production was rolled back" in page
    assert 'class="over"' in page
    record = await world.api(f"/api/v1/deployments/{bad.number}")
    assert record["watch"]["verdict"] == "bad"
    assert record["who"]["author"] == "mona"
    assert record["replaced"]["sha"] == first.sha
    assert [stay["state"] for stay in record["states"]][-2:] == ["rolling_back", "rolled_back"]
    assert {call["verb"] for call in record["calls"]} >= {"start", "route", "stop"}

    push(world, behaves("two"))
    await world.settle()
    [issue] = issues(world)
    assert issue.state == "closed"
    titles = [text.partition("\n")[0] for _, text in chat.heard]
    assert titles == [
        "✅ octo/app → production: deployment 1 succeeded",
        "↩️ octo/app → production: deployment 2 was rolled back",
        "✅ octo/app → production: deployment 3 succeeded",
    ]
    releases = world.hub.state.releases.where(repository_id=world.hub.repository(REPO).id)
    assert [release.tag for release in releases] == ["production-1", "production-3"]

    capsys.readouterr()
    assert main(["deploys", "verify", "--json", "--data-dir", str(world.data_dir)]) == 0
    [chain] = json.loads(capsys.readouterr().out)["chains"]
    assert (chain["environment"], chain["records"], chain["broken"]) == ("production", 3, None)
