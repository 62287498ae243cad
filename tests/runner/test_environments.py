from __future__ import annotations

import json
import zoneinfo

import pytest
from inline_snapshot import snapshot

from runner.config import load_config
from runner.errors import BadMetadata

WHOLE = """\
environments:
  staging:
    when: {push: main}
    pull_requests: true
    target:
      kind: process
      command: ./serve --port $PORT
      health: /health
      listen: 127.0.0.1:8100
      slots: {blue: 8101, green: 8102}
      start_timeout: 1m
    gates: [{boxes: "tier:1-3"}]
    smoke: "tag:smoke"
  production:
    target: {kind: command, observe: ./observe, start: ./start, route: ./route}
    strategy: {kind: canary, steps: [5%, 0.5, 100%], pause: 2m}
    gates:
      - soaked: {in: staging, for: 30m}
      - approvals: {count: 2, from: ["team:release", "user:mona"], not: [], expires: 2h}
      - not_frozen
    freeze:
      - {from: "fri 16:00", until: "mon 08:00", tz: Europe/Berlin, because: the weekend}
      - {from: 2026-12-20, until: 2027-01-04T09:00}
    watch:
      for: 10m
      prometheus: http://127.0.0.1:9090
      probes:
        - {http: /health, every: 250ms, timeout: 500ms, slow: 300ms, status: 204}
        - {prometheus: 'rate(errors[1m])', max: 0.01}
        - {prometheus: {url: "http://other:9090", query: up}, max: 1}
      traffic: false
      on_bad: hold
      no_data: accept
      false_rollback: 0.1%
      tolerated: auto
    rollback: {keep_old: never, schema: ./schema, drain: 10s}
    lock: {scope: user, ttl: 1h}
    on: {before_switch: ./migrate, after_switch: [./warm, ./tell]}
    expires: 12h
    url: https://example.org/
    notify: [ops]
    release: true
"""


def refused(environments: str) -> list[str]:
    with pytest.raises(BadMetadata) as error:
        load_config(f"environments:\n{environments}", file="f")
    return [str(one) for one in error.value.every]


def one(inside: str, *, target: str = "{kind: ecs}") -> str:
    return f"  a:\n    target: {target}\n    {inside}\n"


def test_every_key_is_read_as_plainly_as_can_be() -> None:
    settings = load_config(WHOLE).settings["environments"]
    assert settings == {
        "staging": {
            "when": {"push": ["main"]},
            "pull_requests": True,
            "target": {
                "kind": "process",
                "command": "./serve --port $PORT",
                "health": "/health",
                "listen": "127.0.0.1:8100",
                "slots": {"blue": 8101, "green": 8102},
                "start_timeout": 60.0,
            },
            "gates": [{"boxes": "tier:1-3"}],
            "smoke": "tag:smoke",
        },
        "production": {
            "target": {"kind": "command", "observe": "./observe", "start": "./start", "route": "./route"},
            "strategy": {"kind": "canary", "steps": [0.05, 0.5, 1.0], "pause": 120.0},
            "gates": [
                {"soaked": {"in": "staging", "for": 1800.0}},
                {"approvals": {"count": 2, "from": ["team:release", "user:mona"], "not": [], "expires": 7200.0}},
                "not_frozen",
            ],
            "freeze": [
                {"from": "fri 16:00", "until": "mon 08:00", "tz": "Europe/Berlin", "because": "the weekend"},
                {"from": "2026-12-20", "until": "2027-01-04T09:00"},
            ],
            "watch": {
                "for": 600.0,
                "prometheus": "http://127.0.0.1:9090",
                "probes": [
                    {"http": "/health", "every": 0.25, "timeout": 0.5, "slow": 0.3, "status": 204},
                    {"prometheus": "rate(errors[1m])", "max": 0.01},
                    {"prometheus": {"url": "http://other:9090", "query": "up"}, "max": 1},
                ],
                "traffic": False,
                "on_bad": "hold",
                "no_data": "accept",
                "false_rollback": 0.001,
                "tolerated": "auto",
            },
            "rollback": {"keep_old": "never", "schema": "./schema", "drain": 10.0},
            "lock": {"scope": "user", "ttl": 3600.0},
            "on": {"before_switch": ["./migrate"], "after_switch": ["./warm", "./tell"]},
            "expires": 43200.0,
            "url": "https://example.org/",
            "notify": ["ops"],
            "release": True,
        },
    }
    assert json.loads(json.dumps(settings)) == settings


