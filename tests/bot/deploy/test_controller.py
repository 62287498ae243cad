"""The controller, at a small target: what users get, what the journal says, and where the deployment ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from bot.deploy.journal import Entry, Journal, JournalUnwritable, Kind, verify
from bot.deploy.target import Dead, NotYet, Unbuildable
from bot.deploy.wishes import Wish, wish
from bot.domain.deploy.answers import Deny, Pass
from bot.domain.deploy.environment import Going, HttpProbe, Strategy
from bot.domain.deploy.states import State
from tests.bot.deploy.stage import HAPPY, NEW, OLD, QUICK, Smoking, Stage, a_release
from tests.fakes.small_target import HANGS, Running, SmallTarget, opened, well


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "deployment")


async def test_a_good_release_takes_over_and_the_one_before_goes(stage: Stage) -> None:
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.states == HAPPY
    assert stage.target.calls == ["start green bbbbbbb", "route blue 0 green 100", "drain blue", "stop blue"]
    assert verify(stage.entries) == ""


def failing(share: float) -> Callable[[], int]:
    """Answers of which so many are errors, evenly."""
    asked = 0

    def answer() -> int:
        nonlocal asked
        asked += 1
        return 500 if int(asked * share) > int((asked - 1) * share) else 200

    return answer


def after(answers: int, then: Callable[[], int]) -> Callable[[], int]:
    """Good answers first."""
    asked = 0

    def answer() -> int:
        nonlocal asked
        asked += 1
        return 200 if asked <= answers else then()

    return answer


def at(stage: Stage, kind: str, **data: object) -> int:
    """The place in the journal of the only entry of a kind with these facts."""
    (place,) = [
        entry.seq
        for entry in stage.entries
        if entry.kind == kind and all(entry.data.get(name) == value for name, value in data.items())
    ]
    return place


async def test_everything_is_announced_before_it_is_done_and_confirmed_after(stage: Stage) -> None:
    async with opened(stage.target):
        await stage.run()
    for verb in ("start", "route", "drain", "stop"):
        assert at(stage, "intent", call=verb) < at(stage, "done", call=verb)
    assert at(stage, "state", state="switching") < at(stage, "intent", call="route")
    assert at(stage, "done", call="route") < at(stage, "state", state="baking")


@pytest.mark.parametrize(
    ("fate", "because"),
    [
        pytest.param(Dead("exited with 1", tail="boom"), "green is dead: exited with 1", id="dead"),
        pytest.param(NotYet("refused"), "green was not ready within 1 s: refused", id="never-ready"),
        pytest.param(Unbuildable("make failed"), "make failed", id="unbuildable"),
    ],
)
@pytest.mark.deployment(12)
async def test_a_release_that_does_not_come_up_is_aborted_before_any_user_sees_it(
    stage: Stage, fate: Dead | NotYet | Unbuildable, because: str
) -> None:
    stage.target.boots[NEW.id] = fate
    async with opened(stage.target):
        assert await stage.run() is State.ABORTED
    assert stage.because == because
    assert stage.target.weights == {"blue": 100, "green": 0}
    assert not [call for call in stage.target.calls if call.startswith("route")]
    assert "green" not in stage.target.slots or not stage.target.slots["green"].alive


@pytest.mark.deployment(12)
async def test_what_a_dead_release_printed_is_kept(stage: Stage) -> None:
    stage.target.boots[NEW.id] = Dead("exited with 1", tail="boom")
    async with opened(stage.target):
        await stage.run()
    assert (stage.files.logs / "slot-green.log").read_text() == "green said 98\ngreen said 99\ngreen said 100"
    assert at(stage, "note", what="logs", slot="green") < at(stage, "state", state="aborted")


@pytest.mark.deployment(14)
@pytest.mark.parametrize(
    ("answers", "because"),
    [
        pytest.param(lambda: 500, "answers failed", id="all-errors"),
        pytest.param(lambda: HANGS, "answers failed", id="hangs"),
        pytest.param(failing(0.5), "answers failed", id="half"),
    ],
)
async def test_a_release_that_turns_bad_is_rolled_back(stage: Stage, answers: Callable[[], int], because: str) -> None:
    stage.target.behaviours[NEW.id] = after(3, answers)
    probes = (HttpProbe(path="/health", every=0.025, timeout=0.25),)
    stage.with_environment(watch=replace(QUICK, seconds=10.0, probes=probes))
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    assert because in stage.because
    assert stage.because.endswith("aaaaaaa serves again")
    assert stage.target.weights == {"blue": 100, "green": 0}
    assert stage.target.calls[1:] == ["route blue 0 green 100", "route blue 100 green 0", "drain green", "stop green"]


async def test_users_get_the_release_before_first_and_everything_else_can_wait(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0), hooks={"after_rollback": ("sleep 0.3",)})
    async with opened(stage.target):
        await stage.run()
    after_the_edge = stage.entries[at(stage, "state", state="rolling_back") :]
    assert [entry.data.get("call") for entry in after_the_edge if entry.kind == "intent"] == [
        "route",
        "drain",
        "stop",
        "hook",
    ]


async def test_errors_that_only_users_meet_are_found_by_the_routers_counts(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = failing(0.3)
    probes = (HttpProbe(path="/health", every=5.0, timeout=0.5),)
    stage.with_environment(watch=replace(QUICK, seconds=20.0, probes=probes, traffic=True))
    async with opened(stage.target, users=200):
        assert await stage.run() is State.ROLLED_BACK


@pytest.mark.parametrize(
    ("configured", "tolerated"),
    [
        pytest.param(None, pytest.approx(0.125, abs=0.03), id="learned"),
        pytest.param(0.05, 0.05, id="configured"),
    ],
)
async def test_what_the_release_before_failed_is_tolerated_unless_the_owner_says_otherwise(
    stage: Stage, configured: float | None, tolerated: float
) -> None:
    stage.target.counted["blue"] = [1000, 100]
    stage.with_environment(watch=replace(QUICK, tolerated=configured))
    async with opened(stage.target):
        await stage.run()
    (judges, *_) = [entry.data["judges"] for entry in stage.entries if entry.kind == "watch"]
    assert judges["probes"]["p0"] == tolerated


@pytest.mark.deployment(17)
async def test_a_failure_that_the_release_before_has_too_is_not_the_releases(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(5, lambda: 500)
    stage.target.behaviours[OLD.id] = after(5, lambda: 500)
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.because.startswith("not the release: ")
    assert stage.target.weights == {"blue": 0, "green": 100}


@pytest.mark.deployment(16)
@pytest.mark.parametrize(
    ("no_data", "end"),
    [
        pytest.param("hold", State.HELD, id="hold"),
        pytest.param("rollback", State.ROLLED_BACK, id="roll-back"),
        pytest.param("accept", State.SUCCEEDED, id="accept"),
    ],
)
async def test_without_a_sample_a_release_is_not_good_but_what_the_policy_says(
    stage: Stage, no_data: Literal["hold", "rollback", "accept"], end: State
) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=0.2, probes=(), traffic=True, no_data=no_data))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        while not running.done():
            stage.clock.ahead += 60.0  # nobody comes for a minute.
            await asyncio.sleep(0.01)
        assert running.result() is end
    assert "0 of the" in stage.because or end is not State.HELD


@pytest.mark.deployment(16)
async def test_a_release_that_answered_well_and_then_no_more_is_not_good(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(30, lambda: HANGS)
    stage.with_environment(watch=replace(QUICK, seconds=20.0, probes=(), traffic=True))
    async with opened(stage.target, users=100):
        running = asyncio.create_task(stage.run())
        await stage.reaches("watch")
        while not running.done():
            stage.clock.ahead += 1.0
            await asyncio.sleep(0.05)
        assert running.result() is State.HELD
    assert stage.because.startswith("inconclusive: "), "how much was seen before depends on the machine"


async def test_a_watch_of_nothing_holds(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=0.1, probes=(), traffic=False))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.because == "inconclusive: nothing is watched"


async def test_where_the_owner_says_so_a_bad_release_is_held(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0, on_bad="hold"))
    async with opened(stage.target):
        assert await stage.run() is State.HELD


@pytest.mark.deployment(19)
@pytest.mark.parametrize(
    ("command", "because"),
    [
        pytest.param(
            "echo 8", "roll forward only: the schema has version 8, and aaaaaaa works with versions up to 7", id="newer"
        ),
        pytest.param("echo no; exit 3", "roll forward only: `echo no; exit 3` ended with 3: no", id="fails"),
        pytest.param("echo seven", "roll forward only: `echo seven` printed no number", id="no-number"),
    ],
)
async def test_the_way_back_is_barred_by_a_schema_that_the_release_before_does_not_know(
    stage: Stage, command: str, because: str
) -> None:
    stage.old = a_release("a", schema_max=7)
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0), rollback=Going(keep_old=0.0, drain=0.1, schema=command))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.because.endswith(because)
    assert stage.target.weights == {"blue": 0, "green": 100}


@pytest.mark.deployment(18)
async def test_nobody_is_sent_back_to_a_release_that_is_bad_too(stage: Stage) -> None:
    stage.no_return = f"{OLD.short}, which was live before it, is bad as well"
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.because.endswith(stage.no_return)
    assert stage.target.weights == {"blue": 0, "green": 100}


@pytest.mark.deployment(19)
async def test_a_schema_that_the_release_before_knows_bars_nothing(stage: Stage) -> None:
    stage.old = a_release("a", schema_max=7)
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0), rollback=Going(drain=0.1, schema="echo version 7"))
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK


@pytest.mark.deployment(19)
async def test_a_canary_that_cannot_go_back_keeps_its_smallest_share(stage: Stage) -> None:
    stage.old = a_release("a", schema_max=7)
    stage.target.behaviours[NEW.id] = after(40, lambda: 500)
    stage.with_environment(
        strategy=Strategy(kind="canary", steps=(0.05, 0.5, 1.0), pause=0.3),
        watch=replace(QUICK, seconds=10.0),
        rollback=Going(drain=0.1, schema="echo 8"),
    )
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.target.weights == {"blue": 95, "green": 5}


async def test_a_canary_takes_step_after_step(stage: Stage) -> None:
    stage.with_environment(strategy=Strategy(kind="canary", steps=(0.05, 0.5, 1.0), pause=0.3))
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    routes = [call for call in stage.target.calls if call.startswith("route")]
    assert routes == ["route blue 95 green 5", "route blue 50 green 50", "route blue 0 green 100"]


async def test_a_canary_that_is_bad_goes_back_from_its_first_share(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(3, lambda: 500)
    stage.with_environment(strategy=Strategy(kind="canary", steps=(0.05, 1.0), pause=10.0))
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    routes = [call for call in stage.target.calls if call.startswith("route")]
    assert routes == ["route blue 95 green 5", "route blue 100 green 0"]


async def test_recreate_makes_room_first_and_asks_its_gates_before_that(stage: Stage) -> None:
    stage.with_environment(strategy=Strategy(kind="recreate"))
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.target.calls == ["drain blue", "stop blue", "start green bbbbbbb", "route green 100"]
    assert at(stage, "done", call="ask_gates") < at(stage, "intent", call="stop")


async def test_recreate_goes_back_by_starting_the_release_before_again(stage: Stage) -> None:
    stage.target.boots[NEW.id] = Dead("exited with 1")
    stage.with_environment(strategy=Strategy(kind="recreate"))
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    assert stage.target.calls[-2:] == ["stop green", "start blue aaaaaaa"]
    assert stage.target.weights["blue"] == 100


async def test_a_release_before_that_has_died_meanwhile_is_started_again(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = lambda: 200 if stage.target.slots["blue"].alive else 500
    stage.with_environment(watch=replace(QUICK, seconds=60.0, on_bad="hold"))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("watch")  # from then on both are asked.
        stage.target.slots["blue"].alive = False
        assert await running is State.HELD
        wish(stage.files, Wish.ROLLBACK, "mona")
        assert await stage.run() is State.ROLLED_BACK
    assert "start blue aaaaaaa" in stage.target.calls
    assert stage.target.weights == {"blue": 100, "green": 0}


async def test_a_first_release_that_is_bad_is_held_since_there_is_nothing_to_go_back_to(stage: Stage) -> None:
    stage.old = None
    stage.target.behaviours[NEW.id] = lambda: 500
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.because.endswith("there is no release before it to go back to")
    assert stage.target.weights == {"green": 100}


@pytest.mark.deployment(20)
async def test_a_way_back_that_fails_is_tried_three_times_and_keeps_both_slots(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(5, lambda: 500)
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        stage.target.unreachable["route"] = -1
        assert await running is State.ROLLBACK_FAILED
    assert stage.because.endswith("and the way back failed 3 times: route is out of reach")
    assert sorted(stage.target.slots) == ["blue", "green"]


@pytest.mark.deployment(20)
async def test_a_way_back_that_failed_before_a_crash_counts_after_it_too(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(5, lambda: 500)
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        stage.target.unreachable["route"] = -1
        await stage.reaches("note", what="way back failed")
        first.cancel()
        await asyncio.wait({first})
        assert await stage.run() is State.ROLLBACK_FAILED
    assert sum(entry.data.get("what") == "way back failed" for entry in stage.entries) == 3


@pytest.mark.deployment(20)
async def test_a_full_disk_makes_no_way_back_be_tried_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.target.behaviours[NEW.id] = after(5, lambda: 500)
    stage.with_environment(watch=replace(QUICK, seconds=10.0))

    def full(*_: object, **__: object) -> None:
        message = "no space left on device"
        raise JournalUnwritable(message)

    async with opened(stage.target), asyncio.timeout(30):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        stage.target.unreachable["route"] = -1
        monkeypatch.setattr(Journal, "append", full)
        assert await running is State.ROLLBACK_FAILED


@pytest.mark.deployment(20)
async def test_a_way_back_that_no_user_was_sent_on_has_failed(stage: Stage) -> None:
    stage.kind = "rollback"
    stage.target.unreachable["route"] = -1
    async with opened(stage.target):
        assert await stage.run() is State.ROLLBACK_FAILED
    assert stage.target.weights == {"blue": 100, "green": 0}


async def test_another_release_in_the_slot_before_is_not_taken_for_the_release_before(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = after(5, lambda: 500)
    stage.with_environment(watch=replace(QUICK, seconds=10.0))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        stage.target.slots["blue"].release = "another"
        assert await running is State.ROLLED_BACK
    assert "start blue aaaaaaa" in stage.target.calls
    assert stage.target.slots["blue"].release == OLD.id


async def test_a_router_that_fails_twice_is_told_a_third_time(stage: Stage) -> None:
    stage.target.unreachable["route"] = 2
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED


async def test_a_switch_that_cannot_be_made_goes_back(stage: Stage) -> None:
    stage.target.unreachable["route"] = 3
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    assert stage.because.startswith("the switch failed: route is out of reach")
    assert stage.target.weights == {"blue": 100, "green": 0}


@pytest.mark.deployment(9)
async def test_a_controller_whose_token_is_old_changes_nothing_more(stage: Stage) -> None:
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        stage.target.seen = 2  # somebody else has the lease now.
        before = list(stage.target.calls)
        wish(stage.files, Wish.ROLLBACK, "mona")
        assert await running is State.HELD
    assert stage.target.calls == before
    assert "somebody else has taken production over" in stage.because


async def test_a_controller_that_is_fenced_before_the_switch_leaves_the_slots_alone(stage: Stage) -> None:
    stage.target.seen = 2
    async with opened(stage.target):
        assert await stage.run() is State.ABORTED
    assert stage.target.calls == []


async def test_a_denied_gate_right_before_the_switch_aborts(stage: Stage) -> None:
    stage.gates = Deny("mona said no")
    async with opened(stage.target):
        assert await stage.run() is State.ABORTED
    assert stage.because == "the gates, asked once more before the switch: mona said no"
    assert stage.target.calls == ["start green bbbbbbb", "stop green"]


async def test_while_nobody_says_that_the_gates_pass_no_user_gets_the_release(stage: Stage) -> None:
    stage.gates = None
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("intent", call="ask_gates")
        assert stage.target.weights == {"blue": 100, "green": 0}
        wish(stage.files, Wish.ABORT, "mona")
        assert await running is State.ABORTED
    assert stage.because == "mona asked for it to be aborted"


async def test_a_way_back_asks_no_gate_and_takes_the_slot_that_still_runs(stage: Stage) -> None:
    stage.kind, stage.gates = "rollback", None
    stage.with_environment(smoke="tag:smoke", hooks={"after_rollback": ("true",)})
    stage.target.slots["green"] = Running(NEW.id, "kept", well)
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.target.calls[0] == "route blue 0 green 100"
    assert at(stage, "done", call="hook", moment="after_rollback", code=0)
    assert stage.smoked == ["after live"]


async def test_a_way_back_that_is_bad_too_is_held_and_nobody_goes_in_circles(stage: Stage) -> None:
    stage.kind = "rollback"
    stage.target.behaviours[NEW.id] = lambda: 500
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert "it was a way back itself" in stage.because


async def test_smoke_is_run_against_the_idle_slot_and_then_where_users_are(stage: Stage) -> None:
    stage.with_environment(smoke="tag:smoke")
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.smoked == ["before idle", "after live"]


async def test_red_smoke_before_the_switch_aborts(stage: Stage) -> None:
    stage.with_environment(smoke="tag:smoke")
    stage.smokes["before"] = Smoking(ok=False, because="box 30 is red")
    async with opened(stage.target):
        assert await stage.run() is State.ABORTED
    assert stage.because == "smoke: box 30 is red"


async def test_red_smoke_after_the_switch_rolls_back(stage: Stage) -> None:
    stage.with_environment(smoke="tag:smoke")
    stage.smokes["after"] = Smoking(ok=False, because="box 30 is red")
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    assert stage.because == "smoke after the switch: box 30 is red; aaaaaaa serves again"


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        pytest.param("before_switch", State.ABORTED, id="before"),
        pytest.param("after_switch", State.ROLLED_BACK, id="after"),
    ],
)
async def test_a_hook_that_fails_stops_what_it_stands_before(stage: Stage, moment: str, end: State) -> None:
    stage.with_environment(hooks={moment: ("echo $INTERLOCK_SHA >&2; exit 3",)})
    async with opened(stage.target):
        assert await stage.run() is end
    assert f"of {moment} ended with 3: {NEW.sha}" in stage.because


async def test_a_hook_that_ended_well_is_not_run_again_after_a_crash(stage: Stage) -> None:
    stage.with_environment(hooks={"before_switch": ("echo once >> ../ran",)})
    stage.gates = None
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("intent", call="ask_gates")
        first.cancel()
        await asyncio.wait({first})
        stage.gates = Pass("every gate passes")
        assert await stage.run() is State.SUCCEEDED
    assert (stage.directory / "ran").read_text() == "once\n"


@pytest.mark.deployment(27)
async def test_a_wish_to_go_back_is_granted_at_once_while_the_release_is_watched(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=60.0))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        wish(stage.files, Wish.ROLLBACK, "mona")
        assert await running is State.ROLLED_BACK
    assert stage.because == "mona asked for it; aaaaaaa serves again"
    heard = stage.entries[at(stage, "wish", wish="rollback") - 1]
    routed = stage.entries[at(stage, "done", call="route", weights={"blue": 100, "green": 0}) - 1]
    assert (routed.at - heard.at).total_seconds() < 2.0


async def test_a_held_release_is_promoted_by_a_person(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=0.1, probes=()))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
        assert await stage.run() is State.HELD  # nobody has said anything yet.
        wish(stage.files, Wish.PROMOTE, "mona")
        assert await stage.run() is State.SUCCEEDED
    assert "mona promoted it" in [entry.data["because"] for entry in stage.entries if entry.kind == "state"]


async def test_a_canary_that_is_promoted_takes_its_next_step_at_once(stage: Stage) -> None:
    stage.with_environment(strategy=Strategy(kind="canary", steps=(0.05, 1.0), pause=60.0))
    async with opened(stage.target):
        running = asyncio.create_task(stage.run())
        await stage.reaches("watch")
        wish(stage.files, Wish.PROMOTE, "mona")
        assert await running is State.SUCCEEDED


async def test_a_wish_that_comes_too_late_is_answered_too(stage: Stage) -> None:
    async with opened(stage.target):
        await stage.run()
        wish(stage.files, Wish.ROLLBACK, "mona")
        assert await stage.run() is State.SUCCEEDED
    assert stage.entries[-1].data["effect"] == "nothing: the deployment has ended"


@pytest.mark.deployment(11)
async def test_what_runs_already_is_not_started_again_after_a_crash(stage: Stage) -> None:
    stage.gates = None
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("done", call="start")
        first.cancel()
        await asyncio.wait({first})
        stage.gates = Pass("every gate passes")
        assert await stage.run() is State.SUCCEEDED
    assert at(stage, "intent", call="start")


@pytest.mark.deployment(28)
async def test_a_watch_that_was_cut_off_goes_on_with_what_it_knew(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=1.0))
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        before = (await stage.reaches("watch")).data
        first.cancel()
        await asyncio.wait({first})
        cut = [entry.data for entry in stage.entries if entry.kind == "watch"][-1]
        assert await stage.run() is State.SUCCEEDED
    resumed = [entry.data for entry in stage.entries if entry.kind == "watch"]
    following = resumed[resumed.index(cut) + 1]
    grown = following["judges"]["probes"]["successes"] - cut["judges"]["probes"]["successes"]
    assert grown == following["seen"]["probes"]["successes"]
    assert following["time"]["began"] == before["time"]["began"]
    assert resumed[-1]["time"]["seen"] >= 1.0


@pytest.mark.deployment(28)
async def test_a_watch_that_nobody_kept_for_more_than_ten_seconds_begins_its_time_again(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=0.6))
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("watch")
        first.cancel()
        await asyncio.wait({first})
        stage.clock.ahead += 11.0
        assert await stage.run() is State.SUCCEEDED
    lines = [entry.data for entry in stage.entries if entry.kind == "watch"]
    assert lines[-1]["time"]["restarts"] == 1
    assert lines[-1]["time"]["seen"] >= 0.6


async def test_a_controller_that_always_ends_before_the_switch_is_not_started_for_ever(stage: Stage) -> None:
    stage.target.boots[NEW.id] = NotYet("refused")
    async with opened(stage.target):
        for life in range(4):  # the first comes as far as this state, three more begin in it.
            doomed = asyncio.create_task(stage.run())
            await stage.reaches("state", state="preparing")
            while sum(entry.data.get("what") == "started" for entry in stage.entries) <= life:
                await asyncio.sleep(0.01)
            doomed.cancel()
            await asyncio.wait({doomed})
        assert await stage.run() is State.ABORTED
    assert stage.because == "the controller ended 3 times while the deployment was preparing"
    assert stage.target.weights == {"blue": 100, "green": 0}


async def test_traffic_that_somebody_took_away_while_nobody_watched_is_a_way_back(stage: Stage) -> None:
    stage.with_environment(watch=replace(QUICK, seconds=60.0))
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("watch")
        first.cancel()
        await asyncio.wait({first})
        stage.target.weights = {"blue": 100, "green": 0}
        assert await stage.run() is State.ROLLED_BACK
    assert stage.because.startswith("somebody has taken the traffic from it")


async def test_a_watch_that_always_ends_before_it_saw_anything_is_a_way_back(stage: Stage) -> None:
    stage.target.behaviours[NEW.id] = lambda: HANGS
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("state", state="baking")
        first.cancel()
        await asyncio.wait({first})
        stage.remember(*[{"what": "started"}] * 5)
        assert await stage.run() is State.ROLLED_BACK
    assert stage.because.startswith("the watch was cut off 5 times before it saw anything")


async def test_what_was_called_off_before_a_crash_does_not_go_live_after_it(stage: Stage) -> None:
    stage.gates = None
    async with opened(stage.target):
        first = asyncio.create_task(stage.run())
        await stage.reaches("intent", call="ask_gates")
        first.cancel()
        await asyncio.wait({first})
        stage.remember({"what": "not to be", "because": "mona asked for it to be aborted"})
        stage.gates = Pass("every gate passes")
        assert await stage.run() is State.ABORTED
    assert stage.because == "mona asked for it to be aborted"
    assert stage.target.weights == {"blue": 100, "green": 0}


async def test_red_smoke_after_the_switch_is_held_where_the_owner_says_so(stage: Stage) -> None:
    stage.smokes["after"] = Smoking(ok=False, because="box 3 is red")
    stage.with_environment(smoke="tag:smoke", watch=replace(QUICK, seconds=20.0, on_bad="hold"))
    async with opened(stage.target):
        assert await stage.run() is State.HELD
    assert stage.target.weights == {"blue": 0, "green": 100}


async def test_no_release_is_good_before_what_runs_after_the_switch_has_ended(stage: Stage) -> None:
    stage.with_environment(hooks={"after_switch": ("sleep 1.5; false",)})
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK


class Taken(SmallTarget):
    """A target that somebody else takes over while a slot is drained."""

    async def drain(self, slot: str, within: float) -> None:
        self.seen = 2
        await SmallTarget.drain(self, slot, within)


@pytest.mark.deployment(9)
async def test_a_controller_that_is_fenced_while_it_clears_up_has_brought_the_release_live(stage: Stage) -> None:
    stage.target = Taken()
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.because.startswith("bbbbbbb was live when somebody else has taken production over")
    assert "stop blue" not in stage.target.calls


class Deaf(SmallTarget):
    """A target whose router says yes and does nothing."""

    async def route(self, weights: Mapping[str, int]) -> None:
        """Nothing."""


async def test_a_router_that_says_yes_and_does_nothing_is_found_out(stage: Stage) -> None:
    stage.target = Deaf()
    async with opened(stage.target):
        assert await stage.run() is State.ROLLED_BACK
    assert "and does otherwise" in stage.because
    assert "baking" not in stage.states


async def test_what_cannot_be_written_down_is_not_done_before_users_have_the_release(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append

    def full(self: Journal, kind: Kind, **data: Any) -> Entry:
        if data.get("call") == "route":
            message = "no space left on device"
            raise JournalUnwritable(message)
        return append(self, kind, **data)

    monkeypatch.setattr(Journal, "append", full)
    async with opened(stage.target):
        with pytest.raises(JournalUnwritable):
            await stage.run()
    assert stage.target.weights == {"blue": 100, "green": 0}


async def test_a_way_back_does_not_keep_what_was_fled_from(stage: Stage) -> None:
    stage.kind = "rollback"
    stage.with_environment(rollback=Going(keep_old=1800.0, drain=0.1))
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert "stop blue" in stage.target.calls
