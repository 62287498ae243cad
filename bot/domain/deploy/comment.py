"""The one comment about a pull request's deployments: where its commits are, what they wait for, and why one went back.

It is edited in place, beside the comment about its boxes. Reasons, logs and names come from strangers, so nothing here
calls anybody, breaks a table, or looks like a mark of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.domain.comment import MARKER_BYTES, Said
from bot.domain.deploy.answers import Deny, Gate, Pass, Wait
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.journey import Evidence, Journey, Stay
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.planning import written
from bot.domain.deploy.states import FINAL, WAITING, State
from bot.domain.report import duration
from bot.domain.text import BUDGET, code, fenced, one_line, plain, tail, within

LOG_LINES = 40
LOG_BYTES = 6_000
"""Of what a release printed; its page has more."""

APPROVALS = 20
"""Approvals that are named."""

_WORDS = {
    State.REQUESTED: ("⏳", "asked for"),
    State.GATED: ("⏸️", "waits at its gates"),
    State.LOCKED: ("⏳", "begins"),
    State.PREPARING: ("⏳", "is started, without users"),
    State.SMOKING: ("⏳", "is tested, without users"),
    State.SWITCHING: ("🔀", "takes over the users"),
    State.BAKING: ("👀", "is live and watched"),
    State.RETIRING: ("✅", "is live; the one before is retired"),
    State.SUCCEEDED: ("✅", "is live and well"),
    State.DENIED: ("⛔", "was denied"),
    State.EXPIRED: ("⌛", "waited too long"),
    State.SUPERSEDED: ("⏭️", "gave way to a newer one"),
    State.ABORTED: ("❌", "was given up before a user saw it"),
    State.HELD: ("✋", "is held: a person decides"),
    State.ROLLING_BACK: ("⏪", "is rolled back"),
    State.ROLLED_BACK: ("⏪", "was rolled back"),
    State.ROLLBACK_FAILED: ("🚨", "could not be rolled back: a person has to look now"),
}
_OF_ROLLBACKS = {
    State.SWITCHING: ("🔀", "gets the users back"),
    State.SUCCEEDED: ("✅", "is live again"),
}
"""What reads otherwise where the deployment brings an older release back."""

_AT_GATES = WAITING | {State.DENIED, State.EXPIRED}
_WENT_WRONG = frozenset({State.ABORTED, State.HELD, State.ROLLING_BACK, State.ROLLED_BACK, State.ROLLBACK_FAILED})
_NEWS = FINAL | {State.GATED, State.HELD}

_HEAD = "| environment | commit | | |\n|--|--|--|--|"
_SIGNS = {Pass: "✅", Wait: "⏳", Deny: "⛔"}
_MATTER = {Deny: 0, Wait: 1, Pass: 2}


def marker(repo_id: int, pr: int, sign: Callable[[str], str]) -> str:
    """The hidden first line by which the comment is found again; `sign` proves that it is ours, and this one's."""
    return f"<!-- interlock:deployments={pr} {sign(f'deployments:{repo_id}:{pr}')} -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is known of one deployment.

    Attributes:
        deployment: its row.
        gates: their last answers.
        approvals: those that were given for its environment on its pull request, void or not, oldest first.
        journey: what its journal says.
        url: of its page; "" leaves the links out.
        open_url: where users find the environment; "" for nowhere.
    """

    deployment: Deployment
    gates: tuple[Gate, ...] = ()
    approvals: tuple[Approval, ...] = ()
    journey: Journey = field(default_factory=Journey)
    url: str = ""
    open_url: str = ""


def render(told: Sequence[Told]) -> Said:
    """What the comment says.

    Args:
        told: the newest deployment of each environment, in the order in which they are shown.
    """
    rows = [_row(one) for one in told]
    head = "\n".join(["**Interlock deployments**", "", _HEAD, *rows])
    sections = [section for one in told if (section := _section(one))]
    footer = "`/help deploy` · `/help approve` · `/help rollback`"
    limit = BUDGET - MARKER_BYTES - len(footer) - 2
    body = within(head, sections, limit=limit, left_out="The rest is on the pages of the deployments.")
    news = [_stands(one.deployment) for one in told if one.deployment.state in _NEWS]
    return Said(f"{body}\n\n{footer}", "\n".join(news))


def overview(told: Sequence[Told]) -> str:
    """Where each stands, for `/boxes status`; "" where there is none."""
    rows = [_row(one) for one in told]
    return within(_HEAD, rows, limit=BUDGET // 4, left_out="| and {n} more | | | |", joint="\n") if rows else ""


def what_holds(told: Sequence[Told]) -> str:
    """Every gate of those that wait, with its evidence and who can open it, for `/boxes why`; "" where none waits."""
    sections = [
        f"{_which(one)}\n\n{gates_table(one.gates)}" for one in told if one.deployment.state in WAITING and one.gates
    ]
    held = [
        f"{_which(one)}: {_marked(one.deployment.because, 600)}. {_help(one.deployment)}"
        for one in told
        if one.deployment.state is State.HELD
    ]
    said = [*sections, *held]
    return within(said[0], said[1:], limit=BUDGET // 4, left_out="And {n} more.") if said else ""


def _which(one: Told) -> str:
    deployment = one.deployment
    return f"{code(deployment.environment)} ({title(one)} of {code(deployment.short)}) {sentence(deployment)}"


def sentence(deployment: Deployment) -> str:
    """Where it is, with its sign: `⏸️ waits at its gates`."""
    words = _OF_ROLLBACKS if deployment.kind == "rollback" else {}
    sign, said = words.get(deployment.state) or _WORDS[deployment.state]
    return f"{sign} {said}"


def plan_told(plan: Plan, *, expected: str = "") -> str:
    """The answer to a dry run: the calls in order, and the line that carries out exactly these."""
    before = f"{code(plan.previous.short)} in {code(plan.previous_slot or '')}" if plan.previous else "nothing"
    rows = [f"{nth}. {code(written(call), 300)}" for nth, call in enumerate(plan.calls, start=1)]
    line = f"/deploy {plan.environment} expect {plan.hash}"
    same = {"": "", plan.hash: " It is the plan that was expected."}.get(
        expected, f" **It is not the plan that was expected**, which is {code(expected)}."
    )
    said = f"Nothing was done. {code(plan.release.short)} would go to {code(plan.environment)}, where {before} is live."
    head = f"{said}{same}\n\nPlan {code(plan.hash)}:"
    tail = f"To do this and nothing else:\n\n```text\n{line}\n```"
    return within(head, ["\n".join(rows), tail], limit=BUDGET - MARKER_BYTES, left_out="")


def gates_table(gates: Sequence[Gate]) -> str:
    """Every gate with its answer and who can change it; those that hold somebody first."""
    rows = [_gate(gate) for gate in sorted(gates, key=lambda gate: _MATTER[type(gate.answer)])]
    return "\n".join(["| gate | | who can change it |", "|--|--|--|", *rows]) if rows else ""


def _gate(gate: Gate) -> str:
    name = f"{_SIGNS[type(gate.answer)]} {plain(gate.name, 60)}"
    return f"| {name} | {_marked(gate.answer.because, 600)} | {_way_out(gate)} |"


def title(one: Told) -> str:
    """`deployment 12`, with a link where there is a page."""
    what = "rollback" if one.deployment.kind == "rollback" else "deployment"
    name = f"{what} {one.deployment.number}"
    return f"[{name}]({one.url})" if one.url else name


def _row(one: Told) -> str:
    deployment = one.deployment
    place = code(deployment.environment, table=True)
    if one.open_url.startswith(("https://", "http://")) and deployment.state is State.SUCCEEDED:
        place = f"{place} ([open]({_address(one.open_url)}))"
    since = _moment(deployment.changed_at)
    return f"| {place} | {code(deployment.short)} | {sentence(deployment)} | {title(one)}, {since} |"


def _section(one: Told) -> str:
    """What is to be said beyond the row; "" for nothing."""
    deployment = one.deployment
    said = [*_reasons(one), _help(deployment)]
    folded = [_timeline(one.journey.stays), _plan(deployment)]
    if deployment.state in _AT_GATES:
        said += [gates_table(one.gates), _approvals(one.approvals, deployment)]
    else:
        folded = [gates_table(one.gates), _approvals(one.approvals, deployment), *folded]
    blocks = [*said, _log(one), _folded("Details", [block for block in folded if block])]
    kept = [block for block in blocks if block]
    return "\n\n".join([f"### {code(deployment.environment)} {sentence(deployment)}", *kept]) if kept else ""


def _reasons(one: Told) -> list[str]:
    deployment, said = one.deployment, []
    if deployment.because and deployment.state not in WAITING:
        said.append(f"{_upper(_marked(deployment.because, 1000))}.")
    if deployment.state in _WENT_WRONG:
        said.append(_evidence(one.journey.evidence))
    return [sentence for sentence in said if sentence]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _evidence(evidence: Evidence) -> str:
    """What the watch saw of both sides, and what that was worth."""
    said = []
    for side, words in (("new", "this release"), ("old", "the release before")):
        good, failed = evidence.counted("new" if side == "new" else "old")
        if good + failed:
            share = 100 * failed / (good + failed)
            said.append(f"- of {good + failed} answers of {words} {failed} failed ({share:.3g} %)")
    if evidence.tolerated is not None:
        said.append(f"- tolerated: {100 * evidence.tolerated:.3g} %")
    if evidence.readings:
        worst = max(evidence.readings, key=lambda reading: reading.log_r - reading.log_threshold)
        said.append(f"- evidence against it: R = {_power(worst.log_r)}; {_power(worst.log_threshold)} is enough")
    if evidence.verdict == "inconclusive" and evidence.needed:
        good, failed = evidence.counted("new")
        said.append(f"- a verdict needs {evidence.needed} answers, and there were {good + failed}")
    return "\n".join(said)


def _power(log: float) -> str:
    """R of ln(1 + R), which may be too large for a number: `4.8·10¹³`."""
    if log == math.inf:
        return "∞"
    if log < math.log(1000):
        return f"{max(math.expm1(log), 0):.3g}"
    exponent = math.floor(log / math.log(10))
    digits = math.exp(log - exponent * math.log(10))
    return f"{digits:.1f}·10{str(exponent).translate(_RAISED)}"


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _help(deployment: Deployment) -> str:
    """What people can do now, ready to copy."""
    name = deployment.environment
    back = f"{code(f'/rollback {name}')} takes it back"
    match deployment.state:
        case State.HELD:
            return f"Someone with write permission decides: {code(f'/promote {name}')} accepts it, {back}."
        case State.BAKING | State.SWITCHING:
            return f"{_upper(back)} at once."
        case State.ROLLBACK_FAILED:
            return (
                f"Nothing more is tried. Both releases are left as they are, and {code(name)} is locked until "
                f"{code(f'/unlock {name}')}."
            )
        case State.EXPIRED | State.DENIED | State.ABORTED:
            return f"{code(f'/deploy {name}')} asks for it anew."
        case _:
            return ""


def _approvals(approvals: Sequence[Approval], deployment: Deployment) -> str:
    """Who said what, for which release; also what counts no more, and why."""
    return "\n".join(_approval(approval, deployment) for approval in approvals[-APPROVALS:])


def _approval(approval: Approval, deployment: Deployment) -> str:
    verb = "approved" if approval.approves else "rejected"
    sources = f" ({plain(', '.join(approval.as_who))})" if approval.as_who else ""
    why = f": {plain(approval.because, 400)}" if approval.because else ""
    void = approval.void_because or _other(approval, deployment)
    counts = f" — **counts no more**: {plain(void, 400)}" if void else ""
    return f"- {_who(approval.by)}{sources} {verb} {code(approval.sha[:7])}{why}{counts}"


def _who(login: str) -> str:
    """Somebody, without calling them."""
    return plain(login if login == "operator" else f"@{login}")


def _other(approval: Approval, deployment: Deployment) -> str:
    """What of the release is another than what was approved."""
    if approval.sha != deployment.sha:
        return f"it is for {approval.sha[:7]}, and this is {deployment.short}"
    if deployment.artifact and approval.artifact != deployment.artifact:
        return f"it is for {_short(approval.artifact)}, and this is {_short(deployment.artifact)}"
    if deployment.config and approval.config != deployment.config:
        return f"it is for configuration {approval.config[:12]}, and this is {deployment.config[:12]}"
    return ""


def _short(artifact: str) -> str:
    kind, _, digest = artifact.partition(":")
    return f"{kind} {digest[:12]}"


def _timeline(stays: Sequence[Stay]) -> str:
    if not stays:
        return ""
    rows = [f"| {plain(stay.state.replace('_', ' '))} | {_clock(stay.at)} | {_lasted(stay)} |" for stay in stays]
    return "\n".join([f"| state | {_day(stays[0].at)} | took |", "|--|--|--|", *rows])


def _lasted(stay: Stay) -> str:
    return "" if stay.seconds is None else duration(stay.seconds)


def _plan(deployment: Deployment) -> str:
    said = [f"plan {code(deployment.plan_hash[:12])}"] if deployment.plan_hash else []
    said += [f"built as {code(_short(deployment.artifact))}"] if deployment.artifact else []
    said += [f"configuration {code(deployment.config[:12])}"] if deployment.config else []
    said += [f"asked for by {_who(deployment.requested_by)}"] if deployment.requested_by else []
    return _upper(" · ".join(said))


def _log(one: Told) -> str:
    """The end of what a release printed that did not go well."""
    if not one.journey.tail.strip() or one.deployment.state not in _WENT_WRONG:
        return ""
    printed = fenced(tail(one.journey.tail, lines=LOG_LINES, limit=LOG_BYTES))
    return _folded("The end of what it printed", [printed])


def _folded(summary: str, blocks: Sequence[str]) -> str:
    if not blocks:
        return ""
    inside = "\n\n".join(blocks)
    return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _way_out(gate: Gate) -> str:
    answer = gate.answer
    return "" if isinstance(answer, Pass) else _marked(answer.way_out, 400)


def _marked(text: str, limit: int) -> str:
    """A sentence whose commands stand in backticks, as Markdown: whatever else is in it, it stays inside its part."""
    parts = one_line(text, limit).split("`")
    if len(parts) % 2 == 0:
        return plain(text, limit)
    return "".join(code(part, limit, table=True) if nth % 2 else _apart(part, limit) for nth, part in enumerate(parts))


def _apart(text: str, limit: int) -> str:
    """Plain text with the spaces around it, which keep it apart from what stands beside it."""
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{plain(text, limit)}{after}" if text.strip() else text


def _address(url: str) -> str:
    """An address inside of brackets: nothing in it ends the link."""
    return "".join(f"%{byte:02X}" if chr(byte) in " ()<>|\\\"'`" else chr(byte) for byte in url.encode()[:500])


def _stands(deployment: Deployment) -> str:
    return f"{deployment.number} {deployment.environment} {deployment.state}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d, UTC")
