"""The checks that a head should have: one `Interlock`, and one for each tier.

GitHub counts `neutral` and `skipped` as passing a required check, so neither is ever said here: **what did not run is
never green**. (`neutral` is for `bot.domain.preview` alone, which judges nothing.) A conclusion is `success` only when
every box of it was executed and none is red.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote

from bot.domain.buttons import RERUN_ALL, Button, on
from bot.domain.diff import NO_LINES, ChangedLines
from bot.domain.progress import BoxState, Progress, SetupState, TierState
from bot.domain.report import RunState, count, duration, excused_list, headline, place, red_table, section, tier_line
from bot.domain.repro import UNKNOWN, Repro
from bot.domain.scrutiny import NOTHING_KNOWN, Scrutiny, Weakening, proofs_section, unproved, weakened_list
from bot.domain.subject import Subject
from bot.domain.text import BUDGET, clean, code, cut, fenced, one_line, plain, size, tail, within
from bot.domain.trust import Untrusted
from runner.errors import UserError
from runner.model import Failure

NAME = "Interlock"
"""The required check; the name is an interface that branch protections rely on."""

ANNOTATIONS = 250
"""Notes on one check: GitHub shows them all on the page of the check, and the first of them beside the diff."""

TITLE_BYTES = 200

Status = Literal["queued", "in_progress", "completed"]
Conclusion = Literal["success", "failure", "action_required", "cancelled", "neutral"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A note on lines of a file; `path` is relative to the repository's root, lines are 1-based and inclusive."""

    path: str
    start_line: int
    end_line: int
    level: Literal["notice", "warning", "failure"]
    title: str
    message: str
    raw_details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run as GitHub should show it. `conclusion` is set exactly when `status` is completed.

    `title` is plain text; `summary` and `text` are Markdown of at most 60 000 bytes each; foreign text in them is
    harmless (see bot.domain.text).
    """

    name: str
    status: Status
    conclusion: Conclusion | None
    title: str
    summary: str
    text: str = ""
    annotations: tuple[Annotation, ...] = ()
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a run's checks say besides its verdicts.

    Attributes:
        subject_note: a line of Markdown from `note`.
        run_url: where the whole run can be read; "" leaves the links out.
        repro: what its boxes were run under.
        changed: the lines of the change; what failed there is noted first.
        annotations: how many notes a check may have.
        has_comments: whether there is a pull request to answer on.
    """

    subject_note: str = ""
    run_url: str = ""
    repro: Repro = UNKNOWN
    changed: ChangedLines = NO_LINES
    annotations: int = ANNOTATIONS
    has_comments: bool = False


def tier_name(number: int) -> str:
    """The name of a tier's check."""
    return f"{NAME} / tier {number}"


def note(subject: Subject) -> str:
    """One line of Markdown that says what is tested, for `subject_note` below."""
    head, base = code(subject.short), f"{code(subject.base_ref)} at {code(subject.base_sha[:7])}"
    if subject.pr is not None:
        return f"For {head} merged into {base}"
    if subject.has_base:
        return f"For {head}, which the merge queue puts onto {base}"
    return f"For {head} on {code(subject.base_ref)}"


def checks(
    progress: Progress, *, shown: Shown, state: RunState, scrutiny: Scrutiny = NOTHING_KNOWN
) -> tuple[Check, ...]:
    """The checks of a run: the overall one first, then one for each tier that is known.

    Args:
        progress: what the run's events say, kept verdicts and expected boxes included.
        shown: what else is said.
        state: whether the run waits, lives or has ended. Ended without a verdict for every box is a failure.
        scrutiny: what is known besides the verdicts. Proofs that are required and not there yet keep the overall check
            open; those that are missing turn it red.
    """
    overall = _overall(progress, scrutiny, shown, state)
    return (overall, *(_tier(tier, shown, state) for tier in progress.tiers))


