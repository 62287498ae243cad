"""Who does not look at GitHub hears of what matters, in plain words that call nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.notice import BYTES, Event, event_of, notice_of
from bot.domain.deploy.states import State
from tests.bot.domain.deploy.stories import deployment


def gate(name: str, answer: str, because: str = "because", way_out: str = "") -> dict[str, str]:
    return {"gate": name, "answer": answer, "because": because, "way_out": way_out}


@pytest.mark.parametrize(
    ("state", "gates", "event"),
    [
        pytest.param(State.GATED, [gate("approvals", "wait")], Event.WAITING, id="only people are missing"),
        pytest.param(State.GATED, [gate("approvals", "wait"), gate("boxes", "wait")], None, id="boxes run yet"),
        pytest.param(State.GATED, [gate("approvals", "pass")], None, id="about to go"),
        pytest.param(State.GATED, [], None, id="nobody has looked"),
        pytest.param(State.REQUESTED, [gate("approvals", "wait")], None, id="requested"),
        pytest.param(State.BAKING, [], None, id="under way"),
        pytest.param(State.SUPERSEDED, [], None, id="superseded"),
        pytest.param(State.SUCCEEDED, [], Event.SUCCEEDED, id="succeeded"),
        pytest.param(State.HELD, [], Event.HELD, id="held"),
        pytest.param(State.ABORTED, [], Event.ABORTED, id="aborted"),
        pytest.param(State.ROLLED_BACK, [], Event.ROLLED_BACK, id="rolled back"),
        pytest.param(State.ROLLBACK_FAILED, [], Event.ROLLBACK_FAILED, id="rollback failed"),
    ],
)
def test_only_what_somebody_can_use_is_told(state: State, gates: list[dict[str, str]], event: Event | None) -> None:
    assert event_of(deployment(state), gates) is event


def test_a_notice_of_a_rollback_says_what_and_why_and_where_to_look() -> None:
    notice = notice_of(
        Event.ROLLED_BACK,
        deployment(because="19 of 1090 answers failed, 1.0% are tolerated"),
        [],
        url="https://bot.example/deployments/12?t=x",
    )
    assert notice.title == snapshot("↩️ octo/app → production: deployment 12 was rolled back")
    assert notice.body == snapshot("""\
cafe123, asked for by mona: 19 of 1090 answers failed, 1.0% are tolerated
https://bot.example/deployments/12?t=x\
""")


def test_a_notice_of_one_that_waits_says_who_can_do_what() -> None:
    gates = [
        gate("boxes", "pass"),
        gate("approvals", "wait", "1 of 2 approvals", "/approve production by team:release"),
    ]
    notice = notice_of(Event.WAITING, deployment(State.GATED, because=""), gates, url="")
    assert notice.title == snapshot("⏳ octo/app → production: deployment 12 waits for approval")
    assert notice.body == snapshot("""\
cafe123, asked for by mona
approvals: 1 of 2 approvals (/approve production by team:release)\
""")


@given(st.text(), st.text(max_size=30))
def test_whatever_somebody_wrote_a_notice_calls_nobody_and_stays_small(because: str, name: str) -> None:
    row = deployment(because=f"@channel {because}", environment=name)
    notice = notice_of(Event.HELD, row, [], url="", extra=[f"{because} @all"] * 50)
    assert "@channel" not in notice.title + notice.body
    assert "@all" not in notice.body
    assert "\n" not in notice.title
    assert len(notice.body.encode()) <= BYTES + 100
