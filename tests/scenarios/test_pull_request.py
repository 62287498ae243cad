"""Stories of a pull request, from its push to what people read on GitHub."""

from __future__ import annotations

from tests.fakes.world import World, box

BOXES = {
    "boxes/tier-1/1_readme.sh": box("test -s README.md", title="There is a README"),
    "boxes/tier-2/2_adds.sh": box('test "$(cat sum)" = 4 || { echo "sum:1: expected 4, got $(cat sum)"; exit 1; }'),
    "boxes/tier-3/3_ships.sh": box("exit 0", title="Ships"),
    "README.md": "hello\n",
    "sum": "4\n",
}


async def test_a_fix_turns_the_same_comment_green(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()

    assert pr.conclusion == "failure"
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert pr.check("Interlock / tier 2").conclusion == "failure"
    assert pr.check("Interlock / tier 3").conclusion == "failure"
    assert [(a["path"], a["start_line"]) for a in pr.check("Interlock / tier 2").annotations] == [("sum", 1)]
    [red] = pr.comments
    assert "expected 4, got 5" in red

    pr.push({"sum": "4\n", "more": "x"})
    await world.settle()
    assert pr.conclusion == "success"
    [green] = pr.comments
    assert "✅" in green
