"""Who may give commands, and what remains of those that may not: box 71's shape with the verbs that exist."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bot.domain.commands.registry import parse
from bot.flows import on_command, thaw
from bot.flows.commands.obey import obey
from tests.fakes.world import PullRequest, World, box

BOXES = {"boxes/tier-1/1_steady.sh": box("exit 0", title="Steady")}


async def pull_request(world: World) -> PullRequest:
    world.repository(BOXES, collaborators={"mona": "write", "hub": "admin", "eve": "read"})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    return pr


async def refusals(world: World) -> list[tuple[str, str, str, str]]:
    rows = (await world.api("/api/v1/audit"))["entries"]
    return [
        (row["actor"], row["permission"], row["action"], row["reason"]) for row in rows if row["decision"] == "refused"
    ]


async def deliver(world: World, event: str, payload: dict[str, Any], *, guid: str) -> None:
    """Send what GitHub would send, signed, to the bot's own door."""
    body = json.dumps(payload).encode()
    signature = hmac.new(world.hub.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": guid,
        "x-hub-signature-256": f"sha256={signature}",
    }
    transport = httpx.ASGITransport(world.running.app, client=("203.0.113.7", 443))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.example") as client:
        answer = await client.post("/webhooks", content=body, headers=headers)
    assert answer.status_code == 202, answer.text


def comment_of(world: World) -> dict[str, Any]:
    """The payload of the last comment that somebody wrote."""
    sent = [one for one in world.hub.deliveries() if one.event == "issue_comment" and one.action == "created"]
    payload: dict[str, Any] = json.loads(sent[-1].payload)
    return payload


@pytest.mark.requirement("S-30")
async def test_a_reader_is_refused_and_it_is_written_down(world: World) -> None:
    pr = await pull_request(world)
    pr.say("/boxes cancel", by="eve")
    await world.settle()
    assert await refusals(world) == [("eve", "read", "boxes cancel", "not_permitted")]


@pytest.mark.requirement("S-30")
async def test_the_author_of_a_pull_request_has_no_rights_by_that(world: World) -> None:
    await pull_request(world)
    pr = await world.open_pull_request({"z": "y"}, by="eve", branch="eves")
    await world.settle()
    pr.say("/boxes run all", by="eve")
    await world.settle()
    assert (await refusals(world))[0] == ("eve", "read", "boxes run", "not_permitted")


@pytest.mark.requirement("S-30")
async def test_no_answer_about_a_permission_is_no_permission(world: World) -> None:
    pr = await pull_request(world)
    before = len(await world.runs())
    world.hub.faults.next("GET", "/collaborators/mona/permission$", status=403, message="Resource not accessible")
    comment = pr.say("/boxes run all", by="mona")
    await world.settle()
    assert len(await world.runs()) == before
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert await refusals(world) == [("mona", "none", "boxes run", "permission_unknown")]


@pytest.mark.requirement("S-30")
async def test_while_github_is_away_nothing_is_done_and_then_the_right_of_that_moment_counts(world: World) -> None:
    pr = await pull_request(world)
    before = len(await world.runs())
    world.hub.faults.next("GET", "/collaborators/mona/permission$", status=502, times=3)
    comment = pr.say("/boxes run all", by="mona")
    await world.until(lambda: pr.reactions(comment) == ["eyes"])
    assert len(await world.runs()) == before
    world.hub.set_permission(pr.repo, "mona", "read")
    await world.settle()
    assert len(await world.runs()) == before
    assert await refusals(world) == [("mona", "read", "boxes run", "not_permitted")]


@pytest.mark.requirement("S-19")
async def test_a_login_that_looks_like_an_apps_is_refused_in_silence_and_written_down(world: World) -> None:
    pr = await pull_request(world)
    pr.say("no command", by="hub")
    await world.settle()
    payload = comment_of(world)
    payload["comment"] |= {"id": 99_000_001, "body": "/boxes run all"}
    for account in (payload["comment"]["user"], payload["sender"]):
        account |= {"login": "hub[bot]", "type": "User"}
    before, said = len(await world.runs()), len(pr.comments)
    await deliver(world, "issue_comment", payload, guid="0ddba11-lookalike")
    await world.settle()
    assert (len(await world.runs()), len(pr.comments)) == (before, said)
    assert await refusals(world) == [("hub[bot]", "", "boxes run", "lookalike")]


@pytest.mark.requirement("S-19")
async def test_what_an_app_writes_is_no_command(world: World) -> None:
    pr = await pull_request(world)
    pr.say("no command", by="hub")
    await world.settle()
    payload = comment_of(world)
    payload["comment"] |= {"id": 99_000_002, "body": "/boxes run all"}
    for account in (payload["comment"]["user"], payload["sender"]):
        account |= {"login": "helper[bot]", "type": "Bot"}
    before = len(await world.runs())
    await deliver(world, "issue_comment", payload, guid="0ddba11-app")
    await world.settle()
    assert len(await world.runs()) == before


