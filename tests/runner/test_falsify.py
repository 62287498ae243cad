from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.falsify import exit_code
from runner.model import Attempt, Box, BoxId, Control, Expect, Failure, Verdict
from runner.proof import Answer, Proof, judge, suggest
from tests.conftest import MISSING
from tests.runner.falsifying import falsify, over_layers

ADDS = "def add(a, b):\n    return a + b\n"
BREAK_ADD = {"file": "calc.py", "find": "a + b", "replace": "a - b"}


def edit(expect: Expect | None = None, **spec: str) -> Control:
    return Control(kind="edit", spec={**BREAK_ADD, **spec}, expect=expect, where="boxes/tier-1/21_adds.sh:5")


def box(
    run: str = "true", control: Control | None = None, *, number: int = 21, title: str = "Adds", **changed: object
) -> Box:
    fields: dict[str, object] = {
        "id": BoxId("", number),
        "tier": 1,
        "title": title,
        "kind": "command",
        "source": ".github/interlock.yml",
        "run": run,
        "control": control,
        "timeout": 20.0,
        **changed,
    }
    return Box(**fields)  # type: ignore[arg-type]


GREEN = Attempt(outcome=Verdict.PASSED, output="2 + 2 is 4\n")


def attempt(outcome: Verdict, *red: str, output: str = "", reason: str = "exit code 1") -> Attempt:
    return Attempt(outcome=outcome, failures=[Failure(id=name) for name in red], output=output, reason=reason)


ADDS_UP = Expect(assertion="adds-up")
SAYS = Expect(output=r"^expected \d+")


@pytest.mark.parametrize(
    ("expect", "sabotaged", "answer", "reason"),
    [
        pytest.param(ADDS_UP, attempt(Verdict.FAILED, "x", "adds-up"), "proven", "adds-up went red", id="proven"),
        pytest.param(
            SAYS,
            attempt(Verdict.FAILED, output="so\nexpected 4, got 0\n"),
            "proven",
            "its output matches /^expected \\d+/",
            id="proven-by-output",
        ),
        pytest.param(ADDS_UP, GREEN, "blind", "stayed green under its own sabotage", id="blind"),
        pytest.param(None, GREEN, "blind", "stayed green under its own sabotage", id="blind-without-expect"),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.FAILED, "subtracts", "divides"),
            "wrong_reason",
            "adds-up should go red; subtracts, divides went red instead",
            id="another-assertion",
        ),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.FAILED),
            "wrong_reason",
            "adds-up should go red; no assertion did: exit code 1",
            id="a-bare-exit-1",
        ),
        pytest.param(
            SAYS,
            attempt(Verdict.FAILED, output="Traceback"),
            "wrong_reason",
            "its output should match /^expected \\d+/ and does not",
            id="other-output",
        ),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.ERRORED, "adds-up", reason="killed by SIGSEGV"),
            "unproven",
            "under its control it is errored, which proves nothing: killed by SIGSEGV",
            id="a-crash-though-the-id-went-red",
        ),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.TIMED_OUT, reason="after 5 s"),
            "unproven",
            "under its control it is timed out, which proves nothing: after 5 s",
            id="a-timeout",
        ),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.SKIPPED, reason="no docker"),
            "unproven",
            "under its control it is skipped, which proves nothing: no docker",
            id="a-skip",
        ),
        pytest.param(
            ADDS_UP,
            attempt(Verdict.VACUOUS, reason="no assertion"),
            "unproven",
            "under its control it is vacuous, which proves nothing: no assertion",
            id="vacuous",
        ),
        pytest.param(
            None,
            attempt(Verdict.FAILED, "adds-up"),
            "unproven",
            "it went red, but the control does not say what should",
            id="no-expect",
        ),
    ],
)
def test_only_an_expected_assertion_failure_is_a_proof(
    expect: Expect | None, sabotaged: Attempt, answer: str, reason: str
) -> None:
    proof = judge(box(control=edit(expect)), GREEN, sabotaged)
    assert (proof.answer.value, proof.reason) == (answer, reason)


