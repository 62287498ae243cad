from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bot.domain.comment import marker, render, render_sentence
from bot.domain.progress import Progress
from bot.domain.report import RunState
from bot.domain.scrutiny import Scrutiny, without_control
from bot.domain.text import BUDGET, size
from runner.events import Event
from runner.model import Failure, Verdict
from tests.bot.domain.story import TIERS, all_green, finished, run_finished, run_started, started, tier_two_red

URL = "https://interlock.example/runs/r1"
SHA = "cafe" * 10
MARKER = marker(1, 7, lambda text: f"signed-{len(text)}")


def comment(events: list[Event], state: RunState = RunState.FINISHED) -> str:
    return render(Progress.of(events), head_sha=SHA, run_url=URL, state=state).under(MARKER)


def test_a_green_run_is_two_lines() -> None:
    assert comment(all_green()) == snapshot("""\
<!-- interlock:pr=7 signed-11 -->
✅ **Interlock** — 5 boxes in 3 tiers are green

For `cafecaf` · [logs and timings](https://interlock.example/runs/r1) · `/help`
""")


def test_a_red_run_shows_what_is_red_and_folds_the_rest() -> None:
    assert comment(tier_two_red()) == snapshot("""\
<!-- interlock:pr=7 signed-11 -->
❌ **Interlock** — tier 2 is red, tier 3 did not run

| box | verdict | |
|--|--|--|
| 21 Locks after five failures | failed | `calc.py:3` expected 4, got 0 |

<details><summary>Details</summary>

- tier 1: 1 passed, 1 cached
- tier 2: 1 failed, 1 passed
- tier 3: 1 blocked

### 21 Locks after five failures — failed

`boxes/tier-2/21_box.py` · 1.2 s

It failed: 1 of 3 assertions did not hold

- `calc.py:3` **adds two numbers** expected 4, got 0

<details><summary>Its output</summary>

```text
collected 3 items
E  assert 0 == 4
```

</details>

Run it yourself: `runner run 21`

</details>

For `cafecaf` · [logs and timings](https://interlock.example/runs/r1) · `/help`
""")


def test_a_run_on_its_way_says_how_far_it_is() -> None:
    events: list[Event] = [run_started(), finished(7), started(12)]
    assert comment(events, RunState.RUNNING) == snapshot("""\
<!-- interlock:pr=7 signed-11 -->
⏳ **Interlock** — 1 of 5 boxes done, tier 1 is running

For `cafecaf` · [logs and timings](https://interlock.example/runs/r1) · `/help`
""")


def test_a_red_box_is_shown_before_the_run_is_over() -> None:
    events: list[Event] = [run_started(), finished(7, Verdict.FAILED, reason="exit code 1"), started(12)]
    assert comment(events, RunState.RUNNING).splitlines()[1:6] == snapshot(
        [
            "❌ **Interlock** — 1 of 5 boxes done, tier 1 is running, 1 red",
            "",
            "| box | verdict | |",
            "|--|--|--|",
            "| 7 Lint | failed | exit code 1 |",
        ]
    )


@pytest.mark.parametrize(
    ("scrutiny", "sign"),
    [
        pytest.param(Scrutiny(falsify="require"), "⏳", id="proofs-are-awaited"),
        pytest.param(Scrutiny(falsify="require", proofs=without_control({"7": "Lint"})), "❌", id="a-proof-is-missing"),
        pytest.param(Scrutiny(falsify="tell", proofs=without_control({"7": "Lint"})), "✅", id="proofs-are-told-only"),
    ],
)
def test_green_boxes_are_not_signed_green_before_all_that_is_required_is_there(scrutiny: Scrutiny, sign: str) -> None:
    said = render(Progress.of(all_green()), head_sha=SHA, run_url=URL, state=RunState.FINISHED, scrutiny=scrutiny)
    assert said.body.startswith(f"{sign} **Interlock**")


def test_a_run_on_its_way_is_no_news_and_tells_of_no_freeze() -> None:
    progress = Progress.of([run_started(), finished(7), started(12)])
    said = render(progress, head_sha=SHA, run_url=URL, state=RunState.RUNNING, hold="frozen: x (by @hub)")
    assert said.body.startswith("⏳ **Interlock** — 1 of 5 boxes done")
    assert said.news == ""
    ended = render(Progress.of(all_green()), head_sha=SHA, run_url=URL, state=RunState.FINISHED)
    other = render(Progress.of(all_green()), head_sha="f00d" * 10, run_url=URL, state=RunState.FINISHED)
    assert ended.news == other.news != ""


def test_a_red_box_in_quarantine_is_named() -> None:
    body = comment([run_started(7, 12), finished(7), finished(12, Verdict.FAILED, gating=False), run_finished()])
    assert body == snapshot("""\
<!-- interlock:pr=7 signed-11 -->
✅ **Interlock** — 1 box green, 1 red in quarantine

In quarantine, red without gating: `12`

For `cafecaf` · [logs and timings](https://interlock.example/runs/r1) · `/help`
""")


def test_a_run_that_never_began_says_why() -> None:
    body = render_sentence("conflicts with main in @octo/x", head_sha=SHA, hint="rebase, and push").under(MARKER)
    assert body == snapshot("""\
<!-- interlock:pr=7 signed-11 -->
⚠️ **Interlock** — conflicts with main in @\u200docto/x

What helps: rebase, and push.

For `cafecaf` · `/help`
""")


def test_a_flood_fits_into_a_comment() -> None:
    failures = tuple(Failure(id=str(n), message="`|@mona " * 200, file="a.py", line=n) for n in range(500))
    events: list[Event] = [run_started()]
    events += [finished(n, Verdict.FAILED, failures=failures, output="y|`@\n" * 90_000) for n in TIERS]
    body = comment([*events, run_finished(green=False)])
    assert size(body) <= BUDGET
    assert body.count("<details>") == body.count("</details>")
