"""What the API says of a box: red is not green, whoever excuses it is named, and a flood is cut."""

from __future__ import annotations

from bot.domain.progress import Excused, Progress
from bot.domain.repro import Repro
from bot.web.run_json import box_json
from runner.events import Event
from runner.model import BoxId, Failure, Verdict
from tests.bot.domain.story import finished, run_finished, run_started


def test_each_box_is_told_as_it_stands() -> None:
    flood = tuple(Failure(id=str(n)) for n in range(300))
    events: list[Event] = [
        run_started(7, 12, 21, 22, 30),
        finished(7),
        finished(12, Verdict.FAILED, failures=flood),
        finished(21, Verdict.FAILED, gating=False),
        finished(30, Verdict.FAILED),
        run_finished(green=False),
    ]
    state = Progress.of(events, excused={BoxId("", 30): Excused("mona", "the mirror is down")})
    told = {box.box.number: box_json(box, verdicts=1, repro=Repro()) for box in state.boxes}
    said = {number: (one["verdict"], one["green"], one["gating"]) for number, one in told.items()}
    assert said == {
        7: ("passed", True, True),
        12: ("failed", False, True),
        21: ("failed", True, False),
        22: (None, False, True),
        30: ("failed", True, True),
    }
    assert told[30]["excused"] == {"by": "mona", "because": "the mirror is down"}
    failures = told[12]["failures"]
    assert isinstance(failures, list)
    assert [failure["id"] for failure in failures] == [str(n) for n in range(100)]
