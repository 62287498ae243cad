#!/usr/bin/env python3
# /// box
# title = "In steady traffic no visitor sees an error"
# tags = ["soak"]
# min_asserts = 2
# [control]
# edit = {file = "shorty/web.py", find = "self.server.links.click(path[1:])", replace = "raise ConnectionError"}
# expect = "every answer is a redirect"
# ///
from __future__ import annotations

from http.client import HTTPException
from time import monotonic

from support import box
from support.server import Shorty, running

SECONDS = 0.3


def visit(shorty: Shorty, link: str) -> int | str:
    """The status of one answer, or what came instead of it."""
    try:
        return shorty.get(link).status
    except (OSError, HTTPException) as error:
        return type(error).__name__


with running() as shorty:
    link = shorty.shorten("https://example.com/").headers["Location"]
    end = monotonic() + SECONDS
    answers: list[int | str] = []
    while monotonic() < end or len(answers) < 5:  # a busy machine gets the time it needs
        answers.append(visit(shorty, link))
box.ok("there was traffic", len(answers) >= 5)
box.equal("every answer is a redirect", set(answers), {302})
box.metric("visits", len(answers) / SECONDS, "1/s")
