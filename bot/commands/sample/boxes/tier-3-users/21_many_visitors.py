#!/usr/bin/env python3
# /// box
# title = "Many visitors at once are all counted"
# min_asserts = 2
# [control]
# patch = "controls/lost_update.patch"
# expect = "no click is lost"
# ///
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from support import box
from support.server import running

CLICKS = 80


with running() as shorty:
    link = shorty.shorten("https://example.com/").headers["Location"]

    def visit(_: int) -> tuple[int, float]:
        """Follow the link: the status of the answer, and how long it took in milliseconds."""
        began = perf_counter()
        return shorty.get(link).status, (perf_counter() - began) * 1000

    with ThreadPoolExecutor(8) as visitors:
        visits = list(visitors.map(visit, range(CLICKS)))
    box.contains("no click is lost", shorty.get("/").text, f"<td>{CLICKS}</td>")
    box.equal("everybody was led on", {status for status, _ in visits}, {302})
    # How long it took is told, not judged: that would be a test of the machine.
    box.metric("p95", sorted(took for _, took in visits)[int(CLICKS * 0.95)], "ms")
