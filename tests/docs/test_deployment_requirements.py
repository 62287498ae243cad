"""Every requirement of deployments is held by a test that says so, and the page that lists them is true."""

from __future__ import annotations

from tests.docs.deployment_requirements import LATER, MARK, PAGE, REQUIREMENTS, page
from tests.docs.requirements import held


def test_every_requirement_is_held_by_a_test() -> None:
    assert sorted(set(map(str, REQUIREMENTS)) - held(mark=MARK).keys(), key=int) == []


def test_a_test_cites_only_numbers_that_exist() -> None:
    assert sorted(held(mark=MARK).keys() - set(map(str, REQUIREMENTS))) == []


def test_the_page_lists_them_as_they_are() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.deployment_requirements --write"


def test_every_number_up_to_the_last_is_held_or_comes_later() -> None:
    assert sorted([*REQUIREMENTS, *(number for numbers in LATER.values() for number in numbers)]) == [*range(1, 29)]
