"""A stranger's pull request, from the first look to the last push."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from bot.localhub.acts.pulls import reopen
from bot.localhub.records import CheckRun
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.fakes.world import OK, RED, REPO, PullRequest, World, box, open_world
from tests.scenarios.test_hostile_people import deliver, facts

BOXES = {"boxes/tier-1/1_green.sh": OK, "boxes/tier-1/2_also.sh": OK}


@pytest.fixture
async def isolated(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose bot isolates, so that strangers' code can run at all."""
    best = rungs(os.environ)[0]
    if not best.works:
        pytest.skip(f"{MISSING} a sandbox: {best.why}")
    async with open_world(tmp_path, bot=False) as world:
        world.sandbox = "full"
        await world.start_bot()
        yield world


async def stranger(world: World, files: dict[str, str | None], *, boxes: dict[str, str] = BOXES) -> PullRequest:
    """Somebody whom nobody knows proposes a change from a fork."""
    world.repository(boxes)
    world.hub.fork(REPO, "stranger")
    world.hub.commit("stranger/app", "topic", files, "Try", "stranger")
    pull = world.hub.open_pull_request(REPO, "topic", "main", "Try", "stranger", head_repo="stranger/app")
    await world.settle()
    return Stranger(world, REPO, pull.number, "topic", "stranger")


class Stranger(PullRequest):
    def push(self, files: dict[str, str | None], *, by: str = "") -> str:  # type: ignore[override]
        return self.world.hub.commit("stranger/app", self.branch, files, "Try again", by or self.author)


def interlock(pr: PullRequest, sha: str = "") -> CheckRun:
    return pr.check("Interlock", sha)


async def permit(pr: PullRequest, sha: str = "", *, by: str = "mona") -> list[str]:
    """Comment the line; what the bot reacted with."""
    comment = pr.say(f"/ok-to-test {sha or pr.head}", by=by)
    await pr.world.settle()
    return pr.reactions(comment)


@pytest.mark.requirement("S-7")
async def test_a_stranger_waits_until_a_writer_lets_this_commit_run_and_waits_again_after_a_push(
    isolated: World,
) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    first = pr.head
    check = interlock(pr)
    assert check.conclusion == "action_required"
    base = isolated.hub.forge.git(isolated.hub.repository(REPO)).branch("main") or ""
    summary = (check.summary or "").replace(first, "SHA").replace(first[:7], "HEAD").replace(base[:7], "BASE")
    assert summary == snapshot("""\
Nothing ran: the pull request comes from a fork.

What helps: someone with write permission reads the change and comments this line, for this commit alone:

```text
/ok-to-test SHA
```

For `HEAD` merged into `main` at `BASE`\
""")

    assert await permit(pr) == ["eyes", "rocket"]
    assert interlock(pr).conclusion == "success"
    assert "trust `T2`" in (interlock(pr).summary or "")
    [noted] = [row.entry for row in await isolated.running.ctx.audit.recent()]
    assert (noted.actor, noted.permission, noted.decision, noted.head_sha) == ("mona", "write", "allowed", first)

    # The beginning of a stranger's commit can come to be another's: for whatever runs it, all of it is needed.
    runs = len(await isolated.runs())
    pr.say(f"/boxes run all at {first[:12]}", by="mona")
    await isolated.settle()
    assert len(await isolated.runs()) == runs
    assert "all 40 digits of its SHA are needed" in pr.comments[-1]

    pr.push({"src.txt": "2"})
    await isolated.settle()
    assert interlock(pr).conclusion == "action_required"
    assert f"/ok-to-test {pr.head}" in (interlock(pr).summary or "")
    assert interlock(pr, first).conclusion == "success"


