from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.model import Box, BoxId, Control, Expect
from runner.proof import Answer, Proof
from runner.report.proofs import Ended, Everyone, sentence
from runner.report.proofs_github import ProofsGithub, proofs_summary
from runner.report.proofs_junit import ProofsJunit
from runner.report.proofs_text import ProofsText


def box(number: int, title: str, tier: int = 1, *, controlled: bool = True) -> Box:
    source = f"boxes/tier-{tier}/{number:02}_box.sh"
    spec = {"file": "a", "find": "b", "replace": "c"}
    control = Control(kind="edit", spec=spec, expect=Expect(assertion="adds"), where=f"{source}:5")
    return Box(
        id=BoxId("", number),
        tier=tier,
        title=title,
        kind="file",
        source=source,
        line=2,
        control=control if controlled else None,
    )


def ended(proofs: list[Proof], *, total: int = 0, code: int = 1) -> Ended:
    return Ended(proofs, total=total or len(proofs), seconds=2.0, exit_code=code)


PROOFS = [
    Proof(box(1, "Adds"), Answer.PROVEN, "adds went red", seconds=0.5),
    Proof(box(2, "Divides"), Answer.PROVEN, "divides went red", seconds=0.5, cached=True),
    Proof(box(3, "Looks"), Answer.BLIND, "stayed green under its own sabotage", seconds=0.5, output="ok looks\n"),
    Proof(
        box(4, "Pings"), Answer.UNPROVEN, "redis down: it is errored", automatic=True, control="redis down", seconds=0.5
    ),
    Proof(
        box(5, "Names", 2),
        Answer.UNPROVEN,
        "no expect",
        suggestion='expect = "names"',
    ),
    Proof(box(6, "Lint", 2, controlled=False), Answer.NO_CONTROL, "it has no control"),
]
BOXES = [proof.box for proof in PROOFS]


def junit(path: Path, of: Ended, *, strict: bool = False, boxes: list[Box] = BOXES) -> ET.Element:
    ProofsJunit(str(path), boxes, strict=strict).end(of)
    return ET.parse(path).getroot()


def test_proofs_as_junit(tmp_path: Path) -> None:
    junit(tmp_path / "junit.xml", ended(PROOFS))
    assert (tmp_path / "junit.xml").read_text() == snapshot("""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="interlock falsify" tests="6" failures="3" errors="0" skipped="1" time="2.000">
  <testsuite name="falsify tier 1" tests="4" failures="2" errors="0" skipped="0" time="2.000">
    <testcase name="1 Adds" classname="falsify.tier-1" file="boxes/tier-1/01_box.sh" line="2" time="0.500">
      <properties>
        <property name="answer" value="proven"/>
        <property name="control" value="boxes/tier-1/01_box.sh:5"/>
      </properties>
    </testcase>
    <testcase name="2 Divides" classname="falsify.tier-1" file="boxes/tier-1/02_box.sh" line="2" time="0.500">
      <properties>
        <property name="answer" value="proven"/>
        <property name="control" value="boxes/tier-1/02_box.sh:5"/>
        <property name="reused" value="true"/>
      </properties>
    </testcase>
    <testcase name="3 Looks" classname="falsify.tier-1" file="boxes/tier-1/03_box.sh" line="2" time="0.500">
      <properties>
        <property name="answer" value="blind"/>
        <property name="control" value="boxes/tier-1/03_box.sh:5"/>
      </properties>
      <failure type="blind" message="blind: stayed green under its own sabotage"></failure>
      <system-out>ok looks
</system-out>
    </testcase>
    <testcase name="4 Pings" classname="falsify.tier-1" file="boxes/tier-1/04_box.sh" line="2" time="0.500">
      <properties>
        <property name="answer" value="unproven"/>
        <property name="control" value="redis down"/>
        <property name="automatic" value="true"/>
      </properties>
      <failure type="unproven" message="unproven: redis down: it is errored"></failure>
    </testcase>
  </testsuite>
  <testsuite name="falsify tier 2" tests="2" failures="1" errors="0" skipped="1" time="0.000">
    <testcase name="5 Names" classname="falsify.tier-2" file="boxes/tier-2/05_box.sh" line="2" time="0.000">
      <properties>
        <property name="answer" value="unproven"/>
        <property name="control" value="boxes/tier-2/05_box.sh:5"/>
      </properties>
      <failure type="unproven" message="unproven: no expect">add to its control:  expect = "names"</failure>
    </testcase>
    <testcase name="6 Lint" classname="falsify.tier-2" file="boxes/tier-2/06_box.sh" line="2" time="0.000">
      <properties>
        <property name="answer" value="no_control"/>
      </properties>
      <skipped message="without control: it has no control"/>
    </testcase>
  </testsuite>
</testsuites>
""")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("answer", Answer)
def test_only_what_is_proven_is_a_passed_test(tmp_path: Path, answer: Answer, strict: bool) -> None:
    one = Proof(box(1, "Adds"), answer, "why")
    root = junit(tmp_path / "junit.xml", ended([one]), strict=strict, boxes=[one.box])
    [case] = root.iter("testcase")
    kinds = {child.tag for child in case} - {"properties"}
    expected = {"failure"} if answer is not Answer.NO_CONTROL or strict else {"skipped"}
    assert kinds == (set() if answer is Answer.PROVEN else expected)


