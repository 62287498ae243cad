"""From what is wanted and what is there to a plan: ordered calls, or a refusal before anything was touched. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.domain.deploy.choosing import Refused
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.environment import Environment, StrategyKind
from bot.domain.deploy.plan import Call, Plan
from bot.domain.deploy.release import Release, digest

SLOTS: Mapping[StrategyKind, tuple[str, ...]] = {
    "recreate": ("only",),
    "rolling": ("only",),
    "blue_green": ("blue", "green"),
    "canary": ("blue", "green"),
}
"""Slots of a target that has not named its own yet, by strategy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What was observed.

    Attributes:
        slots: each slot of the target, with the id of the release that runs in it, "" for none.
        weights: the share of the traffic (0 to 100) that each slot gets.
    """

    slots: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def live(self) -> str | None:
        """The slot that gets all traffic, or most of it; None when nobody is served."""
        served = {slot: weight for slot, weight in self.weights.items() if weight > 0}
        return max(sorted(served), key=lambda slot: served[slot], default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Can:
    """What the target can do, as far as a plan depends on it."""

    strategies: frozenset[StrategyKind]
    idle_address: bool = True
    keeps_old: bool = True


def plan_of(
    deployment: Deployment,
    environment: Environment,
    release: Release,
    *,
    previous: Release | None,
    world: World,
    can: Can,
    settings: Mapping[str, Any],
    token: int = 0,
    no_return: str = "",
) -> Plan | Refused:
    """What will be done, in order.

    Args:
        deployment: what was asked for.
        environment: as the default branch has it.
        release: what is to go live.
        previous: what is live, as far as Interlock knows it.
        world: what was observed just now.
        can: what the target can do.
        settings: the environment's section of the configuration, for the controller.
        token: of the lease.
        no_return: why nobody is sent back to what is live; "" where that is the way back.
    """
    kind = environment.strategy.kind
    if kind not in can.strategies:
        able = " and ".join(sorted(can.strategies)) or "nothing"
        return Refused(
            f"the target of {environment.name} ({environment.target.kind}) cannot do {kind}, it can do {able}",
            way_out="change `strategy` or `target` on the default branch",
        )
    slots = tuple(sorted(world.slots)) or SLOTS[kind]
    live = world.live
    slot = next((slot for slot in slots if slot != live), slots[0])
    if slot == live and kind in {"blue_green", "canary"}:
        return Refused(
            f"{kind} needs two slots, and the target of {environment.name} has {' and '.join(slots)}",
            way_out="give it a second slot, or use recreate",
        )
    course = _Course(
        environment=environment,
        release=release,
        rollback=deployment.kind == "rollback",
        slot=slot,
        old=live,
        kept=slot != live and world.slots.get(slot) == release.id,
        can=can,
    )
    return Plan(
        deployment=deployment.id,
        number=deployment.number,
        repo=deployment.repo,
        environment=environment.name,
        kind=deployment.kind,
        release=release,
        previous=previous,
        slot=slot,
        previous_slot=live,
        settings=settings,
        calls=course.calls(),
        token=token,
        no_return=no_return,
    )


def difference(plan: Plan, other: Plan) -> tuple[str, ...]:
    """What is different between a plan and one that was promised, a sentence each; none if their hashes are equal.

    Args:
        plan: of the world as it is.
        other: of the world as it was.
    """
    if plan.hash == other.hash:
        return ()
    pairs: tuple[tuple[str, object, object], ...] = (
        ("the repository", other.repo, plan.repo),
        ("the environment", other.environment, plan.environment),
        ("the kind", other.kind, plan.kind),
        ("the commit", other.release.short, plan.release.short),
        ("the artifact", other.release.artifact, plan.release.artifact),
        ("the configuration", other.release.config[:12], plan.release.config[:12]),
        ("the release's range of schemas", _schemas(other.release), _schemas(plan.release)),
        ("what is live", _named(other.previous), _named(plan.previous)),
        ("the slot", other.slot, plan.slot),
        ("the live slot", other.previous_slot or "none", plan.previous_slot or "none"),
        ("the calls", _listed(other), _listed(plan)),
    )
    said = tuple(f"{what} was {was}, and is {now}" for what, was, now in pairs if was != now)
    return said or (f"the plan was {other.hash[:12]}, and is {plan.hash[:12]}",)


def percent(share: float) -> int:
    """A share of the traffic as routers take it, in whole hundredths; none that was asked for is nothing."""
    return max(1, round(100 * share))


def written(call: Call) -> str:
    """A call as people read it: `route blue 0 green 100`."""
    words = [f"{name} {_value(value)}" for name, value in call.arguments.items()]
    return " ".join((call.verb.replace("_", " "), *words))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """The way from what is there to what is wanted. `kept`: the release runs in its slot already."""

    environment: Environment
    release: Release
    rollback: bool
    slot: str
    old: str | None
    kept: bool
    can: Can

    def calls(self) -> tuple[Call, ...]:
        return (*self._before_switch(), *self._shares(), *self._after_switch(), *self._retire())

    @property
    def _alone(self) -> bool:
        """Whether the two releases cannot run beside each other: users are without one for a while."""
        return self.environment.strategy.kind == "recreate" or self.slot == self.old

    def _before_switch(self) -> tuple[Call, ...]:
        """What nobody sees; on the way back no hook runs that is meant for the way forward, and no gate is asked."""
        gates = () if self.rollback else (*self._hooks("before_switch"), Call("ask_gates"))
        ready = self._call("ready")
        if self.kept and self.rollback:
            return (ready,)
        start = self._call("start", release=self.release.id)
        if self._alone:
            return (*gates, *self._make_room(), start, ready)
        smoke: tuple[Call, ...] = ()
        if self.environment.smoke and self.can.idle_address:
            smoke = (self._call("smoke", at="idle", boxes=self.environment.smoke),)
        return (start, ready, *smoke, *gates)

    def _make_room(self) -> tuple[Call, ...]:
        """Only for `recreate`: what replaces in place does so by itself."""
        if self.environment.strategy.kind != "recreate" or self.old is None:
            return ()
        return (self._drain(self.old), self._stop(self.old))

    def _shares(self) -> tuple[Call, ...]:
        strategy = self.environment.strategy
        if strategy.kind != "canary" or self.old is None or self.rollback:
            return (self._route(100),)
        calls: list[Call] = []
        for share in (percent(one) for one in strategy.steps[:-1]):
            calls += [self._route(share), Call("bake", {"seconds": strategy.pause})]
        return (*calls, self._route(100))

    def _after_switch(self) -> tuple[Call, ...]:
        hooks = self._hooks("after_rollback" if self.rollback else "after_switch")
        smoke = (Call("smoke", {"at": "live", "boxes": self.environment.smoke}),) if self.environment.smoke else ()
        return (*hooks, *smoke, Call("bake", {"seconds": self.environment.watch.seconds}))

    def _retire(self) -> tuple[Call, ...]:
        """A slot that stays running makes the way back one call; one that was fled from is not worth keeping."""
        if self.old is None or self._alone:
            return ()
        keep = self.environment.rollback.keep_old
        if not self.rollback and self.can.keeps_old and keep > 0:
            return (self._drain(self.old), Call("keep", {"slot": self.old, "seconds": keep}))
        return (self._drain(self.old), self._stop(self.old))

    def _route(self, share: int) -> Call:
        weights = {self.slot: share}
        if self.old is not None and not self._alone:
            weights[self.old] = 100 - share
        return Call("route", dict(sorted(weights.items())))

    def _hooks(self, moment: str) -> tuple[Call, ...]:
        return tuple(Call("hook", {"at": moment, "run": run}) for run in self.environment.hooks.get(moment, ()))

    def _drain(self, slot: str) -> Call:
        return Call("drain", {"slot": slot, "within": self.environment.rollback.drain})

    def _stop(self, slot: str) -> Call:
        return Call("stop", {"slot": slot})

    def _call(self, verb: str, **arguments: object) -> Call:
        return Call(verb, {"slot": self.slot, **arguments})


def _schemas(release: Release) -> str:
    return " to ".join("any" if bound is None else str(bound) for bound in (release.schema_min, release.schema_max))


def _named(release: Release | None) -> str:
    return f"{release.short} ({digest(release.artifact)[:7]})" if release else "nothing"


def _listed(plan: Plan) -> str:
    return "; ".join(written(call) for call in plan.calls)


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
