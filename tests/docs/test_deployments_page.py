"""The page about deployments says what the code does: its states, and the figures that its text names."""

from __future__ import annotations

import re

import pytest

from bot.domain.deploy.bake import ALIKE, GAP, VISIBLE
from bot.domain.deploy.choosing import ROLLBACKS, TRIES, WITHIN
from bot.domain.deploy.environment import Watch
from bot.domain.deploy.locking import LEASE_SECONDS, RENEW_SECONDS
from bot.domain.deploy.watch import ALTERNATIVES, CEILING, FLOOR
from tests.docs.states_table import PAGE, page

TEXT = re.sub(r"\s+", " ", PAGE.read_text("utf-8"))


def test_its_states_are_those_of_the_code() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.states_table --write"


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(f"expires after {LEASE_SECONDS:g} s", id="a-lease-expires"),
        pytest.param(f"renews every {RENEW_SECONDS:g} s", id="and-is-renewed"),
        pytest.param(f"`false_rollback`, {Watch().false_rollback:g} unless", id="false-rollbacks"),
        pytest.param("p₁ ∈ {" + ", ".join(f"{p1:g}" for p1 in ALTERNATIVES) + "}", id="alternatives"),
        pytest.param(f"at least {100 * FLOOR:g} %", id="tolerated-at-least"),
        pytest.param(f"never more than {100 * CEILING:g} %", id="and-at-most"),
        pytest.param(f"fails {100 * VISIBLE:g} % of its answers", id="visible"),
        pytest.param(f"longer than {GAP:g} s", id="a-gap"),
        pytest.param(f"at least {['', '', 'twice'][ALIKE]}", id="alike"),
        pytest.param(f"tried {TRIES} times", id="tries"),
        pytest.param(
            f"{['', '', 'Two'][ROLLBACKS]} automatic rollbacks within {WITHIN.seconds // 3600} hour", id="storm"
        ),
    ],
)
def test_the_figures_that_it_names_are_those_of_the_code(says: str) -> None:
    assert says in TEXT
