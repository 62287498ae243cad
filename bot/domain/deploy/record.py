"""What is kept of a deployment for ever: one JSON document, and its place in the chain of its environment's records.

A record's hash covers all of it, its predecessor's hash among it: whoever changes a byte of an old record, or takes one
away, breaks the chain at that place. The documents are written in one canonical form, so that not even a space can be
added unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.journey import Evidence, Journey, Sample, Stay
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.release import release_to_json
from bot.domain.deploy.states import State

SCHEMA = "interlock.deployment/1"

FIRST = ""
"""What the first record of an environment has for its predecessor's hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A record's place in its environment's chain.

    Attributes:
        place: 1 for the environment's first record.
        number: of the deployment that it is of.
        hash: of the record.
    """

    place: int
    number: int
    hash: str


def record_of(
    deployment: Deployment,
    *,
    journey: Journey,
    plan: Plan | None = None,
    approvals: Sequence[Approval] = (),
    previous: Link | None = None,
) -> dict[str, Any]:
    """A deployment as its record says it, also while it goes on; `sealed` makes it final.

    Args:
        deployment: its row.
        journey: what its journal says; of one that never came so far, an empty one.
        plan: what was carried out; None where nothing was.
        approvals: those that were given for its commit and environment, void or not.
        previous: the newest record of the environment; None if this is the first.
    """
    stays = _all_stays(deployment, journey)
    return {
        "schema": SCHEMA,
        "number": deployment.number,
        "id": deployment.id,
        "repo": deployment.repo,
        "repo_id": deployment.repo_id,
        "environment": deployment.environment,
        "kind": deployment.kind,
        "state": str(deployment.state),
        "because": deployment.because,
        "who": {
            "requested_by": deployment.requested_by,
            "author": deployment.author,
            "cause": deployment.cause,
            "pr": deployment.pr,
        },
        "release": {
            "id": deployment.release_id,
            "sha": deployment.sha,
            "ref": deployment.ref,
            "artifact": deployment.artifact,
            "config": deployment.config,
            "config_sha": deployment.config_sha,
        },
        "replaced": release_to_json(plan.previous) if plan and plan.previous else None,
        "plan": _plan(plan, deployment),
        "gates": gates_in(deployment.gates),
        "approvals": [_approval(each) for each in approvals],
        "states": [_stay(stay) for stay in stays],
        "calls": [
            {
                "verb": act.verb,
                "arguments": dict(act.arguments),
                "at": _moment(act.at),
                "seconds": act.seconds,
                "ok": act.ok,
                "because": act.because,
            }
            for act in journey.acts
        ],
        "watch": _watch(journey.evidence),
        "log": journey.tail,
        "journal": {"entries": journey.entries, "head": journey.head},
        "created_at": _moment(deployment.created_at.timestamp()),
        "finished_at": _moment(deployment.finished_at.timestamp()) if deployment.finished_at else None,
        "place": previous.place + 1 if previous else 1,
        "previous": {"number": previous.number if previous else None, "hash": previous.hash if previous else FIRST},
    }


def canonical(record: Mapping[str, Any]) -> str:
    """The one text of a record, with a line's end."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"{text}\n"


