"""Two accounts have the same App installed, and neither sees anything of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.world import REPO, World, box
from tests.scenarios.test_hostile_people import deliver, facts
from tests.scenarios.test_pull_request import BOXES

OTHER = "acme/app"


@pytest.mark.requirement("S-25")
@pytest.mark.requirement("S-26")
@pytest.mark.parametrize("private", [False, True])
async def test_a_delivery_that_pairs_one_installation_with_anothers_repository_runs_nothing(
    world: World, tmp_path: Path, private: bool
) -> None:
    """What is public can be read with any token, so that GitHub answers is no proof."""
    proof = tmp_path / "ran"
    world.repository(BOXES)
    await world.settle()
    world.hub.create_repository(
        OTHER, private=private, files={"boxes/tier-1/1_x.sh": box(f"touch {proof}")}, collaborators={"mona": "write"}
    )
    await world.settle()
    proof.unlink()  # their own installation may.
    before = len(await world.runs())
    head = world.hub.commit(OTHER, "topic", {"x": "y"}, "Topic", "mona")
    pull = world.hub.open_pull_request(OTHER, "topic", "main", "Topic", "mona")
    await world.settle()
    proof.unlink()
    mixed = {**facts(world, repo=OTHER), "installation": {"id": world.hub.installation("octo").id}}
    said = {"number": pull.number, "head": {"sha": head, "ref": "topic"}, "base": {"ref": "main", "sha": "0" * 40}}
    checks = len(world.hub.check_runs(OTHER, head))
    await deliver(world, "pull_request", {"action": "edited", "pull_request": said, "changes": {"base": {}}, **mixed})
    tip = world.hub.commit(OTHER, "main", {"y": "z"}, "Main", "mona")
    await world.settle()
    proof.unlink()
    ran = len(await world.runs())
    await deliver(world, "push", {"ref": "refs/heads/main", "before": "0" * 40, "after": tip, **mixed})
    assert not proof.exists()
    assert len(world.hub.check_runs(OTHER, head)) == checks
    assert before < ran
    octo = mixed["installation"]["id"]
    assert not [
        run for run in await world.runs() if (run.repo, run.installation_id) == (OTHER, octo) and run.conclusion
    ]


async def test_equal_names_and_equal_pull_requests_stay_apart(world: World) -> None:
    world.repository(BOXES)
    world.repository({"boxes/tier-1/1_red.sh": box("exit 1")}, name=OTHER)
    ours = await world.open_pull_request({"x": "y"})
    theirs = await world.open_pull_request({"x": "y"}, repo=OTHER)
    await world.settle()
    assert (ours.number, ours.conclusion) == (theirs.number, "success")
    assert theirs.conclusion == "failure"
    for run in await world.runs():
        assert run.installation_id == world.hub.installation(run.repo.partition("/")[0]).id
    mirrors = {path.name for path in (world.data_dir / "mirrors").iterdir() if path.suffix == ".git"}
    assert mirrors == {f"{world.hub.repository(name).id}.git" for name in (REPO, OTHER)}