def test_a_box_that_was_left_unanswered_is_an_error(tmp_path: Path) -> None:
    root = junit(tmp_path / "junit.xml", ended(PROOFS[:1], total=6))
    assert (root.get("tests"), root.get("errors")) == ("6", "5")


@given(st.text(), st.text())
def test_whatever_a_box_says_the_file_is_xml(tmp_path_factory: pytest.TempPathFactory, title: str, output: str) -> None:
    one = Proof(box(1, title), Answer.BLIND, output, output=output, suggestion=output)
    junit(tmp_path_factory.mktemp("junit") / "junit.xml", ended([one]), boxes=[one.box])


def github(proofs: list[Proof], **options: bool) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    report = ProofsGithub(out, **options)  # type: ignore[arg-type]
    for proof in proofs:
        report.add(proof)
    report.end(ended(proofs))
    out.seek(0)
    return out.read()


def test_proofs_in_a_workflow_step() -> None:
    said = github(PROOFS)
    tokens = [line for line in said.splitlines() if line.startswith("::stop-commands::")]
    assert len(tokens) == 1
    assert said.replace(tokens[0].removeprefix("::stop-commands::"), "TOKEN") == snapshot("""\
✓ 1 Adds  proven  0.50s
✓ 2 Divides  proven (reused)
::group::✗ 3 Looks  blind  0.50s
  stayed green under its own sabotage
::stop-commands::TOKEN
ok looks
::TOKEN::
::endgroup::
::error file=boxes/tier-1/03_box.sh,line=5,title=3 Looks%3A blind::stayed green under its own sabotage
::group::✗ 4 Pings  unproven (automatic)  0.50s
  redis down: it is errored
::endgroup::
::error file=boxes/tier-1/04_box.sh,line=2,title=4 Pings%3A unproven::redis down: it is errored
::group::✗ 5 Names  unproven
  no expect
  add to its control:  expect = "names"
::endgroup::
::error file=boxes/tier-2/05_box.sh,line=5,title=5 Names%3A unproven::no expect%0Aadd to its control: expect = "names"
○ 6 Lint  without control
6 boxes, 2 proved capable of failing (1 reused): 1 blind, 2 unproven, 1 without control · 2.0 s
""")


def test_a_box_without_a_control_is_an_error_only_strictly() -> None:
    assert "::error" not in github(PROOFS[-1:])
    assert "::error file=boxes/tier-2/06_box.sh,line=2,title=6 Lint%3A without control::" in github(
        PROOFS[-1:], strict=True
    )


def test_the_step_summary_puts_the_worst_first() -> None:
    assert proofs_summary(ended(PROOFS, total=7)) == snapshot("""\
### ❌ Interlock: 6 boxes, 2 proved capable of failing (1 reused): 1 blind, 2 unproven, 1 without control

Interrupted: 1 box without an answer.

| box | tier | answer | |
|--|--|--|--|
| 3 Looks | 1 | blind | stayed green under its own sabotage |
| 4 Pings | 1 | unproven (automatic) | redis down: it is errored |
| 5 Names | 2 | unproven | no expect; add to its control: expect = "names" |

<details><summary>3 more</summary>

| box | tier | answer | |
|--|--|--|--|
| 1 Adds | 1 | proven | adds went red |
| 2 Divides | 1 | proven (reused) | divides went red |
| 6 Lint | 2 | without control | it has no control |

</details>

""")


def test_foreign_words_start_no_command_and_close_no_table() -> None:
    nasty = "x\n::error::gotcha\n##[group]|</details>@all"
    one = Proof(box(1, nasty), Answer.BLIND, nasty, output=nasty)
    before, token, rest = github([one]).partition("::stop-commands::")
    after = rest.partition(f"::{rest.splitlines()[0]}::")[2]
    commands = [line.split(":")[2].partition(" ")[0] for line in (before + after).splitlines() if line[:2] == "::"]
    assert (commands, bool(token)) == (["group", "endgroup", "error"], True)
    rows = [line for line in proofs_summary(ended([one])).splitlines() if line.startswith("| 1")]
    assert len(rows) == 1
    assert "</details>" not in rows[0]


@pytest.mark.parametrize(
    ("proofs", "said"),
    [
        pytest.param(PROOFS[:1], "1 box, 1 proved capable of failing", id="all"),
        pytest.param(PROOFS[:2], "2 boxes, 2 proved capable of failing (1 reused)", id="reused"),
        pytest.param(
            PROOFS,
            "6 boxes, 2 proved capable of failing (1 reused): 1 blind, 2 unproven, 1 without control",
            id="worst-first",
        ),
    ],
)
def test_the_sum_in_one_sentence(proofs: list[Proof], said: str) -> None:
    assert sentence(proofs) == said


class GoneReader(ProofsText):
    def add(self, proof: Proof) -> None:  # noqa: ARG002 - as every report.
        raise BrokenPipeError


def test_a_reader_that_has_gone_away_takes_no_report_with_it(tmp_path: Path) -> None:
    everyone = Everyone(
        [GoneReader(io.StringIO(), total=1), ProofsJunit(str(tmp_path / "junit.xml"), BOXES[:1], strict=True)]
    )
    everyone.running(["1"])
    everyone.add(PROOFS[0])
    everyone.end(ended(PROOFS[:1]))
    assert (tmp_path / "junit.xml").exists()