@pytest.mark.requirement("S-2")
@pytest.mark.requirement("S-20")
async def test_only_a_writer_and_only_the_whole_sha_of_the_head_lets_it_run(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    older = pr.head
    pr.push({"src.txt": "2"})
    another = await isolated.open_pull_request({"x": "y"}, by="eve", branch="another")
    await isolated.settle()
    for text, by in [
        (f"/ok-to-test {pr.head}", "stranger"),
        (f"/ok-to-test {pr.head}", "eve"),
        (f"/ok-to-test {pr.head[:12]}", "mona"),
        (f"/ok-to-test {older}", "mona"),
        (f"/ok-to-test {another.head}", "mona"),
        ("/ok-to-test", "mona"),
        (f"> /ok-to-test {pr.head}", "mona"),
        (f"```\n/ok-to-test {pr.head}\n```", "mona"),
    ]:
        comment = pr.say(text, by=by)
        await isolated.settle()
        assert "rocket" not in pr.reactions(comment), text
    pr.say("/boxes why", by="eve")
    await isolated.settle()
    assert f"/ok-to-test {pr.head}" in pr.comments[-1]
    refusals = [row.entry for row in await isolated.running.ctx.audit.recent() if row.entry.decision == "refused"]
    assert {(row.decision, row.reason) for row in refusals} == {
        ("refused", "not_permitted"),
        ("refused", "sha_not_in_full"),
        ("refused", "sha_is_older"),
        ("refused", "sha_of_another"),
        ("refused", "mistake"),
    }
    assert interlock(pr).conclusion == "action_required"
    assert {run.state for run in await isolated.runs() if run.pr} == {"refused"}
    [refused] = [text for text in pr.comments if older in text]
    assert pr.head in refused


async def test_each_commit_that_one_comment_names_leaves_a_row_in_the_audit(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    pr.say(f"/ok-to-test {pr.head}\n/ok-to-test {'0' * 40}", by="mona")
    await isolated.settle()
    rows = [row.entry for row in await isolated.running.ctx.audit.recent()]
    assert [(row.decision, row.reason) for row in rows] == [("refused", "sha_is_not_the_head"), ("allowed", "")]


@pytest.mark.requirement("S-20")
@pytest.mark.parametrize("how", ["edited", "deleted"])
async def test_a_permit_whose_comment_somebody_else_changed_lets_nothing_begin(isolated: World, how: str) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    comment = pr.say(f"/ok-to-test {pr.head}", by="mona")
    await isolated.settle()
    assert interlock(pr).conclusion == "success"
    if how == "edited":
        isolated.hub.edit_comment(comment, "never mind", "eve")
    else:
        isolated.hub.delete_comment(comment, "eve")
    await isolated.settle()
    isolated.hub.rerequest_check_suite(interlock(pr), "mona")
    await isolated.settle()
    check = interlock(pr)
    assert check.conclusion == "action_required"
    assert f"@eve has {how} the comment that let it run" in (check.summary or "").replace("\u200d", "")
    noted = await isolated.running.ctx.audit.recent()
    assert (noted[0].entry.actor, noted[0].entry.reason) == ("eve", f"comment_{how}")


async def test_a_permit_stands_when_its_author_mends_a_word(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    comment = pr.say(f"Looks good.\n\n/ok-to-test {pr.head}", by="mona")
    await isolated.settle()
    isolated.hub.edit_comment(comment, f"Looks very good.\n\n/ok-to-test {pr.head}", "mona")
    isolated.hub.rerequest_check_suite(interlock(pr), "mona")
    await isolated.settle()
    assert interlock(pr).conclusion == "success"


@pytest.mark.requirement("S-20")
@pytest.mark.requirement("S-23")
async def test_a_comment_that_was_changed_before_it_was_read_permits_nothing(isolated: World) -> None:
    """A delivery that comes late, or again, says what the comment said then."""
    pr = await stranger(isolated, {"src.txt": "1"})
    line = f"/ok-to-test {pr.head}"
    listening, isolated.wire.app = isolated.wire.app, None
    edited, deleted, others = pr.say(line, by="mona"), pr.say(line, by="mona"), pr.say(line, by="eve")
    isolated.hub.edit_comment(edited, "never mind", "mona")
    isolated.hub.delete_comment(deleted, "mona")
    await isolated.hub.settled()
    isolated.wire.app = listening
    for comment in (edited, deleted, others):
        said = {"id": comment.id, "body": line, "user": {"login": "mona", "id": 1, "type": "User"}}
        sent = {"action": "created", "issue": {"number": pr.number, "pull_request": {}}, "comment": said}
        await deliver(isolated, "issue_comment", {**sent, **facts(isolated)})
    assert interlock(pr).conclusion == "action_required"
    assert {run.state for run in await isolated.runs() if run.pr} == {"refused"}
    reasons = [row.entry.reason for row in await isolated.running.ctx.audit.recent()]
    assert reasons == ["comment_changed"] * 3


@pytest.mark.requirement("S-4")
@pytest.mark.requirement("S-8")
@pytest.mark.requirement("S-23")
@pytest.mark.parametrize("lost", [pytest.param(0, id="asked"), pytest.param(3, id="asked-while-github-is-away")])
async def test_a_push_after_the_permit_and_before_the_boxes_runs_nothing(isolated: World, lost: int) -> None:
    """The head moves while the permitted run waits for its seat, and GitHub's word of it is lost."""
    pr = await stranger(isolated, {"src.txt": "1"})
    first = pr.head
    ctx = isolated.running.ctx
    for _ in range(isolated.max_runs):
        await ctx.seats.acquire()
    pr.say(f"/ok-to-test {first}", by="mona")
    await isolated.until(lambda: "Interlock / tier 1" in pr.checks(first))
    deaf, isolated.wire.app = isolated.wire.app, None
    pr.push({"boxes/tier-1/1_green.sh": RED})
    await isolated.hub.settled()
    isolated.wire.app = deaf
    if lost:
        isolated.hub.faults.next("GET", f"/pulls/{pr.number}$", status=502, times=lost)
    for _ in range(isolated.max_runs):
        ctx.seats.release()
    await isolated.settle()
    assert interlock(pr, first).conclusion == "cancelled"
    assert interlock(pr).conclusion == "action_required"
    assert not [run for run in await isolated.runs() if run.pr and run.conclusion in {"success", "failure"}]


class Reviews:
    """Answers for the reviews of a pull request, which the hub does not keep."""

    def __init__(self, world: World, pr: PullRequest, body: str) -> None:
        self._app, self._path = world.hub.app, f"/repos/{REPO}/pulls/{pr.number}/reviews"
        self.body = body
        world.hub.app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        said = {"id": 99, "body": self.body, "user": {"login": "mona"}, "submitted_at": "2026-01-02T00:00:00Z"}
        await JSONResponse([{**said, "id": 98, "body": "no"}, said])(scope, receive, send)


@pytest.mark.requirement("S-23")
async def test_a_review_permits_by_what_it_says_on_github(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    line = f"/ok-to-test {pr.head}"
    Reviews(isolated, pr, line)
    mona = {"login": "mona", "id": 1, "type": "User"}
    pull = {"number": pr.number, "head": {"sha": pr.head, "ref": "topic"}, "base": {"ref": "main"}}
    sent = {"action": "submitted", "pull_request": pull, **facts(isolated)}
    for number, ends in ((97, "action_required"), (98, "action_required"), (99, "success")):
        review = {"id": number, "body": line, "state": "commented", "user": mona}
        await deliver(isolated, "pull_request_review", {**sent, "review": review})
        assert interlock(pr).conclusion == ends, number
    reasons = [row.entry.reason for row in await isolated.running.ctx.audit.recent()]
    assert reasons == ["", "comment_changed", "comment_changed"]


@pytest.mark.requirement("S-8")
async def test_a_permit_that_is_withdrawn_while_the_run_waits_starts_nothing(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    ctx = isolated.running.ctx
    for _ in range(isolated.max_runs):
        await ctx.seats.acquire()
    comment = pr.say(f"/ok-to-test {pr.head}", by="mona")
    await isolated.until(lambda: "Interlock / tier 1" in pr.checks())
    isolated.hub.delete_comment(comment, "mona")
    await isolated.until(lambda: not isolated.hub.pending_deliveries())
    await isolated.running.dispatch.idle()
    async with asyncio.timeout(20):
        while await ctx.permits.of(isolated.hub.repository(REPO).id, pr.number, pr.head):
            await asyncio.sleep(0.02)
    for _ in range(isolated.max_runs):
        ctx.seats.release()
    await isolated.settle()
    assert interlock(pr).conclusion == "action_required"
    assert {check.conclusion for check in pr.checks().values()} == {"action_required"}


@pytest.mark.requirement("S-5")
async def test_the_permit_of_a_reopened_pull_request_counts_for_the_same_commit_only(isolated: World) -> None:
    pr = await stranger(isolated, {"src.txt": "1"})
    await permit(pr)
    isolated.hub.close_pull_request(REPO, pr.number, "stranger")
    await isolated.settle()
    reopen(isolated.hub.forge, isolated.hub.pull_request(REPO, pr.number), "stranger")
    await isolated.settle()
    assert interlock(pr).conclusion == "success"
    pr.push({"src.txt": "2"})
    await isolated.settle()
    assert interlock(pr).conclusion == "action_required"


async def test_without_a_full_sandbox_a_permitted_commit_does_not_run_and_the_check_says_why(world: World) -> None:
    pr = await stranger(world, {"src.txt": "1"})
    await permit(pr)
    check = interlock(pr)
    assert check.conclusion == "action_required"
    assert "runs only in a full sandbox" in (check.summary or "")
    assert "INTERLOCK_SANDBOX" in (check.summary or "").replace("\\", "")


PAIR = {
    "boxes/tier-1/1_green.sh": OK,
    "boxes/tier-1/2_timed.sh": box("exit 0", title="Timed", timeout='"10s"'),
}
SLOWER = {"boxes/tier-1/2_timed.sh": box("exit 0", title="Timed", timeout='"60s"')}


async def test_the_first_check_lists_what_a_stranger_weakens_and_the_permit_accepts_that(isolated: World) -> None:
    pr = await stranger(isolated, dict(SLOWER), boxes=PAIR)
    isolated.hub.clock.advance(5)  # somebody reads it.
    summary = interlock(pr).summary or ""
    assert "box 2 may take 60 s instead of 10 s" in summary
    assert f"/ok-to-test {pr.head}" in summary
    await permit(pr)
    assert interlock(pr).conclusion == "success"


async def test_a_permit_that_was_written_before_the_list_does_not_accept_it(isolated: World) -> None:
    """The writer names the commit while nobody hears, so before any check of it was there to be read."""
    isolated.repository(PAIR)
    isolated.hub.fork(REPO, "stranger")
    await isolated.settle()
    listening, isolated.wire.app = isolated.wire.app, None
    isolated.hub.commit("stranger/app", "topic", dict(SLOWER), "Try", "stranger")
    pull = isolated.hub.open_pull_request(REPO, "topic", "main", "Try", "stranger", head_repo="stranger/app")
    pr = Stranger(isolated, REPO, pull.number, "topic", "stranger")
    comment = pr.say(f"/ok-to-test {pr.head}", by="mona")
    await isolated.hub.settled()
    isolated.wire.app = listening
    isolated.hub.clock.advance(30)
    head = {"sha": pr.head, "ref": "topic"}
    opened = {"number": pr.number, "head": head, "base": {"ref": "main", "sha": pull.base_sha}}
    await deliver(isolated, "pull_request", {"action": "opened", "pull_request": opened, **facts(isolated)})
    said = {"id": comment.id, "body": comment.body, "user": {"login": "mona", "id": 1, "type": "User"}}
    sent = {"action": "created", "issue": {"number": pr.number, "pull_request": {}}, "comment": said}
    await deliver(isolated, "issue_comment", {**sent, **facts(isolated)})

    check = interlock(pr)
    assert check.conclusion == "action_required"
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert "box 2 may take 60 s instead of 10 s" in (check.summary or "")
    assert f"/ok-to-test {pr.head}" in (check.summary or "")

    isolated.hub.clock.advance(30)
    await permit(pr)
    assert interlock(pr).conclusion == "success"


@pytest.mark.requirement("S-11")
async def test_a_reader_who_opens_a_pull_request_between_branches_of_others_steers_nothing_with_it(
    isolated: World,
) -> None:
    isolated.repository(BOXES)
    isolated.hub.commit(REPO, "topic", {"x": "y"}, "By a writer", "mona")
    pull = isolated.hub.open_pull_request(REPO, "topic", "main", "Proposed by a reader", "eve")
    await isolated.settle()
    pr = PullRequest(isolated, REPO, pull.number, "topic", "eve")
    for command in ("/boxes run all", f"/ok-to-test {pr.head}"):
        comment = pr.say(command, by="eve")
        await isolated.settle()
        assert pr.reactions(comment)[-1] == "confused"
    assert interlock(pr).conclusion == "action_required"
    assert {run.state for run in await isolated.runs() if run.pr} == {"refused"}
    await permit(pr)
    assert interlock(pr).conclusion == "success"
    assert "trust `T2`" in (interlock(pr).summary or "")
