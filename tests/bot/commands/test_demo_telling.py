"""What people read while the demo plays."""

import io

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from bot.commands.demo_outcome import Outcome, StepOutcome
from bot.commands.demo_telling import PlainTelling, RichTelling, Telling

STARTED = StepOutcome(name="bot", title="Start the bot", ok=True, seconds=1.26, lines=("it is ready",), facts={})
MISSED = StepOutcome(
    name="bug",
    title="Open a pull request",
    ok=False,
    seconds=40.0,
    lines=("expected [red], found green",),
    facts={"because": "expected [red], found green"},
)
GREEN = "<!-- interlock:pr=1 -->\n✅ **Interlock** — 14 boxes in 3 tiers are green\n"


def outcome(*steps: StepOutcome, comment: str = GREEN) -> Outcome:
    return Outcome(steps=steps, seconds=21.4, where={"pages to look at": "interlock demo --keep"}, comment=comment)


def tell(telling: Telling, *steps: StepOutcome, comment: str = GREEN) -> None:
    telling.begin(total=2)
    for step in steps:
        telling.step(step.title, "Because it matters.")
        telling.happened(step)
    telling.end(outcome(*steps, comment=comment))


def test_plain_lines_say_what_happens_why_it_matters_and_what_was_seen() -> None:
    out = io.StringIO()
    tell(PlainTelling(out), STARTED)
    assert out.getvalue() == snapshot("""\
interlock demo: the whole product on this machine

1/2 Start the bot
    Because it matters.
    it is ready
    done after 1.3 s

All 1 steps happened in 21 s.

The comment on the pull request:
    ✅ **Interlock** — 14 boxes in 3 tiers are green

pages to look at: interlock demo --keep
""")


def test_a_step_that_did_not_happen_is_the_last_thing_that_is_said() -> None:
    out = io.StringIO()
    tell(PlainTelling(out), STARTED, MISSED, comment="")
    assert out.getvalue() == snapshot("""\
interlock demo: the whole product on this machine

1/2 Start the bot
    Because it matters.
    it is ready
    done after 1.3 s

2/2 Open a pull request
    Because it matters.
    expected [red], found green
    DID NOT HAPPEN after 40.0 s

This step did not happen: Open a pull request. With --keep, everything stays for a closer look.

pages to look at: interlock demo --keep
""")


def test_a_terminal_gets_signs_and_a_table_and_evidence_is_never_markup() -> None:
    out = io.StringIO()
    tell(RichTelling(Console(file=out, width=80, highlight=False)), STARTED, MISSED)
    assert "\n".join(line.rstrip() for line in out.getvalue().splitlines()) == snapshot("""\

interlock demo · 2 steps, nothing leaves this machine

✓ Start the bot  1.3 s
  Because it matters.
    it is ready

✗ Open a pull request  40.0 s
  Because it matters.
    expected [red], found green

✓  Start the bot         1.3 s
✗  Open a pull request  40.0 s

This step did not happen: Open a pull request. With --keep, everything stays for
a closer look.

╭─ the comment on the pull request ────────────────────────────────────────────╮
│ ✅ **Interlock** — 14 boxes in 3 tiers are green                             │
╰──────────────────────────────────────────────────────────────────────────────╯
pages to look at: interlock demo --keep
""")


@pytest.mark.parametrize(
    ("steps", "ok"),
    [
        pytest.param((STARTED,), True, id="all-happened"),
        pytest.param((STARTED, MISSED), False, id="one-did-not"),
        pytest.param((), False, id="none-was-played"),
    ],
)
def test_the_demo_is_ok_only_if_every_step_happened(steps: tuple[StepOutcome, ...], ok: bool) -> None:
    assert outcome(*steps).ok is ok
    assert outcome(*steps).document()["ok"] is ok


def test_the_document_names_each_step_with_its_evidence() -> None:
    assert outcome(STARTED, MISSED).document() == snapshot(
        {
            "schema": "interlock.demo/1",
            "ok": False,
            "seconds": 21.4,
            "steps": [
                {"name": "bot", "ok": True, "seconds": 1.26, "evidence": {}},
                {"name": "bug", "ok": False, "seconds": 40.0, "evidence": {"because": "expected [red], found green"}},
            ],
            "comment": """\
<!-- interlock:pr=1 -->
✅ **Interlock** — 14 boxes in 3 tiers are green
""",
            "where": {"pages to look at": "interlock demo --keep"},
        }
    )
