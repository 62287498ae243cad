from __future__ import annotations

import asyncio

import pytest

from bot.domain.comment import marker as sticky_marker
from bot.github.comments import reply, upsert_sticky
from bot.github.errors import GitHubUnavailable
from tests.bot.github.conftest import REPO, Connected

MARKER = sticky_marker(1, 2, lambda text: f"signed-{len(text)}")


async def pull_request(at: Connected) -> int:
    at.hub.commit(REPO, "topic", {"b": "1"}, "a topic", "mona")
    return at.hub.open_pull_request(REPO, "topic", "main", "A topic", "mona").number


async def upsert(at: Connected, number: int, text: str, known_id: int | None = None) -> int:
    slug = await at.app.slug()
    comment_id = await upsert_sticky(
        at.gh, REPO, number, f"{MARKER}\n{text}", marker=MARKER, app_slug=slug, known_id=known_id
    )
    assert comment_id is not None, "it is revived unless told otherwise"
    return comment_id


def bodies(at: Connected, number: int) -> list[str]:
    return [comment.body.removeprefix(f"{MARKER}\n") for comment in at.hub.comments(REPO, number)]


async def test_one_comment_is_written_and_then_kept_up_to_date(connected: Connected) -> None:
    number = await pull_request(connected)
    first = await upsert(connected, number, "running")
    assert await upsert(connected, number, "green", known_id=first) == first
    assert await upsert(connected, number, "greener") == first
    assert bodies(connected, number) == ["greener"]


async def test_a_known_comment_costs_one_call(connected: Connected) -> None:
    number = await pull_request(connected)
    first = await upsert(connected, number, "running")
    connected.asked.clear()
    await upsert(connected, number, "green", known_id=first)
    assert connected.asked == [f"PATCH /repos/{REPO}/issues/comments/{first}"]


async def test_a_deleted_comment_is_written_again(connected: Connected) -> None:
    number = await pull_request(connected)
    first = await upsert(connected, number, "running")
    await connected.gh.delete(f"/repos/{REPO}/issues/comments/{first}")
    second = await upsert(connected, number, "green", known_id=first)
    assert second != first
    assert bodies(connected, number) == ["green"]


async def test_a_lost_answer_does_not_make_a_second_comment(connected: Connected) -> None:
    number = await pull_request(connected)
    connected.hub.faults.next("POST", "/comments$", status=502, after_commit=True)
    connected.hub.faults.next("POST", "/comments$", reset=True, after_commit=True)
    made = await upsert(connected, number, "running")
    assert await reply(connected.gh, REPO, number, "done", marker="<!-- reply 9 -->") != made
    assert bodies(connected, number) == ["running", "done\n\n<!-- reply 9 -->"]


async def test_github_that_stays_away_is_told_to_the_caller_who_can_wait(connected: Connected) -> None:
    number = await pull_request(connected)
    connected.hub.faults.next("POST", "/comments$", status=503, times=10)
    with pytest.raises(GitHubUnavailable):
        await upsert(connected, number, "running")
    assert len([asked for asked in connected.asked if asked.startswith("POST") and "/comments" in asked]) == 3


async def test_a_marker_that_somebody_else_quotes_is_not_ours(connected: Connected) -> None:
    number = await pull_request(connected)
    connected.hub.comment(REPO, number, f"{MARKER}\nmine", "mona")
    await upsert(connected, number, "running")
    assert bodies(connected, number) == ["mine", "running"]


async def test_the_comment_is_found_beyond_the_first_page(connected: Connected) -> None:
    number = await pull_request(connected)
    for n in range(101):
        connected.hub.comment(REPO, number, f"chatter {n}", "mona")
    first = await upsert(connected, number, "running")
    assert await upsert(connected, number, "green") == first


async def test_two_who_answer_the_same_thing_at_once_answer_it_once(connected: Connected) -> None:
    number = await pull_request(connected)
    marker = "<!-- interlock:explained=7 -->"
    made = await asyncio.gather(*(reply(connected.gh, REPO, number, "box 2 failed", marker=marker) for _ in range(3)))
    assert len(set(made)) == 1
    assert bodies(connected, number) == [f"box 2 failed\n\n{marker}"]


async def test_a_reply_is_written_once(connected: Connected) -> None:
    number = await pull_request(connected)
    first = await reply(connected.gh, REPO, number, "unknown box 99", marker="<!-- interlock:reply:7 -->")
    again = await reply(connected.gh, REPO, number, "unknown box 99", marker="<!-- interlock:reply:7 -->")
    other = await reply(
        connected.gh, REPO, number, "fine <!-- interlock:reply:8 -->", marker="<!-- interlock:reply:8 -->"
    )
    assert first == again != other
    assert bodies(connected, number) == [
        "unknown box 99\n\n<!-- interlock:reply:7 -->",
        "fine <!-- interlock:reply:8 -->",
    ]
