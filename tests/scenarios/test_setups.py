"""What a repository's setup made is used again by its next runs, and never across trust levels."""

from __future__ import annotations

from tests.fakes.world import REPO, World, box

FILES = {
    ".github/interlock.yml": (
        "setup: {run: 'cat /proc/sys/kernel/random/uuid > $SETUP_DIR/made', inputs: [needs.txt]}\n"
    ),
    "needs.txt": "one\n",
    "boxes/tier-1/1_tells.sh": box('echo "made by $(cat $SETUP_DIR/made)"; exit 1', title="Tells"),
}


def maker(text: str | None) -> str:
    """Which setup's result the box has seen."""
    assert text
    return next(line for line in text.splitlines() if line.startswith("made by"))


async def test_a_setup_is_made_once_for_each_trust_level_and_again_when_its_inputs_change(world: World) -> None:
    world.repository(FILES)
    pushed = world.hub.commit(REPO, "main", {"x": "y"}, "Change it", "mona")
    await world.settle()
    pr = await world.open_pull_request({"a": "b"})
    await world.settle()
    first = pr.head
    second = pr.push({"c": "d"})
    await world.settle()
    third = pr.push({"needs.txt": "two\n"})
    await world.settle()

    [on_main] = [run for run in world.hub.check_runs(REPO, pushed) if run.name == "Interlock"]
    seen = [maker(pr.check("Interlock", sha).text) for sha in (first, second, third)]
    assert maker(on_main.text) not in seen
    assert seen[0] == seen[1] != seen[2]
