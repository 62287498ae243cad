"""Journals of deployments that went well or badly, as the controller writes them, and the rows beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.plan import Call, Plan
from bot.domain.deploy.release import Release, digest
from bot.domain.deploy.states import State
from bot.domain.deploy.watch import Judge, begin, evidence, feed, threshold, to_json

BEGAN = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)
SHA, OLD = "cafe123" + "0" * 33, "0ld0ld0".replace("l", "1") + "0" * 33


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a journal."""

    at: datetime
    kind: str
    data: Mapping[str, Any]
    hash: str


@dataclass
class Story:
    """A journal that is told line by line."""

    at: datetime = BEGAN
    lines: list[Line] = field(default_factory=list)
    judges: dict[str, Judge] = field(default_factory=dict)

    def then(self, kind: str, after: float = 0.1, **data: Any) -> Story:
        """One more line, so many seconds later."""
        self.at += timedelta(seconds=after)
        self.lines.append(Line(self.at, kind, data, digest([len(self.lines), kind, data])))
        return self

    def enter(self, state: str, because: str = "", after: float = 0.1) -> Story:
        """An edge."""
        return self.then("state", after, state=state, because=because)

    def call(self, verb: str, seconds: float = 0.2, problem: str = "", **arguments: Any) -> Story:
        """A call of the target, and its end."""
        self.then("intent", call=verb, **arguments)
        more = {"problem": problem} if problem else {}
        return self.then("done", seconds, call=verb, **arguments, seconds=seconds, **more)

    def watch(self, old: tuple[int, int] | None = None, after: float = 0.25, **seen: tuple[int, int]) -> Story:
        """A line of the watch: what each source saw, as (failures, successes)."""
        for source, (failures, successes) in seen.items():
            judge = self.judges.get(source) or begin(batches=240, alpha=0.001, p0=0.01)
            self.judges[source] = feed(judge, failures=failures, successes=successes)
        counts = {**seen, **({"old": old} if old else {})}
        return self.then(
            "watch",
            after,
            seen={what: {"failures": bad, "successes": good} for what, (bad, good) in counts.items()},
            step=0,
            judges={source: to_json(judge) for source, judge in self.judges.items()},
            evidence={source: round(evidence(judge), 3) for source, judge in self.judges.items()},
            threshold={source: round(threshold(judge), 3) for source, judge in self.judges.items()},
        )


def to_the_watch() -> Story:
    """Until users have the release."""
    story = Story().then("note", what="started", pid=17, plan="p").enter("preparing", "cafe123 is placed in green")
    story.call("start", slot="green", release="r2", nonce="n")
    story.then("seen", what="ready", slot="green").enter("smoking", "cafe123 answers in green", after=1.4)
    story.then("intent", call="smoke", which="before", address="127.0.0.1:9102")
    story.then("done", after=2.0, call="smoke", which="before", ok=True, because="3 boxes are green")
    story.enter("switching", "cafe123 takes over from 01d01d0").call("route", 0.01, weights={"blue": 0, "green": 100})
    return story.enter("baking", "all of the traffic goes to cafe123 in green")


def good() -> Story:
    """A bake that was passed."""
    story = to_the_watch()
    for n in range(60):
        story.watch(probes=(0, 1), traffic=(0, 40 + n % 7), old=(0, 1))
    story.enter("retiring", "0 of 60 answers failed; 50% would have been found")
    return story.call("drain", slot="blue").enter("succeeded", "cafe123 is live")


def rolled_back() -> Story:
    """A release that begins to fail some seconds after the switch."""
    story = to_the_watch()
    for n in range(24):
        story.watch(probes=(0, 1), traffic=(0, 40 + n % 7), old=(0, 1))
    story.watch(probes=(1, 0), traffic=(19, 24), old=(0, 1))
    story.enter("rolling_back", "19 of 1090 answers failed, 1.0% are tolerated", after=0.05)
    story.call("route", 0.004, weights={"blue": 100, "green": 0})
    story.then("note", what="logs", slot="green", tail="Traceback (most recent call last):\nKeyError: 'price'\n")
    return story.enter("rolled_back", "01d01d0 is live again")


def deployment(state: State = State.ROLLED_BACK, **fields: Any) -> Deployment:
    """The row beside a journal."""
    gates = [
        {"gate": "boxes", "answer": "pass", "because": "41 boxes are green on cafe123", "way_out": ""},
        {"gate": "approvals", "answer": "pass", "because": "approved by ada and grace", "way_out": ""},
    ]
    values: dict[str, Any] = {
        "id": "comment:7:99",
        "number": 12,
        "repo_id": 7,
        "repo": "octo/app",
        "installation_id": 1,
        "environment": "production",
        "kind": "deploy",
        "state": state,
        "sha": SHA,
        "ref": "main",
        "artifact": "tree:" + "a" * 40,
        "config": "c" * 64,
        "config_sha": OLD,
        "release_id": "r2",
        "pr": 7,
        "author": "mona",
        "requested_by": "mona",
        "because": "01d01d0 is live again",
        "gates": json.dumps(gates),
        "created_at": BEGAN - timedelta(minutes=3),
        "changed_at": BEGAN + timedelta(seconds=14),
        "expires_at": BEGAN + timedelta(days=1),
        "finished_at": BEGAN + timedelta(seconds=14),
    }
    return Deployment(**{**values, **fields})


def plan() -> Plan:
    """What was carried out."""
    new = Release(repo_id=7, sha=SHA, artifact="tree:" + "a" * 40, config="c" * 64)
    return Plan(
        deployment="comment:7:99",
        number=12,
        repo="octo/app",
        environment="production",
        kind="deploy",
        release=new,
        previous=Release(repo_id=7, sha=OLD, artifact="tree:" + "b" * 40, config="c" * 64),
        slot="green",
        previous_slot="blue",
        settings={},
        calls=(Call("start", {"slot": "green"}), Call("route", {"weights": {"blue": 0, "green": 100}})),
        token=4,
    )


def approval(by: str = "ada", **fields: Any) -> Approval:
    """A yes to it."""
    values: dict[str, Any] = {
        "id": f"comment:{by}",
        "repo_id": 7,
        "environment": "production",
        "deployment": "comment:7:99",
        "sha": SHA,
        "artifact": "tree:" + "a" * 40,
        "config": "c" * 64,
        "by": by,
        "as_who": ("team:release",),
        "given_at": BEGAN - timedelta(minutes=1),
    }
    return Approval(**{**values, **fields})
