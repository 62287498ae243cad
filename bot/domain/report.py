"""How a run reads: the sentence above it, the table of what is red, and a section for each red box.

Checks, the sticky comment and the run page say the same thing because they say it through this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from urllib.parse import quote

from bot.domain.progress import BoxState, Excused, Phase, Progress, TierState
from bot.domain.repro import UNKNOWN, Repro
from bot.domain.text import clean, code, cut, fenced, plain, tail
from runner.events import BoxFinished
from runner.model import Failure

OUTPUT_LINES = 40
OUTPUT_BYTES = 4_000
ASSERTIONS = 20


class RunState(StrEnum):
    """What the bot knows of a run beyond its events: whether the child that writes them waits, lives or has ended."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


def headline(progress: Progress, state: RunState) -> str:
    """One sentence in lower case, without a full stop, that says what a person wants to know first."""
    match state:
        case RunState.QUEUED:
            return "waiting to start"
        case RunState.RUNNING:
            return _running(progress)
        case RunState.FINISHED:
            return _green(progress) if progress.green else _not_green(progress)


def count(n: int, word: str) -> str:
    """`1 box`, `2 boxes`, `3 tiers`."""
    return f"{n} {word}" if n == 1 else f"{n} {word}{'es' if word.endswith('x') else 's'}"


def duration(seconds: float) -> str:
    """`45 ms`, `1.2 s`, `3 min 05 s`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def place(failure: Failure) -> str:
    """`file:line`, `file`, or nothing."""
    return f"{failure.file}:{failure.line}" if failure.file and failure.line > 0 else failure.file


def why(result: BoxFinished) -> str:
    """One line of Markdown, safe in a table: the first assertion that did not hold, else the reason of the verdict."""
    for failure in result.failures[:1]:
        said = plain(failure.message or failure.id or result.reason, 160)
        where = code(place(failure), 120, table=True)
        return f"{where} {said}".strip()
    return plain(result.reason, 200)


def red_table(boxes: Sequence[BoxState], *, limit: int = 50) -> str:
    """A Markdown table of boxes with their verdicts, at most `limit` rows; empty for no boxes."""
    if not boxes:
        return ""
    rows = ["| box | verdict | |", "|--|--|--|"]
    rows += [f"| {label(box)} | {box.result.verdict} | {why(box.result)} |" for box in boxes[:limit] if box.result]
    if len(boxes) > limit:
        rows.append(f"| and {count(len(boxes) - limit, 'more box')} | | |")
    return "\n".join(rows)


def excused_list(boxes: Progress | TierState) -> str:
    """A line of Markdown for each box that is not green and that somebody answers for; empty for none."""
    return "\n".join([_excuse(box) for box in boxes.boxes if box.red_and_excused][:50])


def _excuse(box: BoxState) -> str:
    assert box.excused
    assert box.result
    because = plain(box.excused.because, 1200)
    return f"- {label(box)} {verb(box.result)}, excused by {excuser(box.excused)}: {because}"


def excuser(excused: Excused) -> str:
    """Who answers for a box, as Markdown that notifies nobody."""
    return plain(excused.by if excused.by == "operator" else f"@{excused.by}")


def label(box: BoxState) -> str:
    """`21 Locks after five failures`, as Markdown."""
    return f"{plain(str(box.box), 80)} {plain(box.title, 100)}".strip()


def log_url(run_url: str, name: str) -> str:
    """Where the whole log of an attempt can be read, from the address of its run's page; "" if there is none."""
    page, _, query = run_url.partition("?")
    file = name.rpartition("/")[2]
    return f"{page}/logs/{quote(file)}{f'?{query}' if query else ''}" if page and file else ""


def section(box: BoxState, *, run_url: str = "", repro: Repro = UNKNOWN) -> str:
    """Everything that helps with one box that is not green, as Markdown; empty while it has no verdict.

    Args:
        box: any box.
        run_url: the page of its run, for the link to its whole log; "" leaves it out.
        repro: what it was run under.
    """
    result = box.result
    if result is None:
        return ""
    parts = [f"### {label(box)} — {result.verdict}"]
    facts = [code(box.source, 200), duration(result.seconds)]
    if result.attempts > 1:
        facts.append(f"{result.attempts} attempts")
    if result.blocked_by:
        facts.append(f"held back by box {code(result.blocked_by, 80)}")
    parts.append(" · ".join(fact for fact in facts if fact))
    if result.reason:
        parts.append(f"It {verb(result)}: {plain(result.reason, 500)}")
    if result.failures:
        parts.append(_assertions(result.failures))
    if result.output.strip():
        parts.append(_output(result, "" if box.kept else log_url(run_url, result.log)))
    parts.append(f"Run it yourself: {code(repro.command(box.box), 300)}")
    return "\n\n".join(parts)


