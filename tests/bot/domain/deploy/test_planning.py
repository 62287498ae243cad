from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.choosing import Refused
from bot.domain.deploy.environment import Going, Strategy, StrategyKind, Watch
from bot.domain.deploy.plan import Plan, plan_from_json, plan_to_json
from bot.domain.deploy.planning import Can, World, difference, percent, plan_of, written
from tests.bot.domain.deploy.story import OLDER, RELEASE, deployment, environment, release

EVERYTHING = Can(strategies=frozenset({"blue_green", "canary", "recreate", "rolling"}))
BLUE_LIVE = World(slots={"blue": OLDER.id, "green": ""}, weights={"blue": 100, "green": 0})
ONLY = World(slots={"only": OLDER.id}, weights={"only": 100})
HOOKS = {"before_switch": ("./migrate",), "after_switch": ("./warm",), "after_rollback": ("./tell",)}


def planned(**changes: Any) -> Plan | Refused:
    given_facts: dict[str, Any] = {
        "deployment": deployment(),
        "environment": environment(),
        "release": RELEASE,
        "previous": OLDER,
        "world": BLUE_LIVE,
        "can": EVERYTHING,
        "settings": {},
        **changes,
    }
    return plan_of(
        given_facts.pop("deployment"), given_facts.pop("environment"), given_facts.pop("release"), **given_facts
    )


def plan(**changes: Any) -> Plan:
    made = planned(**changes)
    assert isinstance(made, Plan), made
    return made


def read(made: Plan) -> str:
    return "\n".join(written(call).replace(RELEASE.id, "NEW").replace(OLDER.id, "OLD") for call in made.calls)


def test_blue_green_prepares_the_idle_slot_and_keeps_the_other_for_the_way_back() -> None:
    made = plan(environment=environment(hooks=HOOKS, smoke="tag:smoke"))

    assert (made.slot, made.previous_slot) == ("green", "blue")
    assert read(made) == snapshot("""\
start slot green release NEW
ready slot green
smoke slot green at idle boxes tag:smoke
hook at before_switch run ./migrate
ask gates
route blue 0 green 100
hook at after_switch run ./warm
smoke at live boxes tag:smoke
bake seconds 60
drain slot blue within 5
keep slot blue seconds 1800\
""")


def test_a_canary_takes_its_steps_and_is_watched_at_each() -> None:
    strategy = Strategy(kind="canary", steps=(0.05, 0.5, 1.0), pause=90.0)

    assert read(plan(environment=environment(strategy=strategy))) == snapshot("""\
start slot green release NEW
ready slot green
ask gates
route blue 95 green 5
bake seconds 90
route blue 50 green 50
bake seconds 90
route blue 0 green 100
bake seconds 60
drain slot blue within 5
keep slot blue seconds 1800\
""")


def test_recreate_stops_what_is_live_after_the_gates_were_asked_for_the_last_time() -> None:
    made = plan(environment=environment(strategy=Strategy(kind="recreate"), smoke="tag:smoke"), world=ONLY)

    assert read(made) == snapshot("""\
ask gates
drain slot only within 5
stop slot only
start slot only release NEW
ready slot only
route only 100
smoke at live boxes tag:smoke
bake seconds 60\
""")


def test_a_rolling_target_takes_the_place_of_its_instances_itself() -> None:
    made = plan(environment=environment(strategy=Strategy(kind="rolling")), world=ONLY)

    assert read(made) == snapshot("""\
ask gates
start slot only release NEW
ready slot only
route only 100
bake seconds 60\
""")


def test_the_first_release_of_an_environment_has_nothing_to_retire() -> None:
    made = plan(world=World(), previous=None)

    assert (made.slot, made.previous_slot) == ("blue", None)
    assert read(made) == snapshot("""\
start slot blue release NEW
ready slot blue
ask gates
route blue 100
bake seconds 60\
""")


