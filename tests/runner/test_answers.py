from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.answers import MOST, READS, Answers, Keys, machine_digest
from runner.contents import Contents
from runner.model import Box, Control, Expect, Quarantine, Setup, Suite
from runner.proof import Answer, Proof
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.runner.boxes import box
from tests.runner.command_line import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ADDS = Expect(assertion="adds")


def edit(find: str = "a + b", expect: Expect | None = ADDS, where: str = "boxes/tier-1/01_box.sh:5") -> Control:
    return Control(kind="edit", spec={"file": "calc.py", "find": find, "replace": "c"}, expect=expect, where=where)


PATCH = Control(kind="patch", spec={"file": "p.patch"}, expect=ADDS, where="x:1")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "boxes/tier-1").mkdir(parents=True)
    for name in ("calc.py", "other.py", "p.patch", "boxes/tier-1/01_box.sh", "boxes/helper.sh"):
        (root / name).write_text(name)
    return root


def checks(**fields: Any) -> Box:
    fields.setdefault("inputs", ["calc.py"])
    fields.setdefault("control", edit())
    fields.setdefault("file", "boxes/tier-1/01_box.sh")
    return box(1, **fields)


class World:
    """All that goes into a key."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.setups: dict[str, Setup] = {}
        self.conditions: dict[str, object] = {"sandbox": "off"}
        self.granted: list[str] = []
        self.environ = {"PATH": "/bin"}

    def key(self, one: Box) -> str:
        suite = Suite(root=str(self.tree), boxes=[one], setups=self.setups)
        keys = Keys(
            suite,
            Contents(str(self.tree)),
            conditions=self.conditions,
            granted=lambda _: self.granted,
            environ=self.environ,
        )
        return keys(one, [one.control] if one.control else [])


def write(name: str) -> Callable[[World], object]:
    return lambda world: (world.tree / name).write_text("changed")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(write("boxes/tier-1/01_box.sh"), id="its-program"),
        pytest.param(write("calc.py"), id="an-input"),
        pytest.param(lambda world: world.conditions.update(sandbox="bubblewrap"), id="isolation"),
        pytest.param(lambda world: world.granted.append("a:443"), id="hosts"),
        pytest.param(lambda world: world.environ.update(DATABASE_URL="x"), id="environment"),
        pytest.param(lambda world: world.setups.update({"": Setup(run="make", inputs=["x"])}), id="setup"),
    ],
)
def test_what_a_proof_depends_on_is_in_its_key(tree: Path, change: Callable[[World], object]) -> None:
    world = World(tree)
    before = world.key(checks())
    change(world)
    assert world.key(checks()) != before


@pytest.mark.parametrize("name", ["FORMAT", "__version__"])
def test_what_another_version_found_out_is_not_believed(tree: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    world = World(tree)
    before = world.key(checks())
    monkeypatch.setattr(f"runner.answers.{name}", "the next one")
    assert world.key(checks()) != before


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(checks(control=edit("a * b")), id="the-sabotage"),
        pytest.param(checks(control=edit(expect=Expect(assertion="divides"))), id="what-goes-red"),
        pytest.param(checks(env={"A": "1"}), id="env"),
        pytest.param(checks(timeout=1.0), id="timeout"),
        pytest.param(checks(min_asserts=3), id="min-asserts"),
        pytest.param(checks(needs=["redis"]), id="needs"),
        pytest.param(checks(inputs=["calc.py", "other.py"]), id="inputs"),
        pytest.param(checks(kind="pytest"), id="kind"),
    ],
)
def test_another_box_has_another_key(tree: Path, other: Box) -> None:
    assert World(tree).key(other) != World(tree).key(checks())


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(checks(title="Adds up"), id="title"),
        pytest.param(checks(line=9), id="line"),
        pytest.param(checks(control=edit(where="boxes/tier-1/01_box.sh:9")), id="line-of-the-control"),
        pytest.param(checks(tags=["smoke"]), id="tags"),
        pytest.param(checks(quarantine=Quarantine(until="2026-01-01", reason="x")), id="quarantine"),
        pytest.param(checks(retries=2), id="retries"),
    ],
)
def test_what_changes_no_run_changes_no_key(tree: Path, same: Box) -> None:
    assert World(tree).key(same) == World(tree).key(checks())


def test_a_file_that_is_no_input_does_not_matter_and_without_inputs_all_do(tree: Path) -> None:
    world = World(tree)
    declared, undeclared = world.key(checks()), world.key(checks(inputs=[]))
    (tree / "other.py").write_text("changed")
    assert world.key(checks()) == declared
    assert world.key(checks(inputs=[])) != undeclared


@pytest.mark.parametrize(("control", "file"), [(PATCH, "p.patch"), (edit(), "calc.py")])
def test_what_the_control_reads_matters_though_it_is_no_input(tree: Path, control: Control, file: str) -> None:
    one = checks(control=control, inputs=["other.py"])
    before = World(tree).key(one)
    (tree / file).write_text("changed")
    assert World(tree).key(one) != before


def test_what_differs_from_shell_to_shell_does_not_matter() -> None:
    mine = {"PATH": "/bin", "HOME": "/h", "PWD": "/a", "SHLVL": "1", "SSH_TTY": "/dev/pts/1"}
    assert machine_digest(mine) == machine_digest({**mine, "PWD": "/b", "SHLVL": "2", "SSH_TTY": "/dev/pts/2"})
    assert machine_digest(mine) != machine_digest({**mine, "PATH": "/usr/bin"})


def test_what_is_installed_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    packages.write_text("one\n")
    monkeypatch.setattr("runner.answers._PACKAGES", [str(packages)])
    before = machine_digest({})
    os.utime(packages, (1, 1))
    assert (after := machine_digest({})) != before
    monkeypatch.setattr("runner.answers.installed", lambda prefix: f"something else in {prefix}")
    assert (other := machine_digest({})) != after
    monkeypatch.setattr("runner.answers._system", lambda: ["Linux", "the next release"])
    assert machine_digest({}) != other


def answers(directory: Path, trust: str = "") -> Answers:
    def keys(one: Box, _: Sequence[Control]) -> str:
        return f"key of {one.id}"

    return Answers(str(directory), trust=trust, keys=keys)


def proof(answer: Answer = Answer.PROVEN, number: int = 1) -> Proof:
    return Proof(box(number, control=edit()), answer, "adds went red", went_red=["adds"], seconds=0.5)


def test_a_proof_comes_back_marked(tmp_path: Path) -> None:
    answers(tmp_path).add(proof(), ())
    found = answers(tmp_path).known(box(1, control=edit(where="x:9")), ())
    assert found is not None
    assert (found.answer, found.cached, found.went_red, found.control) == (Answer.PROVEN, True, ("adds",), "x:9")
    assert answers(tmp_path).known(box(2, control=edit()), ()) is None


@pytest.mark.parametrize("answer", [answer for answer in Answer if answer is not Answer.PROVEN])
def test_what_somebody_must_act_on_is_always_fresh(tmp_path: Path, answer: Answer) -> None:
    answers(tmp_path).add(proof(answer), ())
    assert answers(tmp_path).known(box(1, control=edit()), ()) is None
    # Nor when somebody wrote it into the file.
    line = {"key": "key of 1", "proof": {"answer": answer.value, "reason": ""}}
    (tmp_path / "answers-local.jsonl").write_text(json.dumps(line) + "\n")
    assert answers(tmp_path).known(box(1, control=edit()), ()) is None


@pytest.mark.parametrize("writer", READS)
@pytest.mark.parametrize("reader", READS)
def test_an_answer_is_read_by_its_own_level_and_those_that_are_trusted_less(
    tmp_path: Path, writer: str, reader: str
) -> None:
    answers(tmp_path, writer).add(proof(), ())
    known = answers(tmp_path, reader).known(box(1, control=edit()), ()) is not None
    order = ["T0", "T1", "T2"]
    allowed = writer == reader or (writer != "" and reader != "" and order.index(writer) < order.index(reader))
    assert known == allowed


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"key": "key of 1"}', '{"key": "key of 1", "proof": []}', "\0", '{"key": 1, "proof": {}}'],
)
def test_lines_that_are_no_answers_are_passed_over(tmp_path: Path, line: str) -> None:
    answers(tmp_path).add(proof(), ())
    with (tmp_path / "answers-local.jsonl").open("a") as file:
        file.write(line + "\n")
    answers(tmp_path).add(proof(number=2), ())
    assert [bool(answers(tmp_path).known(box(n, control=edit()), ())) for n in (1, 2, 3)] == [True, True, False]


def test_the_oldest_answers_go_when_there_are_too_many(tmp_path: Path) -> None:
    lines = [json.dumps({"key": f"old {n}", "proof": {"answer": "proven"}}) for n in range(MOST)]
    (tmp_path / "answers-local.jsonl").write_text("\n".join(lines) + "\n")
    kept = answers(tmp_path)
    kept.add(proof(), ())
    kept.close()
    assert len((tmp_path / "answers-local.jsonl").read_text().splitlines()) == MOST // 2
    assert answers(tmp_path).known(box(1, control=edit()), ()) is not None


def test_a_place_that_cannot_be_written_only_forgets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = answers(tmp_path / "file")
    kept.add(proof(), ())
    kept.close()
    assert kept.known(box(1, control=edit()), ()) is None


BLOCK = """\
inputs = ["calc.sh"]
[control]
edit = { file = "calc.sh", find = "+", replace = "-" }
expect = "adds"
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.write("calc.sh", "echo $((2 + 2))\n")
    count = tmp_path / "runs"
    for number in (1, 2):
        made.box(number, f'echo {number} >> {count}; . "$BOX_LIB"; is adds "$(sh calc.sh)" 4', block=BLOCK)
    return made


