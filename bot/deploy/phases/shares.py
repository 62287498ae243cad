"""How the traffic is divided at each step, and whether the two releases can run beside each other at all."""

from __future__ import annotations

from bot.deploy.site import Site
from bot.domain.deploy.planning import percent


def alone(site: Site) -> bool:
    """Whether the release before is stopped before the new one is started."""
    return site.environment.strategy.kind == "recreate" or site.plan.slot == site.plan.previous_slot


def steps(site: Site) -> tuple[float, ...]:
    """The new release's share at each step, the last is 1. A way back, and a first release, takes one."""
    strategy = site.environment.strategy
    if strategy.kind != "canary" or site.plan.kind == "rollback" or site.plan.previous_slot is None:
        return (1.0,)
    return strategy.steps


def weights(site: Site, share: float) -> dict[str, int]:
    """What each slot gets when the new release has this share."""
    new = percent(share)
    old = {} if site.plan.previous_slot is None or alone(site) else {site.plan.previous_slot: 100 - new}
    return {**old, site.plan.slot: new}


def back(site: Site) -> dict[str, int]:
    """What each slot gets when all is as before; the plan knows of a release before."""
    assert site.plan.previous_slot is not None
    return {site.plan.slot: 0, site.plan.previous_slot: 100}