@pytest.mark.deployment(27)
def test_the_way_back_to_a_slot_that_still_runs_is_one_call_to_the_router() -> None:
    world = World(slots={"blue": OLDER.id, "green": RELEASE.id}, weights={"blue": 0, "green": 100})

    made = plan(
        deployment=deployment(kind="rollback"),
        release=OLDER,
        previous=RELEASE,
        world=world,
        environment=environment(hooks=HOOKS, smoke="tag:smoke"),
    )

    assert read(made) == snapshot("""\
ready slot blue
route blue 100 green 0
hook at after_rollback run ./tell
smoke at live boxes tag:smoke
bake seconds 60
drain slot green within 5
stop slot green\
""")


def test_the_way_back_to_a_release_that_was_stopped_starts_it_and_takes_no_canary_steps() -> None:
    made = plan(
        deployment=deployment(kind="rollback"),
        release=OLDER,
        previous=RELEASE,
        world=World(slots={"blue": "", "green": RELEASE.id}, weights={"green": 100}),
        environment=environment(strategy=Strategy(kind="canary", steps=(0.05, 1.0)), smoke="tag:smoke"),
    )

    assert read(made) == snapshot("""\
start slot blue release OLD
ready slot blue
smoke slot blue at idle boxes tag:smoke
route blue 100 green 0
smoke at live boxes tag:smoke
bake seconds 60
drain slot green within 5
stop slot green\
""")


@pytest.mark.parametrize(
    ("kind", "can"),
    [
        pytest.param("canary", {"blue_green", "recreate"}, id="no-weights"),
        pytest.param("blue_green", {"recreate"}, id="no-slots"),
        pytest.param("rolling", set(), id="nothing"),
    ],
)
def test_a_strategy_that_the_target_cannot_do_is_refused_before_anything_is_touched(
    kind: StrategyKind, can: set[StrategyKind]
) -> None:
    made = planned(environment=environment(strategy=Strategy(kind=kind)), can=Can(strategies=frozenset(can)))

    assert isinstance(made, Refused)
    assert f"cannot do {kind}" in made.because


def test_a_refusal_says_what_the_target_can_do_and_what_to_change() -> None:
    made = planned(
        environment=environment(strategy=Strategy(kind="canary")),
        can=Can(strategies=frozenset({"recreate", "blue_green"})),
    )

    assert made == snapshot(
        Refused(
            because="the target of production (process) cannot do canary, it can do blue_green and recreate",
            way_out="change `strategy` or `target` on the default branch",
        )
    )


@pytest.mark.parametrize(("share", "whole"), [(0.05, 5), (0.004, 1), (0.995, 100), (1.0, 100)])
def test_a_share_that_was_asked_for_is_never_nothing(share: float, whole: int) -> None:
    assert percent(share) == whole


def test_recreate_with_two_slots_leaves_nothing_beside_the_new_release() -> None:
    made = plan(environment=environment(strategy=Strategy(kind="recreate")))

    assert read(made) == snapshot("""\
ask gates
drain slot blue within 5
stop slot blue
start slot green release NEW
ready slot green
route green 100
bake seconds 60\
""")


def test_two_ways_of_switching_need_two_slots() -> None:
    made = planned(world=ONLY)

    assert made == snapshot(
        Refused(
            because="blue_green needs two slots, and the target of production has only",
            way_out="give it a second slot, or use recreate",
        )
    )


def test_without_an_address_of_its_own_the_idle_slot_is_not_smoked() -> None:
    made = plan(environment=environment(smoke="tag:smoke"), can=replace(EVERYTHING, idle_address=False))

    assert [written(call) for call in made.calls if call.verb == "smoke"] == ["smoke at live boxes tag:smoke"]