def test_a_pattern_that_matches_the_healthy_run_proves_nothing() -> None:
    healthy = Attempt(outcome=Verdict.PASSED, output="0 errors\n")
    proof = judge(box(control=edit(Expect(output="error"))), healthy, attempt(Verdict.FAILED, output="1 error\n"))
    assert (proof.answer, proof.reason) == (Answer.UNPROVEN, "its output matches /error/ without the control, too")


OUTCOMES = [v for v in Verdict if v not in {Verdict.CACHED, Verdict.FLAKY, Verdict.BLOCKED}]
ATTEMPTS = st.builds(
    lambda outcome, red, output: attempt(outcome, *red, output=output),
    st.sampled_from(OUTCOMES),
    st.lists(st.sampled_from(["a", "b", ""]), max_size=2),
    st.text("ab\n", max_size=4),
)
EXPECTS = st.sampled_from([None, Expect(assertion="a"), Expect(output="^a")])


@given(EXPECTS, ATTEMPTS, ATTEMPTS)
def test_a_proof_needs_green_then_red_then_the_expected_reason(
    expect: Expect | None, healthy: Attempt, sabotaged: Attempt
) -> None:
    proof = judge(box(control=edit(expect)), healthy, sabotaged)
    assert proof.reason
    if proof.answer is Answer.PROVEN:
        assert expect is not None
        assert (healthy.outcome, sabotaged.outcome) == (Verdict.PASSED, Verdict.FAILED)
        seen = {failure.id for failure in sabotaged.failures} if expect.assertion else set()
        by_output = (
            bool(expect.output)
            and re.search("^a", sabotaged.output, re.MULTILINE)
            and not re.search("^a", healthy.output, re.MULTILINE)
        )
        assert "a" in seen or by_output


@given(st.text(min_size=1), st.booleans())
def test_a_suggested_line_says_exactly_what_went_red(name: str, by_id: bool) -> None:
    red = attempt(Verdict.FAILED, *([name] if by_id else []), output=f"so:\n{name}\n")
    line = suggest(box(source="boxes/tier-1/1.sh"), GREEN, red)
    if by_id:
        assert tomllib.loads(line.replace("\x7f", "\\u007f"))["expect"] == name
    else:
        assert re.search(tomllib.loads(line.replace("\x7f", "\\u007f"))["expect"]["output"], red.output)


def proof(answer: Answer) -> Proof:
    return Proof(box(control=edit()), answer, "why")


@pytest.mark.parametrize(
    ("answers", "strict", "code"),
    [
        pytest.param([Answer.PROVEN], True, 0, id="all-proven"),
        pytest.param([Answer.PROVEN, Answer.NO_CONTROL], False, 0, id="no-control-is-let-pass"),
        pytest.param([Answer.PROVEN, Answer.NO_CONTROL], True, 1, id="but-not-strictly"),
        pytest.param([Answer.NO_CONTROL], False, 1, id="nothing-was-proven"),
        pytest.param([], False, 1, id="nothing-at-all"),
        *(
            pytest.param([Answer.PROVEN, answer], False, 1, id=answer.value)
            for answer in (Answer.BLIND, Answer.WRONG_REASON, Answer.STALE, Answer.UNPROVEN)
        ),
    ],
)
def test_exit_codes(answers: list[Answer], strict: bool, code: int) -> None:
    assert exit_code([proof(answer) for answer in answers], strict=strict) == code
    assert exit_code([proof(answer) for answer in answers], strict=strict, interrupted=True) == 5


# What a box can do wrong, with real processes.

CHECK = f'{sys.executable} -c "import calc; assert calc.add(2, 2) == 4" || {{ echo "not ok 1 - adds-up"; exit 1; }}'


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "calc.py").write_text(ADDS)
    return root


@pytest.fixture(params=["layers", "copies"])
def way(request: pytest.FixtureRequest) -> str:
    """How controls are done: laid over the tree, or to copies of it. Each answer is the same either way."""
    return str(request.param)


def run(root: Path, *boxes: Box, way: str = "copies", **options: Any) -> tuple[int, list[dict[str, Any]], str]:
    """Falsify; the exit code, the boxes of the JSON document, and what a person reads."""
    if way == "copies":
        answered = falsify(root, boxes, **options)
    else:
        done = over_layers(root, boxes, **options)
        if done is None:
            pytest.skip(f"{MISSING} the right to mount what one process alone sees")
        answered = done
    return answered.code, answered.boxes, answered.said