def test_a_strategy_that_is_a_word_is_its_kind() -> None:
    read = load_config("environments: {a: {target: {kind: ecs}, strategy: rolling}}").settings["environments"]
    assert read == {"a": {"target": {"kind": "ecs"}, "strategy": {"kind": "rolling"}}}


@pytest.mark.parametrize(
    ("environments", "said"),
    [
        pytest.param(
            one("gates: [{soaked: {in: stagin, for: 1m}}]") + "  staging: {target: {kind: ecs}}\n",
            "f:4: there is no environment 'stagin' (did you mean 'staging'?)",
            id="soaked-in-nothing",
        ),
        pytest.param(one("gates: [after: a]"), "f:4: 'a' cannot wait for itself", id="after-itself"),
        pytest.param(
            one("gates: [after: b]") + "  b:\n    target: {kind: ecs}\n    gates: [soaked: {in: a, for: 1m}]\n",
            "f:4: environments wait for each other: a waits for b waits for a",
            id="a-circle",
        ),
        pytest.param(
            one('gates: [approvals: {count: 2, from: ["user:mona"]}]'),
            "f:4: 2 approvals are needed, and 'from' names 1 (name more people, or ask for fewer)",
            id="fewer-people-than-approvals",
        ),
        pytest.param(
            one('gates: [approvals: {from: ["release"]}]'),
            "f:4: 'release' in 'from' is not a source of approvals (write team:release, user:mona or role:maintain)",
            id="a-bare-name",
        ),
        pytest.param(
            one("gates: [not_frozzen]"),
            "f:4: 'gates' must be one of not_frozen (did you mean 'not_frozen'?)",
            id="gate",
        ),
        pytest.param(
            one("gates: [{after: b, boxes: all}]"),
            "f:4: a gate is either not_frozen or has exactly one key (it has boxes and after)",
            id="two-gates-in-one",
        ),
        pytest.param(
            one("strategy: canary"),
            "f:4: a canary needs its 'steps' ({kind: canary, steps: [5%, 50%, 100%]})",
            id="a-canary-without-steps",
        ),
        pytest.param(
            one("strategy: {kind: canary, steps: [50%, 5%, 100%]}"),
            "f:4: 'steps' must rise to 100% (such as [5%, 50%, 100%])",
            id="steps-that-fall",
        ),
        pytest.param(
            one("strategy: {kind: canary, steps: [5%, 50%]}"),
            "f:4: 'steps' must rise to 100% (such as [5%, 50%, 100%])",
            id="steps-that-end-early",
        ),
        pytest.param(
            one("strategy: {kind: canary, steps: [0.5%, 100%]}"),
            "f:4: 'steps' must be whole percents (1% is the least)",
            id="half-a-percent",
        ),
        pytest.param(
            one("strategy: {kind: blue_green, pause: 1m}"),
            "f:4: 'pause' is of a canary, and this is blue_green (take it away, or say kind: canary)",
            id="a-pause-without-steps",
        ),
        pytest.param(
            one('gates: [not_frozen]\n    freeze: [{from: "fri 16:00", until: "mon 08:00", tz: Europe/Berln}]'),
            "f:5: 'Europe/Berln' is not a time zone (such as Europe/Berlin, America/New_York or UTC)",
            id="no-such-zone",
        ),
        pytest.param(
            one('gates: [not_frozen]\n    freeze: [{from: "fri 16:00", until: 2026-12-20}]'),
            "f:5: 'from' and 'until' must both be of the week, or both of the calendar",
            id="week-and-calendar",
        ),
        pytest.param(
            one("gates: [not_frozen]\n    freeze: [{from: 2026-02-30, until: 2026-12-20}]"),
            "f:5: there is no 2026-02-30 in the calendar",
            id="no-such-day",
        ),
        pytest.param(
            one("gates: [not_frozen]\n    freeze: [{from: 2026-12-20T10:00, until: 2026-12-20}]"),
            "f:5: 'until' is not after 'from'",
            id="backwards",
        ),
        pytest.param(
            one('gates: [not_frozen]\n    freeze: [{from: "Friday", until: "mon 08:00"}]'),
            "f:5: 'from' is not a moment (write fri 16:00, 2026-12-20 or 2026-12-20T09:00)",
            id="a-day-in-full",
        ),
        pytest.param(
            one("watch: {for: 1s, probes: [{http: /, every: 2s}]}"),
            "f:4: the watch is over after 1 s, before this asks a second time (lengthen 'for')",
            id="a-watch-shorter-than-a-probe",
        ),
        pytest.param(
            one("watch: {probes: [{http: /, every: 10ms}]}"), "f:4: 'every' must be at least 50ms", id="too-often"
        ),
        pytest.param(
            one("watch: {traffic: false}"),
            "f:4: there is neither a probe nor traffic to judge by (add 'probes')",
            id="nothing-to-judge-by",
        ),
        pytest.param(
            one("watch: {probes: [{http: /, slow: 1s}]}"),
            "f:4: an answer so late is a failure already: 'slow' must be less than 'timeout'",
            id="slow-after-the-timeout",
        ),
        pytest.param(
            one("watch: {probes: [{prometheus: up, max: 1}]}"),
            "f:4: no server to ask (write prometheus: {url, query}, or prometheus: URL in 'watch')",
            id="a-query-of-nobody",
        ),
        pytest.param(
            one("watch: {prometheus: 'http://p', probes: [{prometheus: up}]}"),
            "f:4: 'max' is missing (a value above it is a failure)",
            id="a-query-without-a-limit",
        ),
        pytest.param(
            one("watch: {probes: [{http: /, max: 1}]}"),
            "f:4: 'max' is of a probe by prometheus, and this asks by http",
            id="a-key-of-another-probe",
        ),
        pytest.param(
            one("smoke: tag:smoke and not failed"),
            "f:4: 'smoke': `failed` is not the same for every deployment (name boxes, tiers or tags)",
            id="what-failed-last",
        ),
        pytest.param(one("watch: {tolerated: 60%}"), "f:4: 'tolerated' must be at most 50%", id="everything-is-fine"),
        pytest.param(
            "  a: {target: {kind: process, command: x, slots: {blue: 1, green: 2}}}\n"
            "  b: {target: {kind: process, command: x, listen: 'localhost:2'}}\n",
            "f:3: port 2 is taken by 'green' of a",
            id="a-port-twice",
        ),
        pytest.param(
            "  a: {target: {kind: process, command: x}}\n  b: {target: {kind: process, command: x}}\n",
            "f:3: port 8000 is taken by 'listen' of a",
            id="the-usual-port-twice",
        ),
        pytest.param("  a: {target: {kind: process}}\n", "f:2: 'command' is missing", id="a-process-without-command"),
        pytest.param(
            "  a: {target: {kind: process, command: x, healt: /}}\n",
            "f:2: unknown key 'healt' (did you mean 'health'?)",
            id="a-slip-in-the-target",
        ),
        pytest.param("  a: {target: {kind: command, start: x}}\n", "f:2: 'observe' is missing", id="no-observe"),
        pytest.param(
            "  a: {target: {command: x}}\n",
            "f:2: 'kind' is missing (one of process, command, compose, pm2, ecs)",
            id="a-target-of-no-kind",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_way_out(environments: str, said: str) -> None:
    assert refused(environments) == [said]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert refused(
        one("strategy: canary\n    smoke: tag\n    watch: {traffic: false}\n    gates: [after: c, boxes: '9-1']")
        + "  b:\n    target: {kind: ecs}\n    gates: [after: b]\n"
    ) == snapshot(
        [
            "f:4: a canary needs its 'steps' ({kind: canary, steps: [5%, 50%, 100%]})",
            "f:5: 'smoke': cannot read `tag` (did you mean `tag:smoke`?)",
            "f:6: there is neither a probe nor traffic to judge by (add 'probes')",
            "f:7: there is no environment 'c' (environments: a, b)",
            "f:7: 'boxes': the range 9-1 ends before it begins (1-9)",
            "f:10: 'b' cannot wait for itself",
        ]
    )


def test_each_circle_is_told_once() -> None:
    chain = "".join(
        f"  {here}: {{target: {{kind: ecs}}, gates: [after: {there}]}}\n" for here, there in ("ab", "bc", "ca", "dc")
    )
    assert refused(chain) == ["f:2: environments wait for each other: a waits for b waits for c waits for a"]


def test_zones_are_not_judged_where_the_machine_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "ZoneInfo", _no_zones)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    window = '{from: "fri 16:00", until: "mon 08:00", tz: Europe/Berlin}'
    config = load_config(f"environments: {{a: {{target: {{kind: ecs}}, gates: [not_frozen], freeze: [{window}]}}}}")
    assert set(config.settings) == {"environments"}


def _no_zones(name: str) -> None:
    raise zoneinfo.ZoneInfoNotFoundError(name)
