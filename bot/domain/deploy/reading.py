"""Environments of a configuration, as values. Pure.

What is read here was validated by `runner.config`; what it does not say is filled in from the defaults of
`bot.domain.deploy.environment`. The same section can be read again from a plan on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from bot.domain.deploy.environment import (
    AfterGate,
    ApprovalsGate,
    BoxesGate,
    Environment,
    GateSpec,
    Going,
    HttpProbe,
    LockRule,
    NotFrozenGate,
    Probe,
    PrometheusProbe,
    SoakedGate,
    Strategy,
    StrategyKind,
    TargetSpec,
    Watch,
    Window,
)
from bot.domain.deploy.release import digest

Section = Mapping[str, Any]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NOT_FROZEN = "not_frozen"


def environments(settings: Mapping[str, object]) -> dict[str, Environment]:
    """All environments, by name, in the order of the configuration.

    Args:
        settings: of a `runner.config.Config`, or of the suite that was made with it.
    """
    section = settings.get("environments")
    return {name: environment(name, inner) for name, inner in section.items()} if isinstance(section, dict) else {}


def section_of(settings: Mapping[str, object], name: str) -> Section | None:
    """One environment as it is written into plans; None if there is none of that name."""
    section = settings.get("environments")
    inner = section.get(name) if isinstance(section, dict) else None
    return inner if isinstance(inner, dict) else None


def environment(name: str, section: Section) -> Environment:
    """One environment of its validated section.

    Its digest is of what the section says, so it is the same however that is written (`1m` or `60s`, `main` or
    `[main]`), and another one as soon as anything else is said; the name belongs to it.
    """
    target = TargetSpec(
        kind=section["target"]["kind"],
        options={key: value for key, value in section["target"].items() if key != "kind"},
    )
    gates = tuple(map(_gate, section.get("gates", ())))
    return Environment(
        name=name,
        branches=tuple(section.get("when", {}).get("push", ())),
        pull_requests=section.get("pull_requests", False),
        target=target,
        strategy=_strategy(section.get("strategy"), target),
        gates=gates,
        freeze=tuple(map(_window, section.get("freeze", ()))),
        smoke=section.get("smoke", ""),
        watch=_watch(section.get("watch", {}), target),
        rollback=_going(section.get("rollback", {})),
        lock=_lock(section.get("lock", {})),
        hooks={moment: tuple(commands) for moment, commands in section.get("on", {}).items()},
        digest=digest([name, section]),
        notify=tuple(section.get("notify", ())),
        **_said(section, "expires", "url", "release"),
    )


def in_order(known: Mapping[str, Environment]) -> tuple[str, ...]:
    """Names of environments so that each comes after those that it waits for, else as written.

    Configuration whose environments wait for each other is refused before it is read here.
    """
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name in known and name not in placed:
            for before in waits_for(known[name]):
                place(before)
            placed[name] = None

    for name in known:
        place(name)
    return tuple(placed)


def waits_for(here: Environment) -> tuple[str, ...]:
    """The environments that a release must have been good in before it may come here."""
    return tuple(gate.environment for gate in here.gates if isinstance(gate, AfterGate | SoakedGate))


def _said(section: Section, *keys: str, **renamed: str) -> dict[str, Any]:
    """Fields of a value from what a section says; those of what it does not say keep their defaults.

    Args:
        section: what is said.
        keys: those that are called as the fields are.
        renamed: the field's name by the key's.
    """
    return {field: section[key] for key, field in ({key: key for key in keys} | renamed).items() if key in section}


def _strategy(section: Section | None, target: TargetSpec) -> Strategy:
    """What is said, or what loses nothing where the target has two slots, or is told how traffic moves."""
    if section is None:
        alone = target.kind == "command" and "route" not in target.options
        return Strategy(kind="recreate" if alone else "blue_green")
    kind: StrategyKind = section["kind"]
    if kind != "canary":
        return Strategy(kind=kind)
    return Strategy(kind=kind, steps=tuple(map(float, section["steps"])), **_said(section, "pause"))


def _gate(section: Section | str) -> GateSpec:
    if isinstance(section, str):
        assert section == _NOT_FROZEN, f"there is no gate {section}"
        return NotFrozenGate()
    [(kind, said)] = section.items()
    match kind:
        case "boxes":
            return BoxesGate(said)
        case "after":
            return AfterGate(said)
        case "soaked":
            return SoakedGate(said["in"], said["for"])
    assert kind == "approvals", f"there is no gate {kind}"
    usual = ApprovalsGate()
    return ApprovalsGate(
        sources=tuple(said.get("from", usual.sources)),
        excluding=frozenset(said.get("not", usual.excluding)),
        **_said(said, "count", "expires"),
    )


def _window(section: Section) -> Window:
    zone = section.get("tz", "UTC")
    begin, end = section["from"], section["until"]
    known = {"tz": zone, **_said(section, "because")}
    if begin[:3] in _DAYS:
        return Window(weekly=(_of_the_week(begin), _of_the_week(end)), **known)
    return Window(once=(_of_the_calendar(begin, zone), _of_the_calendar(end, zone)), **known)


def _of_the_week(text: str) -> tuple[int, time]:
    day, _, clock = text.partition(" ")
    return _DAYS.index(day), time.fromisoformat(clock)


def _of_the_calendar(text: str, zone: str) -> datetime:
    """A moment of the calendar; a day alone is its beginning."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def _watch(section: Section, target: TargetSpec) -> Watch:
    tolerated = section.get("tolerated", "auto")
    return Watch(
        probes=_probes(section, target),
        tolerated=None if tolerated == "auto" else tolerated,
        **_said(section, "traffic", "on_bad", "no_data", "false_rollback", **{"for": "seconds"}),
    )


def _probes(section: Section, target: TargetSpec) -> tuple[Probe, ...]:
    """What is said; where nothing is, the path by which the target knows that a slot is ready."""
    if "probes" not in section and (health := target.options.get("health")):
        return (HttpProbe(path=str(health)),)
    return tuple(_probe(probe, section.get("prometheus", "")) for probe in section.get("probes", ()))


def _probe(section: Section, server: str) -> Probe:
    if "http" in section:
        return HttpProbe(**_said(section, "every", "timeout", "status", "slow", http="path"))
    asked = section["prometheus"]
    url, query = (asked.get("url", server), asked["query"]) if isinstance(asked, dict) else (server, asked)
    return PrometheusProbe(url=url, query=query, **_said(section, "every", max="most"))


def _going(section: Section) -> Going:
    keep = section.get("keep_old", Going().keep_old)
    return Going(keep_old=0.0 if keep == "never" else keep, **_said(section, "schema", "drain"))


def _lock(section: Section) -> LockRule:
    return LockRule(**_said(section, "scope", ttl="seconds"))
