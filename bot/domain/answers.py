"""What `/boxes status`, `/boxes why` and `/boxes explain` answer, as Markdown. Facts come in; foreign text is harmless.

What holds a pull request is a list of `Gate`s: each says what stands in the way, and who can do what about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain.progress import BoxState, Progress
from bot.domain.report import RunState, count, excused_list, excuser, headline, label, section, tier_line, verb, why
from bot.domain.repro import UNKNOWN, Repro
from bot.domain.scrutiny import PROVEN, UNANSWERED, WORDS, Scrutiny, weakened_headline
from bot.domain.text import BUDGET, code, plain, within

WRITER = "someone with write permission"
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that keeps `Interlock` from being green. Both are Markdown on one line, without a full stop."""

    what: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run of the head as people see it. `ended` is why it ended without a verdict, "" if it did not."""

    number: int
    url: str
    shown: RunState
    ended: str = ""


def status(run: RunFacts | None, progress: Progress, *, head_sha: str, waiting: Sequence[int], hold: str = "") -> str:
    """A compact table of how the head stands.

    Args:
        run: the newest run of the head; None before there is one.
        progress: what it and the verdicts that it keeps say.
        head_sha: the commit.
        waiting: numbers of the runs that wait behind it.
        hold: why nothing may be merged whatever the verdicts are; "" for no reason.
    """
    if run is None:
        return f"Nothing has run for {code(head_sha[:7])} yet."
    said = run.ended or headline(progress, run.shown)
    rows = [f"| {_linked(run)} | {plain(said, 600)} |"]
    rows += [
        f"| {tier_line(tier).partition(': ')[0]} | {tier_line(tier).partition(': ')[2]} |" for tier in progress.tiers
    ]
    rows += [f"| run {number} | waits for it |" for number in waiting[:10]]
    rows += [f"| held | {plain(hold, 600)} |"] if hold else []
    return within(f"| {code(head_sha[:7])} | |\n|--|--|", rows, limit=BUDGET, left_out="| | and {n} more |", joint="\n")


def verdict_gates(progress: Progress, scrutiny: Scrutiny, shown: RunState) -> tuple[Gate, ...]:
    """What of a run's own findings is in the way."""
    gates = [_red(box) for box in progress.red[:SHOWN]]
    if more := len(progress.red) - SHOWN:
        gates += [Gate(f"{count(more, 'more red box')}", "see the checks")] if more > 0 else []
    if progress.failed_setups:
        gates.append(Gate("the setup failed, so no box ran", f"whoever pushes a fix; {_can('/boxes rerun all')}"))
    if held := [box for box in progress.boxes if box.result and not box.executed]:
        by = sorted({box.result.blocked_by for box in held if box.result and box.result.blocked_by})
        because = f", held back by box {', '.join(map(code, by[:10]))}" if by else ""
        gates.append(
            Gate(f"{count(len(held), 'box')} did not run{because}", f"once that is mended, {_can('/boxes rerun')}")
        )
    if shown is not RunState.FINISHED:
        gates.append(Gate(headline(progress, shown), f"wait, or {_can('/boxes cancel')}"))
    elif missing := [box for box in progress.boxes if box.result is None]:
        gates.append(Gate(f"{count(len(missing), 'box')} without a verdict on this commit", _can("/boxes rerun")))
    if scrutiny.waits and progress.green:
        gates.append(Gate("whether its boxes can turn red is being proved", f"wait, or {_can('/boxes falsify')}"))
    if scrutiny.short:
        names = ", ".join(code(proof.box) for proof in (scrutiny.proofs.missing if scrutiny.proofs else ())[:10])
        gates.append(
            Gate(f"without a proof of turning red: {names}", "whoever gives them a control that turns them red")
        )
    return tuple(gates)


def held(gates: Sequence[Gate], *, head_sha: str, progress: Progress, scrutiny: Scrutiny) -> str:
    """The answer to `/boxes why`."""
    notes = [excused_list(progress), plain(weakened_headline(scrutiny.weakened or ()))]
    said = "\n\n".join(filter(None, notes))
    if not gates:
        return f"Nothing holds {code(head_sha[:7])}: `Interlock` is green." + (f"\n\n{said}" if said else "")
    rows = [f"| {gate.what} | {gate.who} |" for gate in gates]
    head = f"| what holds {code(head_sha[:7])} | who can change it |\n|--|--|"
    table = within(head, rows, limit=BUDGET - 8_000, left_out="| and {n} more | |", joint="\n")
    return table + (f"\n\n{said}" if said else "")


