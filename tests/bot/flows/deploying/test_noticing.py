"""People who do not look at GitHub hear of a deployment once, late if need be, and nothing waits for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from structlog.testing import capture_logs

from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying import noticing, terms
from bot.flows.deploying.noticing import tell_of
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import put
from tests.fakes.chat import Chat, open_chat
from tests.fakes.world import World, open_world


@pytest.fixture
def chat() -> Iterator[Chat]:
    with open_chat() as chat:
        yield chat


@dataclass
class Told:
    """A bot whose owner has laid down whom to tell."""

    world: World
    ctx: Context

    async def put(self, story: stories.Story | None = None, *, notify: tuple[str, ...] = ("ops",), **row: Any) -> str:
        """A deployment to an environment that notifies these."""
        deployment = await put(self.ctx, story, **row)
        section = {"target": {"kind": "command", "start": "x", "observe": "y"}, "notify": list(notify)}
        terms.put(self.ctx, deployment, terms.Terms(section=section))
        return deployment.id

    async def tell(self, deployment_id: str) -> None:
        """What the flows do whenever it has moved."""
        await tell_of(self.ctx, await self.ctx.deployment(deployment_id))
        await self.world.running.settled()


@pytest.fixture
async def told(tmp_path: Path, chat: Chat) -> AsyncIterator[Told]:
    names = tmp_path / "secrets" / "notify"
    names.mkdir(parents=True)
    for name, lines in {"ops": f"{chat.url}/ops\n", "both": f"{chat.url}/one\n{chat.url}/two\n"}.items():
        (names / name).write_text(lines)
        (names / name).chmod(0o600)
    async with open_world(tmp_path, bot=False) as world:
        world.settings_too["secrets_dir"] = tmp_path / "secrets"
        await world.start_bot()
        yield Told(world, world.running.ctx)


async def test_a_rollback_is_told_with_its_evidence(told: Told, chat: Chat) -> None:
    await told.tell(await told.put(stories.rolled_back(), id="d1"))
    [(path, text)] = chat.heard
    assert path == "/ops"
    link = told.ctx.links.deployment_url(1)
    assert text.replace(link, "LINK") == snapshot("""\
↩️ octo/app → production: deployment 1 was rolled back
cafe123, asked for by mona: 01d01d0 is live again
19 of 1090 answers failed, 1.0% are tolerated
probes of the new release: 1 of 25 answers failed
traffic of the new release: 19 of 1069 answers failed
LINK\
""")


async def test_one_state_is_told_once_however_often_it_is_looked_at(told: Told, chat: Chat) -> None:
    deployment = await told.put(stories.good(), id="d1", state=State.SUCCEEDED)
    for _ in range(3):
        await told.tell(deployment)
    assert len(chat.heard) == 1


async def test_everybody_that_a_name_stands_for_is_told(told: Told, chat: Chat) -> None:
    await told.tell(await told.put(id="d1", state=State.ABORTED, notify=("both", "ops", "both")))
    assert sorted(path for path, _ in chat.heard) == ["/one", "/ops", "/two"]


async def test_one_that_waits_for_people_is_told_and_one_that_waits_for_boxes_is_not(told: Told, chat: Chat) -> None:
    def gates(**answers: str) -> str:
        rows = [{"gate": name, "answer": said, "because": "so", "way_out": ""} for name, said in answers.items()]
        return json.dumps(rows)

    await told.tell(await told.put(id="d1", state=State.GATED, gates=gates(boxes="wait", approvals="wait")))
    assert chat.heard == []
    await told.ctx.deployments.note("d1", gates=gates(boxes="pass", approvals="wait"))
    await told.tell("d1")
    [(_, text)] = chat.heard
    assert text.startswith("⏳ octo/app → production: deployment 1 waits for approval")


@pytest.mark.parametrize(
    ("state", "notify"),
    [
        pytest.param(State.SUPERSEDED, ("ops",), id="nobody can use it"),
        pytest.param(State.SUCCEEDED, (), id="nobody is named"),
        pytest.param(State.SUCCEEDED, ("missing",), id="nobody is behind the name"),
    ],
)
async def test_nobody_is_told(told: Told, chat: Chat, state: State, notify: tuple[str, ...]) -> None:
    await told.tell(await told.put(id="d1", state=state, notify=notify))
    assert chat.heard == []


async def test_a_failing_address_is_tried_again_and_keeps_nobody_else_waiting(
    told: Told, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "PAUSES", (0.01,) * 50)
    names = told.world.settings().secrets_dir
    assert names is not None
    with open_chat() as other:
        other.status = 500
        (names / "notify" / "both").write_text(f"{other.url}/one\n{chat.url}/two\n")
        deployment = await told.put(id="d1", state=State.HELD, notify=("both",))
        await tell_of(told.ctx, await told.ctx.deployment(deployment))
        await told.world.until(lambda: len(chat.heard) == 1)
        other.status = 200
        await told.world.running.settled()
        assert [path for path, _ in other.heard] == ["/one"]
    assert len(chat.heard) == 1


async def test_who_is_never_reached_is_given_up_and_the_log_says_so(
    told: Told, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "PAUSES", (0.0, 0.0))
    chat.status = 500
    with capture_logs() as logs:
        await told.tell(await told.put(id="d1", state=State.SUCCEEDED))
    assert await told.ctx.engine.status("notice:d1:succeeded") == "SUCCESS"
    assert [entry["event"] for entry in logs].count("notice_not_taken") == 3
    assert [entry["notify"] for entry in logs if entry["event"] == "notice_given_up"] == ["ops"]


async def test_a_notice_survives_a_crash_between_two_tries(
    told: Told, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.status = 500
    monkeypatch.setattr(noticing, "PAUSES", (0.5, 0.0))
    await tell_of(told.ctx, await told.ctx.deployment(await told.put(id="d1", state=State.SUCCEEDED)))
    await told.world.until(lambda: chat.refused == 1)
    await told.world.stop_bot()
    chat.status = 200
    bot = await told.world.start_bot()
    await bot.settled()
    assert len(chat.heard) == 1


@pytest.mark.requirement("S-28")
async def test_no_flow_remembers_an_address(told: Told, chat: Chat) -> None:
    await told.tell(await told.put(id="d1", state=State.SUCCEEDED))
    await told.world.stop_bot()
    for file in told.world.data_dir.glob("*.sqlite*"):
        assert f"{chat.url}/ops".encode() not in file.read_bytes()
