"""Controls that break more than their own box, and what it costs to look for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.falsify import neighbours
from runner.model import Box, BoxId, Control, Expect
from tests.runner.falsifying import Answered, falsify

ADDS_UP = Expect(assertion="adds-up")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "calc").write_text("a + b")
    (root / "other").write_text("fine")
    return root


def edit(file: str = "calc", find: str = "a + b", also: tuple[int, ...] = ()) -> Control:
    spec = {"file": file, "find": find, "replace": "broken"}
    return Control(kind="edit", spec=spec, expect=ADDS_UP, where="x:1", also=[BoxId("", number) for number in also])


def looks(number: int, file: str = "calc", control: Control | None = None, tier: int = 1, **fields: object) -> Box:
    """A box that is green as long as a file is whole. It notes each of its runs beside the repository."""
    run = f'echo {number} >> "$RUNS"; ! grep -q broken {file} || {{ echo "not ok 1 - adds-up"; exit 1; }}'
    return Box(
        id=BoxId("", number),
        tier=tier,
        title=f"Box {number}",
        kind="command",
        source="interlock.yml",
        run=run,
        control=control,
        timeout=20.0,
        **fields,  # type: ignore[arg-type]
    )


def run(repo: Path, *boxes: Box) -> tuple[Answered, int]:
    """Look for overreach; also how many runs there were."""
    runs = repo.parent / "runs"
    answered = falsify(repo, boxes, overreach=True, env={"PATH": "/usr/bin:/bin", "RUNS": str(runs)})
    return answered, len(runs.read_text().splitlines())


def answers(answered: Answered) -> dict[int, tuple[str, list[str]]]:
    return {entry["box"]: (entry["answer"], entry["broke"]) for entry in answered.boxes}


def test_a_control_that_breaks_another_box_is_told_with_its_name(repo: Path) -> None:
    answered, _ = run(repo, looks(1, control=edit()), looks(2), looks(3, "other", edit("other", "fine")))
    assert answers(answered) == {1: ("overreach", ["2"]), 2: ("no_control", []), 3: ("proven", [])}
    assert answered.boxes[0]["reason"] == "adds-up went red, but box 2 broke as well"
    assert (answered.code, "1 overreach" in answered.said) == (1, True)


def test_a_box_that_the_control_is_known_to_break_is_let_pass(repo: Path) -> None:
    answered, _ = run(repo, looks(1, control=edit(also=(2,))), looks(2), looks(3))
    assert answers(answered)[1] == ("overreach", ["3"])
    answered, _ = run(repo, looks(1, control=edit(also=(2, 3))), looks(2), looks(3))
    assert answers(answered)[1] == ("proven", [])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(looks(2, tier=2), id="of-another-tier"),
        pytest.param(looks(2, after=[BoxId("", 1)]), id="that-waits-for-the-box"),
        pytest.param(
            Box(**{**{n: getattr(looks(2), n) for n in Box.__slots__}, "kind": "missing"}), id="that-cannot-run"
        ),
        pytest.param(
            Box(**{**{n: getattr(looks(2), n) for n in Box.__slots__}, "run": "exit 1"}), id="that-is-red-anyway"
        ),
    ],
)
def test_not_every_red_box_was_broken_by_the_control(repo: Path, other: Box) -> None:
    answered, _ = run(repo, looks(1, control=edit()), other)
    assert answers(answered)[1] == ("proven", [])


def test_a_box_that_was_red_by_chance_is_asked_twice(repo: Path) -> None:
    """It is green when it is healthy, then red once whatever it sees, then green."""
    count = repo.parent / "count"
    flaky = f'echo >> {count}; test "$(wc -l < {count})" != 2'
    fields = {name: getattr(looks(2), name) for name in Box.__slots__}
    answered, _ = run(repo, looks(1, control=edit()), Box(**{**fields, "run": flaky}))
    assert answers(answered)[1] == ("proven", [])
    assert count.read_text() == "\n" * 3


@pytest.mark.parametrize("kind", ["env", "fault", "target"])
def test_what_a_box_is_given_is_given_to_no_other(kind: str) -> None:
    control = Control(kind=kind, spec={"is": "down"}, expect=ADDS_UP, where="x:1")
    assert neighbours(looks(1, control=control), [looks(1), looks(2)]) == []
    assert [box.id.number for box in neighbours(looks(1, control=edit()), [looks(1), looks(2)])] == [2]


def test_the_cost_is_told_before_and_is_what_is_spent(repo: Path) -> None:
    files = {1: "calc", 2: "other", 3: "third", 4: "fourth"}
    for name in ("third", "fourth"):
        (repo / name).write_text("fine")
    found = {"calc": "a + b"}
    boxes = [looks(n, file, edit(file, found.get(file, "fine"))) for n, file in files.items()]
    answered, runs = run(repo, *boxes)
    assert {answer for answer, _ in answers(answered).values()} == {"proven"}
    told = re.match(r"up to (\d+) runs, of 4 boxes\n", answered.said)
    assert told is not None
    assert int(told[1]) == runs == 4 + 4 * 4