def why_box(box: BoxState | None, *, named: str, head_sha: str) -> str:  # noqa: PLR0911 - one answer a case.
    """The answer to `/boxes why 21`."""
    if box is None:
        return f"{code(head_sha[:7])} has no box {code(named)}."
    if box.red:
        gate = _red(box)
        return f"It holds this pull request: {gate.what}. Who can change it: {gate.who}."
    name = label(box)
    if box.red_and_excused and box.excused:
        by, because = excuser(box.excused), plain(box.excused.because, 1200)
        return f"{name} is not green and does not hold it: {by} answers for it ({because})."
    if box.red_in_quarantine:
        return f"{name} is not green and does not hold it: it is in quarantine."
    if box.counts_as_green:
        return f"{name} does not hold it: it is green."
    if box.result and box.result.blocked_by:
        return f"{name} did not run, and what did not run is not green: box {code(box.result.blocked_by)} held it back."
    return f"{name} has no verdict on this commit yet, and what did not run is not green."


def explained(
    box: BoxState, listed: Mapping[str, Any], scrutiny: Scrutiny, *, run_url: str = "", repro: Repro = UNKNOWN
) -> str:
    """The answer to `/boxes explain`.

    Args:
        box: how it stands on the head.
        listed: the box as the runner lists it.
        scrutiny: what is known of its proof.
        run_url: the page of its run, for the link to its whole log; "" leaves it out.
        repro: what it was run under.
    """
    head = (
        section(box, run_url=run_url, repro=repro)
        or f"### {label(box)} — {box.phase}\n\nRun it yourself: {code(f'runner run {box.box}')}"
    )
    facts = [f"Tier {box.tier}, {code(str(listed.get('source', '')), 200)}", _control(listed), _proof(box, scrutiny)]
    if box.excused:
        facts.append(f"Excused by {excuser(box.excused)}: {plain(box.excused.because, 1200)}")
    if isinstance(listed.get("quarantine"), dict):
        quarantine = listed["quarantine"]
        facts.append(
            f"In quarantine until {plain(str(quarantine.get('until')))}: {plain(str(quarantine.get('reason')), 500)}"
        )
    return within(head, ["\n".join(f"- {fact}." for fact in facts if fact)], limit=BUDGET, left_out="")


def who_may(command: str, who: str = WRITER) -> str:
    """`someone with write permission: …`, for the column of a gate."""
    return f"{who}: {code(command)}"


def _red(box: BoxState) -> Gate:
    assert box.result
    reason = why(box.result)
    skip = f'/boxes skip {box.box} because "…"'
    return Gate(
        f"box {label(box)} {verb(box.result)}" + (f": {reason}" if reason else ""),
        f"whoever pushes a fix; {_can('/boxes rerun')}, or {code(skip)}",
    )


def _can(command: str) -> str:
    return who_may(command)


def _linked(run: RunFacts) -> str:
    return f"[run {run.number}]({run.url})" if run.url else f"run {run.number}"


def _control(listed: Mapping[str, Any]) -> str:
    control = listed.get("control")
    if not isinstance(control, dict):
        sabotaged = listed.get("needs") or listed.get("kind") == "http"
        return "Its control is automatic: it runs without what it needs" if sabotaged else "It has no control"
    expect = control.get("expect") or {}
    wanted = expect.get("assertion") or expect.get("output") or ""
    turns = f", and {code(str(wanted), 200)} has to turn red" if wanted else ""
    where = f" in {code(str(control['where']), 200)}" if control.get("where") else ""
    return f"Its control is {_article(str(control.get('kind', '')))}{where}{turns}"


def _article(kind: str) -> str:
    return f"an {code(kind)}" if kind[:1] in "aeiou" else f"a {code(kind)}"


def _proof(box: BoxState, scrutiny: Scrutiny) -> str:
    for proof in scrutiny.proofs.boxes if scrutiny.proofs else ():
        if proof.box == str(box.box):
            if proof.answer == PROVEN:
                return "It was proved on this head that it can turn red"
            reason = plain(proof.reason or WORDS.get(proof.answer, ""), 500)
            return f"Its proof says {code(proof.answer.replace('_', ' '))}: {reason}"
    return f"Whether it can turn red {WORDS[UNANSWERED]} on this head; {_can(f'/boxes falsify {box.box}')}"
