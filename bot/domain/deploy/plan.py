"""What a deployment will do, in order, as a value with a hash: shown by a dry run, and held by the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bot.domain.deploy.release import Release, digest, release_to_json

Kind = Literal["deploy", "rollback"]


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that is done or asked: the verb (`start`, `smoke`, `route`, …) and its arguments."""

    verb: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the controller needs; it reads nothing else, so neither GitHub nor the database is in its way.

    Attributes:
        deployment: id of the deployment.
        number: what people see.
        repo: `owner/name`.
        environment: its name.
        kind: of the deployment.
        release: what goes live.
        previous: what is live now, and what a rollback goes back to; None for the first release of an environment.
        slot: where the release goes; a rollback to a slot that is still running goes there.
        previous_slot: where the release before runs.
        settings: the environment's section of the configuration, as `bot.domain.deploy.reading` reads it.
        calls: in order, when all goes well.
        token: the lease's fencing token; not part of the hash.
        no_return: why nobody is sent back to what is live now; "" where that is the way back.
    """

    deployment: str
    number: int
    repo: str
    environment: str
    kind: Kind
    release: Release
    previous: Release | None
    slot: str
    previous_slot: str | None
    settings: Mapping[str, Any]
    calls: tuple[Call, ...] = ()
    token: int = 0
    no_return: str = ""

    @property
    def hash(self) -> str:
        """Of what would be done to the world as it is: equal for a dry run and a real one in an unchanged world."""
        return digest(
            [
                self.repo,
                self.environment,
                self.kind,
                release_to_json(self.release),
                release_to_json(self.previous) if self.previous else None,
                self.slot,
                self.previous_slot,
                [[call.verb, dict(call.arguments)] for call in self.calls],
            ]
        )


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as it is written to disk."""
    return {"schema": "interlock.plan/1", **asdict(plan), "hash": plan.hash}


def plan_from_json(raw: Mapping[str, Any]) -> Plan:
    """The plan of what `plan_to_json` made."""
    fields = {name: raw[name] for name in Plan.__slots__}
    fields["release"] = Release(**raw["release"])
    fields["previous"] = Release(**raw["previous"]) if raw["previous"] else None
    fields["calls"] = tuple(Call(one["verb"], one["arguments"]) for one in raw["calls"])
    return Plan(**fields)
