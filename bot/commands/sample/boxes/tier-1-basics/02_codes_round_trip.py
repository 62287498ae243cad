#!/usr/bin/env python3
# /// box
# title = "Every code leads back to its number"
# min_asserts = 3
# [control]
# edit = {file = "shorty/codes.py", find = "number = number * BASE", replace = "number = number * (BASE - 1)"}
# expect = "round trip"
# ///
from __future__ import annotations

from shorty.codes import decode, encode
from support import box

numbers = [*range(5000), 2**31, 2**62]


def back(number: int) -> int | str:
    """The number that its code leads to."""
    try:
        return decode(encode(number))
    except ValueError as error:
        return f"no number, {error!r}"


wrong = {number: back(number) for number in numbers if back(number) != number}
box.ok("round trip", not wrong, f"{len(wrong)} codes are wrong, the first: {dict([*wrong.items()][:1])}")
box.equal("no two numbers share a code", len({encode(number) for number in numbers}), len(numbers))
box.ok("codes stay short", len(encode(10**6)) <= 4, f"a million needs {len(encode(10**6))} characters")