def falsified(repository: Repository, *words: str) -> tuple[dict[int, bool], int]:
    """Which answers were reused, and how often boxes ran."""
    runs = repository.root.parent / "runs"
    before = len(runs.read_text().splitlines()) if runs.exists() else 0
    ended = repository.runner("falsify", "--json", "-", *words)
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["summary"]["reused"] == sum(entry["cached"] for entry in document["boxes"])
    return {entry["box"]: entry["cached"] for entry in document["boxes"]}, len(runs.read_text().splitlines()) - before


def test_only_what_changed_is_proven_again(repository: Repository) -> None:
    assert falsified(repository) == ({1: False, 2: False}, 4)
    assert falsified(repository) == ({1: True, 2: True}, 0)
    path = repository.root / "boxes/tier-1/2_box.sh"
    path.write_text(path.read_text() + "# more\n")
    repository.write("README", "not an input")
    assert falsified(repository) == ({1: True, 2: False}, 2)
    repository.write("calc.sh", "echo $((1 + 3))\n")
    assert falsified(repository) == ({1: False, 2: False}, 4)
    assert falsified(repository, "--no-cache") == ({1: False, 2: False}, 4)


def test_a_cache_of_ones_own_is_used_and_people_are_told(repository: Repository, tmp_path: Path) -> None:
    cache = str(tmp_path / "own")
    falsified(repository, "--cache", cache)
    assert falsified(repository)[1] == 4
    ended = repository.runner("falsify", "--cache", cache)
    assert "✓ 1 box  proven (reused)\n" in ended.out
    assert "2 boxes, 2 proved capable of failing (2 reused) · " in ended.out


