"""Values that the tests of deployments begin with; each test changes the one fact that it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.deploy.answers import Answer
from bot.domain.deploy.deployment import Approval, Deployment, Lock
from bot.domain.deploy.environment import ApprovalsGate, Environment, GateSpec, Strategy, TargetSpec
from bot.domain.deploy.gate_facts import GateFacts, Origin, Unknown
from bot.domain.deploy.gates import evaluate
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.states import State

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CAFE = "cafe123" + "0" * 33
BEEF = "beef456" + "0" * 33

RELEASE = Release(repo_id=1, sha=CAFE, artifact="tree:" + "a" * 40, config="c" * 64)
OLDER = Release(repo_id=1, sha="01d" + "0" * 37, artifact="tree:" + "b" * 40, config="c" * 64)

DEPLOYMENT = Deployment(
    id="d12",
    number=12,
    repo_id=1,
    repo="octo/app",
    installation_id=7,
    environment="production",
    kind="deploy",
    state=State.GATED,
    sha=CAFE,
    ref="main",
    artifact=RELEASE.artifact,
    config=RELEASE.config,
    release_id=RELEASE.id,
    pr=3,
    author="mona",
    requested_by="rick",
    created_at=NOW,
    changed_at=NOW,
    expires_at=NOW + 24 * HOUR,
)

PRODUCTION = Environment(
    name="production",
    target=TargetSpec(kind="process"),
    strategy=Strategy(kind="blue_green"),
)

TWO_OF_RELEASE = ApprovalsGate(count=2, sources=("team:release",))


def deployment(**changes: Any) -> Deployment:
    return replace(DEPLOYMENT, **changes)


def environment(**changes: Any) -> Environment:
    return replace(PRODUCTION, **changes)


def release(letter: str, **changes: Any) -> Release:
    """A release of its own: commit, artifact and configuration are of this hexadecimal digit."""
    whole = Release(repo_id=1, sha=letter * 40, artifact=f"tree:{letter * 40}", config=letter * 64)
    return replace(whole, **changes)


def known(of: Release, standing: Standing = Standing.GOOD, **changes: Any) -> Known:
    facts: dict[str, Any] = {"environment": "production", "deployment": "d1", "live_since": NOW, "at": NOW, **changes}
    return Known(release=of, standing=standing, **facts)


def approval(by: str, **changes: Any) -> Approval:
    facts: dict[str, Any] = {
        "id": f"approval-of-{by}",
        "repo_id": 1,
        "environment": "production",
        "deployment": "d12",
        "sha": RELEASE.sha,
        "artifact": RELEASE.artifact,
        "config": RELEASE.config,
        "as_who": ("team:release",),
        "given_at": NOW,
        **changes,
    }
    return Approval(by=by, **facts)


def lock(**changes: Any) -> Lock:
    facts: dict[str, Any] = {
        "repo_id": 1,
        "environment": "production",
        "by": "ada",
        "pr": 1,
        "because": "",
        "since": NOW - HOUR,
        "until": NOW + HOUR,
        **changes,
    }
    return Lock(**facts)


def facts(**changes: Any) -> GateFacts:
    """Facts with which every gate passes: a commit of the default branch, and nothing is in its way."""
    given: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "environment": PRODUCTION,
        "release": RELEASE,
        "origin": Origin(default_branch="main", branches=frozenset({"main"})),
        "standings": {"production": ()},
        "branch": "main",
        **changes,
    }
    return GateFacts(**given)


def answers(given: GateFacts, *, now: datetime = NOW) -> dict[str, Answer]:
    """What each gate says, by its name."""
    return {gate.name: gate.answer for gate in evaluate(given, now=now)}


def answer(name: str, *specs: GateSpec, now: datetime = NOW, **changes: Any) -> Answer:
    """What one gate says, in an environment that asks for these."""
    changes.setdefault("environment", environment(gates=specs))
    return answers(facts(**changes), now=now)[name]


NOBODY = Unknown("GitHub did not say")


def staged(standing: Standing = Standing.GOOD, **changes: Any) -> Known:
    """How `RELEASE` stands in staging."""
    return known(RELEASE, standing, environment="staging", **changes)


def origin(**changes: Any) -> Origin:
    """A commit that is on no branch, unless said otherwise."""
    return Origin(**{"default_branch": "main", "branches": frozenset[str](), **changes})
