"""What the button `Explain` answers: each red box with its reason, its place, and the way to see it at home."""

from __future__ import annotations

from bot.domain.checks import Shown, setup_failures
from bot.domain.progress import Progress
from bot.domain.report import RunState, count, headline, section
from bot.domain.scrutiny import Scrutiny, unproved, weakened_list
from bot.domain.text import BUDGET, code, fenced, plain, size, within

BOXES = 20
"""Boxes that one answer explains."""


def explain(progress: Progress, scrutiny: Scrutiny, shown: Shown, *, number: int, because: str = "") -> str:
    """The answer as Markdown of at most 60 000 bytes.

    Args:
        progress: what the run's events say.
        scrutiny: what is known besides the verdicts.
        shown: where its logs are and what its boxes were run under.
        number: of the run, as people see it.
        because: why it never ran boxes; "" if it did.
    """
    said = because or headline(progress, RunState.FINISHED) + (unproved(scrutiny) if progress.green else "")
    place = f"[Run {number}]({shown.run_url})" if shown.run_url else f"Run {number}"
    head = f"**{place}** — {plain(said, 1000)}"
    red = [*progress.red, *(box for box in progress.boxes if box.red_in_quarantine)]
    sections = [section(box, run_url=shown.run_url, repro=shown.repro) for box in red[:BOXES]]
    blocks = [setup_failures(progress.failed_setups), *sections, _held_back(progress)]
    blocks += [weakened_list(scrutiny.weakened or ())]
    if len(red) > BOXES:
        blocks.append(f"And {count(len(red) - BOXES, 'more box')} in the checks.")
    checkout = f"To stand in a clone where this ran:\n\n{fenced(shown.repro.checkout, info='sh')}" if red else ""
    body = within(head, filter(None, blocks), limit=BUDGET - size(checkout) - 2, left_out="{n} more in the checks.")
    return "\n\n".join(filter(None, (body, checkout)))


def _held_back(progress: Progress) -> str:
    """What did not run, and behind whom."""
    held: dict[str, list[str]] = {}
    for box in progress.boxes:
        if box.result and box.result.blocked_by:
            held.setdefault(box.result.blocked_by, []).append(str(box.box))
    lines = []
    for by, boxes in held.items():
        named = ", ".join(code(box, 80) for box in boxes[:20])
        lines.append(f"- {count(len(boxes), 'box')} did not run because of {code(by, 80)}: {named}")
    return "\n".join(lines[:20])
