from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.app import CODEC
from bot.codec import Codec, StepFailed, Unencodable
from bot.github.errors import GitHubUnavailable, NotFound, RateLimited, Unprocessable


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    names: tuple[str, ...]
    when: datetime


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner | None
    colour: Colour
    notes: dict[str, object]


codec = Codec(values=(Colour, Inner, Outer), errors=(KeyError,))

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.just("!"), inner)
        | st.builds(Inner, st.lists(st.text()).map(tuple), st.datetimes(timezones=st.just(UTC)))
    ),
    max_leaves=12,
)


@given(values)
def test_what_is_remembered_comes_back_equal_and_of_the_same_type(value: object) -> None:
    back = codec.loads(codec.dumps(value))
    assert back == value
    assert type(back) is type(value)


def test_registered_values_nest() -> None:
    value = Outer(Inner(("a", "b"), datetime(2026, 1, 2, tzinfo=UTC)), Colour.RED, {"!": "tagged", "k": (1, 2)})
    assert codec.loads(codec.dumps(value)) == value


def test_a_value_that_is_not_registered_is_refused_by_name_and_place() -> None:
    with pytest.raises(Unencodable, match=r"value\.x\[0\]: Secret is not registered"):
        codec.dumps({"x": [type("Secret", (), {})()]})


def test_a_class_that_only_shares_its_name_with_a_registered_one_is_refused() -> None:
    impostor: type = type("Inner", (), {})
    with pytest.raises(Unencodable, match="Inner is not registered"):
        codec.dumps(impostor())


def test_an_exception_on_the_allow_list_comes_back_as_itself() -> None:
    back = codec.loads(codec.dumps(KeyError("k", 1)))
    assert type(back) is KeyError
    assert back.args == ("k", 1)


def test_any_other_exception_comes_back_as_step_failed_and_never_as_code() -> None:
    back = codec.loads(codec.dumps(ZeroDivisionError("oh")))
    assert type(back) is StepFailed
    assert (back.kind, back.message) == ("ZeroDivisionError", "oh")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(GitHubUnavailable("GET /x answered 502", True), id="unavailable"),
        pytest.param(RateLimited(datetime(2026, 1, 1, tzinfo=UTC)), id="rate-limited"),
        pytest.param(NotFound("GET /x"), id="not-found"),
        pytest.param(Unprocessable("POST /x", ("head_sha: no",), 409), id="unprocessable"),
    ],
)
def test_the_bots_codec_rebuilds_every_answer_of_github(error: Exception) -> None:
    back = CODEC.loads(CODEC.dumps(error))
    assert type(back) is type(error)
    assert back.args == error.args
    assert vars(back) == vars(error)
