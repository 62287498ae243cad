"""The normative page is docs/reference/box-protocol.md; `clause P-7` in a comment says which clause a test covers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Failure, Verdict
from runner.protocol import (
    Evidence,
    Judgement,
    JunitSummary,
    ReportSummary,
    TapReader,
    TapSummary,
    find_failure,
    find_location,
    judge,
    locate,
    read_junit,
    read_report,
)

ROOT = Path(__file__).parents[2]


def tap(text: str | bytes) -> TapSummary:
    reader = TapReader()
    reader.feed(text.encode() if isinstance(text, str) else text)
    return reader.close()


def report(*lines: object) -> ReportSummary:
    return read_report("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode())


def assertion(name: str, ok: bool = True, **fields: object) -> dict[str, object]:
    return {"type": "assertion", "id": name, "ok": ok, **fields}


def junit(inside: str) -> JunitSummary:
    return read_junit(f"<testsuites><testsuite>{inside}</testsuite></testsuites>".encode())


CASE = '<testcase classname="t" name="a"/>'
RED_CASE = '<testcase classname="t" name="b"><failure message="no"/></testcase>'
SKIPPED_CASE = '<testcase classname="t" name="c"><skipped/></testcase>'


def said(judgement: Judgement) -> str:
    return f"{judgement.outcome.value}: {judgement.reason}" if judgement.reason else judgement.outcome.value


@pytest.mark.parametrize(
    ("code", "kind", "outcome"),
    [
        pytest.param(0, "file", "passed", id="P-1-zero"),  # clause P-1
        pytest.param(77, "file", "skipped: exit 77: the box skipped itself", id="P-2-77"),  # clause P-2
        pytest.param(99, "file", "errored: exit 99: the box could not do its work", id="P-3-99"),  # clause P-3
        pytest.param(126, "file", "errored: exit 126: a command could not be executed", id="P-3-126"),
        pytest.param(127, "command", "errored: exit 127: a command was not found", id="P-3-127"),
        pytest.param(-11, "file", "errored: killed by SIGSEGV", id="P-4-segv"),  # clause P-4
        pytest.param(-9, "pytest", "errored: killed by SIGKILL", id="P-4-kill"),
        pytest.param(-40, "file", "errored: killed by signal 40", id="P-4-real-time-signal"),
        pytest.param(2, "pytest", "errored: exit 2: pytest was interrupted", id="P-5-pytest-2"),  # clause P-5
        pytest.param(3, "pytest", "errored: exit 3: pytest had an internal error", id="P-5-pytest-3"),
        pytest.param(4, "pytest", "errored: exit 4: pytest was used wrongly", id="P-5-pytest-4"),
        pytest.param(5, "pytest", "vacuous: exit 5: pytest found no test", id="P-6-pytest-5"),  # clause P-6
        pytest.param(1, "pytest", "failed: exit 1", id="P-7-pytest-1"),  # clause P-7
        *[
            pytest.param(code, "file", f"failed: exit {code}", id=f"P-7-{code}")
            for code in (1, 2, 3, 4, 5, 128, 139, 255)
        ],
    ],
)
def test_an_exit_code_alone(code: int, kind: str, outcome: str) -> None:
    assert said(judge(Evidence(exit_code=code, kind=kind))) == outcome


def test_pytest_that_found_nothing_is_vacuous_whatever_else_printed_a_skip() -> None:
    summary = TapSummary(declared=True, plan=0, plans=1, skip_all="no docker")
    judgement = judge(Evidence(exit_code=5, kind="pytest", tap=summary))
    assert judgement.outcome is Verdict.VACUOUS


@pytest.mark.parametrize("code", [0, 1, 77, -15, -9, 143])
@pytest.mark.parametrize(
    ("why", "outcome"),
    [
        pytest.param("timeout", "timed_out: ran out of time", id="timeout"),
        pytest.param("cancel", "cancelled: the run was cancelled", id="cancel"),
    ],
)
def test_a_box_that_the_runner_signalled_never_passes(code: int, why: str, outcome: str) -> None:  # clause P-10
    evidence = Evidence(exit_code=code, signalled_by_runner=why, tap=tap("1..1\nok 1\n"), report=report(assertion("a")))
    assert said(judge(evidence)) == outcome


@pytest.mark.parametrize(
    ("stream", "outcome"),
    [
        pytest.param("", "passed", id="P-13-nothing-at-all"),  # clause P-13
        pytest.param("hello\n", "passed", id="P-13-output-that-is-no-tap"),
        pytest.param("1..2\nok 1 - a\nok 2 - b\n", "passed", id="P-22-plan-first"),  # clause P-22
        pytest.param("ok 1 - a\nok 2 - b\n1..2\n", "passed", id="P-22-plan-last"),
        pytest.param("TAP version 14\nok a\n1..1", "passed", id="P-22-version-and-no-newline-at-the-end"),
        pytest.param("1..1\r\nok 1\r\n", "passed", id="carriage-returns"),
        pytest.param("not ok 3 - adds\n", "failed: 1 assertion failed: adds", id="P-21-undeclared"),  # clause P-21
        pytest.param("not ok\n", "failed: 1 assertion failed", id="P-21-bare"),
        pytest.param("1..2\nok 1\nnot ok 2 - b\n", "failed: 1 assertion failed: b", id="P-21-declared"),
        pytest.param("    not ok 1 - inner\n", "passed", id="P-20-indented"),  # clause P-20
        pytest.param("not okay\nnot ok: x\n", "passed", id="P-24-not-tap"),  # clause P-24
        pytest.param("1..5 apples\n1..5.\n", "passed", id="P-24-not-a-plan"),
        pytest.param("not ok " + "x" * 9000, "passed", id="P-24-too-long"),
        pytest.param("1..2\nok 1\nnot ok 2 - b # TODO later\n", "passed", id="P-23-todo"),  # clause P-23
        pytest.param("1..2\nok 1\nnot ok 2 # skip: no db\n", "passed", id="P-23-skip"),
        pytest.param(
            "not ok 1 - issue #todoist\n", "failed: 1 assertion failed: issue #todoist", id="P-23-no-directive"
        ),
        pytest.param(
            "1..3\nok 1\nok 2\n", "failed: ended early: 3 tests planned, 2 seen", id="P-25-early"
        ),  # clause P-25
        pytest.param("1..1\nok 1\nok 2\n", "failed: 1 test planned, 2 seen", id="P-25-too-many"),
        pytest.param("1..2\n", "failed: ended early: 2 tests planned, 0 seen", id="P-25-none"),
        pytest.param(
            "TAP version 13\nok 1\n", "failed: ended before its TAP plan, after 1 test", id="P-26"
        ),  # clause P-26
        pytest.param("1..1\nok 1\n1..1\n", "failed: 2 TAP plans in one stream", id="P-26-two"),
        pytest.param("1..1\nok 1\nBail out! no disk\n", "failed: bailed out: no disk", id="P-27"),  # clause P-27
        pytest.param("Bail out!\n", "failed: bailed out", id="P-27-undeclared"),
        pytest.param("1..0\n", "vacuous: an empty TAP plan and no reason", id="P-28"),  # clause P-28
        pytest.param("1..0 # nothing here\n", "vacuous: an empty TAP plan and no reason", id="P-28-comment"),
        pytest.param("1..0 # SKIP no browser\n", "skipped: no browser", id="P-29"),  # clause P-29
        pytest.param("1..0 # Skipped: no browser\n", "skipped: no browser", id="P-29-version-12"),
        pytest.param("1..0 # skip\n", "skipped: the box skipped itself", id="P-29-no-reason"),
        pytest.param("1..0 # SKIP x\nok 1\n", "failed: 0 tests planned, 1 seen", id="P-25-not-so-skipped"),
        pytest.param(
            "1..1\nok 1 # SKIP no db\n", "vacuous: no test was executed (1 skipped)", id="P-43"
        ),  # clause P-43
    ],
)
def test_a_tap_stream_with_exit_0(stream: str, outcome: str) -> None:
    assert said(judge(Evidence(exit_code=0, tap=tap(stream)))) == outcome


def test_ok_lines_of_another_tool_are_no_assertions() -> None:  # clause P-22
    undeclared = "ok  \tgithub.com/x/y\t0.012s\nok all good\n"
    assert tap(undeclared).asserts == 0
    assert tap("1..2\n" + undeclared).asserts == 2


def test_a_red_point_keeps_its_diagnostics() -> None:  # clause P-21
    stream = "1..2\nnot ok 1 - adds\n# got 3\n  ---\n  at: calc.py:3\n  ...\nok 2\n# later\n"
    assert tap(stream).failures == (Failure(id="adds", message="got 3\n---\nat: calc.py:3\n..."),)


def test_todo_and_skip_points_are_not_executed_assertions() -> None:  # clause P-23
    summary = tap("1..4\nok 1\nok 2 # TODO\nok 3 # SKIP\nnot ok 4 # TODO\n")
    assert (summary.points, summary.asserts, summary.red, summary.skipped, summary.todo) == (4, 1, 0, 1, 2)


lines = st.sampled_from([
    b"ok 1 - a", b"not ok 2 - b", b"# why", b"  at: x", b"1..3", b"1..0 # SKIP x", b"TAP version 14", b"Bail out! y",
    b"ok 3 # TODO", b"x" * 9000, b"not ok " + b"y" * 8185, b"not ok " + b"y" * 8186, b"\xff\xfe", b"", b"plain",
])  # fmt: skip


@given(st.lists(lines, max_size=8), st.lists(st.integers(1, 9000), max_size=12), st.booleans())
def test_a_stream_means_the_same_in_whatever_pieces_it_comes(said: list[bytes], cuts: list[int], ended: bool) -> None:
    stream = b"\n".join(said) + (b"\n" if ended else b"")
    reader = TapReader()
    rest = stream
    for cut in cuts:
        reader.feed(rest[:cut])
        rest = rest[cut:]
    reader.feed(rest)
    assert reader.close() == tap(stream)


@given(st.binary(max_size=300))
def test_no_stream_makes_the_reader_raise(stream: bytes) -> None:
    judge(Evidence(exit_code=0, tap=tap(stream)))


def test_the_rest_of_a_long_line_is_no_line_of_its_own() -> None:  # clause P-24
    reader = TapReader()
    for piece in (b"x" * 9000, b"not ok inside\n", b"not ok outside\n"):
        reader.feed(piece)
    assert [failure.id for failure in reader.close().failures] == ["outside"]


def test_the_reader_holds_neither_long_lines_nor_all_failures() -> None:  # clause P-52
    reader = TapReader()
    for _ in range(64):
        reader.feed(b"not ok no newline " * 1000)
    assert len(reader._carry) <= 8 * 1024
    reader.feed(b"\n" + b"not ok many\n# a reason\n" * 1000)
    summary = reader.close()
    assert (summary.red, len(summary.failures)) == (1000, 200)


@pytest.mark.parametrize(
    ("line", "malformed"),
    [
        pytest.param(assertion("a", message="m", file="f", line=3), "", id="P-30"),  # clause P-30
        pytest.param(assertion("a", extra=1, message=None, line=None), "", id="P-32-unknown-keys-and-nulls"),
        pytest.param("", "", id="P-32-empty-line"),
        pytest.param(
            {"type": "metric", "name": "p95", "value": 1.5, "unit": "ms"}, "", id="P-31-metric"
        ),  # clause P-31
        pytest.param({"type": "attachment", "path": "a.png", "title": "t"}, "", id="P-31-attachment"),
        pytest.param("ok", "not JSON", id="P-32-text"),  # clause P-32
        pytest.param('{"type":"assertion"', "not JSON", id="P-32-cut-off"),
        pytest.param("[" * 100_000, "not JSON", id="P-32-deep"),
        pytest.param("9" * 5000, "not JSON", id="P-32-a-long-number"),
        pytest.param("[]", "not an object", id="P-32-list"),
        pytest.param({"type": "asertion", "id": "a", "ok": False}, "`type` must be", id="P-32-misspelt-type"),
        pytest.param({"type": "assertion", "id": "a"}, "`ok` must be", id="P-30-no-ok"),
        pytest.param({"type": "assertion", "id": "a", "ok": 1}, "`ok` must be", id="P-30-ok-1"),
        pytest.param({"type": "assertion", "ok": True}, "`id` must be", id="P-30-no-id"),
        pytest.param(assertion("", True), "`id` must be", id="P-30-empty-id"),
        pytest.param(assertion("a", message=3), "`message` must be", id="P-30-message-3"),
        pytest.param(assertion("a", line="3"), "`line` must be", id="P-30-line-text"),
        pytest.param(assertion("a", line=True), "`line` must be", id="P-30-line-true"),
        pytest.param(assertion("a", line=-1), "`line` must be", id="P-30-line-negative"),
        pytest.param({"type": "metric", "name": "x", "value": "1"}, "`value` must be", id="P-31-text-value"),
        pytest.param({"type": "metric", "name": "x", "value": True}, "`value` must be", id="P-31-true-value"),
        pytest.param('{"type":"metric","name":"x","value":NaN}', "not JSON", id="P-32-nan"),
        pytest.param('{"type":"metric","name":"x","value":1e999}', "`value` must be", id="P-31-infinite"),
        pytest.param({"type": "attachment", "path": ""}, "`path` must be", id="P-31-no-path"),
    ],
)
def test_a_line_of_the_report(line: object, malformed: str) -> None:
    summary = report(assertion("before"), line)
    assert summary.malformed.startswith(f"report line 2: {malformed}" if malformed else "")
    assert bool(summary.malformed) == bool(malformed)
    outcome = judge(Evidence(exit_code=0, report=summary)).outcome
    assert outcome == ("errored" if malformed else "passed")


def test_a_report_that_is_not_utf_8_is_malformed() -> None:  # clause P-32
    assert read_report(b'{"type":"assertion","id":"\xff","ok":true}\n').malformed == "report line 1: not JSON"


def test_a_last_line_without_newline_counts() -> None:  # clause P-33
    assert read_report(json.dumps(assertion("a", ok=False)).encode()).red == 1


def test_a_report_s_values_reach_the_judgement() -> None:  # clause P-31
    summary = report(
        assertion("a"),
        assertion("b", ok=False, message="got 3", file="calc.py", line=7),
        {"type": "metric", "name": "p95", "value": 2, "unit": "ms"},
        {"type": "attachment", "path": "shot.png", "title": "page"},
    )
    judgement = judge(Evidence(exit_code=1, report=summary))
    assert said(judgement) == "failed: 1 assertion failed: b"
    assert judgement.asserts == 2
    assert judgement.failures == (Failure(id="b", message="got 3", file="calc.py", line=7),)
    assert [(metric.name, metric.value, metric.unit) for metric in judgement.metrics] == [("p95", 2.0, "ms")]
    assert [(item.path, item.title) for item in judgement.attachments] == [("shot.png", "page")]


def test_what_a_box_wrote_is_cut_and_cleaned() -> None:  # clause P-52
    summary = report(*[assertion("i" * 999, ok=False, message="\x1b[31m\ud800" + "m" * 9999)] * 300)
    assert (summary.red, len(summary.failures)) == (300, 200)
    assert len(summary.failures[0].id) == 300
    assert summary.failures[0].message.startswith("\ufffd[31m\ufffdmm")
    assert len(summary.failures[0].message) == 4096


@pytest.mark.parametrize(
    ("inside", "outcome"),
    [
        pytest.param(CASE, "passed", id="green"),
        pytest.param(CASE + RED_CASE, "failed: 1 assertion failed: t.b", id="P-34-failure"),  # clause P-34
        pytest.param(
            CASE + '<testcase name="b"><error>boom</error></testcase>', "failed: 1 assertion failed: b", id="P-34-error"
        ),
        pytest.param(
            '<testcase name="b"><skipped/><failure/></testcase>', "failed: 1 assertion failed: b", id="P-34-both"
        ),
        pytest.param(CASE + SKIPPED_CASE, "passed", id="one-skipped"),
        pytest.param(SKIPPED_CASE, "vacuous: no test was executed (1 skipped)", id="P-43-all-skipped"),
        pytest.param("", "vacuous: no test was executed (0 skipped)", id="P-43-no-test"),
        pytest.param(
            f'<testsuite failures="1" errors="1">{RED_CASE}</testsuite>',
            "failed: 2 assertions failed: t.b, the file's own count is 2 red, 1 of them are in it",
            id="P-34-only-the-count-says-so",
        ),
        pytest.param(
            "<testcase", "errored: JUnit file: not well-formed (invalid token), line 1", id="P-35"
        ),  # clause P-35
    ],
)
def test_a_junit_file_with_exit_0(inside: str, outcome: str) -> None:
    assert said(judge(Evidence(exit_code=0, junit=junit(inside)))) == outcome


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param("", "no element found", id="empty"),
        pytest.param("<html/>", "the root is `html`", id="another-root"),
        pytest.param("<!DOCTYPE testsuite><testsuite/>", "a document type is not allowed", id="doctype"),
        pytest.param(
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>',
            "a document type is not allowed",
            id="entities",
        ),
        pytest.param(
            '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>', "a document type is not allowed", id="external"
        ),
        pytest.param('<?xml version="1.0" encoding="klingon"?><testsuite/>', "unknown encoding", id="encoding"),
        pytest.param("<testsuite>&nbsp;</testsuite>", "undefined entity", id="undefined-entity"),
    ],
)
def test_a_junit_file_that_cannot_be_trusted_is_malformed(document: str, why: str) -> None:  # clause P-35
    summary = read_junit(document.encode())
    assert why in summary.malformed
    assert judge(Evidence(exit_code=0, junit=summary)).outcome == "errored"


def test_a_junit_failure_keeps_its_message_and_place() -> None:  # clause P-34
    case = '<testcase classname="t" name="b" file="t.py" line="7"><failure message="">no\nway</failure></testcase>'
    assert junit(case).failures == (Failure(id="t.b", message="no\nway", file="t.py", line=7),)


@given(st.binary(max_size=200) | st.text(alphabet='<>/testsuicafre "=&;!', max_size=80).map(str.encode))
def test_no_bytes_make_the_readers_raise(data: bytes) -> None:
    judge(Evidence(exit_code=0, report=read_report(data), junit=read_junit(data)))


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        pytest.param(
            Evidence(exit_code=77, report=report(assertion("a", ok=False))),
            "failed: 1 assertion failed: a",
            id="P-11-a-skip-with-a-red-assertion",  # clause P-11
        ),
        pytest.param(
            Evidence(exit_code=5, kind="pytest", tap=tap("not ok x\n")),
            "failed: 1 assertion failed: x",
            id="P-11-vacuous-with-a-red-assertion",
        ),
        pytest.param(
            Evidence(exit_code=1, tap=tap("1..1\nok 1\n"), report=report(assertion("a"))),
            "failed: exit 1",
            id="P-12-green-evidence-does-not-save-exit-1",  # clause P-12
        ),
        pytest.param(
            Evidence(exit_code=127, report=report(assertion("a", ok=False))),
            "errored: exit 127: a command was not found",
            id="P-50-errored-before-failed",  # clause P-50
        ),
        pytest.param(
            Evidence(exit_code=1, report=report(assertion("a", ok=False), "{")),
            "errored: report line 2: not JSON",
            id="P-50-malformed-before-failed",
        ),
        pytest.param(
            Evidence(exit_code=1, tap=tap("1..3\nok 1\n")),
            "failed: exit 1",
            id="P-50-the-exit-code-before-the-plan",
        ),
        pytest.param(
            Evidence(exit_code=77, tap=tap("1..0 # SKIP no browser\n")),
            "skipped: no browser",
            id="P-2-the-reason-of-a-skip",  # clause P-2
        ),
        pytest.param(
            Evidence(exit_code=0, min_asserts=3, report=report(assertion("a"), assertion("b"))),
            "vacuous: 2 of at least 3 assertions were executed",
            id="P-40-too-few",  # clause P-40
        ),
        pytest.param(
            Evidence(exit_code=0, min_asserts=2, report=report(assertion("a"), assertion("b"))),
            "passed",
            id="P-40-enough",
        ),
        pytest.param(
            Evidence(exit_code=0, min_asserts=1), "vacuous: 0 of at least 1 assertions were executed", id="P-40-none"
        ),
        pytest.param(
            Evidence(exit_code=0, min_asserts=2, tap=tap("1..1\nok 1\n"), junit=junit(CASE)),
            "vacuous: 1 of at least 2 assertions were executed",
            id="P-41-the-same-test-twice-is-one",  # clause P-41
        ),
        pytest.param(
            Evidence(exit_code=0, kind="pytest"),
            "vacuous: no test was executed",
            id="P-42-pytest-all-skipped",  # clause P-42
        ),
        pytest.param(
            Evidence(exit_code=0, kind="pytest", report=report(assertion("a"))), "passed", id="P-42-pytest-one"
        ),
    ],
)
def test_the_first_rule_that_applies_wins(evidence: Evidence, outcome: str) -> None:
    assert said(judge(evidence)) == outcome


def test_a_failure_that_two_sources_report_is_listed_once() -> None:
    evidence = Evidence(
        exit_code=1,
        report=report(assertion("t.b", ok=False, file="a.py", line=1)),
        junit=junit(RED_CASE),
        tap=tap("not ok c\n"),
    )
    assert [failure.id for failure in judge(evidence).failures] == ["t.b", "c"]


GREENNESS = {"passed": 3, "skipped": 2, "vacuous": 1, "failed": 0, "errored": 0, "timed_out": 0, "cancelled": 0}
streams = st.lists(
    st.sampled_from(
        ["ok 1", "ok # SKIP", "not ok 2", "1..1", "1..2", "1..0", "1..0 # SKIP x", "TAP version 14", "Bail out!"]
    ),
    max_size=5,
)
reports = st.lists(st.sampled_from([assertion("a"), assertion("b", ok=False), "{"]), max_size=3)
junits = st.none() | st.lists(st.sampled_from([CASE, RED_CASE, SKIPPED_CASE, "<"]), max_size=3).map("".join)
codes = st.sampled_from([0, 1, 2, 5, 77, 99, 127, -9])
kinds = st.sampled_from(["file", "pytest", "command"])
signals = st.sampled_from(["", "timeout", "cancel"])


@given(
    code=codes,
    kind=kinds,
    signalled=signals,
    min_asserts=st.integers(0, 3),
    stream=streams,
    lines_=reports,
    xml=junits,
    where=st.sampled_from(["tap", "report", "junit"]),
)
def test_a_red_assertion_more_never_makes_an_outcome_greener(  # clause P-11
    *,
    code: int,
    kind: str,
    signalled: str,
    min_asserts: int,
    stream: list[str],
    lines_: list[object],
    xml: str | None,
    where: str,
) -> None:
    def outcome(stream: list[str], lines_: list[object], xml: str | None) -> str:
        evidence = Evidence(
            exit_code=code,
            kind=kind,
            signalled_by_runner=signalled,
            min_asserts=min_asserts,
            tap=tap("\n".join(stream)),
            report=report(*lines_),
            junit=None if xml is None else junit(xml),
        )
        return judge(evidence).outcome.value

    before = outcome(stream, lines_, xml)
    match where:
        case "tap":
            after = outcome([*stream, "not ok extra"], lines_, xml)
        case "report":
            after = outcome(stream, [*lines_, assertion("extra", ok=False)], xml)
        case _:
            after = outcome(stream, lines_, RED_CASE + (xml or ""))
    assert GREENNESS[after] <= GREENNESS[before]
    assert after not in {"passed", "skipped", "vacuous"}
    # Evidence never raises what the exit code alone says, and the runner's signal is final.
    assert GREENNESS[before] <= GREENNESS[judge(Evidence(exit_code=code, kind="file")).outcome] or (code, kind) == (
        5,
        "pytest",
    )
    assert not signalled or before in {"timed_out", "cancelled"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("calc.py:3 expected 4", ("calc.py", 3), id="at-the-start"),
        pytest.param("AssertionError (./src/a.py:12)", ("src/a.py", 12), id="in-parentheses-with-dot"),
        pytest.param('  File "calc.py", line 8, in test', ("calc.py", 8), id="python"),
        pytest.param("gone.py:1 then calc.py:2:5 error", ("calc.py", 2), id="the-first-that-exists"),
        pytest.param("at http://host:80/x", ("", 0), id="a-web-address"),
        pytest.param("12:30:00 nothing", ("", 0), id="a-time"),
        pytest.param("xcalc.py:3", ("", 0), id="the-end-of-another-word"),
    ],
)
def test_a_failing_message_names_its_place(text: str, place: tuple[str, int]) -> None:  # clause P-51
    assert find_location(text, {"calc.py", "src/a.py"}.__contains__) == place


def test_a_place_that_is_known_is_kept_and_a_missing_one_is_found() -> None:  # clause P-51
    known = Failure(id="a", message="calc.py:9", file="b.py", line=1)
    assert locate([known, Failure(id="b", message="see calc.py:9")], {"calc.py"}.__contains__) == (
        known,
        Failure(id="b", message="see calc.py:9", file="calc.py", line=9),
    )


def test_every_clause_is_cited_by_a_test_and_every_cited_clause_exists() -> None:
    page = (ROOT / "docs/reference/box-protocol.md").read_text(encoding="utf-8")
    clauses = set(re.findall(r"^- \*\*(P-\d+)\*\*", page, re.MULTILINE))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/runner").rglob("test_*.py"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "runner").rglob("*.py"))
    assert set(re.findall(r"# clause (P-\d+)", tests)) == clauses
    assert set(re.findall(r"\bP-\d+", code)) <= clauses


TRACEBACK = """Traceback (most recent call last):
  File "boxes/tier-1/1_sum.py", line 9, in <module>
    check()
  File "/usr/lib/python3/json.py", line 3, in loads
    raise
  File "src/sum.py", line 4, in add
    assert total == 4, total
           ^^^^^^^^^^
AssertionError: 5
1 box failed
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sum:1: expected 4, got 5", Failure(message="expected 4, got 5", file="sum", line=1), id="words"),
        pytest.param("x\n./sum:1:7: no\nlater", Failure(message="no", file="sum", line=1), id="column"),
        pytest.param("at sum:2 - no", Failure(message="no", file="sum", line=2), id="dash"),
        pytest.param("sum:3", Failure(message="", file="sum", line=3), id="place-only"),
        pytest.param("nowhere:1: no\nsum:2: yes", Failure(message="yes", file="sum", line=2), id="first-that-exists"),
        pytest.param(TRACEBACK, Failure(message="AssertionError: 5", file="src/sum.py", line=4), id="traceback"),
        pytest.param("nothing here", None, id="nothing"),
    ],
)
def test_a_box_that_only_exits_red_is_quoted_with_the_place_it_names(text: str, expected: Failure | None) -> None:
    there = {"sum", "src/sum.py", "boxes/tier-1/1_sum.py"}
    assert find_failure(text, there.__contains__) == expected


@given(st.text())
def test_no_output_can_make_the_search_for_a_failure_raise(text: str) -> None:
    find_failure(text, bool)
    find_failure(f'File "{text}", line 3\n{text}', bool)
