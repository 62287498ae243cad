"""Whether a deployment may begin, gate by gate: facts in, answers out. Pure.

Every answer has its sentence and says who can change it. What is not known never passes. A way back passes the gates
that keep releases apart from harm (quarantine, schema, one at a time), and is held by none that people close.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.domain.deploy.answers import Answer, Deny, Gate, Pass, Wait, verdict
from bot.domain.deploy.approving import count, entitled
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.environment import (
    AfterGate,
    ApprovalsGate,
    BoxesGate,
    Environment,
    GateSpec,
    NotFrozenGate,
    SoakedGate,
)
from bot.domain.deploy.freeze_gate import not_frozen
from bot.domain.deploy.gate_facts import Boxes, GateFacts, Reviewers, Unknown
from bot.domain.deploy.locking import may_deploy, turn
from bot.domain.deploy.order_gates import after, not_quarantined, soaked
from bot.domain.deploy.origin_gate import allowed
from bot.domain.deploy.schema_guard import Fits, NobodyKnows, TooNew, TooOld, fit


def evaluate(facts: GateFacts, *, now: datetime) -> tuple[Gate, ...]:
    """Every gate of a deployment and what it answers, in the order in which people read them. `now` is aware."""
    if facts.deployment.kind == "rollback":
        return (Gate("quarantine", _quarantine(facts)), *_schema(facts), Gate("turn", _turn(facts, now=now)))
    gates = [Gate("origin", allowed(facts)), Gate("quarantine", _quarantine(facts))]
    for spec in facts.environment.gates:
        gates.extend(_of(spec, facts, now=now))
    gates.extend(_reviewers(facts, now=now))
    if facts.environment.freeze and not any(isinstance(spec, NotFrozenGate) for spec in facts.environment.gates):
        gates.append(Gate("frozen", not_frozen(facts, now=now, branches=False)))
    gates.append(Gate("lock", _lock(facts, now=now)))
    gates.extend(_schema(facts))
    gates.append(Gate("turn", _turn(facts, now=now)))
    return tuple(gates)


def still_holds(before: tuple[Gate, ...], now: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """The gates that passed when a deployment began and do not any more, as they answer now.

    A gate that is not answered any more counts as one that does not pass, and so does a new one that does not pass.
    """
    asked = {gate.name for gate in now}
    forgotten = Wait("this gate was not asked again", way_out="it is asked again within a minute")
    changed = [gate for gate in now if not isinstance(gate.answer, Pass)]
    return (*changed, *(Gate(gate.name, forgotten) for gate in before if gate.name not in asked))


def again(before: tuple[Gate, ...], now: tuple[Gate, ...]) -> Answer:
    """What the gates say together right before the switch: Pass, or each by its name that passed and does not now."""
    changed = still_holds(before, now)
    answer = verdict(changed)
    if isinstance(answer, Pass):
        return verdict(now)
    alike = [gate for gate in changed if type(gate.answer) is type(answer)]
    return replace(answer, because="; ".join(f"{gate.name}: {gate.answer.because}" for gate in alike))


def green(facts: Boxes | Unknown | None, sha: str, selection: str) -> Answer:
    """Whether the boxes of a selection are green on exactly this commit."""
    short = sha[:7]
    match facts:
        case None:
            return Wait(f"no run of {short} is known", way_out="push the commit, or comment `/boxes run`")
        case Unknown(because, way_out):
            return Wait(because, way_out=way_out)
        case Boxes(sha=other) if other != sha:
            said = f"{selection} ran on {other[:7]}, and this is {short}"
            return Wait(said, way_out="they have to run on this commit")
        case Boxes():
            return _all_green(facts, short, selection)


def _all_green(boxes: Boxes, short: str, selection: str) -> Answer:
    if boxes.total == 0:
        return Deny(f"{selection} selects no box of {short}", way_out="correct the gate on the default branch")
    if boxes.not_green:
        first, *others = boxes.not_green
        more = f" and {len(others)} more" if others else ""
        return Wait(f"{first}{more} on {short}", way_out="a green re-run, or a commit that mends it")
    if boxes.open:
        run = boxes.total - boxes.open
        return Wait(f"{run} of {boxes.total} boxes of {selection} have run on {short}", way_out="when they have")
    return Pass(f"all {boxes.total} boxes of {selection} are green on {short}")


def _of(spec: GateSpec, facts: GateFacts, *, now: datetime) -> list[Gate]:
    match spec:
        case BoxesGate(selection):
            return [Gate("boxes", green(facts.boxes.get(selection), facts.deployment.sha, selection))]
        case AfterGate(environment):
            return [Gate("order", after(facts.standings.get(environment), facts.release, environment))]
        case SoakedGate(environment, seconds):
            known = facts.standings.get(environment)
            return [Gate("soaked", soaked(known, facts.release, environment, seconds=seconds, now=now))]
        case ApprovalsGate():
            return [Gate("approvals", _approvals(spec, facts, now=now))]
        case NotFrozenGate():
            return [Gate("frozen", not_frozen(facts, now=now, branches=True))]


def _approvals(spec: ApprovalsGate, facts: GateFacts, *, now: datetime) -> Answer:
    if isinstance(facts.approvals, Unknown):
        return Wait(facts.approvals.because, way_out=facts.approvals.way_out)
    authors = facts.authors
    if isinstance(authors, Unknown):
        if "author" in spec.excluding:
            return Wait(authors.because, way_out=authors.way_out)
        authors = ()
    return count(facts.approvals, facts.deployment, spec, now=now, authors=authors)


def _reviewers(facts: GateFacts, *, now: datetime) -> list[Gate]:
    """GitHub's own reviewers of an environment of this name, beside whatever our configuration asks for."""
    match facts.reviewers:
        case Unknown(because, way_out):
            return [Gate("reviewers", Wait(because, way_out=way_out))]
        case Reviewers():
            specs = reviewing(facts.reviewers, facts.environment)
    if isinstance(facts.approvals, Unknown):
        return [Gate("reviewers", Wait(facts.approvals.because, way_out=facts.approvals.way_out)) for _ in specs]
    return [Gate("reviewers", _reviewed(spec, facts.approvals, facts.deployment, now=now)) for spec in specs]


