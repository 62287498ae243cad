"""What GitHub is told of deployments: once, in as few words as it takes, and about the right ones."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github import deployments, issues, releases_api
from bot.github.deployments import LONGEST_DESCRIPTION, Status, Wanted, shortened
from bot.github.errors import Forbidden, GitHubUnavailable, Unprocessable
from tests.bot.github.conftest import REPO, Connected

MARK = "<!-- interlock:incident:production -->"


def wanted(connected: Connected, **changes: object) -> Wanted:
    return replace(Wanted(our_id="d1", sha=connected.head, environment="production"), **changes)  # type: ignore[arg-type]


async def made(connected: Connected, **changes: object) -> int:
    return await deployments.ensure_deployment(connected.gh, REPO, wanted(connected, **changes))


async def test_a_deployment_is_made_whatever_its_checks_say(connected: Connected) -> None:
    red = {"name": "lint", "head_sha": connected.head, "conclusion": "failure"}
    await connected.gh.post(f"/repos/{REPO}/check-runs", red)
    await made(connected, description="deploy 1", production=True)
    (row,) = connected.hub.deploying.deployments(REPO)
    assert (row.payload, row.production, row.transient) == ({"interlock": "d1"}, True, False)
    assert row.creator == "interlock[bot]"


async def test_a_repeat_finds_what_was_made(connected: Connected) -> None:
    one = wanted(connected)
    first = await deployments.ensure_deployment(connected.gh, REPO, one)
    assert await deployments.ensure_deployment(connected.gh, REPO, one) == first
    assert len(connected.hub.deploying.deployments(REPO)) == 1


async def test_a_deployment_whose_answer_was_lost_is_not_made_twice(connected: Connected) -> None:
    connected.hub.faults.next("POST", "/deployments$", status=502, after_commit=True)
    number = await made(connected)
    assert [row.id for row in connected.hub.deploying.deployments(REPO)] == [number]


async def test_a_later_deployment_is_none_of_the_earlier_ones(connected: Connected) -> None:
    first, second, third = [await made(connected, our_id=name) for name in ("d1", "d2", "d3")]
    found = await deployments.earlier(connected.gh, REPO, "production", than=second)
    assert [one.id for one in found] == [first]
    assert second < third


async def test_what_somebody_else_wrote_under_our_id_is_not_ours(connected: Connected) -> None:
    one = wanted(connected)
    token = connected.hub.create_user("mona")
    body = {"ref": one.sha, "environment": "production", "payload": {"interlock": "d1"}, "required_contexts": []}
    async with httpx.AsyncClient(base_url=connected.hub.url, headers={"authorization": f"Bearer {token}"}) as mona:
        assert (await mona.post(f"/repos/{REPO}/deployments", json=body)).status_code == 201
    await deployments.ensure_deployment(connected.gh, REPO, one)
    assert [row.creator for row in connected.hub.deploying.deployments(REPO)] == ["mona", "interlock[bot]"]


async def test_an_unknown_commit_is_declined(connected: Connected) -> None:
    with pytest.raises(Unprocessable, match="No ref found"):
        await made(connected, sha="0" * 40)


async def test_a_status_leads_to_the_page_and_its_text_is_cut(connected: Connected) -> None:
    number = await made(connected)
    status = Status(state="success", description="long " * 50, log_url="https://bot.example/1", environment_url="app:1")
    await deployments.say(connected.gh, REPO, number, status)
    (said,) = connected.hub.deploying.statuses(connected.hub.deploying.deployments(REPO)[0])
    assert (said.log_url, said.environment_url) == ("https://bot.example/1", "")
    assert len(said.description) <= LONGEST_DESCRIPTION
    assert said.description.endswith("…")


async def test_only_what_we_said_ourselves_counts_as_said(connected: Connected) -> None:
    number = await made(connected)
    for state in ("pending", "in_progress"):
        await deployments.say(connected.gh, REPO, number, Status(state=state))
    token = connected.hub.create_user("mona")
    async with httpx.AsyncClient(base_url=connected.hub.url, headers={"authorization": f"Bearer {token}"}) as mona:
        await mona.post(f"/repos/{REPO}/deployments/{number}/statuses", json={"state": "error"})
    assert await deployments.said(connected.gh, REPO, number) == ("pending", "in_progress")


async def test_earlier_ones_are_told_apart(connected: Connected) -> None:
    first = await made(connected, our_id="d1")
    await deployments.say(connected.gh, REPO, first, Status(state="success"))
    second = await made(connected, our_id="d2", transient=True)
    await made(connected, our_id="elsewhere", environment="staging")
    last = await made(connected, our_id="d3")
    found = await deployments.earlier(connected.gh, REPO, "production", than=last)
    assert [(one.id, one.state, one.is_transient) for one in found] == [(second, "", True), (first, "success", False)]
    assert all(one.is_ours for one in found)


@given(st.text())
def test_a_description_is_one_line_that_github_takes(text: str) -> None:
    short = shortened(text)
    assert len(short) <= LONGEST_DESCRIPTION
    assert "\n" not in short


async def test_an_incident_is_opened_once_and_closed(connected: Connected) -> None:
    hub = connected.hub
    hub.faults.next("POST", "/issues$", status=502, after_commit=True)
    number = await issues.open_issue(connected.gh, REPO, title="x" * 300, body="what happened", marker=MARK)
    assert await issues.open_issue(connected.gh, REPO, title="again", body="more", marker=MARK) == number
    assert [issue.number for issue in hub.deploying.issues(REPO)] == [number]
    assert await issues.edit_issue(connected.gh, REPO, number, body=f"known by now {MARK}")
    assert await issues.close_issue(connected.gh, REPO, number)
    assert hub.deploying.issues(REPO)[0].state == "closed"
    assert await issues.find_by_marker(connected.gh, REPO, MARK) is None
    assert not await issues.close_issue(connected.gh, REPO, 99)


async def test_an_issue_that_quotes_our_mark_is_not_ours(connected: Connected) -> None:
    token = connected.hub.create_user("mona")
    async with httpx.AsyncClient(base_url=connected.hub.url, headers={"authorization": f"Bearer {token}"}) as mona:
        await mona.post(f"/repos/{REPO}/issues", json={"title": "hello", "body": MARK})
    assert await issues.find_by_marker(connected.gh, REPO, MARK) is None


async def test_a_release_is_made_once_where_the_app_may(connected: Connected) -> None:
    hub = connected.hub
    with pytest.raises(Forbidden):
        await releases_api.create_release(connected.gh, REPO, tag="production-1", sha=connected.head, name="1", body="")
    installed = hub.installation("octo")
    hub.state.installations.change(installed, permissions={**installed.permissions, "contents": "write"})
    connected.app.forget(await connected.app.token(installed.id))
    hub.faults.next("POST", "/releases$", status=502, after_commit=True)
    sha = connected.head
    page = await releases_api.create_release(connected.gh, REPO, tag="production-1", sha=sha, name="1", body="all")
    assert page.endswith("/octo/app/releases/tag/production-1")
    assert await releases_api.create_release(connected.gh, REPO, tag="production-1", sha=sha, name="1", body="") == page
    assert [release.body for release in hub.deploying.releases(REPO)] == ["all"]


async def test_github_that_is_away_is_said_to_be(connected: Connected) -> None:
    connected.hub.faults.down = True
    with pytest.raises(GitHubUnavailable):
        await made(connected, sha="0" * 40)
    connected.hub.faults.down = False
