"""Boxes that try to break the bot, or what other people read."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.fakes.world import World, box
from tests.scenarios.test_hostile_web import HERE, ask

MARKER = "<!-- interlock:pr=1 -->"
DEEP = "#!/usr/bin/env python3\nimport os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\n"
SHUT = "mkdir -p shut/in && touch shut/in/file && chmod 0 shut/in shut"
CLEAN = {"boxes/tier-1/1_fine.sh": box()}


@pytest.mark.parametrize("left", [DEEP, box(SHUT)], ids=["nested-too-deep", "closed-to-its-owner"])
async def test_whatever_a_box_leaves_in_its_tree_is_removed(world: World, left: str) -> None:
    world.repository({"boxes/tier-1/1_left.py" if left is DEEP else "boxes/tier-1/1_left.sh": left})
    await world.settle()
    [run] = await world.runs()
    assert (run.state, run.conclusion) == ("finished", "success")
    assert not (world.data_dir / "runs" / "1" / "tree").exists()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[" * 100_000, id="nested"),
        pytest.param('{"type":"box_finished","box":1e999,"tier":1}', id="no-number"),
        pytest.param('{"type":["x"]}', id="no-type"),
        pytest.param('{"type":"box_started","box":1,"tier":"one","attempt":[],"at":"soon"}', id="no-time"),
        pytest.param('{"type":"tier_finished","tier":[1],"green":1,"seconds":{},"at":0}', id="no-tier"),
        pytest.param('{"type":"run_started","run_id":1,"at":"x","jobs":"y","boxes":7}', id="no-boxes"),
        pytest.param(
            '{"type":"box_finished","box":7,"tier":"x","title":9,"verdict":"passed","green":1,"at":0}', id="odd"
        ),
        pytest.param("\\xff\\xfe", id="no-text"),
    ],
)
async def test_rubbish_in_the_record_breaks_neither_the_run_nor_its_page(world: World, line: str) -> None:
    forge = f"#!/usr/bin/env python3\nopen('../events-1.jsonl', 'a').write({line!r} + '\\n')\nraise SystemExit(1)\n"
    world.repository({"boxes/tier-1/1_forge.py": forge})
    await world.settle()
    [run] = await world.runs()
    assert (run.state, run.conclusion) == ("finished", "failure")
    for path in ("/runs/1", "/api/v1/runs/1", "/"):
        assert (await ask(world, path, client=HERE)).status_code == 200


async def test_what_a_box_prints_reaches_nobody_as_markup(world: World) -> None:
    evil = [
        "@octo/everyone look",
        MARKER,
        "<!-- interlock:reply=1 -->",
        "</details>",
        "```",
        "~~~~",
        "| a | b |",
        "![x](https://evil.example/beacon.png)",
        "https://evil.example",
        "::error file=x::pwned",
        "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
        "\u202egnp.exe",
        "/boxes cancel",
    ]
    said = "\n".join(evil)
    report = json.dumps({"type": "assertion", "id": said, "ok": False, "message": said, "file": said})
    lines = ("import os", f"open(os.environ['BOX_REPORT'], 'w').write({report!r})", f"print({said!r})")
    text = "\n".join(["#!/usr/bin/env python3", *lines, "raise SystemExit(1)", ""])
    head = '# /// box\n# title = "@octo/everyone | ![x](https://evil.example/x.png) <!-- interlock:pr=1 -->"\n# ///\n'
    world.repository(CLEAN)
    pr = await world.open_pull_request({"boxes/tier-1/2_evil.py": text.replace("\n", f"\n{head}", 1)})
    await world.settle()
    [comment] = pr.comments
    check, tier = pr.check("Interlock"), pr.check("Interlock / tier 1")
    marker, _, told = comment.partition("\n")
    assert marker.startswith("<!-- interlock:pr=1 ")
    shown = [told, *(text for c in (check, tier) for text in (c.summary, c.text) if text)]
    assert len(shown) == 5
    for text in shown:
        assert not {"\x1b", "\u202e"} & set(text)
        assert "<!--" not in text
        assert _tags(text) <= {"<details>", "</details>", "<summary>", "</summary>"}
        assert all(url.startswith("http://bot.example/runs/") for url in _addresses(text))
        for raw in ("@octo", "://evil", "www.", "#1"):
            assert raw not in _prose(text)


_MARKDOWN = MarkdownIt("commonmark").enable("table")


def _tokens(text: str) -> list[Token]:
    """Blocks and what is inline in them; code is a token of its own, and nothing in it is read by GitHub."""
    return [one for block in _MARKDOWN.parse(text) for one in (block, *(block.children or ()))]


def _tags(text: str) -> set[str]:
    html = "".join(token.content for token in _tokens(text) if token.type in {"html_block", "html_inline"})
    return set(re.findall(r"<[^>]*>?", html))


def _addresses(text: str) -> list[str]:
    return [str(token.attrs[key]) for token in _tokens(text) for key in ("href", "src") if key in token.attrs]


def _prose(text: str) -> str:
    return " ".join(token.content for token in _tokens(text) if token.type in {"text", "html_block"})


async def test_a_comment_that_looks_like_ours_is_left_alone(world: World) -> None:
    world.repository(CLEAN)
    pr = await world.open_pull_request({"boxes/tier-1/2_red.sh": box("exit 1")})
    fake = pr.say(f"{MARKER}\n✅ **Interlock** — 2 boxes in 1 tier are green", by="eve")
    await world.settle()
    assert len(pr.comments) == 1
    bodies = {comment.id: comment.body for comment in world.hub.comments("octo/app", pr.number)}
    assert bodies[fake.id] == fake.body


async def test_what_a_box_leaves_running_ends_with_its_run(world: World, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    leave = f"for n in 1 2 3; do env -i setsid sh -c 'echo $$ >> {pids}; exec sleep 600' & done; sleep 0.3; exit 1"
    world.repository({"boxes/tier-1/1_stay.sh": box(leave)})
    await world.settle()
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 3
    for pid in left:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_box_that_kills_its_runner_turns_nothing_green(world: World) -> None:
    kill = f"import os, signal\nos.kill(os.getppid(), {int(signal.SIGKILL)})\n"
    world.repository({"boxes/tier-1/1_kill.py": f"#!/usr/bin/env python3\n{kill}", "boxes/tier-2/2_next.sh": box()})
    await world.settle()
    [run] = await world.runs()
    assert (run.state, run.conclusion) == ("finished", "action_required")
