"""A stranger's pull request, from the first look to the last push."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bot.localhub.records import CheckRun
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.fakes.world import OK, REPO, PullRequest, World, open_world

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

    pr.push({"src.txt": "2"})
    await isolated.settle()
    assert interlock(pr).conclusion == "action_required"
    assert f"/ok-to-test {pr.head}" in (interlock(pr).summary or "")
    assert interlock(pr, first).conclusion == "success"