CONFIGURATION = """\
trust: {egress: {files: [files.example]}}
limits: {memory: 512MiB}
"""


@pytest.mark.parametrize(
    ("words", "configuration"),
    [
        pytest.param(["--overreach"], CONFIGURATION, id="the-whole-tier-is-run"),
        pytest.param(["--clean-env"], CONFIGURATION, id="nothing-is-inherited"),
        pytest.param(["--secrets", "{secrets}"], CONFIGURATION, id="a-secret-is-granted"),
        pytest.param([], CONFIGURATION.replace("[files", "[other"), id="a-rule-allows-other-hosts"),
        pytest.param([], CONFIGURATION.replace("512", "256"), id="other-limits"),
        pytest.param(["--sandbox", "auto"], CONFIGURATION, id="isolation"),
    ],
)
def test_what_was_proven_on_other_terms_is_proven_again(
    repository: Repository, tmp_path: Path, words: list[str], configuration: str
) -> None:
    if "auto" in words and not any(rung.works for rung in rungs(os.environ)):
        pytest.skip(f"{MISSING} a sandbox")
    (tmp_path / "secrets").write_text("TOKEN=of-some-length\n")
    (tmp_path / "secrets").chmod(0o600)
    asks = f'network = ["files"]\nsecrets = ["TOKEN"]\n{BLOCK}'
    repository.box(1, '. "$BOX_LIB"; is adds "$(sh calc.sh)" 4', block=asks)
    (repository.root / "boxes/tier-1/2_box.sh").unlink()
    repository.write(".github/interlock.yml", CONFIGURATION)
    assert [is_reused(repository), is_reused(repository)] == [False, True]
    repository.write(".github/interlock.yml", configuration)
    assert not is_reused(repository, *(word.format(secrets=tmp_path / "secrets") for word in words))


def is_reused(repository: Repository, *words: str) -> bool:
    """Whether the answer for box 1, which is a proof, was known from before."""
    ended = repository.runner("falsify", "1", "--json", "-", *words)
    assert ended.code == 0, ended.err
    [entry] = json.loads(ended.out)["boxes"]
    return bool(entry["cached"])


def test_a_box_that_was_not_proven_runs_again(repository: Repository) -> None:
    repository.box(1, "true", block=BLOCK)
    for _ in range(2):
        ended = repository.runner("falsify", "1", "--json", "-")
        [entry] = json.loads(ended.out)["boxes"]
        assert (ended.code, entry["answer"], entry["cached"]) == (1, "blind", False)


def test_what_a_box_printed_is_not_kept(tmp_path: Path) -> None:
    answers(tmp_path).add(proof().but(output="the whole truth"), ())
    assert "truth" not in (tmp_path / "answers-local.jsonl").read_text()
