from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.later import later
from runner.report import text as shown
from runner.text import clean


@given(st.text(max_size=50))
def test_it_finds_what_the_pattern_finds(text: str) -> None:
    pattern = r"(a)|[b-y]+(z)?"
    flags = re.IGNORECASE | re.DOTALL
    now, then = re.compile(pattern, flags), later(pattern, flags)
    assert [match.span() for match in then.finditer(text)] == [match.span() for match in now.finditer(text)]
    assert (then.fullmatch(text) is None) == (now.fullmatch(text) is None)
    assert then.sub("-", text) == now.sub("-", text)


def test_what_is_no_pattern_is_noticed_at_its_first_use() -> None:
    pattern = later("(")
    with pytest.raises(re.error):
        pattern.search("")


def test_what_is_taken_to_be_printable_has_nothing_in_it_that_is_taken_out() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    printable = "".join(char for char in everything if char.isprintable())
    mixed = f"{printable}\n"  # which is not printable, and goes the long way
    assert clean(mixed, len(mixed)) == mixed
    assert shown.clean(mixed) == mixed
