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

    def visit(_: int) -> float:
        """Follow the link; how long that took, in milliseconds."""
        began = perf_counter()
        assert shorty.get(link).status == 302
        return (perf_counter() - began) * 1000

    with ThreadPoolExecutor(8) as visitors:
        times = sorted(visitors.map(visit, range(CLICKS)))
    box.contains("no click is lost", shorty.get("/").text, f"<td>{CLICKS}</td>")
    box.ok("nobody waits for seconds", times[-1] < 5000, f"somebody waited for {times[-1]:.0f} ms")
    box.metric("p95", times[int(CLICKS * 0.95)], "ms")
