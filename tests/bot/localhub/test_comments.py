"""Issues, comments and reactions over REST, and the events that follow."""

from __future__ import annotations

import pytest

from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, as_installation, as_user, pull_request

ISSUES = "/repos/octo/app/issues"


async def test_a_comment_is_written_changed_and_deleted(hub: LocalHub, clock: Clock, receiver: Receiver) -> None:
    pull_request(hub)
    hub.webhook_url = "http://receiver/"
    async with as_installation(hub) as app:
        made = (await app.post(f"{ISSUES}/1/comments", json={"body": "one"})).json()
        clock.advance(5)
        changed = (await app.patch(f"{ISSUES}/comments/{made['id']}", json={"body": "two"})).json()
        listed = (await app.get(f"{ISSUES}/1/comments")).json()
        since = (await app.get(f"{ISSUES}/1/comments", params={"since": "2026-03-02T12:00:06Z"})).json()
        assert (await app.delete(f"{ISSUES}/comments/{made['id']}")).status_code == 204
        assert (await app.get(f"{ISSUES}/comments/{made['id']}")).status_code == 404
    await hub.settled()
    assert (made["user"]["login"], made["user"]["type"]) == ("interlock[bot]", "Bot")
    assert made["performed_via_github_app"]["id"] == hub.app_id
    assert (changed["body"], changed["updated_at"]) == ("two", "2026-03-02T12:00:05Z")
    assert ([one["body"] for one in listed], since) == (["two"], [])
    assert receiver.names == [f"issue_comment.{action}" for action in ("created", "edited", "deleted")]
    assert receiver.last("issue_comment.edited")["changes"] == {"body": {"from": "one"}}
    assert "pull_request" in receiver.last("issue_comment.created")["issue"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("x" * 65_536, 201, id="at-the-limit"),
        pytest.param("x" * 65_537, 422, id="over-the-limit"),
        pytest.param("  ", 422, id="blank"),
        pytest.param(None, 422, id="none"),
    ],
)
async def test_a_body_has_65536_characters_at_most(hub: LocalHub, body: str | None, code: int) -> None:
    pull_request(hub)
    async with as_installation(hub) as app:
        assert (await app.post(f"{ISSUES}/1/comments", json={"body": body})).status_code == code


async def test_a_stranger_may_comment_but_not_change_what_others_wrote(hub: LocalHub) -> None:
    pull_request(hub)
    theirs = hub.comment("octo/app", 1, "mine", "mona")
    async with as_user(hub, "stranger") as stranger:
        made = await stranger.post(f"{ISSUES}/1/comments", json={"body": "hello"})
        refused = await stranger.patch(f"{ISSUES}/comments/{theirs.id}", json={"body": "no"})
        own = await stranger.patch(f"{ISSUES}/comments/{made.json()['id']}", json={"body": "yes"})
    assert (made.status_code, refused.status_code, own.status_code) == (201, 403, 200)
    assert made.json()["author_association"] == "NONE"


async def test_a_reaction_is_kept_once(hub: LocalHub) -> None:
    pull_request(hub)
    comment = hub.comment("octo/app", 1, "/boxes run", "mona")
    on = f"{ISSUES}/comments/{comment.id}/reactions"
    async with as_installation(hub) as app:
        answers = [await app.post(on, json={"content": content}) for content in ("eyes", "eyes", "rocket", "shrug")]
        listed = (await app.get(on)).json()
        shown = (await app.get(f"{ISSUES}/comments/{comment.id}")).json()["reactions"]
        removed = await app.delete(f"{on}/{answers[0].json()['id']}")
    assert [answer.status_code for answer in answers] == [201, 200, 201, 422]
    assert [one["content"] for one in listed] == ["eyes", "rocket"]
    assert (shown["total_count"], shown["eyes"], shown["rocket"]) == (2, 1, 1)
    assert removed.status_code == 204
    assert hub.reactions(comment) == ["rocket"]


async def test_issues_and_pull_requests_share_their_numbers(hub: LocalHub) -> None:
    pull_request(hub)
    async with as_user(hub, "mona") as mona:
        issue = (await mona.post(ISSUES, json={"title": "Broken", "body": "Look"})).json()
        assert (await mona.post(f"{ISSUES}/2/reactions", json={"content": "+1"})).status_code == 201
        read = (await mona.get(f"{ISSUES}/2")).json()
        pull = (await mona.get(f"{ISSUES}/1")).json()
        missing = await mona.get(f"{ISSUES}/3")
    assert (issue["number"], read["title"], read["reactions"]["+1"]) == (2, "Broken", 1)
    assert "pull_request" in pull
    assert "pull_request" not in issue
    assert missing.status_code == 404
