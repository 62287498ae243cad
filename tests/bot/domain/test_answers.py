from __future__ import annotations

from inline_snapshot import snapshot

from bot.domain import answers
from bot.domain.answers import Gate, RunFacts
from bot.domain.progress import Excused, Progress
from bot.domain.report import RunState
from bot.domain.scrutiny import NOTHING_KNOWN, Proof, Proofs, Scrutiny
from runner.events import Event, RunFinished
from runner.model import BoxId, Failure, Verdict
from tests.bot.domain.story import finished, run_started

HEAD = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
WRONG = Failure(id="adds", message="expected 4, got 0", file="calc.py", line=3)
EVENTS: list[Event] = [
    run_started(7, 12, 21),
    finished(7),
    finished(12, Verdict.FAILED, reason="exit 1", failures=(WRONG,)),
    finished(21, Verdict.BLOCKED, blocked_by="12"),
    RunFinished(exit_code=1, green=False, seconds=1.0, counts={}, at=1003.0),
]
RED = Progress.of(EVENTS)
ANSWERED_FOR = Progress.of(EVENTS, excused={BoxId("", 12): Excused("mona", "calc is being *replaced*")})
RUN = RunFacts(number=3, url="http://bot/runs/3", shown=RunState.FINISHED)


def test_the_state_of_a_head_is_a_table() -> None:
    said = answers.status(RUN, RED, head_sha=HEAD, waiting=[4], hold="frozen: holidays (by @hub)")
    assert said == snapshot("""\
| `4b825dc` | |
|--|--|
| [run 3](http://bot/runs/3) | tier 1 is red, tier 2 did not run |
| tier 1 | 1 passed, 1 failed |
| tier 2 | 1 blocked |
| run 4 | waits for it |
| held | frozen: holidays (by @\u200dhub) |\
""")


def test_a_head_that_nobody_ran_says_so() -> None:
    assert answers.status(None, Progress(), head_sha=HEAD, waiting=[]) == "Nothing has run for `4b825dc` yet."


def test_why_names_every_gate_and_who_opens_it() -> None:
    gates = answers.verdict_gates(RED, NOTHING_KNOWN, RunState.FINISHED)
    assert answers.held(gates, head_sha=HEAD, progress=RED, scrutiny=NOTHING_KNOWN) == snapshot("""\
| what holds `4b825dc` | who can change it |
|--|--|
| box 12 Adds failed: `calc.py:3` expected 4, got 0 | whoever pushes a fix; someone with write permission: `/boxes rerun`, or `/boxes skip 12 because "…"` |
| 1 box did not run, held back by box `12` | once that is mended, someone with write permission: `/boxes rerun` |\
""")  # noqa: E501 - prose has no line ends.


def test_an_excused_box_is_no_gate_and_what_it_held_back_still_is() -> None:
    gates = answers.verdict_gates(ANSWERED_FOR, NOTHING_KNOWN, RunState.FINISHED)
    said = answers.held(gates, head_sha=HEAD, progress=ANSWERED_FOR, scrutiny=NOTHING_KNOWN)
    assert said == snapshot("""\
| what holds `4b825dc` | who can change it |
|--|--|
| 1 box did not run, held back by box `12` | once that is mended, someone with write permission: `/boxes rerun` |

- 12 Adds failed, excused by @\u200dmona: calc is being \\*replaced\\*\
""")


def test_nothing_holds_what_is_green() -> None:
    green = Progress.of([run_started(7), finished(7), RunFinished(exit_code=0, green=True, seconds=1, counts={}, at=9)])
    assert answers.verdict_gates(green, NOTHING_KNOWN, RunState.FINISHED) == ()
    said = answers.held((), head_sha=HEAD, progress=green, scrutiny=NOTHING_KNOWN)
    assert said == "Nothing holds `4b825dc`: `Interlock` is green."


def test_a_missing_proof_is_a_gate_where_proofs_are_required() -> None:
    proofs = Proofs(boxes=(Proof(box="7", title="Lint", answer="blind", reason="", reused=False),))
    gates = answers.verdict_gates(Progress(), Scrutiny(falsify="require", proofs=proofs), RunState.FINISHED)
    assert gates == (Gate("without a proof of turning red: `7`", "whoever gives them a control that turns them red"),)


def test_one_box_says_what_it_has_to_do_with_it() -> None:
    boxes = {str(box.box): box for box in ANSWERED_FOR.boxes} | {"12 red": RED.by_id[BoxId("", 12)]}
    said = [answers.why_box(boxes.get(name), named=name, head_sha=HEAD) for name in ("7", "12", "12 red", "21", "99")]
    assert said == snapshot(
        [
            "7 Lint does not hold it: it is green.",
            "12 Adds is not green and does not hold it: @\u200dmona answers for it (calc is being \\*replaced\\*).",
            'It holds this pull request: box 12 Adds failed: `calc.py:3` expected 4, got 0. Who can change it: whoever pushes a fix; someone with write permission: `/boxes rerun`, or `/boxes skip 12 because "…"`.',  # noqa: E501 - as above.
            "21 Locks after five failures did not run, and what did not run is not green: box `12` held it back.",
            "`4b825dc` has no box `99`.",
        ]
    )


def test_all_that_is_known_of_a_box() -> None:
    listed = {
        "source": "boxes/tier-1/12_box.py",
        "control": {"kind": "edit", "where": "calc.py", "expect": {"assertion": "adds", "output": None}},
        "quarantine": None,
    }
    proofs = Proofs(boxes=(Proof(box="12", title="Adds", answer="stale", reason="no match", reused=False),))
    said = answers.explained(ANSWERED_FOR.by_id[BoxId("", 12)], listed, Scrutiny(proofs=proofs))
    assert said == snapshot("""\
### 12 Adds — failed

`boxes/tier-1/12_box.py` · 1.0 s

It failed: exit 1

- `calc.py:3` **adds** expected 4, got 0

Run it yourself: `runner run 12`

- Tier 1, `boxes/tier-1/12_box.py`.
- Its control is an `edit` in `calc.py`, and `adds` has to turn red.
- Its proof says `stale`: no match.
- Excused by @\u200dmona: calc is being \\*replaced\\*.\
""")
