"""The pages show what a bot wrote, and run none of it."""

from __future__ import annotations

import httpx

from bot.localhub.hub import LocalHub
from bot.localhub.pages import render_markdown
from tests.bot.localhub.clients import as_installation, client, pull_request


async def page(hub: LocalHub, path: str) -> httpx.Response:
    async with client(hub) as somebody:
        return await somebody.get(path)


async def test_a_pull_requests_page_shows_checks_annotations_and_comments(hub: LocalHub) -> None:
    head = pull_request(hub)
    note = {"path": "src/new.py", "start_line": 3, "end_line": 3, "annotation_level": "failure", "message": "got 0"}
    output = {"title": "1 of 2 red", "summary": "| box | verdict |\n|--|--|\n| 12 | failed |", "annotations": [note]}
    async with as_installation(hub) as app:
        body = {"name": "Interlock / tier 1", "head_sha": head, "conclusion": "failure", "output": output}
        await app.post("/repos/octo/app/check-runs", json=body)
        made = await app.post("/repos/octo/app/issues/1/comments", json={"body": "**red**"})
        await app.post(f"/repos/octo/app/issues/comments/{made.json()['id']}/reactions", json={"content": "eyes"})
    shown = (await page(hub, "/octo/app/pull/1")).text
    for piece in ("Interlock / tier 1", "1 of 2 red", "<td>failed</td>", "src/new.py:3", "got 0", "👀 1"):
        assert piece in shown
    assert "<strong>red</strong>" in shown


async def test_what_people_write_does_not_run_in_the_page(hub: LocalHub) -> None:
    pull_request(hub)
    hub.comment("octo/app", 1, "<script>alert(1)</script> [x](javascript:alert(1))", "mona")
    shown = (await page(hub, "/octo/app/pull/1")).text
    assert "<script" not in shown
    assert 'href="javascript' not in shown


async def test_the_pages_lead_from_home_to_a_pull_request(hub: LocalHub) -> None:
    pull_request(hub)
    assert 'href="/octo/app"' in (await page(hub, "/")).text
    assert 'href="/octo/app/pull/1"' in (await page(hub, "/octo/app")).text
    assert (await page(hub, "/octo/app/pull/9")).status_code == 404
    assert "image/svg+xml" in (await page(hub, f"/_hub/avatars/{hub.state.account('mona').id}")).headers["content-type"]


def test_comments_are_hidden_folds_fold_and_other_html_stays_text() -> None:
    shown = render_markdown("<!-- mark -->\n<details><summary>More</summary>\n\n<b>x</b> & `<details>`\n\n</details>")
    assert "mark" not in shown
    assert "<details><summary>More</summary>" in shown
    assert "&lt;b&gt;x&lt;/b&gt;" in shown
