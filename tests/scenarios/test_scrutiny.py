"""What is told besides verdicts: what a change weakens, which boxes can turn red, and where secrets went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.world import OK, REPO, World, open_world

CONTROL = 'edit = {{file = "sum", find = "4", replace = "5"}}'


def proved(number: int, body: str, *, expect: str = "sum is 4") -> dict[str, str]:
    """A box about the file `sum` with a control that changes it."""
    control = f"# [control]\n# {CONTROL.format()}\n# expect = {{output = '{expect}'}}\n" if expect else ""
    return {f"boxes/tier-1/{number}_sum.sh": f"#!/bin/sh\n# /// box\n# title = 'Sum'\n{control}# ///\n{body}\n"}


PROVABLE = proved(1, 'test "$(cat sum)" = 4 || { echo "sum is 4: no"; exit 1; }')
BLIND = proved(2, "exit 0")
BARE = {"boxes/tier-1/3_bare.sh": OK}
FILES = {"sum": "4\n", **PROVABLE, **BLIND, **BARE}
REQUIRES = {".github/interlock.yml": "report: {falsify: require}\n"}


async def test_a_green_run_says_which_boxes_can_turn_red_and_the_blind_stays_green_by_default(world: World) -> None:
    world.repository(FILES)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "success"
    assert check.text == (
        "**3 boxes, 1 proved capable of failing**\n\n"
        "| box | answer | |\n|--|--|--|\n"
        "| 2 Sum | blind | stayed green under its own sabotage |\n\n"
        "Without a control, so nobody knows whether they can fail: `3`"
    )


async def test_what_was_proved_is_proved_again_only_where_something_changed(world: World) -> None:
    world.repository({"sum": "4\n", **PROVABLE})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.check("Interlock").text == "**1 box, 1 proved capable of failing**"
    pr.say("/boxes run all")
    await world.settle()
    assert pr.check("Interlock").text == "**1 box, 1 proved capable of failing (1 reused)**"


async def test_where_the_base_requires_proofs_a_blind_box_is_red_and_tiers_do_not_wait_for_it(world: World) -> None:
    world.repository({**FILES, **REQUIRES})
    pr = await world.open_pull_request({".github/interlock.yml": "report: {falsify: off}\n"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "failure"
    assert check.title == "3 boxes in 1 tier are green, but 2 boxes have no proof of turning red"
    assert "| 2 Sum | blind |" in (check.text or "")
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert "❌" in pr.comments[0]
    [run] = [run for run in await world.runs() if run.pr is not None]
    assert (run.state, run.conclusion) == ("finished", "failure")


async def test_where_proofs_are_required_and_there_the_run_is_green(world: World) -> None:
    world.repository({"sum": "4\n", **PROVABLE, **REQUIRES})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    assert "✅" in pr.comments[0]


async def test_proofs_that_take_too_long_are_missing_not_passed(world: World) -> None:
    await world.stop_bot()
    world.settings_too = {"falsify_seconds": 0.05}
    await world.start_bot()
    # Slow enough that no run before this one could have kept an answer either.
    slow = proved(1, 'sleep 1; test "$(cat sum)" = 4 || { echo "sum is 4: no"; exit 1; }')
    world.repository({"sum": "4\n", **slow, **REQUIRES})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "failure"
    assert "falsification took longer than 0.05 s" in (check.text or "")
    assert "| 1 Sum | unanswered |" in (check.text or "")


async def test_nothing_is_left_of_the_trees_when_all_is_told(world: World) -> None:
    world.repository(FILES)
    await world.open_pull_request({"x": "y"})
    await world.settle()
    left = {path.name for run in (world.data_dir / "runs").iterdir() for path in run.iterdir() if path.is_dir()}
    assert left <= {"logs", "artifacts"}


async def test_a_pull_request_that_weakens_a_box_is_told_so_and_is_not_red_for_it(world: World) -> None:
    world.repository({"sum": "4\n", **PROVABLE, **BARE})
    pr = await world.open_pull_request({**proved(1, "exit 0", expect="")})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "success"
    assert "**This change removes or weakens 1 box**" in (check.summary or "")
    assert "box 1 lost its control: nothing proves that it can fail" in (check.summary or "")
    [note] = [note for note in check.annotations if "lost its control" in note["message"]]
    assert (note["path"], note["annotation_level"]) == ("boxes/tier-1/1_sum.sh", "warning")
    assert "This change removes or weakens 1 box; the check says which" in pr.comments[0]


async def test_a_pull_request_that_weakens_nothing_hears_nothing(world: World) -> None:
    world.repository({"sum": "4\n", **PROVABLE})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert "weakens" not in (pr.check("Interlock").summary or "") + pr.comments[0]


TELLS = """#!/bin/sh
# /// box
# secrets = ["TOKEN"]
# ///
echo "TOKEN has ${#TOKEN} characters: $TOKEN"
exit 1
"""


@pytest.fixture
async def token(tmp_path: Path) -> AsyncIterator[tuple[World, Path]]:
    """A world whose owner keeps a secret for the repository, and the file that it lies in; the bot is not up yet."""
    async with open_world(tmp_path, bot=False) as world:
        world.repository({"boxes/tier-1/1_tells.sh": TELLS})
        found = world.hub.forge.state.repository(REPO)
        assert found is not None
        path = tmp_path / "secrets" / f"{found.id}-octo-app" / "TOKEN"
        path.parent.mkdir(parents=True)
        path.write_text("canary-7f3a9c\n")
        path.chmod(0o600)
        world.settings_too = {"secrets_dir": tmp_path / "secrets"}
        yield world, path


async def test_a_secret_goes_to_the_default_branch_alone_and_is_seen_nowhere(token: tuple[World, Path]) -> None:
    world, _ = token
    await world.start_bot()
    pushed = world.hub.commit(REPO, "main", {"x": "y"}, "Change it", "mona")
    pr = await world.open_pull_request({"y": "z"})
    await world.settle()

    [on_main] = [run for run in world.hub.check_runs(REPO, pushed) if run.name == "Interlock"]
    assert "TOKEN has 13 characters" in (on_main.text or "")
    assert "TOKEN has 0 characters" in (pr.check("Interlock").text or "")
    shown = [run.text or "" for sha in (pushed, pr.head) for run in world.hub.check_runs(REPO, sha)]
    assert not [text for text in (*shown, *pr.comments) if "canary" in text]
    holding = [path for path in world.data_dir.rglob("*") if path.is_file() and b"canary-7f3a9c" in path.read_bytes()]
    assert holding == []


async def test_secrets_that_others_can_read_stop_the_default_branch_alone(token: tuple[World, Path]) -> None:
    """For a pull request they are not even looked at."""
    world, path = token
    path.chmod(0o644)
    await world.start_bot()
    pushed = world.hub.commit(REPO, "main", {"x": "y"}, "Change it", "mona")
    pr = await world.open_pull_request({"y": "z"})
    await world.settle()
    assert "TOKEN has 0 characters" in (pr.check("Interlock").text or "")
    [check] = world.hub.check_runs(REPO, pushed)
    assert check.conclusion == "action_required"
    assert "the secrets of this repository cannot be read" in (check.summary or "")