@pytest.mark.parametrize(
    ("can", "going"),
    [
        pytest.param(replace(EVERYTHING, keeps_old=False), Going(), id="the-target-cannot-keep-it"),
        pytest.param(EVERYTHING, Going(keep_old=0.0), id="nobody-wants-it-kept"),
    ],
)
def test_an_old_slot_that_is_not_kept_is_stopped(can: Can, going: Going) -> None:
    assert plan(can=can, environment=environment(rollback=going)).calls[-1].verb == "stop"


@pytest.mark.deployment(23)
def test_a_plan_of_the_same_world_has_the_same_hash_whatever_it_is_called() -> None:
    dry = plan(deployment=deployment(id="dry", number=0))
    real = plan(deployment=deployment(id="d99", number=99), token=7)

    assert real.hash == dry.hash
    assert difference(real, dry) == ()


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "commit": ({"release": replace(RELEASE, sha="f" * 40)}, "the commit was cafe123, and is fffffff"),
    "artifact": (
        {"release": replace(RELEASE, artifact="tree:f")},
        f"the artifact was {RELEASE.artifact}, and is tree:f",
    ),
    "configuration": (
        {"release": replace(RELEASE, config="f" * 64)},
        "the configuration was cccccccccccc, and is ffffffffffff",
    ),
    "schema": (
        {"release": replace(RELEASE, schema_min=3)},
        "the release's range of schemas was any to any, and is 3 to any",
    ),
    "live": ({"previous": None}, "what is live was 01d0000"),
    "slot": (
        {"world": World(slots={"blue": "", "green": OLDER.id}, weights={"green": 100})},
        "the live slot was blue, and is green",
    ),
    "calls": ({"environment": environment(smoke="tag:smoke")}, "smoke slot green at idle boxes tag:smoke"),
    "watch": ({"environment": environment(watch=Watch(seconds=5.0))}, "bake seconds 5"),
}


@pytest.mark.deployment(23)
@pytest.mark.parametrize("what", DIFFERENT)
def test_any_difference_changes_the_hash_and_is_named(what: str) -> None:
    changes, sentence = DIFFERENT[what]

    said = difference(plan(**changes), plan())

    assert plan(**changes).hash != plan().hash
    assert sentence in "\n".join(said)


@pytest.mark.deployment(23)
@given(st.dictionaries(st.sampled_from(["blue", "green"]), st.sampled_from(["", OLDER.id, RELEASE.id])), st.data())
def test_no_plan_sends_users_to_a_slot_that_was_not_made_ready(slots: dict[str, str], data: st.DataObject) -> None:
    weights = {slot: data.draw(st.integers(0, 100)) for slot in slots}
    kind = data.draw(st.sampled_from(["deploy", "rollback"]))
    strategy = Strategy(kind=data.draw(st.sampled_from(["blue_green", "canary"])), steps=(0.1, 1.0))
    world = World(slots={"blue": "", "green": "", **slots}, weights=weights)
    made = plan(world=world, deployment=deployment(kind=kind), environment=environment(strategy=strategy))

    verbs = [call.verb for call in made.calls]
    assert made.slot != made.previous_slot
    assert verbs.index("ready") < verbs.index("route")
    routes = [call.arguments for call in made.calls if call.verb == "route"]
    assert all(sum(int(str(share)) for share in route.values()) == 100 for route in routes)
    assert routes[-1][made.slot] == 100
    last = len(verbs) - 1 - verbs[::-1].index("bake")
    assert verbs.index("route") < verbs.index("bake")
    assert not {"stop", "keep"} & set(verbs[:last])


def test_a_plan_that_was_written_down_is_the_same_plan() -> None:
    made = plan(token=3, settings={"strategy": "blue_green"})

    assert plan_from_json(plan_to_json(made)) == made
    assert plan_from_json(plan_to_json(made)).hash == made.hash


def test_what_is_live_may_be_none_of_ours() -> None:
    made = plan(previous=None, world=World(slots={"blue": "", "green": ""}, weights={"blue": 100}))

    assert (made.previous, made.previous_slot, made.slot) == (None, "blue", "green")
    assert release("a").id != made.release.id