def waiting(subject_note: str = "") -> Check:
    """The overall check as soon as it is known that there will be a run, before anything of it is known."""
    said = "\n\n".join(filter(None, (subject_note, "The commits are being fetched.")))
    return Check(name=NAME, status="queued", conclusion=None, title="waiting to start", summary=said)


def refused(untrusted: Untrusted, *, subject_note: str = "", weakened: str = "") -> tuple[Check, ...]:
    """Nothing ran, because of who asks; says who can do what, with the line that does it ready to copy.

    Args:
        untrusted: why, and what helps.
        subject_note: a line of Markdown from `note`.
        weakened: what the change weakens, as Markdown; whoever lets it run has read that.
    """
    said = f"Nothing ran: {plain(untrusted.because, 500)}.\n\nWhat helps: {untrusted.who_can}."
    if untrusted.line:
        said = f"{said[:-1]}:\n\n{fenced(untrusted.line)}"
    blocks = "\n\n".join(filter(None, (said, weakened)))
    return (_concluded("action_required", "needs someone with write permission", blocks, subject_note),)


def unable(because: str, *, hint: str = "", subject_note: str = "") -> tuple[Check, ...]:
    """Nothing ran, because this installation cannot do it safely (no sandbox, a full disk)."""
    said = f"Nothing ran: {plain(because, 1000)}." + (f"\n\nWhat helps: {plain(hint, 1000)}." if hint else "")
    return (_concluded("action_required", "cannot run here", said, subject_note),)


def config_error(
    errors: Sequence[UserError], *, places: Mapping[str, str] | None = None, subject_note: str = ""
) -> tuple[Check, ...]:
    """The boxes or the configuration cannot be read, so no gate can be trusted; each error points to its line.

    Args:
        errors: what is wrong.
        places: the addresses of files that are not the head's, by `UserError.place`; a path completes one.
        subject_note: a line of Markdown from `note`.
    """
    title = f"configuration: {errors[0].message}" if len(errors) == 1 else count(len(errors), "configuration error")
    said = "Nothing ran: the configuration cannot be read."
    check = _concluded("action_required", title, mistakes_list(said, errors, places or {}), subject_note)
    return (replace(check, annotations=mistake_notes(errors)),)


