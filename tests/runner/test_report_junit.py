from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.model import Failure, Metric, Verdict
from runner.report.junit import Junit, attribute, content
from tests.runner.stories import finished, red_run


def write(path: Path, *events: object) -> ET.Element:
    junit = Junit(str(path))
    for event in events:
        junit(event)  # type: ignore[arg-type]
    junit.close()
    return ET.parse(path).getroot()


def test_a_red_run_as_junit(tmp_path: Path) -> None:
    write(tmp_path / "junit.xml", *red_run())
    assert (tmp_path / "junit.xml").read_text() == snapshot("""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="interlock r1" tests="4" failures="1" errors="1" skipped="0" time="3.200">
  <testsuite name="tier 1" tests="3" failures="1" errors="0" skipped="0" time="3.452">
    <properties><property name="sandbox" value="off"/></properties>
    <testcase name="1 Lint" classname="tier-1" file="boxes/tier-1/01_box.sh" time="0.042">
      <properties>
        <property name="box" value="1"/>
        <property name="verdict" value="passed"/>
        <property name="attempts" value="1"/>
        <property name="assertions" value="0"/>
      </properties>
    </testcase>
    <testcase name="7 Locks after five failures" classname="tier-1" file="boxes/tier-1/07_box.sh" time="3.100">
      <properties>
        <property name="box" value="7"/>
        <property name="verdict" value="failed"/>
        <property name="attempts" value="1"/>
        <property name="assertions" value="0"/>
        <property name="exit_code" value="1"/>
        <property name="leaked" value="sleep 1000"/>
        <property name="repro" value="runner run 7"/>
      </properties>
      <failure type="failed" message="2 of 3 assertions did not hold">tests/login.py:12  locked-after-5: got 200
unlocks-again: never</failure>
      <system-out>line 18
line 19
line 20
line 21
line 22
line 23
line 24
line 25
line 26
line 27
line 28
line 29
line 30
line 31
line 32
line 33
line 34
line 35
line 36
line 37
line 38
line 39
HTTP 200
</system-out>
    </testcase>
    <testcase name="8 Retries" classname="tier-1" file="boxes/tier-1/08_box.sh" time="0.310">
      <properties>
        <property name="box" value="8"/>
        <property name="verdict" value="flaky"/>
        <property name="attempts" value="2"/>
        <property name="assertions" value="0"/>
      </properties>
    </testcase>
  </testsuite>
  <testsuite name="tier 2" tests="1" failures="0" errors="1" skipped="0" time="0.000">
    <properties><property name="sandbox" value="off"/></properties>
    <testcase name="20 Login page" classname="tier-2" file="boxes/tier-1/20_box.sh" time="0.000">
      <properties>
        <property name="box" value="20"/>
        <property name="verdict" value="blocked"/>
        <property name="attempts" value="1"/>
        <property name="assertions" value="0"/>
        <property name="repro" value="runner run 20"/>
      </properties>
      <error type="blocked" message="blocked by 7"></error>
    </testcase>
  </testsuite>
</testsuites>
""")


@pytest.mark.parametrize(
    ("changes", "child"),
    [
        pytest.param({}, "", id="passed"),
        pytest.param({"verdict": Verdict.CACHED}, "", id="cached"),
        pytest.param({"verdict": Verdict.FLAKY, "attempts": 2}, "", id="flaky-allowed"),
        pytest.param({"verdict": Verdict.FLAKY, "green": False}, "failure", id="flaky-not-allowed"),
        pytest.param({"verdict": Verdict.FAILED, "green": False}, "failure", id="failed"),
        pytest.param({"verdict": Verdict.FAILED, "green": False, "gating": False}, "failure", id="quarantined"),
        pytest.param({"verdict": Verdict.TIMED_OUT, "green": False}, "error", id="timed-out"),
        pytest.param({"verdict": Verdict.ERRORED, "green": False}, "error", id="errored"),
        pytest.param({"verdict": Verdict.VACUOUS, "green": False}, "error", id="vacuous"),
        pytest.param({"verdict": Verdict.SKIPPED}, "skipped", id="may-skip"),
        pytest.param({"verdict": Verdict.SKIPPED, "green": False}, "error", id="skipped-without-leave"),
        pytest.param({"verdict": Verdict.BLOCKED, "green": False, "blocked_by": "7"}, "error", id="blocked"),
        pytest.param({"verdict": Verdict.CANCELLED, "green": False}, "error", id="cancelled"),
    ],
)
def test_what_is_not_green_is_never_green_in_junit(tmp_path: Path, changes: dict[str, object], child: str) -> None:
    root = write(tmp_path / "junit.xml", finished(21, **changes))
    case = root.find("testsuite/testcase")
    assert case is not None
    assert [one.tag for one in case if one.tag != "properties"] == ([child] if child else [])
    sums = {kind: root.get(kind) for kind in ("failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors"}.get(child, child)
    assert sums == {kind: "1" if kind == plural else "0" for kind in sums}


def test_a_planned_box_without_a_verdict_is_an_error(tmp_path: Path) -> None:
    root = write(tmp_path / "junit.xml", *red_run()[:3])
    assert [root.get("tests"), root.get("errors")] == ["4", "4"]


def test_long_output_keeps_its_end(tmp_path: Path) -> None:
    root = write(tmp_path / "junit.xml", finished(1, output="x" * 100_000 + "the end"))
    said = root.findtext("testsuite/testcase/system-out", "")
    assert said.endswith("the end")
    assert len(said) < 17_000
    assert "83623 earlier characters left out" in said


def test_metrics_and_leaks_are_properties(tmp_path: Path) -> None:
    root = write(
        tmp_path / "junit.xml", finished(1, metrics=(Metric(name="p99", value=4.5, unit="ms"),), leaked=("sleep 9",))
    )
    pairs = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (pairs["metric:p99"], pairs["leaked"]) == ("4.5 ms", "sleep 9")


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "junit.xml", *red_run())
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


ANYTHING = st.text(st.characters(exclude_categories=()))


@given(ANYTHING, ANYTHING)
def test_no_text_can_break_the_xml(value: str, inside: str) -> None:
    root = ET.fromstring(f'<a b="{attribute(value)}">{content(inside + "]]><![CDATA[")}</a>')
    assert len(root) == 0


@given(st.lists(ANYTHING, min_size=5, max_size=5))
def test_no_box_can_add_an_element(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    title, reason, message, output, leaked = texts
    event = finished(
        1,
        title=title,
        reason=reason,
        verdict=Verdict.FAILED,
        green=False,
        output=output + "</system-out><testcase/>",
        failures=(Failure(id=title, message=message, file=reason, line=1),),
        leaked=(leaked,),
    )
    root = write(tmp_path_factory.mktemp("junit") / "junit.xml", event)
    assert len(root.findall(".//testcase")) == 1
    assert len(root.findall(".//failure")) == 1