def hash_of(record: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of all of a record but its own hash."""
    rest = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its hash."""
    return {**record, "hash": hash_of(record)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record as it was found: what the database says of it, and what is on the disk, None where nothing is."""

    link: Link
    text: str | None


@dataclass(frozen=True, slots=True)
class Broken:
    """The first link that does not hold: of which deployment, and what is wrong in a sentence."""

    number: int
    because: str


def verify(chain: Sequence[Kept]) -> Broken | None:
    """Look for the first record of an environment, oldest first, that is not what was written; None if all are."""
    before = Link(place=0, number=0, hash=FIRST)
    for kept in chain:
        if because := _trouble(kept, before):
            return Broken(kept.link.number, because)
        before = kept.link
    return None


def _trouble(kept: Kept, before: Link) -> str:
    """What is wrong with a record; "" for nothing."""
    if kept.link.place != before.place + 1:
        return f"{kept.link.place - before.place - 1} of the records before it are gone"
    if kept.text is None:
        return "its record is gone"
    found = _read(kept.text)
    if found is None:
        return "its record is no JSON as it was written"
    if found.get("hash") != hash_of(found):
        return "its record was changed: the hash in it is not of what it says"
    if found["hash"] != kept.link.hash:
        return "its record was written anew: the database knows another hash"
    said = found.get("previous")
    follows = isinstance(said, dict) and said.get("hash") == before.hash
    return "" if follows else "it does not follow the record before it"


def _read(text: str) -> dict[str, Any] | None:
    """A record in its one form; None for every other text."""
    try:
        found = json.loads(text)
        return found if isinstance(found, dict) and canonical(found) == text else None
    except (ValueError, RecursionError):
        return None


def reasons(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a deployment is where it is, in sentences. Of a way back first what led to it: people come for that."""
    turns = [stay["because"] for stay in record["states"] if stay["state"] == State.ROLLING_BACK]
    last = str(record["because"])
    led = dict.fromkeys(turn for turn in turns if turn and turn not in last)
    is_back = record["state"] in {State.ROLLING_BACK, State.ROLLED_BACK, State.ROLLBACK_FAILED}
    return (*(led if is_back else ()), *((last,) if last else ()))


def gates_in(text: str) -> list[dict[str, str]]:
    """The gates' answers as a row keeps them: gate, answer, sentence and way out; none where nobody has looked."""
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return []
    return [
        {name: str(each.get(name, "")) for name in ("gate", "answer", "because", "way_out")}
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    ]


def _plan(plan: Plan | None, deployment: Deployment) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "hash": plan.hash,
        "asked_for": deployment.plan_hash,
        "slot": plan.slot,
        "previous_slot": plan.previous_slot,
        "token": plan.token,
        "calls": [{"verb": call.verb, "arguments": dict(call.arguments)} for call in plan.calls],
    }


def _approval(approval: Approval) -> dict[str, Any]:
    return {
        "by": approval.by,
        "as": list(approval.as_who),
        "approves": approval.approves,
        "at": _moment(approval.given_at.timestamp()),
        "because": approval.because,
        "sha": approval.sha,
        "artifact": approval.artifact,
        "config": approval.config,
        "void_because": approval.void_because,
    }


def _all_stays(deployment: Deployment, journey: Journey) -> list[Stay]:
    """The states with those that came before and after the journal, of which only the row tells."""
    stays = [Stay(state="requested", at=deployment.created_at.timestamp()), *journey.stays]
    if deployment.finished_at is not None and stays[-1].state != deployment.state:
        stays.append(Stay(state=deployment.state, at=deployment.finished_at.timestamp(), because=deployment.because))
    ends = [stay.at for stay in stays[1:]]
    return [
        Stay(state=stay.state, at=stay.at, seconds=max(0.0, end - stay.at) if end else None, because=stay.because)
        for stay, end in zip(stays, [*ends, None], strict=True)
    ]


def _stay(stay: Stay) -> dict[str, Any]:
    seconds = None if stay.seconds is None else round(stay.seconds, 3)
    return {"state": stay.state, "at": _moment(stay.at), "seconds": seconds, "because": stay.because}


def _watch(evidence: Evidence) -> dict[str, Any]:
    return {
        "verdict": evidence.verdict,
        "because": evidence.because,
        "judges": dict(evidence.judges),
        "tolerated": evidence.tolerated,
        "needed": evidence.needed,
        "sources": _sources(evidence.samples),
        "samples": [asdict(sample) for sample in evidence.samples],
        "readings": [asdict(reading) for reading in evidence.readings],
    }


def _sources(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """How much was seen, by source and side."""
    counts: dict[tuple[str, str], list[int]] = {}
    for sample in samples:
        count = counts.setdefault((sample.source, sample.side), [0, 0])
        count[0] += sample.successes
        count[1] += sample.failures
    return [
        {"source": source, "side": side, "successes": ok, "failures": failed}
        for (source, side), (ok, failed) in sorted(counts.items())
    ]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
