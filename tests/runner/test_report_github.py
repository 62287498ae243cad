from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt

from runner.model import Failure, Verdict
from runner.report.github import Github
from runner.report.step_summary import LIMIT, escape, fenced, step_summary
from tests.runner.stories import finished, red_run


def report(*events: object, summary: Path | None = None) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    github = Github(out, summary_path=str(summary or ""))
    for event in events:
        github(event)  # type: ignore[arg-type]
    github.close()
    out.seek(0)
    return out.read()


def without_tokens(text: str) -> str:
    return re.sub(r"[0-9a-f]{32}", "TOKEN", text)


def test_a_red_run_in_a_step_log() -> None:
    assert without_tokens(report(*red_run())) == snapshot("""\
sandbox: off · 4 boxes · 2 at a time
✓ 1 Lint  0.04s
· 7  still running after 2.00s
::group::✗ 7 Locks after five failures  failed  3.10s
  2 of 3 assertions did not hold
  tests/login.py:12  locked-after-5: got 200
  unlocks-again: never
::stop-commands::TOKEN
line 18
line 19
line 20
line 21
line 22
line 23
line 24
line 25
line 26
line 27
line 28
line 29
line 30
line 31
line 32
line 33
line 34
line 35
line 36
line 37
line 38
line 39
HTTP 200
::TOKEN::
::endgroup::
::error file=tests/login.py,line=12,title=7 Locks after five failures::locked-after-5: got 200
≈ 8 Retries  flaky, passed on attempt 2  0.31s
tier 1 is red  3.20s
○ 20 Login page  blocked by 7
::warning title=Interlock::no history yet
4 boxes: 1 passed, 1 flaky, 1 failed, 1 blocked by 7 · 3.2 s
runner run 7
""")


def test_a_red_run_as_step_summary(tmp_path: Path) -> None:
    report(*red_run(), summary=tmp_path / "summary.md")
    assert (tmp_path / "summary.md").read_text() == snapshot("""\
### ❌ Interlock: 4 boxes: 1 passed, 1 flaky, 1 failed, 1 blocked by 7 · 3.2 s · sandbox: off

| box | tier | verdict | time | |
|--|--|--|--|--|
| 7 Locks after five failures | 1 | failed | 3.10s | tests/login.py:12 locked-after-5: got 200 |

<details><summary>Output of 7</summary>

```text
line 18
line 19
line 20
line 21
line 22
line 23
line 24
line 25
line 26
line 27
line 28
line 29
line 30
line 31
line 32
line 33
line 34
line 35
line 36
line 37
line 38
line 39
HTTP 200
```

</details>

<details><summary>3 more</summary>

| box | tier | verdict | time | |
|--|--|--|--|--|
| 1 Lint | 1 | passed | 0.04s |  |
| 8 Retries | 1 | flaky, passed on attempt 2 | 0.31s |  |
| 20 Login page | 2 | blocked by 7 |  |  |

</details>

""")


def commands(log: str) -> list[str]:
    """The names of the workflow commands in a log, read as the runner reads it: two grammars, and a fence."""
    names: list[str] = []
    token = ""
    for line in log.split("\n"):
        found = re.match(r"\s*::([^ :]+)[^:]*(?::[^:]+)*?::(.*)", line)
        older = re.search(r"##\[([^ \]]+)[^\]]*\]", line)
        name = found[1] if found else older[1] if older else ""
        if token:
            token = "" if name == token else token
        elif name == "stop-commands" and found:
            token = found[2]
        elif name:
            names.append(name)
    assert not token, "the fence is closed"
    return names


HOSTILE = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            [
                "::set-env name=A::b",
                "::error::x",
                "\n::add-path::/x",
                "\r::notice::y",
                "##[group]z",
                "::stop-commands::a",
                "\u2028::a::b",
            ]
        ),
    ),
    max_size=4,
).map("\n".join)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_box_can_issue_a_workflow_command(title: str, reason: str, message: str, output: str) -> None:
    event = finished(
        21,
        title=title,
        reason=reason,
        verdict=Verdict.FAILED,
        green=False,
        output=output,
        failures=(Failure(id=message, message=message, file=reason, line=1),),
        leaked=(message,),
        repro=title,
    )
    log = report(*red_run()[:1], event)
    allowed = {"group", "endgroup", "error"}
    assert set(commands(log)) <= allowed
    assert commands(log).count("group") == 1


def test_each_fence_has_a_token_of_its_own() -> None:
    red = {"verdict": Verdict.FAILED, "green": False, "output": "said"}
    log = report(finished(1, **red), finished(2, **red))
    assert len(set(re.findall(r"::stop-commands::(.+)", log))) == 2


def test_a_quarantined_box_warns_and_a_red_one_is_an_error() -> None:
    red = {"verdict": Verdict.FAILED, "green": False}
    assert commands(report(finished(1, **red, gating=False), finished(2, **red))) == [
        *("group", "endgroup", "warning"),
        *("group", "endgroup", "error"),
    ]


@given(st.text())
def test_escaped_text_renders_as_itself_and_nothing_else(text: str) -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a |\n|--|\n| x{escape(text)} |\n")
    assert html.count("<td>") == 1
    assert not re.search(r"<(?!/?(?:table|thead|tbody|tr|th|td)>)", html)
    assert not re.search(r"@\w", html)


@pytest.mark.parametrize("text", ["<b>x</b>", "[a](http://b)", "`x`", "a|b", "@mona", "**x**", "![i](j)", "octo/app#1"])
def test_known_tricks_are_inert(text: str) -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(escape(text))
    assert re.fullmatch(r"<p>[^<]*</p>\n", html)
    assert not re.search(r"[@#]\w", html)


@given(st.text("`~ab\n"))
def test_a_code_block_is_closed_by_us_alone(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(fenced(text) + "\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


def test_a_summary_stays_under_a_mebibyte() -> None:
    big = [
        finished(n, title="t" * 200, verdict=Verdict.FAILED, green=False, output=("ü" * 90 + "\n") * 50)
        for n in range(1, 800)
    ]
    text = step_summary(big, "800 boxes")
    assert len(text.encode()) <= LIMIT
    assert "left out" in text


def test_a_run_without_all_verdicts_is_not_green() -> None:
    assert step_summary([finished(1)], "2 boxes", finished=False).startswith("### ❌")
    assert step_summary([finished(1)], "1 box").startswith("### ✅")
