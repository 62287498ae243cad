from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.events import TierFinished
from runner.model import Verdict
from runner.report.plain import Plain
from runner.report.text import ASCII, UNICODE, box_line, clean, duration, explanation, one_line, symbols_for
from tests.runner.stories import finished, red_run


def report(events: list[object], encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    plain = Plain(out)
    for event in events:
        plain(event)  # type: ignore[arg-type]
    plain.close()
    out.flush()
    return raw.getvalue().decode(encoding)


def test_a_red_run_reads_well_in_a_log() -> None:
    assert report([*red_run()]) == snapshot("""\
sandbox: off · 4 boxes in 2 tiers · 2 at a time
✓ 1 Lint  0.04s
· 7 Locks after five failures  still running after 2.00s
✗ 7 Locks after five failures  failed  3.10s
    2 of 3 assertions did not hold
    tests/login.py:12  locked-after-5: got 200
    unlocks-again: never
    │ (3 earlier lines)
    │ line 21
    │ line 22
    │ line 23
    │ line 24
    │ line 25
    │ line 26
    │ line 27
    │ line 28
    │ line 29
    │ line 30
    │ line 31
    │ line 32
    │ line 33
    │ line 34
    │ line 35
    │ line 36
    │ line 37
    │ line 38
    │ line 39
    │ HTTP 200
    left running, now ended: sleep 1000
≈ 8 Retries  flaky, passed on attempt 2  0.31s
tier 1 is red  3.20s
○ 20 Login page  blocked by 7
! no history yet

4 boxes: 1 passed, 1 flaky, 1 failed, 1 blocked by 7 · 3.2 s
runner run 7
""")


def test_a_stream_without_unicode_gets_ascii() -> None:
    text = report([*red_run(), finished(9, title="Größe")], "ascii")
    assert "x 7 Locks after five failures" in text
    assert r"9 Gr\xf6\xdfe" in text


def test_a_run_that_broke_off_names_the_boxes_without_a_verdict() -> None:
    events = [event for event in red_run() if type(event).__name__ != "RunFinished"][:5]
    assert report([*events]).splitlines()[-3:] == snapshot(
        ["the run did not finish", "", "4 boxes: 1 passed, 3 without a verdict · 1.0 s"]
    )


def test_a_tier_that_was_not_reached_is_not_called_red() -> None:
    blocked = finished(20, tier=2, verdict=Verdict.BLOCKED, green=False, blocked_by="7")
    text = report([*red_run()[:1], blocked, TierFinished(tier=2, green=False, seconds=0.0, at=0.0)])
    assert "tier 2 did not run\n" in text


def test_a_box_that_did_not_run_to_its_end_has_one_line() -> None:
    red = {"green": False, "reason": "interrupted", "output": "half a sentence"}
    for verdict, word in ((Verdict.CANCELLED, "cancelled  0.31s"), (Verdict.BLOCKED, "blocked")):
        lines = report([*red_run()[:1], finished(21, verdict=verdict, **red)]).splitlines()
        assert lines[1:3] == [f"○ 21 Box 21  {word}", "the run did not finish"]


def test_closing_after_the_end_says_nothing_more() -> None:
    assert report([*red_run()]).count("4 boxes:") == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({}, "✓ 21 Box 21  0.31s", id="passed"),
        pytest.param({"verdict": Verdict.CACHED}, "✓ 21 Box 21  cached", id="cached"),
        pytest.param({"verdict": Verdict.FAILED, "green": False}, "✗ 21 Box 21  failed  0.31s", id="failed"),
        pytest.param(
            {"verdict": Verdict.TIMED_OUT, "green": False, "seconds": 60.0},
            "✗ 21 Box 21  timed out  1m00s",
            id="timed-out",
        ),
        pytest.param(
            {"verdict": Verdict.SKIPPED, "green": False}, "✗ 21 Box 21  skipped  0.31s", id="a-skip-not-allowed-is-red"
        ),
        pytest.param(
            {"verdict": Verdict.SKIPPED, "reason": "no docker"}, "○ 21 Box 21  skipped: no docker  0.31s", id="may-skip"
        ),
        pytest.param(
            {"verdict": Verdict.FLAKY, "green": False, "attempts": 2},
            "✗ 21 Box 21  flaky, passed on attempt 2  0.31s",
            id="flaky-that-fails",
        ),
        pytest.param(
            {"verdict": Verdict.FAILED, "green": False, "gating": False},
            "✗ 21 Box 21  failed, quarantined  0.31s",
            id="quarantined",
        ),
        pytest.param(
            {"verdict": Verdict.BLOCKED, "green": False, "blocked_by": "7"}, "○ 21 Box 21  blocked by 7", id="blocked"
        ),
    ],
)
def test_each_verdict_has_its_line(changes: dict[str, object], line: str) -> None:
    assert box_line(finished(21, **changes), UNICODE) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00s"), (9.99, "9.99s"), (9.996, "10.0s"), (59.96, "1m00s"), (125, "2m05s"), (3725, "1h02m")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("\x1b[2K\x1b[1;31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\", "link", id="hyperlink"),
        pytest.param("\x9b31mred", "red", id="8-bit-csi"),
        pytest.param("10%\r100%\r\nend", "10%\n100%\nend", id="progress-bar"),
        pytest.param("a\u202eb\u2066c", "abc", id="text-direction"),
        pytest.param("a\x00\x07\x08b", "ab", id="bell-and-nul"),
        pytest.param("\ud800", "\ufffd", id="lone-surrogate"),
    ],
)
def test_control_characters_do_not_reach_a_report(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_cleaned_text_has_no_control_character_and_stays_clean(text: str) -> None:
    cleaned = clean(text)
    assert not [c for c in cleaned if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]
    assert clean(cleaned) == cleaned
    cleaned.encode()


@given(st.text(), st.text(), st.text())
def test_no_box_can_write_a_second_line(title: str, reason: str, output: str) -> None:
    event = finished(21, title=title, verdict=Verdict.FAILED, green=False, reason=reason, output=output)
    lines = [box_line(event, UNICODE), *explanation(event, UNICODE)]
    assert all(len((line + "|").splitlines()) == 1 for line in lines)


def test_long_titles_are_cut() -> None:
    assert len(one_line("x" * 10_000)) == 300


def test_symbols_follow_the_encoding() -> None:
    assert [symbols_for(e) for e in ("utf-8", "ascii", "latin-1", None)] == [UNICODE, ASCII, ASCII, ASCII]


def test_the_plain_report_imports_the_standard_library_only_and_little_of_it() -> None:
    script = "import sys, runner.report.plain, runner.report.junit; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": "."}
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"rich", "typing", "dataclasses", "argparse", "logging", "subprocess", "pathlib", "contextlib"}