def mistakes_list(head: str, errors: Sequence[UserError], places: Mapping[str, str]) -> str:
    """A line of Markdown for each mistake, below `head`; `places` as above."""
    lines = [
        f"- {_linked(e, places)} {plain(e.message, 500)}" + (f" ({plain(e.hint, 300)})" if e.hint else "")
        for e in errors
    ]
    return within(head, lines, limit=BUDGET // 2, left_out=_MORE, joint="\n")


def _linked(error: UserError, places: Mapping[str, str]) -> str:
    shown = code(error.where)
    place = places.get(error.place, "")
    if not place or not _is_inside(error.file):
        return shown
    path = error.file.removeprefix("organisation/") if error.place == "default" else error.file
    line = f"#L{error.line}" if error.line else ""
    return f"[{shown}]({place}{quote(path)}{line})"


def conflict(paths: Sequence[str], *, base_ref: str, subject_note: str = "") -> tuple[Check, ...]:
    """The head does not merge into its base, so there is nothing to test."""
    lines = [f"- {code(path)}" for path in paths]
    head = f"Nothing ran: the head does not merge into {code(base_ref)}. In conflict:"
    summary = within(head, lines, limit=BUDGET // 2, left_out=_MORE, joint="\n")
    said = f"{summary}\n\nWhat helps: merge or rebase onto {code(base_ref)}, and push."
    return (_concluded("failure", f"conflicts with {base_ref} in {count(len(paths), 'file')}", said, subject_note),)


def superseded(by_sha: str, *, progress: Progress | None = None, subject_note: str = "") -> tuple[Check, ...]:
    """The run was given up for a newer head."""
    said = f"Given up: {code(by_sha[:7])} is the newer head of this pull request."
    return _given_up(f"superseded by {by_sha[:7]}", said, progress, subject_note)


def cancelled(by: str, *, progress: Progress | None = None, subject_note: str = "") -> tuple[Check, ...]:
    """The run was ended by somebody's wish; `by` is a login, or what happened (`the pull request was closed`)."""
    said = f"Cancelled by {plain(by, 200)}. Start it again with {code('/boxes run all')} or the re-run button."
    return _given_up(f"cancelled by {by}", said, progress, subject_note)


def held_by(check: Check, pr: int, *, waits: bool) -> Check:
    """The overall check of a run that is green, on a head that another open pull request proposes, too.

    GitHub shows one check of a name for a commit, whatever it is to be merged into, so green has to be true for all.

    Args:
        check: what the run would say by itself.
        pr: the other pull request.
        waits: whether that one has no verdict yet.
    """
    if waits:
        title = f"green here, waits for pull request #{pr} of the same head"
        return replace(check, status="in_progress", conclusion=None, title=title)
    title = f"green here, but pull request #{pr} of the same head is not"
    return replace(check, conclusion="failure", title=title)


def frozen(check: Check, hold: str) -> Check:
    """The overall check of a finished run while its base is frozen: what it found is kept, and nothing may be merged.

    Args:
        check: what the run would say by itself; one that is still open is concluded, too.
        hold: why, as plain text in lower case (`frozen until 2026-12-24 17:00 UTC: why (by @mona)`).
    """
    found = f"Without that: {plain(check.title)}."
    summary = cut(f"Nothing is merged now: {plain(hold, 500)}. {found}\n\n{check.summary}", BUDGET)
    return replace(
        check, status="completed", conclusion="action_required", title=one_line(hold, TITLE_BYTES), summary=summary
    )


def internal_error(incident: str, *, subject_note: str = "") -> tuple[Check, ...]:
    """Interlock itself failed; `incident` is the id under which the log has the details."""
    said = (
        f"Interlock could not run the boxes. The change is not to blame. Incident {code(incident)}.\n\n"
        "What helps: the re-run button; if it happens again, whoever runs Interlock finds the incident in its log."
    )
    return (_concluded("action_required", "Interlock failed", said, subject_note),)


_MORE = "- and {n} more"


def _overall(progress: Progress, scrutiny: Scrutiny, shown: Shown, state: RunState) -> Check:
    green = progress.green and not scrutiny.short
    status, conclusion = _status(state, begun=state is not RunState.QUEUED, over=False, green=green)
    title = headline(progress, state)
    if progress.green and state is RunState.FINISHED:
        title += unproved(scrutiny)
        if scrutiny.waits:
            status, conclusion = "in_progress", None
        elif green and scrutiny.unaccepted:
            title += "; what the change weakens waits for someone with write permission"
            conclusion = "action_required"
    weakened = scrutiny.weakened or ()
    blocks = [
        _to_accept(scrutiny) if conclusion == "action_required" else "",
        red_table(progress.red),
        excused_list(progress),
        weakened_list(weakened),
        setup_failures(progress.failed_setups),
        _tiers(progress),
    ]
    blocks += _warnings(progress)
    summary = within(
        shown.subject_note,
        [*filter(None, blocks), _link(shown.run_url) + _isolation(progress)],
        limit=BUDGET,
        left_out="The rest is on the run's page.",
    )
    return Check(
        name=NAME,
        status=status,
        conclusion=conclusion,
        title=one_line(title, TITLE_BYTES),
        summary=summary,
        text=_overall_text(progress, scrutiny, shown) if status == "completed" else "",
        annotations=tuple(_weakenings(weakened)),
        buttons=on(green=green, has_comments=shown.has_comments) if status == "completed" else (),
    )


def _to_accept(scrutiny: Scrutiny) -> str:
    """What helps a green run of a stranger's change that weakens something."""
    how = "someone with write permission accepts what is listed here by commenting this line"
    return f"Every box is green. The change weakens what judges it: {how}:\n\n{fenced(scrutiny.line)}"


def _overall_text(progress: Progress, scrutiny: Scrutiny, shown: Shown) -> str:
    proved = proofs_section(scrutiny.proofs) if scrutiny.proofs else ""
    if progress.green and not progress.red_and_excused:
        return proved
    told = _sections(progress.boxes, shown)
    return within(told, [proved], limit=BUDGET, left_out="What was proved is on the run's page.") if proved else told


def _tier(tier: TierState, shown: Shown, state: RunState) -> Check:
    status, conclusion = _status(state, begun=tier.begun, over=tier.complete, green=tier.green)
    red = [box for box in tier.boxes if box.red]
    title = tier_line(tier).partition(": ")[2]
    if tier.did_not_run:
        title = f"did not run: {title}"
    summary = within(
        red_table(red) or f"{title[:1].upper()}{title[1:]}.",
        [excused_list(tier), _held_back(tier), _link(shown.run_url)],
        limit=BUDGET,
        left_out="The rest is on the run's page.",
    )
    return Check(
        name=tier_name(tier.number),
        status=status,
        conclusion=conclusion,
        title=one_line(title, TITLE_BYTES),
        summary=summary,
        text=_sections(tier.boxes, shown) if status == "completed" else "",
        annotations=tuple(_annotations(red, shown)),
    )


def _status(state: RunState, *, begun: bool, over: bool, green: bool) -> tuple[Status, Conclusion | None]:
    if over or state is RunState.FINISHED:
        return "completed", "success" if green else "failure"
    return ("in_progress", None) if begun else ("queued", None)


def _concluded(conclusion: Conclusion, title: str, summary: str, subject_note: str) -> Check:
    return Check(
        name=NAME,
        status="completed",
        conclusion=conclusion,
        title=one_line(title, TITLE_BYTES),
        summary=cut("\n\n".join(filter(None, (summary, subject_note))), BUDGET),
        buttons=(RERUN_ALL,),
    )


def _given_up(title: str, said: str, progress: Progress | None, subject_note: str) -> tuple[Check, ...]:
    overall = _concluded("cancelled", title, said, subject_note)
    return with_tiers(overall, progress) if progress else (overall,)


def with_tiers(overall: Check, progress: Progress) -> tuple[Check, ...]:
    """A concluded overall check with the tiers of its run, none of which is left open.

    A tier that is over keeps its own conclusion: it is true of this head whatever came later. Every other one ends as
    the overall check did, and says so.
    """
    known = [_tier(tier, Shown(), RunState.RUNNING) for tier in progress.tiers]
    ended = [
        check
        if check.status == "completed"
        else replace(check, status="completed", conclusion=overall.conclusion, title=overall.title, text="")
        for check in known
    ]
    return (overall, *ended)


def _sections(boxes: Iterable[BoxState], shown: Shown) -> str:
    let_pass = [box for box in boxes if box.red_and_excused or box.red_in_quarantine]
    told = [*(box for box in boxes if box.red), *let_pass]
    if not told:
        return ""
    where = f"[the run's page]({shown.run_url})" if shown.run_url else "the run's page"
    sections = [section(box, run_url=shown.run_url, repro=shown.repro) for box in told]
    left_out = "{n} more on " + where
    checkout = _checkout(shown.repro)
    said = within("", sections, limit=BUDGET - size(checkout) - 2, left_out=left_out)
    return "\n\n".join(filter(None, (said, checkout)))


def _checkout(repro: Repro) -> str:
    """How to stand where the boxes ran."""
    if not repro.checkout:
        return ""
    return f"To stand in a clone where these boxes ran:\n\n{fenced(repro.checkout, info='sh')}"


def setup_failures(failed: Sequence[SetupState]) -> str:
    """Why each setup failed and what it printed last, as Markdown; empty for none."""
    blocks = []
    for setup in failed:
        title = f"Setup{f' of {plain(setup.suite)}' if setup.suite else ''} failed after {duration(setup.seconds)}"
        reason = f": {plain(setup.reason, 500)}" if setup.reason else ""
        output = tail(clean(setup.output), lines=40, limit=4_000)
        blocks.append(f"{title}{reason}" + (f"\n\n{fenced(output)}" if output else ""))
    return "\n\n".join(blocks)


def _tiers(progress: Progress) -> str:
    return "\n".join(f"- {tier_line(tier)}" for tier in progress.tiers[:50])


def _warnings(progress: Progress) -> list[str]:
    return [f"⚠ {plain(warning, 500)}" for warning in progress.warnings[:10]]


def _held_back(tier: TierState) -> str:
    by = sorted({box.result.blocked_by for box in tier.boxes if box.result and box.result.blocked_by})
    return f"Held back by box {', '.join(code(one) for one in by[:10])}." if by else ""


def _isolation(progress: Progress) -> str:
    facts = [
        f"sandbox {code(progress.sandbox)}" if progress.sandbox else "",
        f"trust {code(progress.trust)}" if progress.trust else "",
    ]
    said = ", ".join(filter(None, facts))
    return f" ({said})" if said else ""


def _link(run_url: str) -> str:
    return f"[Logs and timings of this run]({run_url})" if run_url else "Logs and timings are on the run's page"


def _annotations(red: Sequence[BoxState], shown: Shown) -> Iterable[Annotation]:
    """Lines of the change first, then one assertion of each box before the second of any; nothing twice."""
    noted = [
        (not shown.changed.has(failure.file, failure.line), nth, box, failure)
        for box in red
        for nth, failure in enumerate(box.result.failures if box.result else ())
        if _is_inside(failure.file)
    ]
    noted.sort(key=lambda item: item[:2])
    said: dict[tuple[str, int, str], Annotation] = {}
    for _, _, box, failure in noted:
        one = _annotation(box, failure)
        said.setdefault((one.path, one.start_line, one.message), one)
    return list(said.values())[: shown.annotations]


def _annotation(box: BoxState, failure: Failure) -> Annotation:
    line = max(failure.line, 1)
    output = box.result.output if box.result else ""
    return Annotation(
        path=failure.file,
        start_line=line,
        end_line=line,
        level="failure",
        title=one_line(f"box {box.box} {box.title}", TITLE_BYTES),
        message=cut(clean(failure.message or failure.id or place(failure)), 2_000),
        raw_details=tail(clean(output), lines=20, limit=2_000),
    )


def _weakenings(found: Sequence[Weakening]) -> Iterable[Annotation]:
    """A note where each weakening stands in the change; what the change took away has no place there."""
    for each in [each for each in found if not each.gone and _is_inside(each.file)][:ANNOTATIONS]:
        line = max(each.line, 1)
        yield Annotation(
            path=each.file,
            start_line=line,
            end_line=line,
            level="warning",
            title="this change weakens a box",
            message=cut(clean(each.says), 2_000),
        )


def mistake_notes(errors: Sequence[UserError]) -> tuple[Annotation, ...]:
    """A note on the line of each mistake that is in the repository."""
    noted = [error for error in errors if error.place != "default" and _is_inside(error.file)]
    return tuple(map(_mistake_note, noted[:ANNOTATIONS]))


def _mistake_note(error: UserError) -> Annotation:
    line = max(error.line, 1)
    return Annotation(
        path=error.file,
        start_line=line,
        end_line=line,
        level="failure",
        title="Interlock configuration" + (" of the base" if error.place == "base" else ""),
        message=cut(clean(f"{error.message} ({error.hint})" if error.hint else error.message), 2_000),
    )


def _is_inside(path: str) -> bool:
    """Whether GitHub can attach a note: a clean relative path that stays in the repository."""
    return bool(path) and path == one_line(path, 1_000) and not path.startswith("/") and ".." not in path.split("/")
