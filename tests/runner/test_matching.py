from __future__ import annotations

import signal
import time

import pytest

from runner.matching import TooLong, is_found
from runner.model import Attempt, Box, BoxId, Control, Expect, Verdict
from runner.proof import Answer, judge

ENDLESS = "^(a+)+$"


def test_it_finds_by_lines() -> None:
    assert is_found("^b$", "a\nb\n")
    assert not is_found("^ab$", "a\nb\n")


def test_what_takes_for_ever_is_given_up_and_nothing_is_left_of_the_alarm() -> None:
    before = signal.getsignal(signal.SIGALRM)
    began = time.monotonic()
    with pytest.raises(TooLong):
        is_found(ENDLESS, "a" * 80 + "b", seconds=0.1)
    assert time.monotonic() - began < 10
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_pattern_that_takes_for_ever_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.matching.is_found.__kwdefaults__", {"seconds": 0.1})
    control = Control(kind="env", spec={"X": "1"}, expect=Expect(output=ENDLESS), where="a.sh:1")
    box = Box(id=BoxId("", 1), tier=1, title="a", kind="command", source="a.sh", control=control)
    red = Attempt(outcome=Verdict.FAILED, output="a" * 80 + "b")
    proof = judge(box, Attempt(outcome=Verdict.PASSED), red)
    assert proof.answer is Answer.UNPROVEN
    assert "takes too long" in proof.reason