def only(root: Path, one: Box, way: str = "copies") -> tuple[str, str]:
    _, answers, _ = run(root, one, way=way)
    return str(answers[0]["answer"]), str(answers[0]["reason"])


def test_a_box_that_notices_is_proven(repo: Path, way: str) -> None:
    code, answers, said = run(repo, box(CHECK, edit(ADDS_UP)), way=way)
    assert (code, answers[0]["answer"], answers[0]["went_red"]) == (0, "proven", ["adds-up"])
    assert (answers[0]["baseline"], answers[0]["sabotaged"]) == ("passed", "failed")
    assert said.splitlines()[-1].startswith("1 box, 1 proved capable of failing")
    assert (repo / "calc.py").read_text() == ADDS


def test_a_stale_edit_is_never_read_as_a_proof(repo: Path, way: str) -> None:  # (a)
    assert only(repo, box(CHECK, edit(ADDS_UP, find="a * b")), way) == (
        "stale",
        "calc.py: the text to find is there 0 times, not once",
    )


def test_a_stale_patch_is_stale(repo: Path, way: str) -> None:  # (a)
    (repo / "p.patch").write_text(
        "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    gone\n+    no\n"
    )
    answer, reason = only(
        repo, box(CHECK, Control(kind="patch", spec={"file": "p.patch"}, expect=ADDS_UP, where="x:1")), way
    )
    assert answer == "stale"
    assert "calc.py: patch does not apply" in reason


def test_a_patch_that_applies_proves(repo: Path, way: str) -> None:
    (repo / "p.patch").write_text(
        "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a + b\n+    return a - b\n"
    )
    control = Control(kind="patch", spec={"file": "p.patch"}, expect=ADDS_UP, where="x:1")
    assert only(repo, box(CHECK, control), way)[0] == "proven"


def test_a_control_command_that_fails_is_stale_and_shows_what_it_said(repo: Path, way: str) -> None:  # (a)
    control = Control(kind="run", spec={"command": "echo no such table; exit 3"}, expect=ADDS_UP, where="x:1")
    assert only(repo, box(CHECK, control), way) == ("stale", "x:1: its command did not succeed: no such table")


def test_a_control_command_sabotages_the_copy_alone(repo: Path, way: str) -> None:
    control = Control(kind="run", spec={"command": "sed -i 's/a + b/a - b/' calc.py"}, expect=ADDS_UP, where="x:1")
    assert only(repo, box(CHECK, control), way)[0] == "proven"
    assert (repo / "calc.py").read_text() == ADDS


def test_env_reaches_the_sabotaged_run_alone(repo: Path, way: str) -> None:
    check = 'test "${LIMIT:-5}" = 5 || { echo "not ok 1 - limit"; exit 1; }'
    control = Control(kind="env", spec={"LIMIT": "0"}, expect=Expect(assertion="limit"), where="x:1")
    assert only(repo, box(check, control), way)[0] == "proven"


PATCH = "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a + b\n+    return a - b\n"
SABOTAGES = {
    "edit": {"file": "calc.py", "find": "a + b", "replace": "a - b"},
    "patch": {"file": "p.patch"},
    "env": {"SIGN": "-"},
    "run": {"command": "sed -i 's/a + b/a - b/' calc.py"},
}
STALE = {
    "edit": {"file": "calc.py", "find": "a * b", "replace": "a - b"},
    "patch": {"file": "gone.patch"},
    "run": {"command": "test -e gone"},
}
SIGNED = 'test "${SIGN:-+}" = + && ' + CHECK.partition(" || ")[0]


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        pytest.param("proven", f"{SIGNED} || {{ echo 'not ok 1 - adds-up'; exit 1; }}", id="proven"),
        pytest.param("blind", "test -s calc.py", id="blind"),
        pytest.param("wrong_reason", f"{SIGNED} || {{ echo 'not ok 1 - looks-well'; exit 1; }}", id="wrong-reason"),
        pytest.param("unproven", f"{SIGNED} || exit 77", id="skips-itself"),
        pytest.param("unproven", f"{SIGNED} || kill -ABRT $$", id="crashes"),
        pytest.param("unproven", "echo 'not ok 1 - adds-up'; exit 1", id="red-anyway"),
    ],
)
@pytest.mark.parametrize("kind", SABOTAGES)
def test_each_kind_of_control_gets_each_answer_for_its_reason(
    repo: Path, way: str, kind: str, answer: str, check: str
) -> None:
    (repo / "p.patch").write_text(PATCH)
    control = Control(kind=kind, spec=SABOTAGES[kind], expect=ADDS_UP, where="x:1")
    assert only(repo, box(check, control, may_skip=True), way)[0] == answer


