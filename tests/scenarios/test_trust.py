"""Who may have code run, and what everybody else is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.localhub.acts.accounts import create_user
from tests.fakes.world import World, box
from tests.scenarios.test_pull_request import BOXES

SPIES = {"boxes/tier-1/1_readme.sh": box('env; tr "\\0" "\\n" < /proc/$PPID/environ; exit 1', title="Spies")}


async def test_a_fork_runs_nothing_and_is_never_green(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    world.repository(BOXES)
    world.hub.fork("octo/app", "stranger")
    world.hub.commit("stranger/app", "topic", {"boxes/tier-1/1_readme.sh": box(f"touch {proof}")}, "Try", "stranger")
    pull = world.hub.open_pull_request("octo/app", "topic", "main", "Try", "stranger", head_repo="stranger/app")
    await world.settle()
    checks = {check.name: check.conclusion for check in world.hub.check_runs("octo/app", pull.head_sha)}
    assert checks == {"Interlock": "action_required", "Interlock / preview": "neutral"}
    assert not proof.exists()


async def test_an_author_without_write_runs_nothing(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    world.repository({**BOXES, "boxes/tier-1/9_proof.sh": box(f"touch {proof}")})
    world.hub.commit("octo/app", "topic", {"x": "y"}, "By a writer", "mona")
    await world.settle()
    proof.unlink()  # the default branch ran
    pull = world.hub.open_pull_request("octo/app", "topic", "main", "Proposed by a reader", "eve")
    await world.settle()
    [check] = world.hub.check_runs("octo/app", pull.head_sha)
    assert check.conclusion == "action_required"
    assert not proof.exists()


@pytest.mark.parametrize("permission", ["write", "maintain", "admin"])
async def test_whoever_may_push_may_run(world: World, permission: str) -> None:
    world.repository(BOXES, collaborators={"mona": permission})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"


async def test_an_app_runs_where_the_base_lists_its_account_and_not_because_its_own_change_does(world: World) -> None:
    app = create_user(world.hub.forge, "renovate[bot]", kind="Bot")
    listed = {".github/interlock.yml": f"trust: {{bots: [{app.id}]}}\n"}
    world.repository(BOXES)
    world.hub.commit("octo/app", "sly", listed, "Trust me", "mona")
    pull = world.hub.open_pull_request("octo/app", "sly", "main", "Trust me", app.login)
    await world.settle()
    check, preview = world.hub.check_runs("octo/app", pull.head_sha)
    assert (check.conclusion, preview.name) == ("action_required", "Interlock / preview")
    assert "list the app" in (check.summary or "")

    world.hub.commit("octo/app", "main", listed, "Trust it", "mona")
    world.hub.commit("octo/app", "topic", {"x": "y"}, "Update a dependency", "mona")
    pull = world.hub.open_pull_request("octo/app", "topic", "main", "Update a dependency", app.login)
    await world.settle()
    conclusions = {run.name: run.conclusion for run in world.hub.check_runs("octo/app", pull.head_sha)}
    assert conclusions["Interlock"] == "success"


async def test_a_pull_request_runs_on_lower_terms_than_the_default_branch(world: World) -> None:
    asks = '#!/bin/sh\n# /// box\n# network = ["files.example"]\n# ///\nexit 0\n'
    world.repository({"boxes/tier-1/1_asks.sh": asks})
    pushed = world.hub.commit("octo/app", "main", {"x": "y"}, "Change it", "mona")
    pr = await world.open_pull_request({"y": "z"})
    await world.settle()
    [on_main] = [check for check in world.hub.check_runs("octo/app", pushed) if check.name == "Interlock"]
    said, told = on_main.summary or "", pr.check("Interlock").summary or ""
    assert "trust `T0`" in said
    assert "is not to reach" not in said
    assert "trust `T1`" in told
    assert "box 1 is not to reach files.example at trust level T1" in told


async def test_a_box_sees_no_secret_of_the_bot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_WEBHOOK_SECRET", "canary-in-the-environment")
    world.repository(BOXES)
    pr = await world.open_pull_request(SPIES)
    await world.settle()
    seen = pr.check("Interlock / tier 1").text or ""
    assert "BOX_ID=1" in seen
    for secret in ("canary-in-the-environment", world.hub.webhook_secret, "ghs_", "PRIVATE KEY"):
        assert secret not in seen
    names = {line.partition("=")[0] for line in seen.splitlines() if "=" in line}
    unexpected = {name for name in names if name.isupper() and not name.startswith(("BOX_", "INTERLOCK"))}
    assert unexpected <= {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "PYTHONDONTWRITEBYTECODE",
        "XDG_CACHE_HOME",
        "PWD",
        "SHLVL",
        "OLDPWD",
        "_",
    }


async def test_the_token_for_git_is_left_nowhere(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    for path in world.data_dir.rglob("*"):
        if path.is_file():
            assert b"ghs_" not in path.read_bytes(), path


async def test_pushes_run_for_the_branches_that_the_default_one_lists_and_for_no_other(world: World) -> None:
    world.repository({**BOXES, ".github/interlock.yml": "trust: {protected: [release]}\n"})
    await world.settle()
    listing_itself = {".github/interlock.yml": "trust: {protected: [release, sly]}\n"}
    sly = world.hub.commit("octo/app", "sly", listing_itself, "Trust me", "mona")
    topic = world.hub.commit("octo/app", "topic", {"x": "y"}, "Topic", "mona")
    await world.settle()
    assert not world.hub.check_runs("octo/app", sly)
    assert not world.hub.check_runs("octo/app", topic)
    release = world.hub.commit("octo/app", "release", {"x": "z"}, "Release", "mona")
    await world.settle()
    [check] = [check for check in world.hub.check_runs("octo/app", release) if check.name == "Interlock"]
    assert check.conclusion == "success"
    assert "trust `T0`" in (check.summary or "")


@pytest.mark.requirement("S-5")
async def test_neither_a_commits_date_nor_its_authors_name_nor_a_login_that_ends_in_bot_counts(
    world: World, tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    world.repository({**BOXES, ".github/interlock.yml": "trust: {bots: [49699333]}\n"})
    world.hub.create_user("dependabot[bot]")  # a person; only GitHub's own have the type.
    world.hub.fork("octo/app", "dependabot[bot]")
    git = world.hub.forge.git(world.hub.repository("dependabot[bot]/app"))
    for nth, date in enumerate(("1970-01-01T00:00:00Z", "2037-01-01T00:00:00Z")):
        by = replace(world.hub.forge.person("mona"), date=date)
        files = {"boxes/tier-1/1_readme.sh": box(f"touch {proof}").encode()}
        git.write(f"topic{nth}", files, message="As mona", by=by)
        pull = world.hub.open_pull_request(
            "octo/app", f"topic{nth}", "main", "Trust me", "dependabot[bot]", head_repo="dependabot[bot]/app"
        )
        await world.settle()
        [check] = world.hub.check_runs("octo/app", pull.head_sha)
        assert check.conclusion == "action_required"
    assert not proof.exists()


async def test_a_run_that_was_prepared_for_a_writer_does_not_begin_for_a_stranger(world: World) -> None:
    """The author loses write permission while the run waits, and a permit, which stands for lower terms, comes."""
    world.repository(BOXES, collaborators={"mona": "write", "hub": "admin"})
    await world.settle()
    ctx = world.running.ctx
    for _ in range(world.max_runs):
        await ctx.seats.acquire()
    pr = await world.open_pull_request({"x": "y"})
    await world.until(lambda: "Interlock / tier 1" in pr.checks())
    world.hub.set_permission(pr.repo, "mona", "read")
    pr.say(f"/ok-to-test {pr.head}", by="hub")
    repo_id = world.hub.repository(pr.repo).id
    async with asyncio.timeout(20):
        while not await ctx.permits.of(repo_id, pr.number, pr.head):
            await asyncio.sleep(0.02)
    for _ in range(world.max_runs):
        ctx.seats.release()
    await world.settle()
    first = next(run for run in await world.runs() if run.pr)
    assert (first.trust, first.state) == ("T1", "refused")
    assert first.because == "its author lost write permission while the run waited"
