from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from bot.domain.checks import Annotation, Check
from bot.github.app import GitHubApp
from bot.github.checks import ensure_check, timestamp, update_check
from bot.github.errors import GitHubUnavailable, Unprocessable
from tests.bot.github.conftest import REPO, Connected

QUEUED = Check(name="Interlock", status="queued", conclusion=None, title="waiting", summary="soon")
GREEN = replace(QUEUED, status="completed", conclusion="success", title="all green", summary="3 boxes", text="details")


def notes(count: int) -> tuple[Annotation, ...]:
    return tuple(
        Annotation(path="a", start_line=1, end_line=1, level="failure", title=f"note {n}", message="it is red")
        for n in range(count)
    )


async def ensure(at: Connected, sha: str, *, external_id: str = "run-1", check: Check = QUEUED) -> int:
    return await ensure_check(at.gh, REPO, name=check.name, head_sha=sha, external_id=external_id, check=check)


async def test_a_check_is_made_once_and_found_again(connected: Connected) -> None:
    sha = connected.head
    first = await ensure(connected, sha)
    assert await ensure(connected, sha) == first
    (run,) = connected.hub.check_runs(REPO, sha)
    assert (run.id, run.name, run.status, run.external_id, run.title) == (
        first, "Interlock", "queued", "run-1", "waiting",
    )  # fmt: skip


async def test_another_run_of_the_same_head_gets_another_check(connected: Connected) -> None:
    sha = connected.head
    assert await ensure(connected, sha) != await ensure(connected, sha, external_id="run-2")


async def test_the_same_id_of_another_app_or_another_name_is_not_ours(connected: Connected) -> None:
    sha = connected.head
    stranger, key = connected.hub.create_app("stranger", account="octo")
    async with GitHubApp(connected.hub.url, stranger.id, key, connected.hub.clock) as other:
        (there,) = [item async for item in other.itself().paginate("/app/installations")]
        theirs = await ensure_check(
            other.installation(there["id"]), REPO, name="Interlock", head_sha=sha, external_id="run-1", check=QUEUED
        )
    tier = await ensure(connected, sha, check=replace(QUEUED, name="Interlock / tier 2"))
    ours = await ensure(connected, sha)
    assert len({theirs, tier, ours}) == 3


async def test_a_lost_answer_does_not_make_a_second_check(connected: Connected) -> None:
    sha = connected.head
    connected.hub.faults.next("POST", "/check-runs$", status=502, after_commit=True)
    made = await ensure(connected, sha)
    assert [run.id for run in connected.hub.check_runs(REPO, sha)] == [made]


async def test_a_create_that_failed_for_good_gives_up_after_three(connected: Connected) -> None:
    connected.hub.faults.next("POST", "/check-runs$", status=502, times=3)
    with pytest.raises(GitHubUnavailable):
        await ensure(connected, connected.head)
    assert connected.asks("POST") == 3


async def test_an_unknown_head_is_declined(connected: Connected) -> None:
    with pytest.raises(Unprocessable):
        await ensure(connected, "f" * 40)


async def test_a_check_says_what_it_is_told(connected: Connected) -> None:
    sha = connected.head
    check_id = await ensure(connected, sha)
    assert (
        await update_check(connected.gh, REPO, check_id, replace(QUEUED, status="in_progress"), sent_annotations=0) == 0
    )
    assert await update_check(connected.gh, REPO, check_id, GREEN, sent_annotations=0) == 0
    (run,) = connected.hub.check_runs(REPO, sha)
    assert (run.status, run.conclusion, run.title, run.summary, run.text) == (
        "completed", "success", "all green", "3 boxes", "details",
    )  # fmt: skip


async def test_annotations_go_out_by_fifties_and_the_conclusion_with_the_last(connected: Connected) -> None:
    sha = connected.head
    check_id = await ensure(connected, sha)
    check = replace(GREEN, conclusion="failure", annotations=notes(120))
    sent = await update_check(connected.gh, REPO, check_id, check, sent_annotations=0)
    assert sent == 120
    assert connected.asks("PATCH") == 3
    assert await titles(connected, check_id) == [f"note {n}" for n in range(120)]
    assert await update_check(connected.gh, REPO, check_id, check, sent_annotations=sent) == 120
    assert len(await titles(connected, check_id)) == 120


async def test_a_check_that_is_still_filling_up_is_not_concluded(connected: Connected) -> None:
    sha = connected.head
    check_id = await ensure(connected, sha)
    connected.hub.faults.next("PATCH", "/check-runs/", status=0)
    connected.hub.faults.next("PATCH", "/check-runs/", status=502, times=3)
    with pytest.raises(GitHubUnavailable):
        await update_check(connected.gh, REPO, check_id, replace(GREEN, annotations=notes(70)), sent_annotations=0)
    (run,) = connected.hub.check_runs(REPO, sha)
    assert (run.status, run.conclusion, len(run.annotations)) == ("queued", None, 50)


async def test_only_new_annotations_are_sent(connected: Connected) -> None:
    check_id = await ensure(connected, connected.head)
    running = replace(QUEUED, status="in_progress", annotations=notes(2))
    sent = await update_check(connected.gh, REPO, check_id, running, sent_annotations=0)
    sent = await update_check(connected.gh, REPO, check_id, replace(GREEN, annotations=notes(5)), sent_annotations=sent)
    assert sent == 5
    assert await titles(connected, check_id) == [f"note {n}" for n in range(5)]


async def test_a_lost_answer_does_not_send_annotations_twice(connected: Connected) -> None:
    check_id = await ensure(connected, connected.head)
    connected.hub.faults.next("PATCH", "/check-runs/", status=502, after_commit=True, times=2)
    check = replace(GREEN, annotations=notes(70))
    assert await update_check(connected.gh, REPO, check_id, check, sent_annotations=0) == 70
    assert await titles(connected, check_id) == [f"note {n}" for n in range(70)]


async def test_a_count_that_was_not_kept_does_not_send_annotations_twice(connected: Connected) -> None:
    check_id = await ensure(connected, connected.head)
    check = replace(GREEN, annotations=notes(60))
    for _ in ("the first time", "after a crash that lost the count"):
        assert await update_check(connected.gh, REPO, check_id, check, sent_annotations=0) == 60
    assert len(await titles(connected, check_id)) == 60


async def test_checks_made_at_the_same_time_do_not_disturb_each_other(connected: Connected) -> None:
    sha = connected.head
    names = [f"Interlock / tier {n}" for n in range(1, 6)]
    ids = await asyncio.gather(*(ensure(connected, sha, check=replace(QUEUED, name=name)) for name in names))
    assert len(set(ids)) == 5


async def titles(at: Connected, check_id: int) -> list[str]:
    path = f"/repos/{REPO}/check-runs/{check_id}/annotations"
    return [note["title"] async for note in at.gh.paginate(path)]


async def test_times_are_written_as_github_writes_them(connected: Connected) -> None:
    check_id = await ensure(connected, connected.head)
    began = connected.hub.clock.now() - timedelta(minutes=5)
    await update_check(connected.gh, REPO, check_id, GREEN, sent_annotations=0, started_at=began)
    said = (await connected.gh.get(f"/repos/{REPO}/check-runs/{check_id}")).json
    assert said["started_at"] == timestamp(began)
    assert timestamp(began) < said["completed_at"] <= timestamp(connected.hub.clock.now())
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 678, timezone(timedelta(hours=2)))) == "2026-01-02T01:04:05Z"