@pytest.mark.parametrize("kind", STALE)
def test_each_kind_of_control_can_be_stale_whatever_the_box_is(repo: Path, way: str, kind: str) -> None:
    control = Control(kind=kind, spec=STALE[kind], expect=ADDS_UP, where="x:1")
    boxes = [box(run, control, number=n) for n, run in enumerate((CHECK, "true", "exit 1"), start=1)]
    assert [entry["answer"] for entry in run(repo, *boxes, way=way)[1]] == ["stale"] * 3


def test_red_for_another_reason_is_said_to_be(repo: Path, way: str) -> None:  # (b)
    check = 'grep -q "a + b" calc.py || { echo "not ok 1 - formatted"; exit 1; }'
    assert only(repo, box(check, edit(ADDS_UP)), way) == (
        "wrong_reason",
        "adds-up should go red; formatted went red instead",
    )


def test_a_missing_tool_is_no_proof(repo: Path, way: str) -> None:  # (b)
    assert only(repo, box("grep -q 'a + b' calc.py || exec no-such-tool", edit(ADDS_UP)), way)[0] == "unproven"


def test_a_crash_under_sabotage_is_no_proof(repo: Path, way: str) -> None:  # (b)
    answer, reason = only(repo, box("grep -q 'a + b' calc.py || kill -SEGV $$", edit(ADDS_UP)), way)
    assert answer == "unproven"
    assert reason.startswith("under its control it is errored")


@pytest.mark.parametrize("outcome", [verdict for verdict in Verdict if verdict is not Verdict.PASSED])
def test_a_box_that_is_not_green_without_its_control_proves_nothing(outcome: Verdict) -> None:
    proof = judge(box(control=edit(ADDS_UP)), attempt(outcome), attempt(Verdict.FAILED, "adds-up"))
    assert proof.answer is Answer.UNPROVEN
    assert proof.reason.startswith("without its control it is ")


def test_a_box_that_skips_itself_when_all_is_well_proves_nothing(repo: Path, way: str) -> None:
    check = 'grep -q "a + b" calc.py && exit 77; echo "not ok 1 - adds-up"; exit 1'
    answer, reason = only(repo, box(check, edit(ADDS_UP), may_skip=True), way)
    assert answer == "unproven"
    assert reason.startswith("without its control it is skipped")


def test_a_skip_under_sabotage_is_no_proof(repo: Path, way: str) -> None:  # (c)
    check = "grep -q 'a + b' calc.py || exit 77"
    answer, reason = only(repo, box(check, edit(ADDS_UP), may_skip=True), way)
    assert answer == "unproven"
    assert reason.startswith("under its control it is skipped")


def test_an_absence_check_that_a_sabotage_makes_pass_is_blind(repo: Path, way: str) -> None:  # (d)
    # Emptying the file keeps "there is no eval" true: only a box-specific sabotage shows anything.
    check = "! grep -q eval calc.py"
    assert only(repo, box(check, edit(ADDS_UP, find=ADDS, replace=" ")), way)[0] == "blind"


def test_a_red_baseline_is_no_ground_for_a_proof(repo: Path, way: str) -> None:  # (e) and (h)
    answer, reason = only(repo, box('echo "not ok 1 - adds-up"; exit 1', edit(ADDS_UP)), way)
    assert answer == "unproven"
    assert reason.startswith("without its control it is failed")