def tier_line(tier: TierState) -> str:
    """`tier 2: 3 passed, 1 failed`, as Markdown list text."""
    words = [_word(box) for box in tier.boxes]
    kept = sum(box.kept for box in tier.boxes)
    said = ", ".join(f"{words.count(word)} {word.replace('_', ' ')}" for word in dict.fromkeys(words))
    return f"tier {tier.number}: {said}" + (f" ({kept} kept from an earlier run)" if kept else "")


def _word(box: BoxState) -> str:
    word = str(box.result.verdict if box.result else box.phase)
    return f"{word} but excused" if box.red_and_excused else word


def verb(result: BoxFinished) -> str:
    """What a box did that is not green: `failed`, `timed out`, `could not be judged`."""
    return {"timed_out": "timed out", "errored": "could not be judged", "vacuous": "proved nothing"}.get(
        result.verdict, f"is {result.verdict}" if result.verdict != "failed" else "failed"
    )


def _assertions(failures: Sequence[Failure]) -> str:
    lines = []
    for failure in failures[:ASSERTIONS]:
        where = code(place(failure), 200)
        named = plain(failure.id, 120)
        said = plain(failure.message, 400)
        lines.append("- " + " ".join(part for part in (where, named and f"**{named}**", said) if part))
    if len(failures) > ASSERTIONS:
        lines.append(f"- and {count(len(failures) - ASSERTIONS, 'more assertion')}")
    return "\n".join(lines)


def _output(result: BoxFinished, whole: str) -> str:
    shown = cut(tail(clean(result.output), lines=OUTPUT_LINES, limit=OUTPUT_BYTES), OUTPUT_BYTES)
    is_cut = len(shown) < len(result.output.rstrip())
    link = f"[The whole log]({whole})" + (", of which the above is the end." if is_cut else "") if whole else ""
    told = "Last lines of its output" if is_cut else "Its output"
    return f"<details><summary>{told}</summary>\n\n{fenced(shown)}\n\n</details>" + (f"\n\n{link}" if link else "")


def _running(progress: Progress) -> str:
    waiting = [setup for setup in progress.setups.values() if setup.ok is None]
    if waiting and not progress.running:
        return "setting up"
    done = sum(box.phase is Phase.FINISHED for box in progress.boxes)
    said = f"{done} of {count(len(progress.boxes), 'box')} done"
    tiers = sorted({box.tier for box in progress.running})
    if tiers:
        said += f", {_tiers(tiers)} running"
    return said + (f", {len(progress.red)} red" if progress.red else "")


def _green(progress: Progress) -> str:
    said = f"{count(len(progress.boxes), 'box')} in {count(len(progress.tiers), 'tier')} are green"
    if len(progress.boxes) == 1:
        said = "1 box is green"
    quarantined = sum(box.red_in_quarantine for box in progress.boxes)
    excused = progress.red_and_excused
    if quarantined or excused:
        said = f"{count(len(progress.boxes) - quarantined - len(excused), 'box')} green"
        said += f", {quarantined} red in quarantine" if quarantined else ""
        said += f", {len(excused)} {_by_whom(excused)}" if excused else ""
    return said


def _by_whom(boxes: Sequence[BoxState]) -> str:
    """`excused by @mona: why`, or of several the people alone."""
    given = list(dict.fromkeys(box.excused for box in boxes if box.excused))
    people = ", ".join(dict.fromkeys(each.by if each.by == "operator" else f"@{each.by}" for each in given))
    return f"excused by {people}" + (f": {given[0].because}" if len(given) == 1 else "")


def _not_green(progress: Progress) -> str:
    if progress.failed_setups:
        return "setup failed, so no box ran"
    if not progress.by_id:
        return "no box ran"
    missing = sum(box.result is None for box in progress.boxes)
    parts = []
    if red := [tier.number for tier in progress.tiers if tier.red]:
        parts.append(f"{_tiers(red)} red")
    if held := [tier.number for tier in progress.tiers if tier.did_not_run]:
        parts.append(f"{_tiers(held, verb='')}did not run")
    if missing and progress.end is None:
        parts.append(f"the run ended before {count(missing, 'box')} had a verdict")
    elif missing:
        parts.append(f"{count(missing, 'box')} {'has' if missing == 1 else 'have'} not run on this commit")
    if not parts and progress.end is None:
        parts.append("the run was cut off")
    if not parts and progress.end is not None and progress.end.exit_code not in {0, 1}:
        parts.append(f"the runner stopped with exit code {progress.end.exit_code}")
    return ", ".join(parts) or "some boxes did not run"


def _tiers(numbers: Iterable[int], *, verb: str = "be") -> str:
    listed = [str(number) for number in numbers]
    if len(listed) == 1:
        return f"tier {listed[0]}" + (" is" if verb else " ")
    words = f"tiers {', '.join(listed[:-1])} and {listed[-1]}"
    return words + (" are" if verb else " ")
