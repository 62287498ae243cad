"""What the configuration says about an environment, as values. `bot.domain.deploy.reading` makes them of its text.

Times are seconds, shares are between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Literal

StrategyKind = Literal["recreate", "rolling", "blue_green", "canary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a release takes the place of another. `steps` are a canary's shares of the traffic, the last is 1."""

    kind: StrategyKind
    steps: tuple[float, ...] = (1.0,)
    pause: float = 60.0
    """How long each step of a canary but the last is watched."""


@dataclass(frozen=True, slots=True)
class BoxesGate:
    """These boxes are green on exactly the commit that is deployed."""

    selection: str


@dataclass(frozen=True, slots=True)
class AfterGate:
    """The same commit and artifact is good in another environment."""

    environment: str


@dataclass(frozen=True, slots=True)
class SoakedGate:
    """The same commit and artifact has been live and well in another environment for so long."""

    environment: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsGate:
    """So many people have approved exactly this release for this environment.

    Attributes:
        count: how many.
        sources: who may: `team:<slug>`, `user:<login>`, `role:<write|maintain|admin>`; any of them is enough.
        excluding: who may not: `author` of the change, `requester` of the deployment.
        expires: how long an approval counts.
    """

    count: int = 1
    sources: tuple[str, ...] = ("role:maintain",)
    excluding: frozenset[str] = frozenset({"author", "requester"})
    expires: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class NotFrozenGate:
    """No freeze holds: neither a `/freeze` of the branch, nor a window of the environment."""


GateSpec = BoxesGate | AfterGate | SoakedGate | ApprovalsGate | NotFrozenGate


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window in which nothing is deployed: every week, or once. One of both pairs is set.

    Attributes:
        weekly: from (weekday, 0 = Monday, and wall time) until (the same), in `tz`.
        once: from and until, aware.
        tz: name of the time zone.
        because: shown to whoever waits.
    """

    weekly: tuple[tuple[int, time], tuple[int, time]] | None = None
    once: tuple[datetime, datetime] | None = None
    tz: str = "UTC"
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """Ask for a path of what users see. An answer later than `timeout` is a failure, one later than `slow` also."""

    path: str
    every: float = 1.0
    timeout: float = 0.5
    status: int = 200
    slow: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusProbe:
    """Ask a Prometheus server; a value above `most` is a failure, no value is no sample."""

    url: str
    query: str
    most: float
    every: float = 5.0


Probe = HttpProbe | PrometheusProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a release is judged after the switch.

    Attributes:
        seconds: how long the bake takes.
        probes: what is asked.
        traffic: also count the answers that the router gives to users, where the target can.
        on_bad: what follows.
        no_data: what follows when nothing could be seen.
        false_rollback: how likely, at most, a release that is no worse than tolerated is judged bad.
        tolerated: the share of failures that is tolerated; None learns it from the release before.
    """

    seconds: float = 60.0
    probes: tuple[Probe, ...] = ()
    traffic: bool = True
    on_bad: Literal["rollback", "hold"] = "rollback"
    no_data: Literal["hold", "rollback", "accept"] = "hold"
    false_rollback: float = 0.001
    tolerated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """How the way back is kept.

    Attributes:
        keep_old: how long the release before stays running, without traffic, after a success.
        schema: command that prints the version of the database's schema; "" for none.
        drain: how long requests under way get before a slot is stopped.
    """

    keep_old: float = 1800.0
    schema: str = ""
    drain: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRule:
    """Whom a `/lock`, or a deployment of a pull request, keeps out, and for how long."""

    scope: Literal["pull_request", "user"] = "pull_request"
    seconds: float = 8 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """Where releases run. `options` are the keys of its kind, validated."""

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment.

    Attributes:
        name: as in the configuration.
        branches: a green push to one of these is deployed by itself; it is the default branch's configuration.
        pull_requests: whether the head of a pull request may be deployed here.
        target: where it runs.
        smoke: selection of the boxes that are run against the idle slot, and after the switch; "" for none.
        hooks: commands by moment: `before_switch`, `after_switch`, `after_rollback`.
        expires: how long a deployment waits at its gates.
        url: what people open; "" for none.
        notify: names of those that the operator configured to be told.
        release: whether a success makes a release on GitHub.
        digest: of all this, as written.
    """

    name: str
    branches: tuple[str, ...] = ()
    pull_requests: bool = False
    target: TargetSpec
    strategy: Strategy
    gates: tuple[GateSpec, ...] = ()
    freeze: tuple[Window, ...] = ()
    smoke: str = ""
    watch: Watch = field(default_factory=Watch)
    rollback: Going = field(default_factory=Going)
    lock: LockRule = field(default_factory=LockRule)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expires: float = 24 * 3600.0
    url: str = ""
    notify: tuple[str, ...] = ()
    release: bool = False
    digest: str = ""