def test_a_baseline_that_misses_git_is_explained(repo: Path) -> None:  # (e)
    (repo / ".git").mkdir()
    assert "in a copy of the tree, which has no .git" in only(repo, box("test -d .git", edit(ADDS_UP)))[1]


def test_other_boxes_are_not_touched_by_a_control(repo: Path, way: str) -> None:  # (f)
    wait = "for n in 1 2 3 4 5; do grep -q 'a + b' calc.py || { echo 'not ok 1 - adds-up'; exit 1; }; done"
    boxes = [box(wait, edit(ADDS_UP), number=n) for n in range(1, 7)]
    code, answers, _ = run(repo, *boxes, jobs=3, way=way)
    assert (code, {a["answer"] for a in answers}) == (0, {"proven"})


def test_stale_bytecode_does_not_hide_the_sabotage(repo: Path, way: str) -> None:  # (g)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    import_it = "import calc, os; os.utime('calc.py', (1, 1))"
    subprocess.run([sys.executable, "-c", import_it], cwd=repo, env=environment, check=True)
    # Unchecked bytecode is trusted whatever its source says: the worst kind of stale.
    compile_it = "import py_compile as p; p.compile('calc.py', invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)"
    subprocess.run([sys.executable, "-c", compile_it], cwd=repo, env=environment, check=True)
    assert list(repo.glob("__pycache__/*"))
    assert only(repo, box(CHECK, edit(ADDS_UP)), way)[0] == "proven"


def test_boxes_without_control_are_counted_and_not_let_pass_strictly(repo: Path) -> None:  # (i)
    boxes = [box(CHECK, edit(ADDS_UP), number=1), box(number=2, title="Lint")]
    assert run(repo, *boxes)[0] == 0
    code, answers, said = run(repo, *boxes, strict=True)
    assert (code, answers[1]["answer"]) == (1, "no_control")
    assert "2 boxes, 1 proved capable of failing: 1 without control" in said


ITSELF = {"file": "boxes/21.sh", "find": "true", "replace": "false"}
PATCH_ITSELF = "--- a/boxes/21.sh\n+++ b/boxes/21.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-true\n+false\n"


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(edit(ADDS_UP, **ITSELF), id="edit"),
        pytest.param(Control(kind="patch", spec={"file": "p.patch"}, expect=ADDS_UP, where="x:1"), id="patch"),
    ],
)
def test_a_control_that_breaks_the_box_itself_shows_nothing(repo: Path, control: Control) -> None:
    (repo / "boxes").mkdir()
    (repo / "boxes" / "21.sh").write_text("#!/bin/sh\ntrue\n")
    (repo / "p.patch").write_text(PATCH_ITSELF)
    own = box(control=control, kind="file", file="boxes/21.sh")
    assert only(repo, own) == (
        "unproven",
        "the control edits the box itself, which shows nothing about what it checks",
    )


def test_each_suite_gets_its_own_setup(repo: Path, way: str) -> None:
    check = 'test "$SETUP_DIR" = /prepared/api && ' + CHECK
    boxes = [box(check, edit(ADDS_UP), id=BoxId("api", 1)), box(CHECK, edit(ADDS_UP), number=1)]
    dirs = {"": "/prepared/own", "api": "/prepared/api"}
    assert run(repo, *boxes, way=way, roots={"": ".", "api": "."}, setup_dirs=dirs)[0] == 0


DOCUMENTED = (Path(__file__).parents[2] / "docs/reference/falsify.md").read_text()


def test_every_answer_and_every_field_is_documented(repo: Path) -> None:
    assert [a.value for a in Answer if f"| `{a.value}` |" not in DOCUMENTED] == []
    written = falsify(repo, [box(CHECK, edit(ADDS_UP))]).document
    shown = json.loads(DOCUMENTED.partition("```json\n")[2].partition("```")[0])
    assert (list(shown), list(shown["boxes"][0]), list(shown["summary"])) == (
        list(written),
        list(written["boxes"][0]),
        list(written["summary"]),
    )