def reviewing(required: Reviewers, environment: Environment) -> list[ApprovalsGate]:
    """What GitHub's reviewers ask for, as a gate of ours would: one of them is enough. Empty where there are none."""
    if not required.sources:
        return []
    excluding = frozenset({"requester"} if required.prevent_self_review else ())
    return [ApprovalsGate(count=1, sources=required.sources, excluding=excluding, expires=environment.expires)]


def _reviewed(spec: ApprovalsGate, approvals: tuple[Approval, ...], deployment: Deployment, *, now: datetime) -> Answer:
    theirs = [one for one in approvals if entitled(one.as_who, one.by, spec.sources)]
    return count(theirs, deployment, spec, now=now)


def _quarantine(facts: GateFacts) -> Answer:
    here = facts.deployment.environment
    return not_quarantined(facts.standings.get(here), facts.release, here)


def _lock(facts: GateFacts, *, now: datetime) -> Answer:
    if isinstance(facts.lock, Unknown):
        return Wait(facts.lock.because, way_out=facts.lock.way_out)
    return may_deploy(facts.lock, facts.deployment, facts.environment.lock, now=now)


def _turn(facts: GateFacts, *, now: datetime) -> Answer:
    if isinstance(facts.others, Unknown):
        return Wait(facts.others.because, way_out=facts.others.way_out)
    return turn(facts.deployment, facts.others, now=now)


def _schema(facts: GateFacts) -> list[Gate]:
    """Only where the release names versions."""
    version = facts.schema_version
    if not facts.release.names_schemas:
        return []
    if isinstance(version, Unknown):
        return [Gate("schema", Wait(version.because, way_out=version.way_out))]
    return [Gate("schema", _fitting(facts, version))]


def _fitting(facts: GateFacts, version: int | None) -> Answer:
    """Going forward, a database that is behind waits for its migration; going back, nobody migrates."""
    another = "deploy a release that knows this version"
    match fit(facts.release, version):
        case Fits():
            return Pass(f"the schema has version {version}")
        case TooNew(because):
            return Deny(because, way_out=another)
        case TooOld(because):
            if facts.deployment.kind == "rollback":
                return Deny(because, way_out=another)
            if facts.environment.hooks.get("before_switch"):
                return Pass(f"{because}; a hook runs before the switch")
            return Wait(because, way_out="migrate the database")
        case NobodyKnows(because):
            way_out = "`rollback.schema` in the configuration is the command that prints the version"
            return Wait(because, way_out=way_out)
