from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.environment import (
    AfterGate,
    ApprovalsGate,
    BoxesGate,
    Environment,
    Going,
    HttpProbe,
    LockRule,
    NotFrozenGate,
    PrometheusProbe,
    SoakedGate,
    Strategy,
    TargetSpec,
    Watch,
)
from bot.domain.deploy.reading import environment, environments, in_order, section_of, waits_for
from runner.config import load_config
from tests.runner.test_environments import WHOLE


def read(text: str) -> dict[str, Environment]:
    return environments(load_config(text).settings)


def only(inside: str) -> Environment:
    return read(f"environments: {{a: {{{inside}}}}}")["a"]


def test_every_key_of_the_configuration_is_read() -> None:
    production = read(WHOLE)["production"]
    assert production.target == TargetSpec(
        kind="command", options={"observe": "./observe", "start": "./start", "route": "./route"}
    )
    assert production.strategy == Strategy(kind="canary", steps=(0.05, 0.5, 1.0), pause=120)
    assert production.gates == (
        SoakedGate("staging", 1800),
        ApprovalsGate(count=2, sources=("team:release", "user:mona"), excluding=frozenset(), expires=7200),
        NotFrozenGate(),
    )
    weekend, holidays = production.freeze
    assert weekend.weekly == ((4, time(16)), (0, time(8)))
    assert (weekend.tz, weekend.because) == ("Europe/Berlin", "the weekend")
    assert holidays.once == (datetime(2026, 12, 20, tzinfo=UTC), datetime(2027, 1, 4, 9, tzinfo=UTC))
    assert production.watch == Watch(
        seconds=600,
        probes=(
            HttpProbe(path="/health", every=0.25, timeout=0.5, status=204, slow=0.3),
            PrometheusProbe(url="http://127.0.0.1:9090", query="rate(errors[1m])", most=0.01),
            PrometheusProbe(url="http://other:9090", query="up", most=1),
        ),
        traffic=False,
        on_bad="hold",
        no_data="accept",
        false_rollback=0.001,
        tolerated=None,
    )
    assert production.rollback == Going(keep_old=0, schema="./schema", drain=10)
    assert production.lock == LockRule(scope="user", seconds=3600)
    assert production.hooks == {"before_switch": ("./migrate",), "after_switch": ("./warm", "./tell")}
    assert (production.expires, production.url) == (43200, "https://example.org/")
    assert (production.notify, production.release) == (("ops",), True)

    staging = read(WHOLE)["staging"]
    assert (staging.branches, staging.pull_requests, staging.smoke) == (("main",), True, "tag:smoke")
    assert staging.gates == (BoxesGate("tier:1-3"),)


def test_what_is_not_said_is_as_usual() -> None:
    little = only("target: {kind: process, command: x}")
    target = TargetSpec(kind="process", options={"command": "x"})
    assert little == Environment(
        name="a", target=target, strategy=Strategy(kind="blue_green"), watch=Watch(), digest=little.digest
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        pytest.param("{kind: process, command: x}", "blue_green", id="two-slots"),
        pytest.param("{kind: command, observe: x, start: y}", "recreate", id="commands-that-move-no-traffic"),
        pytest.param("{kind: command, observe: x, start: y, route: z}", "blue_green", id="commands-that-do"),
    ],
)
def test_where_no_strategy_is_said_it_is_what_loses_least(target: str, kind: str) -> None:
    assert only(f"target: {target}").strategy.kind == kind


def test_a_watch_without_probes_asks_for_what_the_target_calls_its_health() -> None:
    target = "target: {kind: process, command: x, health: /up}"
    assert only(target).watch.probes == (HttpProbe(path="/up"),)
    assert only(f"{target}, watch: {{probes: []}}").watch.probes == ()


def test_moments_of_the_calendar_are_of_the_windows_zone() -> None:
    window = "{from: 2026-06-01, until: 2026-06-02T12:30, tz: America/New_York}"
    [read] = only(f"target: {{kind: ecs}}, gates: [not_frozen], freeze: [{window}]").freeze
    assert read.once is not None
    assert [moment.astimezone(UTC) for moment in read.once] == [
        datetime(2026, 6, 1, 4, tzinfo=UTC),
        datetime(2026, 6, 2, 16, 30, tzinfo=UTC),
    ]
    assert read.once[0].utcoffset() == timedelta(hours=-4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("when: {push: main}", "when: {push: [main]}", id="one-branch"),
        pytest.param("expires: 1h", "expires: 60m", id="a-duration"),
        pytest.param("strategy: rolling", "strategy: {kind: rolling}", id="a-strategy"),
        pytest.param("watch: {tolerated: 1%}", "watch: {tolerated: 0.01}", id="a-share"),
        pytest.param("on: {after_switch: x}", "on: {after_switch: [x]}", id="a-command"),
        pytest.param("url: 'http://a', expires: 1h", "expires: 1h, url: 'http://a'", id="another-order"),
    ],
)
def test_the_same_said_otherwise_has_the_same_digest(one: str, other: str) -> None:
    first, second = (only(f"target: {{kind: ecs}}, {inside}") for inside in (one, other))
    assert first == second


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param("expires: 2h", id="how-long-it-waits"),
        pytest.param("gates: [approvals: {count: 2}]", id="a-gate"),
        pytest.param("smoke: all", id="smoke"),
        pytest.param("on: {before_switch: ./migrate}", id="a-command"),
    ],
)
@pytest.mark.deployment(1)
def test_whatever_else_is_said_has_another_digest(inside: str) -> None:
    assert only("target: {kind: ecs}").digest != only(f"target: {{kind: ecs}}, {inside}").digest


def test_two_environments_that_say_the_same_have_digests_of_their_own() -> None:
    both = read("environments: {a: {target: {kind: ecs}}, b: {target: {kind: ecs}}}")
    assert both["a"].digest != both["b"].digest


def test_a_section_is_read_alike_from_a_plan_on_disk() -> None:
    settings = load_config(WHOLE).settings
    for name, whole in environments(settings).items():
        written = json.dumps(section_of(settings, name))
        assert environment(name, json.loads(written)) == whole
    assert section_of(settings, "elsewhere") is None


def test_without_the_section_there_are_no_environments() -> None:
    assert read("") == {}
    assert section_of({}, "a") is None


@given(st.permutations(["a", "b", "c", "d"]))
def test_environments_are_ordered_so_that_each_comes_after_what_it_waits_for(names: list[str]) -> None:
    gates = {"b": "[after: a]", "d": "[soaked: {in: b, for: 1m}]"}
    inside = ", ".join(f"{name}: {{target: {{kind: ecs}}, gates: {gates.get(name, '[]')}}}" for name in names)
    known = read(f"environments: {{{inside}}}")
    order = in_order(known)
    assert sorted(order) == sorted(names)
    for name in names:
        assert all(order.index(before) < order.index(name) for before in waits_for(known[name]))
    assert AfterGate("a") in known["b"].gates
