from __future__ import annotations

import io
import re

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from runner.events import BoxStarted
from runner.model import BoxId
from runner.report.live import Live
from tests.runner.stories import BEGAN, finished, red_run


def terminal(width: int = 80, height: int = 24, **options: object) -> Console:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    return Console(
        file=out,
        force_terminal=True,
        width=width,
        height=height,
        highlight=False,
        legacy_windows=False,
        **options,  # type: ignore[arg-type]
    )


def written(console: Console) -> str:
    console.file.seek(0)
    return console.file.read()


def draw(console: Console, *events: object, close: bool = True) -> Live:
    live = Live(console, clock=lambda: BEGAN + 2.5, refresh=False)
    for event in events:
        live(event)  # type: ignore[arg-type]
    if close:
        live.close()
    return live


def drawn(live: Live, width: int) -> list[str]:
    """The redrawn part as lines, on a screen of this width."""
    out = io.StringIO()
    Console(width=width, file=out).print(live._now())
    live.close()
    return out.getvalue().splitlines()


def settled(width: int) -> str:
    """What stays on the screen when the run is over, without colour."""
    console = terminal(width, color_system=None)
    draw(console, *red_run())
    return screen(written(console))


def screen(stream: str) -> str:
    """The text that a terminal shows after this stream; knows what rich uses to redraw."""
    rows = [""]
    row = 0
    column = 0
    for text, control in re.findall(r"([^\x1b\r\n]+)|(\r|\n|\x1b\[[?0-9;]*[A-Za-z])", stream):
        if text:
            rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
            column += len(text)
        elif control == "\r":
            column = 0
        elif control == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif control == "\x1b[2K":
            rows[row] = ""
        elif control == "\x1b[1A":
            row -= 1
        else:
            assert control in {"\x1b[?25l", "\x1b[?25h"}, control
    return "\n".join(line.rstrip() for line in rows)


def test_what_stays_on_the_screen() -> None:
    assert settled(80) == snapshot("""\
sandbox: off · 4 boxes · 2 at a time
tier 1
✓ 1 Lint  0.04s
✗ 7 Locks after five failures  failed  3.10s slow
    2 of 3 assertions did not hold
    tests/login.py:12  locked-after-5: got 200
    unlocks-again: never
    │ (3 earlier lines)
    │ line 21
    │ line 22
    │ line 23
    │ line 24
    │ line 25
    │ line 26
    │ line 27
    │ line 28
    │ line 29
    │ line 30
    │ line 31
    │ line 32
    │ line 33
    │ line 34
    │ line 35
    │ line 36
    │ line 37
    │ line 38
    │ line 39
    │ HTTP 200
    left running, now ended: sleep 1000
≈ 8 Retries  flaky, passed on attempt 2  0.31s
tier 1 is red
! no history yet

✗ 7 Locks after five failures  failed  3.10s slow  tests/login.py:12  locked-af…
○ 20 Login page  blocked by 7

4 boxes: 1 passed, 1 flaky, 1 failed, 1 blocked by 7 · 3.2 s
runner run 7
""")


def test_the_drawn_part_names_running_boxes_with_their_time() -> None:
    live = draw(terminal(color_system=None), *red_run()[:6], close=False)
    assert drawn(live, 60) == snapshot(["  7 Locks after five failures  2.50s  slow", "1/4 · 1 passed · 2.50s"])


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal()
    draw(console, *red_run())
    assert "\x1b[31m" not in written(console)
    assert "\x1b[1;31m" not in written(console)


def test_more_running_boxes_than_lines_do_not_scroll() -> None:
    console = terminal(height=10, color_system=None)
    starts = [BoxStarted(box=BoxId("", n), tier=1, attempt=1, at=BEGAN) for n in range(100, 140)]
    live = draw(console, red_run()[0], *starts, close=False)
    lines = drawn(live, 60)
    assert len(lines) <= 9
    assert "and 33 more" in lines[-2]


def test_a_title_is_text_and_not_markup() -> None:
    console = terminal(color_system=None)
    draw(console, red_run()[0], finished(1, title="[bold red]x[/] \x1b[2J"))
    assert "[bold red]x[/]" in written(console)
    assert "\x1b[2J" not in written(console)


def test_the_cursor_is_given_back_after_a_broken_run() -> None:
    console = terminal()
    draw(console, *red_run()[:6])
    assert written(console).rindex("\x1b[?25h") > written(console).rindex("\x1b[?25l")
