"""The issue of an incident, and the release on GitHub: what stays to be seen of how a deployment ended.

An incident is what the deployments of an environment say at the moment when GitHub is spoken to: however late that is
and in whichever order, its issue is open exactly as long as the newest verdict is a bad one.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import structlog

from bot.domain.deploy import incident
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import State
from bot.domain.text import code, plain
from bot.engine import Flow
from bot.flows.context import Context
from bot.flows.deploying import terms
from bot.flows.deploying.recording import record_now
from bot.flows.persevere import persevere
from bot.github import comments, issues
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.releases_api import create_release

log = structlog.get_logger()

NAME = "incident"
RELEASE = "release"

LOOKED_AT = 50
"""Deployments of an environment, newest first, among which an incident is."""

_REFUSED = "refused:"
"""Before what GitHub has refused an installation; it is told in the log once."""


async def follow_up(ctx: Context, deployment: Deployment) -> None:
    """Start what a deployment that has ended asks for. Safe to repeat."""
    known = terms.read(ctx, deployment)
    if known is None or deployment.state not in incident.BAD | {State.SUCCEEDED}:
        return
    environment = known.environment(deployment.environment)
    if not environment.pull_requests:  # there the pull request's own comment tells whom it concerns.
        await ctx.engine.start(NAME, f"incident:{deployment.id}", deployment.id)
    if environment.release and deployment.state is State.SUCCEEDED and deployment.kind == "deploy":
        await ctx.engine.start(RELEASE, f"release:{deployment.id}", deployment.id)


class Incidents:
    """The flow of the issue, with what it works with and whose turn it is."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, flow: Flow, deployment_id: str) -> str:
        """Bring the issue to where the environment is; returns a few words about it."""
        return await persevere(flow, self._ctx.clock, "settle", self._settle, deployment_id)

    async def _settle(self, deployment_id: str) -> str:
        """Safe to repeat at any point."""
        deployment = await self._ctx.deployment(deployment_id)
        turn = self._turns.setdefault((deployment.repo_id, deployment.environment), asyncio.Lock())
        async with turn:
            try:
                return await settle(self._ctx, deployment)
            except (Forbidden, NotFound, Unprocessable) as refused:
                await _say_once(self._ctx, deployment, "issues", refused)
                return "refused"


async def settle(ctx: Context, deployment: Deployment) -> str:
    """Open, add to or close the issue of a deployment's environment, as its newest deployments ask for."""
    gh = ctx.github.installation(deployment.installation_id)
    newest = await ctx.deployments.of_environment(deployment.repo_id, deployment.environment, limit=LOOKED_AT)
    bad, over = incident.series(newest)
    mark = incident.marker(deployment.repo_id, deployment.environment, ctx.links.sign)
    if bad:
        first, *others = bad
        number = await issues.open_issue(
            gh, deployment.repo, title=incident.title(first), body=await _body(ctx, first), marker=mark
        )
        for other in others:
            said = await _body(ctx, other)
            await comments.reply(gh, deployment.repo, number, said, marker=_reply_marker(ctx, other))
        log.info("incident_open", repo=deployment.repo, environment=deployment.environment, issue=number)
        return f"#{number} is open"
    if over is None or not any(each.state in incident.BAD for each in newest):
        return "there was none"
    if (found := await issues.find_by_marker(gh, deployment.repo, mark)) is None:
        return "there is none"
    said = incident.recovered(over)
    await comments.reply(gh, deployment.repo, found.number, said, marker=_reply_marker(ctx, over))
    await issues.close_issue(gh, deployment.repo, found.number)
    log.info("incident_over", repo=deployment.repo, environment=deployment.environment, issue=found.number)
    return f"#{found.number} is closed"


async def _body(ctx: Context, deployment: Deployment) -> str:
    picture = ctx.links.picture_url(deployment.number)
    record = await record_now(ctx, deployment)
    return incident.body(
        record,
        page_url=ctx.links.deployment_url(deployment.number),
        # GitHub fetches pictures itself, which it cannot do from this machine's own name.
        picture_url=picture if picture.startswith("https://") and record["watch"]["samples"] else "",
    )


def _reply_marker(ctx: Context, deployment: Deployment) -> str:
    return f"<!-- interlock:incident:{deployment.number} {ctx.links.sign(f'incident-reply:{deployment.id}')} -->"


class Releasing:
    """The flow of the release on GitHub."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def __call__(self, flow: Flow, deployment_id: str) -> str:
        """Make it, unless the commit has one; returns a few words about it."""
        return await persevere(flow, self._ctx.clock, "release", self._release, deployment_id)

    async def _release(self, deployment_id: str) -> str:
        ctx, deployment = self._ctx, await self._ctx.deployment(deployment_id)
        before = await ctx.deployments.of_environment(deployment.repo_id, deployment.environment, limit=LOOKED_AT)
        for other in before:
            if other.number < deployment.number and (other.sha, other.state) == (deployment.sha, State.SUCCEEDED):
                return "the commit has one"
        tag = f"{deployment.environment}-{deployment.number}"
        try:
            page = await create_release(
                ctx.github.installation(deployment.installation_id),
                deployment.repo,
                tag=tag,
                sha=deployment.sha,
                name=f"{deployment.environment} {deployment.number}",
                body=release_text(deployment),
            )
        except (Forbidden, NotFound, Unprocessable) as refused:
            await _say_once(ctx, deployment, "releases", refused)
            return "refused"
        log.info("release_made", repo=deployment.repo, tag=tag, page=page)
        return tag


def release_text(deployment: Deployment) -> str:
    """What the release says of itself."""
    pull = f" of #{deployment.pr}" if deployment.pr else ""
    by = f", asked for by {plain(deployment.requested_by)}" if deployment.requested_by else ""
    return (
        f"{code(deployment.short)}{pull} is live in {plain(deployment.environment)}{by}.\n\n"
        f"Artifact {code(deployment.artifact)}, configuration {code(deployment.config[:12])}."
    )


async def _say_once(ctx: Context, deployment: Deployment, what: str, refused: Exception) -> None:
    """Say that GitHub does not let us, once for each repository: it will not the next time, either."""
    key = f"{_REFUSED}{what}:{deployment.repo_id}"
    if await ctx.marks.claim(key, ctx.clock.now().isoformat()):
        log.error("not_let_by_github", what=what, repo=deployment.repo, because=str(refused))
