"""Whose configuration counts, what a change of it would do, and what is told when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from tests.fakes.world import OK, REPO, World, box

CONFIG = ".github/interlock.yml"
BOXES = {"boxes/tier-1/1_readme.sh": OK, "boxes/tier-2/2_slow.sh": box(title="Slow")}
PREVIEW = "Interlock / preview"


async def test_a_pull_request_that_adds_boxes_gets_a_preview_and_nothing_of_it_runs(
    world: World, tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    world.repository({"README.md": "x"})
    pr = await world.open_pull_request(
        {
            "boxes/tier-1/1_proof.sh": box(f"touch {proof}", title="Proof", network="['example.org']"),
            CONFIG: "boxes: {30: {tier: 2, run: make check}}\nreport: {falsify: require}\n",
        }
    )
    await world.settle()
    assert list(pr.checks()) == [PREVIEW]
    check = pr.check(PREVIEW)
    assert (check.conclusion, check.title) == snapshot(
        ("neutral", "2 added of 2 boxes after the merge; 1 setting changed")
    )
    assert check.summary == snapshot("""\
Nothing of the change was executed for this. Until it is merged, what the base says is in force.

There are no boxes yet. After the merge, 2 boxes in 2 tiers would run.

| box | | |
|--|--|--|
| 1 Proof | added | tier 1; timeout 60 s; network: `example.org`; no control: nothing proves that it can fail |
| 30 make check | added | tier 2; timeout 60 s; no control: nothing proves that it can fail |

| setting | before | after |
|--|--|--|
| `report.falsify` (proofs that boxes can turn red) | `tell` | `require` |\
""")
    assert not proof.exists()
    assert pr.comments == []


async def test_a_repository_with_nothing_hears_nothing(world: World) -> None:
    world.repository({"README.md": "x"})
    pr = await world.open_pull_request({"README.md": "y"})
    await world.settle()
    assert pr.checks() == {}
    assert pr.comments == []
