"""Every webhook that GitHub gives an example of, and hundreds of spoilt ones, through the real door of a real bot."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from bot.domain.webhook_events import EVENTS
from bot.flows.on_delivery import understand
from bot.localhub.hooks import headers
from bot.store.deliveries import Delivery
from tests.bot.github.corpus import EXAMPLES, SPOILERS, Json, adopted, copy
from tests.fakes.world import CONTRACT, REPO, World, box

SEED = 20_260_102
SPOILT = 400


class Hookshot:
    """Posts what GitHub would, signed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        transport = httpx.ASGITransport(world.running.app, client=("203.0.113.7", 443))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://bot.example")

    async def post(self, event: str, body: bytes) -> int:
        self.sent += 1
        guid = f"00000000-{self.sent:08d}"
        answer = await self._client.post(
            "/webhooks", content=body, headers=headers(self.world.hub.app_record, event, guid, body)
        )
        self.statuses[answer.status_code] += 1
        return answer.status_code

    async def close(self) -> None:
        await self._client.aclose()


def ours(world: World, payload: Json) -> Json:
    hub = world.hub
    return adopted(
        payload,
        app_id=hub.app_id,
        installation_id=hub.installation("octo").id,
        repo_id=hub.repository(REPO).id,
        repo=REPO,
    )


def encoded(payload: Json) -> bytes:
    return json.dumps(payload).encode()


def complaints(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines of the log that nobody wants to see."""
    said = capsys.readouterr()
    return [line for line in (said.out + said.err).splitlines() if "Traceback" in line or "[error" in line]


async def still_works(world: World) -> None:
    """A pull request comes to its verdict as if nothing had been."""
    pr = await world.open_pull_request({"x": "y"}, branch="afterwards")
    await world.settle()
    assert pr.conclusion == "success"


@pytest.mark.parametrize("whose", ["somebody's", "ours"])
async def test_every_example_is_taken_in_and_settles(
    world: World, whose: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.repository({"boxes/tier-1/1_ok.sh": box(title="Fine")})
    await world.settle()
    before = dict(world.running.ctx.oddities.counts)
    github = Hookshot(world)
    for event, payload in EXAMPLES:
        assert await github.post(event, encoded(ours(world, payload) if whose == "ours" else payload)) == 202
    await github.close()
    async with asyncio.timeout(100):
        await world.running.settled()
    assert complaints(capsys) == []
    assert world.running.ctx.oddities.counts == before, "everything in GitHub's own examples is known"
    await still_works(world)


async def test_no_spoilt_webhook_gets_more_than_an_answer(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.repository({"boxes/tier-1/1_ok.sh": box(title="Fine")})
    await world.settle()
    random = Random(SEED)
    github = Hookshot(world)
    for _ in range(SPOILT):
        event, payload = random.choice(EXAMPLES)
        payload = ours(world, payload) if random.random() < 0.7 else copy(payload)
        body = random.choice(SPOILERS)(payload, random)
        event = event if random.random() < 0.95 else random.choice(["star", "next_year_s_event", "push"])
        assert 200 <= await github.post(event, body) < 500
    await github.close()
    async with asyncio.timeout(100):
        await world.running.settled()
    assert complaints(capsys) == []
    assert github.statuses[202] > SPOILT / 2
    kinds = {name.split(" ")[0] for name in world.running.ctx.oddities.counts}
    assert kinds >= {"event", "action", "field", "value", "unreadable"}
    health = await world.api("/health/detailed")
    assert health["parts"]["webhooks"]["new_to_us"]["event star"] > 0
    await still_works(world)


def test_every_event_of_the_table_has_an_example_or_is_made_by_a_story() -> None:
    shown = {event for event, _ in EXAMPLES}
    assert shown <= EVENTS.keys()
    # GitHub gives none of this one; the story of a renamed account makes it.
    assert EVENTS.keys() - shown == {"installation_target"}


@pytest.mark.parametrize("event", sorted({event for event, _ in EXAMPLES}))
def test_each_example_leads_where_its_event_leads(event: str) -> None:
    for _, payload in (each for each in EXAMPLES if each[0] == event):
        own = adopted(payload, app_id=1, installation_id=2, repo_id=3, repo=REPO)
        meaning = EVENTS[event].get(payload.get("action", ""))
        assert meaning is not None, payload.get("action")
        reading = understand(delivery(event, own), own_app_id=1)
        assert reading.oddities == ()
        if not meaning.acts:
            assert [getattr(action, "reason", "") for action in reading.actions] == [meaning.says]


def delivery(event: str, payload: Json) -> Delivery:
    return Delivery("0000-0000", event, encoded(payload), datetime(2026, 1, 2, tzinfo=UTC))


def made(action: str, **more: object) -> Json:
    """A payload of the parts that all have, as one of GitHub's examples has them."""
    _, like = next(each for each in EXAMPLES if each[0] == "check_run" and each[1].get("installation"))
    return {"action": action, **more, **{name: like[name] for name in ("repository", "sender", "installation")}}


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        pytest.param(
            "deployment_protection_rule",
            next(payload for event, payload in EXAMPLES if event == "deployment_protection_rule"),
            id="a-protection-rule",
        ),
        *(
            pytest.param(
                "merge_group",
                made(
                    "destroyed",
                    reason=reason,
                    merge_group={
                        "head_sha": "cafe" * 10,
                        "head_ref": "refs/heads/gh-readonly-queue/main/pr-1",
                        "base_sha": "beef" * 10,
                        "base_ref": "refs/heads/main",
                        "head_commit": next(p for e, p in EXAMPLES if e == "merge_group")["merge_group"]["head_commit"],
                    },
                ),
                id=f"a-group-that-was-{reason}",
            )
            for reason in ("merged", "invalidated", "dequeued")
        ),
    ],
)
def test_what_github_gives_no_example_of_is_known_as_well(event: str, payload: Json) -> None:
    known_to_be_old = ("/repository/", "/sender", "/installation")  # the example that it is made from is of years ago.
    found = CONTRACT.check_webhook(event, payload["action"], encoded(payload))
    assert [one for one in found if not any(place in str(one) for place in known_to_be_old)] == []
    reading = understand(delivery(event, payload), own_app_id=payload["installation"].get("app_id", 1))
    assert reading.oddities == ()
