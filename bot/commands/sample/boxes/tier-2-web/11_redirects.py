#!/usr/bin/env python3
# /// box
# title = "A short link leads to its address, and every click counts"
# [control]
# edit = {file = "shorty/web.py", find = "self.server.links.click(path[1:])", replace = "pass"}
# expect = "the click was counted"
# ///
# This box speaks TAP: a plan, and one line for each point. What follows `#` after a `not ok` explains it; a place in
# the source (file:line) in that text becomes the place of the annotation.
from support.server import running

ADDRESS = "https://example.com/docs"


def point(number: int, name: str, *, holds: bool, because: str) -> None:
    """One line of TAP."""
    print(f"{'ok' if holds else 'not ok'} {number} - {name}")
    if not holds:
        print(f"# {because}")


print("1..3")
with running() as shorty:
    link = shorty.shorten(ADDRESS).headers["Location"]
    answer = shorty.get(link)
    where = shorty.last_line()
    # A browser remembers a 301 for ever and never asks again, so later clicks would not be counted.
    point(
        1, "a redirect is temporary", holds=answer.status == 302, because=f"{where} answered {answer.status}, not 302"
    )
    found = answer.headers["Location"]
    point(2, "it leads to the address", holds=found == ADDRESS, because=f"{where} leads to {found}")
    point(3, "the click was counted", holds="<td>1</td>" in shorty.get("/").text, because=f"{where} counted none")
