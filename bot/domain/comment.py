"""The one comment that Interlock keeps on a pull request: what is red, and nothing that is not news.

It is edited in place, so it never becomes a stream of messages. Details stand in the checks; this is the short form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.progress import BoxState, Progress
from bot.domain.report import RunState, count, excused_list, headline, red_table, section, tier_line
from bot.domain.repro import UNKNOWN, Repro
from bot.domain.scrutiny import NOTHING_KNOWN, Scrutiny, unproved, weakened_headline
from bot.domain.text import BUDGET, code, plain, within

SECTIONS = 10
"""Red boxes whose details are folded into the comment; the checks have them all."""

MARKER_BYTES = 100
"""At most so long is the marker, with the line ends around it."""


def marker(repo_id: int, pr: int, sign: Callable[[str], str]) -> str:
    """The hidden first line by which the comment of this pull request is found again.

    Args:
        repo_id: GitHub's number of the repository.
        pr: the pull request's number.
        sign: proves that a text is ours. A line that was copied from another pull request is not this one's.
    """
    return f"<!-- interlock:pr={pr} {sign(f'comment:{repo_id}:{pr}')} -->"


@dataclass(frozen=True, slots=True)
class Said:
    """A comment's body without its marker: Markdown of at most 60 000 bytes.

    `news` is what of it is worth a new comment where somebody has deleted the old one: "" for nothing. It does not
    change with the commit that it is about.
    """

    body: str
    news: str = ""

    def under(self, marker: str) -> str:
        """The whole body."""
        return f"{marker}\n{self.body}\n"


def render(
    progress: Progress,
    *,
    head_sha: str,
    run_url: str,
    state: RunState,
    scrutiny: Scrutiny = NOTHING_KNOWN,
    repro: Repro = UNKNOWN,
    hold: str = "",
) -> Said:
    """What the comment says of a run.

    Args:
        progress: what the run's events say.
        head_sha: the commit that the run is about.
        run_url: where the whole run can be read; "" leaves the links out.
        state: whether the run waits, lives or has ended.
        scrutiny: what is known besides the verdicts.
        repro: what the boxes were run under.
        hold: why nothing may be merged now whatever the verdicts are, as plain text; "" for no reason.
    """
    headline = plain(_headline(progress, scrutiny, state), 1000)
    said = f"{_sign(progress, scrutiny, state)} **Interlock** — {headline}"
    if hold and state is RunState.FINISHED:
        said = f"⏸️ **Interlock** — {plain(hold, 1000)}\n\nWithout that: {headline}"
    scanned = [
        red_table(progress.red, limit=25),
        excused_list(progress),
        _weakened(scrutiny),
        _quarantine(progress.boxes),
    ]
    blocks = list(scanned)
    if progress.red or progress.failed_setups:
        blocks.append(_details(progress, run_url, repro))
    body = _assemble(said, [*filter(None, blocks), _footer(head_sha, run_url)])
    return Said(body, "\n".join([said, *scanned]) if state is RunState.FINISHED else "")


def render_sentence(sentence: str, *, head_sha: str, hint: str = "") -> Said:
    """The comment when nothing ran: a refused subject, a conflict, a broken configuration.

    Args:
        sentence: plain text in lower case without a full stop; it may quote foreign text.
        head_sha: the commit that it is about.
        hint: Markdown of our own that says what helps.
    """
    said = f"⚠️ **Interlock** — {plain(sentence, 1000)}"
    blocks = [f"What helps: {hint}."] if hint else []
    return Said(_assemble(said, [*blocks, _footer(head_sha, "")]), said)


def _assemble(said: str, blocks: Sequence[str]) -> str:
    return within(said, blocks, limit=BUDGET - MARKER_BYTES, left_out="The rest is in the checks.")


def _sign(progress: Progress, scrutiny: Scrutiny, state: RunState) -> str:
    if state is RunState.FINISHED and not (progress.green and scrutiny.waits):
        return "✅" if progress.green and not scrutiny.short else "❌"
    return "❌" if progress.red else "⏳"


def _headline(progress: Progress, scrutiny: Scrutiny, state: RunState) -> str:
    said = headline(progress, state)
    if state is RunState.FINISHED and progress.green:
        return said + unproved(scrutiny)
    return said


def _weakened(scrutiny: Scrutiny) -> str:
    said = weakened_headline(scrutiny.weakened or ())
    return f"⚠️ {said}; the check says which" if said else ""


def _quarantine(boxes: Sequence[BoxState]) -> str:
    red = [box for box in boxes if box.red_in_quarantine]
    if not red:
        return ""
    return f"In quarantine, red without gating: {', '.join(code(str(box.box), 80) for box in red[:20])}"


def _details(progress: Progress, run_url: str, repro: Repro) -> str:
    """Folded: the tiers, then the first red boxes in full. Kept apart from the table, which is what people scan."""
    tiers = "\n".join(f"- {tier_line(tier)}" for tier in progress.tiers[:30])
    shown = [section(box, run_url=run_url, repro=repro) for box in progress.red[:SECTIONS]]
    more = len(progress.red) - SECTIONS
    if more > 0:
        shown.append(f"And {count(more, 'box')} more in the checks.")
    inside = within(tiers, shown, limit=BUDGET - 12_000, left_out="{n} more in the checks.")
    return f"<details><summary>Details</summary>\n\n{inside}\n\n</details>"


def _footer(head_sha: str, run_url: str) -> str:
    about = f"For {code(head_sha[:7])}"
    return f"{about} · [logs and timings]({run_url}) · `/help`" if run_url else f"{about} · `/help`"
