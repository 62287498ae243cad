"""The page of one run and the list of runs, as HTML without any outside asset.

What boxes printed and contributors named is escaped by the templates and cleaned of control and direction characters
here. Styles and the small script carry a nonce, so that a strict content security policy can forbid all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.domain.progress import BoxState, Phase, Progress
from bot.domain.report import RunState, count, duration, headline, log_url, place
from bot.domain.repro import Repro
from bot.domain.scrutiny import NOTHING_KNOWN, Scrutiny, proofs_sentence, unproved, weakened_headline
from bot.domain.scrutiny import WORDS as ANSWERS
from bot.domain.subject import Subject
from bot.domain.text import clean, cut, one_line, tail
from bot.web.gantt import chart
from runner.model import Verdict

LOG_BYTES = 64_000
"""How much of a box's output the page shows; its end is what helps."""

WORDS = (
    *(Verdict.FAILED, Verdict.TIMED_OUT, Verdict.ERRORED, Verdict.VACUOUS, Verdict.BLOCKED, Verdict.CANCELLED),
    *(Phase.MISSING, Phase.RUNNING, Phase.QUEUED),
    *(Verdict.FLAKY, Verdict.SKIPPED, Verdict.CACHED, Verdict.PASSED),
)
"""What a box can be, the worst first."""

GLYPHS = {"good": "✓", "bad": "✗", "warn": "!", "live": "●", "held": "—", "idle": "○"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPageModel:
    """What the page of a run shows.

    Attributes:
        run_id: the run's id, as it stands in the address.
        subject: what was tested.
        progress: what its events say.
        state: whether it waits, lives or has ended.
        now: Unix time of this rendering; running boxes reach to it.
        ended: why it ended early (`superseded by f00df00`); "" when it did not.
        pr_url: the pull request on GitHub; "" leaves the link out.
        commit_url: the head on GitHub; "" leaves the link out.
        index_url: the list of runs; "" leaves the link out.
        scrutiny: what is known besides the verdicts.
        page_url: where this page is, with what opened it; "" leaves links to logs out.
        configuration: which one was in force, in a sentence; "" while nobody has looked.
    """

    run_id: str
    subject: Subject
    progress: Progress
    state: RunState
    now: float
    ended: str = ""
    pr_url: str = ""
    commit_url: str = ""
    index_url: str = ""
    scrutiny: Scrutiny = NOTHING_KNOWN
    page_url: str = ""
    configuration: str = ""

    @property
    def repro(self) -> Repro:
        """What its boxes were run under."""
        return Repro.of(self.subject, self.progress)

    def log_url(self, box: BoxState) -> str:
        """Where the whole log of a box is; "" for one that ran in another run."""
        return log_url(self.page_url, box.result.log) if box.result and not box.kept else ""

    @property
    def live(self) -> bool:
        """Whether the page refreshes itself."""
        return self.state is not RunState.FINISHED and not self.ended

    @property
    def headline(self) -> str:
        """The sentence above everything."""
        said = headline(self.progress, self.state)
        green = self.progress.green and self.state is RunState.FINISHED
        return self.ended or said + (unproved(self.scrutiny) if green else "")

    @property
    def tone(self) -> str:
        """`good`, `bad`, `held`, `live` or `idle`, for colour and glyph."""
        if self.ended:
            return "held"
        if self.state is RunState.FINISHED:
            return "good" if self.progress.green and not self.scrutiny.short else "bad"
        if self.progress.red:
            return "bad"
        return "live" if self.state is RunState.RUNNING else "idle"

    @property
    def weakened(self) -> str:
        """What the change weakens, in one sentence; "" for nothing."""
        return weakened_headline(self.scrutiny.weakened or ())

    @property
    def seconds(self) -> float | None:
        """How long it has taken; None before it began."""
        if not self.progress.at:
            return None
        until = self.progress.end.at if self.progress.end else max(self.now, self.progress.at)
        return until - self.progress.at if self.live or self.progress.end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in the list. `tone` as in `RunPageModel`; `seconds` is None while nobody knows."""

    run_id: str
    url: str
    repo: str
    pr: int | None
    head_sha: str
    headline: str
    tone: str
    at: float
    seconds: float | None = None


def render_run(page: RunPageModel, *, nonce: str = "", fragment: bool = False) -> str:
    """The page, or with `fragment` only the part that the page replaces while the run lives (`?fragment=1`)."""
    template = TEMPLATES.get_template("_run.html" if fragment else "run.html")
    return template.render(page=page, chart=chart(page.progress, now=page.now), nonce=nonce)


def render_index(runs: Sequence[RunRow], *, nonce: str = "") -> str:
    """The list of runs, in the order given."""
    return TEMPLATES.get_template("index.html").render(runs=runs, nonce=nonce)


def tone(box: BoxState) -> str:
    """How a box looks: `good bad warn held live idle`. Red in quarantine warns; what did not run is held back."""
    match box.phase:
        case Phase.RUNNING:
            return "live"
        case Phase.QUEUED:
            return "idle"
        case Phase.MISSING:
            return "held"
        case Phase.FINISHED:
            return _tone_of_result(box)


def _tone_of_result(box: BoxState) -> str:
    if not box.executed:
        return "held"
    if box.red:
        return "bad"
    plainly_green = box.result is not None and box.result.verdict in {Verdict.PASSED, Verdict.CACHED}
    return "good" if plainly_green else "warn"


def _word(box: BoxState) -> str:
    """`failed`, `timed out`, `running`; with `kept` or `slow` where that matters."""
    word = str(box.result.verdict if box.result else box.phase).replace("_", " ")
    if box.red_in_quarantine:
        word += ", in quarantine"
    if box.red_and_excused:
        word += ", excused"
    if box.kept:
        word += ", kept"
    if box.slow and box.phase is Phase.RUNNING:
        word += ", slow"
    return word


def _capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _message(text: str) -> str:
    return cut(clean(text).strip(), 4_000)


def _log(output: str) -> str:
    return tail(clean(output), lines=2_000, limit=LOG_BYTES)


TEMPLATES = Environment(
    loader=PackageLoader("bot.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals.update(GLYPHS=GLYPHS, WORDS=WORDS, count=count, place=place, tone=tone, word=_word)
TEMPLATES.globals.update(ANSWERS=ANSWERS, proofs_sentence=proofs_sentence)
TEMPLATES.filters.update(
    capitalize_first=_capitalize_first, clock=_clock, duration=duration, line=one_line, log=_log, message=_message
)
