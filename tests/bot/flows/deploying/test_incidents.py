"""An incident has one issue, open exactly as long as the newest verdict is a bad one; a success can make a release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from structlog.testing import capture_logs

from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying import terms
from bot.flows.deploying.incidents import follow_up
from bot.localhub.records import Issue, Release
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import put
from tests.fakes.world import REPO, World, open_world

BAD = State.ROLLED_BACK


@dataclass
class Site:
    """A repository with production."""

    world: World
    sha: str

    @property
    def ctx(self) -> Context:
        return self.world.running.ctx

    async def end(self, state: State, story: stories.Story | None = None, **facts: Any) -> None:
        """A deployment that ends so."""
        section = {"target": {"kind": "command", "start": "x", "observe": "y"}, **facts.pop("section", {})}
        row = {
            "id": f"d{len(await self.ctx.deployments.newest()) + 1}",
            "repo_id": self.world.hub.repository(REPO).id,
            "installation_id": self.world.hub.installation("octo").id,
            "sha": self.sha,
            **facts,
        }
        deployment = await put(self.ctx, story, state=state, **row)
        terms.put(self.ctx, deployment, terms.Terms(section=section))

    async def follow(self, *ids: str) -> None:
        """What the flows do when it has ended."""
        for deployment_id in ids:
            await follow_up(self.ctx, await self.ctx.deployment(deployment_id))
        await self.world.running.settled()

    async def allow(self, **permissions: str) -> None:
        """What the owner of the repository grants besides. The bot is started anew, since it has a token of before."""
        hub = self.world.hub
        installed = hub.installation("octo")
        hub.state.installations.change(installed, permissions={**installed.permissions, **permissions})
        await self.world.stop_bot()
        await self.world.start_bot()

    @property
    def releases(self) -> list[Release]:
        return list(self.world.hub.state.releases.where(repository_id=self.world.hub.repository(REPO).id))

    @property
    def issues(self) -> list[Issue]:
        return list(self.world.hub.state.issues.where(repository_id=self.world.hub.repository(REPO).id))

    def comments(self, issue: Issue) -> list[str]:
        return [comment.body for comment in self.world.hub.comments(REPO, issue.number)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_world(tmp_path, bot=False) as world:
        world.repository({"README.md": "hello\n"})
        await world.start_bot()
        await world.settle()
        sha = world.hub.forge.git(world.hub.repository(REPO)).branch("main")
        assert sha
        yield Site(world, sha)


async def test_a_rollback_opens_one_issue_with_the_evidence(site: Site) -> None:
    await site.end(BAD, stories.rolled_back(), sha=stories.SHA)
    await site.follow("d1", "d1")
    [issue] = site.issues
    assert (issue.title, issue.state, issue.author) == (
        "production was rolled back from cafe123",
        "open",
        "interlock[bot]",
    )
    text = (
        str(issue.body)
        .replace(site.ctx.links.deployment_url(1), "LINK")
        .rpartition("\n\n<!--")[0]
        .replace("\u200d", "")
    )
    assert text == snapshot("""\
**production** went back from `cafe123` to `01d01d0`. It was deployment 1 of #7.

> 19 of 1090 answers failed, 1.0% are tolerated

> 01d01d0 is live again

| source | release | answers | failed | ln(1 + R) |
|--|--|--:|--:|--|
| probes | new | 25 | 1 | 4.6, bad from 12.4 on |
| probes | old | 25 | 0 |  |
| traffic | new | 1069 | 19 | 50.7, bad from 12.4 on |

<details><summary>What the release printed last</summary>

```text
Traceback (most recent call last):
KeyError: 'price'
```

</details>

[The whole story](LINK)

