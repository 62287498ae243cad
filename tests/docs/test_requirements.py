"""Every security requirement is held by a test that says so, and the page that lists them is true."""

from __future__ import annotations

from pathlib import Path

from tests.docs.requirements import LATER, PAGE, REQUIREMENTS, held, page


def test_every_requirement_is_held_by_a_test() -> None:
    assert sorted(REQUIREMENTS.keys() - held().keys()) == []


def test_a_test_cites_only_numbers_that_exist() -> None:
    later = {number for numbers in LATER.values() for number in numbers}
    assert sorted(held().keys() - REQUIREMENTS.keys() - later) == []


def test_the_page_lists_them_as_they_are() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.requirements --write"


def test_every_number_up_to_the_last_is_held_or_comes_later() -> None:
    numbers = {int(number.removeprefix("S-")) for number in [*REQUIREMENTS, *(n for ns in LATER.values() for n in ns)]}
    assert numbers == set(range(1, 39))


def test_marks_are_found_where_they_can_stand(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "pytestmark = [pytest.mark.requirement('S-1')]\n"
        "@pytest.mark.requirement('S-2', 'S-3')\n"
        "async def test_a(): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, id='one', marks=pytest.mark.requirement('S-4'))])\n"
        "def test_b(x): ...\n"
    )
    assert held(tmp_path) == {
        "S-1": ["test_x.py::*"],
        "S-2": ["test_x.py::test_a"],
        "S-3": ["test_x.py::test_a"],
        "S-4": ["test_x.py::one"],
    }