def test_a_control_without_expect_gets_its_line(repo: Path) -> None:
    _, answers, said = run(repo, box(CHECK, edit(), source="boxes/tier-1/21_adds.sh"))
    assert (answers[0]["answer"], answers[0]["suggestion"]) == ("unproven", 'expect = "adds-up"')
    assert 'add to its control:  expect = "adds-up"' in said


def installed(repo: Path) -> dict[str, str]:
    """An environment in which `calc` is found in the original tree before anything on PYTHONPATH, as some editable
    installs do it: an import hook that stands before the path."""
    site = repo.parent / "site"
    site.mkdir()
    hook = f"""\
import importlib.util, sys
class Hook:
    def find_spec(name, path=None, target=None):
        if name == "calc":
            return importlib.util.spec_from_file_location(name, {str(repo / "calc.py")!r})
sys.meta_path.insert(0, Hook)
"""
    (site / "sitecustomize.py").write_text(hook)
    return {**os.environ, "PYTHONPATH": str(site)}


def test_an_import_of_the_unbroken_original_is_not_called_blind(repo: Path) -> None:
    code, answers, _ = run(repo, box(CHECK, edit(ADDS_UP)), env=installed(repo))
    assert (code, answers[0]["answer"], answers[0]["reason"]) == (
        1,
        "unproven",
        "calc.py was imported from the original tree and not from the sabotaged copy",
    )


def test_an_installed_original_on_the_path_is_overtaken_by_the_copy(repo: Path) -> None:
    elsewhere = "cd / && " + CHECK
    code, answers, _ = run(repo, box(elsewhere, edit(ADDS_UP)), env={**os.environ, "PYTHONPATH": str(repo)})
    assert (code, answers[0]["answer"]) == (0, "proven")


def test_a_blind_python_box_stays_blind_after_the_second_look(repo: Path, way: str) -> None:
    look = f'{sys.executable} -c "import calc; assert callable(calc.add)"'
    assert only(repo, box(look, edit(ADDS_UP)), way) == ("blind", "stayed green under its own sabotage")


def test_boxes_with_a_common_lock_do_not_overlap(repo: Path, way: str) -> None:
    alone = "mkdir ../held || exit 99; " + CHECK + "; code=$?; rmdir ../held; exit $code"
    lock = repo.parent / "lock"
    alone = alone.replace("../held", str(lock)).replace("exit 1; }", "false; }")
    boxes = [box(alone, edit(ADDS_UP), number=n, locks=["db"]) for n in range(1, 4)]
    _, answers, _ = run(repo, *boxes, jobs=3, way=way)
    assert {a["answer"] for a in answers} == {"proven"}


def test_nothing_is_left_behind(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = repo.parent / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    run(repo, box("mkdir -p a/b; chmod 0 a; " + CHECK, edit(ADDS_UP)))
    assert list(scratch.iterdir()) == []
    assert sorted(p.name for p in repo.iterdir()) == ["calc.py"]


def test_an_interruption_ends_what_runs_and_exits_5(repo: Path) -> None:
    started = repo.parent / "started"
    os.mkfifo(started)

    def interrupt() -> None:
        started.read_text()
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    code, answers, said = run(repo, box(f"echo > {started}; exec sleep 1000", edit(ADDS_UP)))
    watcher.join()
    assert (code, answers) == (5, [])
    assert "interrupted: 1 box without an answer" in said


def test_the_report_puts_the_worst_first(repo: Path) -> None:
    boxes = [
        box(CHECK, edit(ADDS_UP), number=1),
        box(CHECK, edit(ADDS_UP, find="gone"), number=2, title="Stale"),
        box("true", edit(ADDS_UP), number=3, title="Blind"),
    ]
    _, _, said = run(repo, *boxes, jobs=1)
    assert re.sub(r"\d+\.\d+ ?s", "TIME", said) == snapshot("""\
✓ 1 Adds  proven  TIME
✗ 2 Stale  stale
    calc.py: the text to find is there 0 times, not once
    boxes/tier-1/21_adds.sh:5
✗ 3 Blind  blind  TIME
    stayed green under its own sabotage
    boxes/tier-1/21_adds.sh:5

blind            3 Blind
stale            2 Stale

3 boxes, 1 proved capable of failing: 1 blind, 1 stale · TIME
""")