This issue is closed by the next deployment to this environment that succeeds.\
""")


async def test_a_second_rollback_is_a_comment_and_a_success_closes(site: Site) -> None:
    await site.end(BAD, stories.rolled_back())
    await site.follow("d1")
    await site.end(State.ROLLBACK_FAILED, stories.rolled_back())
    await site.follow("d2", "d2")
    [issue] = site.issues
    [comment] = site.comments(issue)
    assert "**could not**: somebody has to look now" in comment
    assert issue.state == "open"
    await site.end(State.SUCCEEDED)
    await site.follow("d3", "d3")
    [issue] = site.issues
    assert issue.state == "closed"
    assert len(site.comments(issue)) == 2
    assert site.comments(issue)[1].startswith(f"✅ Deployment 3 of `{site.sha[:7]}` succeeded; this is over.")


async def test_the_next_incident_has_an_issue_of_its_own(site: Site) -> None:
    for state in (BAD, State.SUCCEEDED, BAD):
        await site.end(state)
        await site.follow(f"d{len(await site.ctx.deployments.newest())}")
    assert [issue.state for issue in site.issues] == ["closed", "open"]


async def test_told_in_the_wrong_order_the_issue_is_where_the_environment_is(site: Site) -> None:
    await site.end(BAD)
    await site.follow("d1")
    for state in (BAD, State.SUCCEEDED):
        await site.end(state)
    await site.follow("d3", "d2")
    [issue] = site.issues
    assert issue.state == "closed"


async def test_what_ends_neither_way_opens_and_closes_nothing(site: Site) -> None:
    await site.end(BAD)
    await site.follow("d1")
    for state in (State.ABORTED, State.SUPERSEDED, State.EXPIRED, State.DENIED):
        await site.end(state)
    await site.follow("d2", "d3", "d4", "d5")
    assert [issue.state for issue in site.issues] == ["open"]


async def test_each_environment_has_its_own(site: Site) -> None:
    await site.end(BAD)
    await site.end(BAD, environment="staging")
    await site.end(State.SUCCEEDED, environment="staging")
    await site.follow("d1", "d2", "d3")
    assert [(issue.title.partition(" ")[0], issue.state) for issue in site.issues] == [("production", "open")]


async def test_where_pull_requests_are_tried_out_there_are_no_issues(site: Site) -> None:
    await site.end(BAD, section={"pull_requests": True})
    await site.follow("d1")
    assert site.issues == []


async def test_somebody_elses_issue_with_our_mark_is_not_taken_for_ours(site: Site) -> None:
    await site.end(BAD)
    await site.follow("d1")
    [ours] = site.issues
    site.world.hub.state.issues.change(ours, author="mona")
    await site.end(BAD)
    await site.follow("d2")
    assert [issue.author for issue in site.issues] == ["mona", "interlock[bot]"]


async def test_a_success_makes_a_release_where_the_configuration_says_so(site: Site) -> None:
    await site.allow(contents="write")
    await site.end(State.SUCCEEDED, section={"release": True}, artifact="tree:abc", requested_by="mona")
    await site.follow("d1", "d1")
    [release] = site.releases
    assert (release.tag, release.target, release.name) == ("production-1", site.sha, "production 1")
    assert str(release.body).replace(site.sha[:7], "SHA") == snapshot("""\
`SHA` of #7 is live in production, asked for by mona.

Artifact `tree:abc`, configuration `cccccccccccc`.\
""")


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        pytest.param(State.SUCCEEDED, {}, id="nobody asked for one"),
        pytest.param(BAD, {"section": {"release": True}}, id="it went back"),
        pytest.param(State.SUCCEEDED, {"section": {"release": True}, "kind": "rollback"}, id="a way back"),
    ],
)
async def test_otherwise_there_is_no_release(site: Site, state: State, facts: dict[str, Any]) -> None:
    await site.allow(contents="write")
    await site.end(state, **facts)
    await site.follow("d1")
    assert site.releases == []


async def test_a_commit_that_is_deployed_again_has_one_release(site: Site) -> None:
    await site.allow(contents="write")
    for _ in range(2):
        await site.end(State.SUCCEEDED, section={"release": True})
    await site.follow("d1", "d2")
    assert len(site.releases) == 1


@pytest.mark.parametrize(
    ("lacks", "section", "state", "what"),
    [
        pytest.param("issues", {}, BAD, "issues", id="issues"),
        pytest.param("contents", {"release": True}, State.SUCCEEDED, "releases", id="releases"),
    ],
)
async def test_what_the_app_may_not_is_said_once_and_holds_nothing_up(
    site: Site, lacks: str, section: dict[str, Any], state: State, what: str
) -> None:
    await site.allow(**{lacks: "read"})
    for sha in ("a" * 40, "b" * 40):
        await site.end(state, section=section, sha=sha)
    with capture_logs() as logs:
        await site.follow("d1", "d2")
    assert [entry["what"] for entry in logs if entry["event"] == "not_let_by_github"] == [what]
    assert site.releases == []
    assert site.issues == []
