"""What is kept of a deployment says everything, and nobody changes it unnoticed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.journey import journey_of
from bot.domain.deploy.record import Broken, Kept, Link, canonical, hash_of, record_of, sealed, verify
from bot.domain.deploy.states import FINAL, State
from tests.bot.domain.deploy import stories


def record(**fields: Any) -> dict[str, Any]:
    story = stories.rolled_back()
    return record_of(
        stories.deployment(finished_at=story.at, **fields),
        journey=journey_of(story.lines),
        plan=stories.plan(),
        approvals=[stories.approval(), stories.approval("eve", void_because="the commit is another")],
    )


def chain(length: int = 4) -> list[Kept]:
    """Records of one environment, as they are written one after another."""
    kept: list[Kept] = []
    for number in range(1, length + 1):
        previous = kept[-1].link if kept else None
        row = stories.deployment(State.DENIED, number=number, id=f"d{number}", because="a box is red")
        one = sealed(record_of(row, journey=journey_of(()), previous=previous))
        kept.append(Kept(link=Link(place=one["place"], number=number, hash=one["hash"]), text=canonical(one)))
    return kept


@pytest.mark.deployment(25)
def test_a_record_says_who_why_what_and_how_long() -> None:
    said = record()
    assert said["schema"] == "interlock.deployment/1"
    assert said["who"] == {"requested_by": "mona", "author": "mona", "cause": "command", "pr": 7}
    assert said["because"] == "01d01d0 is live again"
    assert said["release"]["sha"] == stories.SHA
    assert said["release"]["artifact"].startswith("tree:")
    assert said["release"]["config"] == "c" * 64
    assert said["plan"]["hash"] == stories.plan().hash
    assert said["replaced"]["sha"] == stories.OLD
    assert [gate["because"] for gate in said["gates"]] == ["41 boxes are green on cafe123", "approved by ada and grace"]
    assert [(one["by"], one["as"], one["void_because"]) for one in said["approvals"]] == [
        ("ada", ["team:release"], ""),
        ("eve", ["team:release"], "the commit is another"),
    ]
    assert [(stay["state"], stay["seconds"]) for stay in said["states"]] == [
        ("requested", 180.1),
        ("locked", 0.1),
        ("preparing", 1.8),
        ("smoking", 2.2),
        ("switching", 0.21),
        ("baking", 6.3),
        ("rolling_back", 0.304),
        ("rolled_back", None),
    ]
    assert [(call["verb"], call["ok"]) for call in said["calls"]] == [
        ("start", True),
        ("smoke", True),
        ("route", True),
        ("route", True),
    ]
    assert said["log"].endswith("KeyError: 'price'\n")


@pytest.mark.deployment(25)
def test_a_record_has_the_samples_and_what_the_judge_made_of_them() -> None:
    watch = record()["watch"]
    assert watch["verdict"] == "bad"
    assert watch["because"] == "19 of 1090 answers failed, 1.0% are tolerated"
    assert watch["tolerated"] == 0.01
    assert watch["sources"] == [
        {"source": "probes", "side": "new", "successes": 24, "failures": 1},
        {"source": "probes", "side": "old", "successes": 25, "failures": 0},
        {"source": "traffic", "side": "new", "successes": 1050, "failures": 19},
    ]
    assert watch["judges"]["traffic"]["failures"] == 19
    last = [reading for reading in watch["readings"] if reading["source"] == "traffic"][-1]
    assert last["log_r"] > last["log_threshold"]


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.deployment(25)
def test_every_final_state_has_a_record_also_without_a_journal(state: State) -> None:
    said = sealed(record_of(stories.deployment(state), journey=journey_of(())))
    assert said["states"][-1]["state"] == state
    assert said["journal"] == {"entries": 0, "head": ""}
    assert verify([Kept(link=Link(place=1, number=12, hash=said["hash"]), text=canonical(said))]) is None


def test_a_record_can_be_read_while_the_deployment_goes_on() -> None:
    story = stories.to_the_watch().watch(probes=(0, 1))
    said = record_of(stories.deployment(State.BAKING, finished_at=None), journey=journey_of(story.lines))
    assert said["states"][-1] == {
        "state": "baking",
        "at": "2026-03-06T10:00:04.410+00:00",
        "seconds": None,
        "because": "all of the traffic goes to cafe123 in green",
    }
    assert said["finished_at"] is None


@pytest.mark.deployment(25)
def test_a_chain_as_it_was_written_holds() -> None:
    assert verify(chain()) is None
    assert verify([]) is None


@given(where=st.integers(min_value=0), what=st.integers(min_value=1, max_value=255), number=st.integers(0, 3))
@pytest.mark.deployment(25)
def test_any_changed_byte_of_any_record_is_found(where: int, what: int, number: int) -> None:
    kept = chain()
    text = (kept[number].text or "").encode()
    place = where % len(text)
    changed = text[:place] + bytes([text[place] ^ what]) + text[place + 1 :]
    kept[number] = replace(kept[number], text=changed.decode("utf-8", "replace"))
    found = verify(kept)
    assert found is not None
    assert found.number == number + 1


def rewritten(kept: Sequence[Kept], number: int) -> list[Kept]:
    """A chain in which one record was made anew, with a hash that fits it."""
    text = json.loads(kept[number].text or "")
    again = canonical(sealed({**text, "because": "all was well"}))
    return [replace(one, text=again) if n == number else one for n, one in enumerate(kept)]


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        pytest.param(
            lambda kept: [*kept[:1], *kept[2:]], Broken(3, "1 of the records before it are gone"), id="one taken away"
        ),
        pytest.param(
            lambda kept: [replace(kept[0], text=None), *kept[1:]], Broken(1, "its record is gone"), id="a file is gone"
        ),
        pytest.param(
            lambda kept: rewritten(kept, 1),
            Broken(2, "its record was written anew: the database knows another hash"),
            id="written anew",
        ),
        pytest.param(
            lambda kept: [replace(kept[0], text=(kept[0].text or "") + " "), *kept[1:]],
            Broken(1, "its record is no JSON as it was written"),
            id="a space more",
        ),
        pytest.param(
            lambda kept: [replace(kept[0], text="[" * 100_000), *kept[1:]],
            Broken(1, "its record is no JSON as it was written"),
            id="brackets without end",
        ),
    ],
)
@pytest.mark.deployment(25)
def test_the_first_broken_link_is_named(broken: Any, found: Broken) -> None:
    assert verify(broken(chain())) == found


def test_a_record_and_its_row_written_anew_break_the_link_to_the_next() -> None:
    kept = rewritten(chain(), 1)
    again = json.loads(kept[1].text or "")["hash"]
    kept[1] = replace(kept[1], link=replace(kept[1].link, hash=again))
    assert verify(kept) == Broken(3, "it does not follow the record before it")


def test_a_record_hashes_to_the_same_whatever_order_it_was_made_in() -> None:
    said = record()
    assert hash_of(dict(reversed(said.items()))) == hash_of(said)


@pytest.mark.parametrize("text", ["", "no json", "3", '[{"gate": "boxes"}, 7]', "{}"])
def test_gates_that_cannot_be_read_do_not_keep_a_record_from_being_written(text: str) -> None:
    assert canonical(sealed(record(gates=text)))