@pytest.mark.requirement("S-20")
async def test_a_command_that_is_edited_into_a_comment_is_refused_and_written_down(world: World) -> None:
    pr = await pull_request(world)
    comment = pr.say("looks good", by="hub")
    await world.settle()
    before = len(await world.runs())
    world.hub.edit_comment(comment, "/boxes run all", "mona")
    await world.settle()
    assert len(await world.runs()) == before
    assert pr.reactions(comment) == []
    assert await refusals(world) == [("mona", "", "boxes run", "edited")]


async def test_a_review_may_hold_commands_and_gets_no_reaction(world: World) -> None:
    pr = await pull_request(world)
    pr.say("no command", by="mona")
    await world.settle()
    told = comment_of(world)
    payload = {key: told[key] for key in ("repository", "sender", "installation")} | {
        "action": "submitted",
        "pull_request": {"number": pr.number, "head": {"sha": pr.head, "ref": "topic"}, "base": {"ref": "main"}},
        "review": {"id": 99_000_003, "body": "Nearly.\n\n/boxes rerun all\n/boxes status", "user": told["sender"]},
    }
    before = len(await world.runs())
    await deliver(world, "pull_request_review", payload, guid="0ddba11-review")
    await deliver(world, "pull_request_review", payload | {"action": "edited"}, guid="0ddba11-review-edited")
    await world.settle()
    assert len(await world.runs()) == before + 1
    assert pr.comments[-1].startswith("| `")
    assert "interlock:reply-to-review=99000003" in pr.comments[-1]


async def test_carrying_a_command_out_twice_does_it_once(world: World) -> None:
    pr = await pull_request(world)
    pr.say("/boxes rerun all\n/boxes falsify", by="mona")
    await world.settle()
    runs, rows = len(await world.runs()), (await world.api("/api/v1/audit"))["entries"]
    told = [one for one in world.hub.deliveries() if one.event == "issue_comment" and one.action == "created"]
    again = next(one for one in told if "/boxes rerun all" in json.loads(one.payload)["comment"]["body"])
    (action,) = on_delivery_actions(world, again)
    await on_command.decide(world.running.ctx, action)
    assert len(await world.runs()) == runs
    assert (await world.api("/api/v1/audit"))["entries"] == rows


def on_delivery_actions(world: World, sent: Any) -> tuple[Any, ...]:
    from bot.domain.deliveries import react  # noqa: PLC0415
    from bot.github.payloads import parse as read  # noqa: PLC0415

    payload = read("issue_comment", sent.payload.encode())
    return react("issue_comment", payload.action, payload.facts, own_app_id=world.hub.app_id)  # type: ignore[union-attr]


async def test_the_audit_is_read_in_pages_newest_first(world: World) -> None:
    pr = await pull_request(world)
    for _ in range(3):
        pr.say("/boxes cancel", by="eve")
        await world.settle()
    first = await world.api("/api/v1/audit?limit=2")
    rest = await world.api(f"/api/v1/audit?limit=2&before={first['next']}")
    numbers = [row["number"] for row in first["entries"] + rest["entries"]]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), rest["next"]) == (3, None)


async def test_a_freeze_ends_by_itself_and_runs_nothing(world: World) -> None:
    pr = await pull_request(world)
    ctx = world.running.ctx
    pr.say('/freeze main until 2999-01-01T00:00Z because "the release"', by="hub")
    await world.settle()
    assert pr.conclusion == "action_required"
    runs = len(await world.runs())
    assert len(await ctx.freezes.all_standing()) == 1
    async with ctx.freezes._rows._engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE freezes SET until = since")
    await thaw.thaw(ctx)
    await world.settle()
    assert pr.conclusion == "success"
    assert len(await world.runs()) == runs
    assert await ctx.freezes.all_standing() == []


async def test_an_untrusted_author_cannot_answer_for_boxes(world: World) -> None:
    pr = await pull_request(world)
    run = (await world.runs())[-1]
    await world.running.ctx.runs.update(run.id, trust="T2")
    pr.say('/boxes skip 1 because "trust me"', by="mona")
    await world.settle()
    assert await refusals(world) == [("mona", "write", "boxes skip", "own_untrusted")]
    comment = pr.say('/boxes skip 1 because "I looked"', by="hub")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "rocket"]


async def test_a_repository_of_another_id_is_not_steered_by_its_name(world: World) -> None:
    pr = await pull_request(world)
    pr.say("/boxes cancel", by="mona")
    await world.settle()
    told = [one for one in world.hub.deliveries() if one.event == "issue_comment" and one.action == "created"]
    (action,) = on_delivery_actions(world, told[-1])
    order = replace(on_command.order_of(action), repo_id=4711, id="comment:4711:1")
    obeyed = await obey(world.running.ctx, order, parse("/boxes run all"))
    assert (obeyed.done, obeyed.reason) == (False, "unknown_repository")
