"""The comment about a pull request's deployments: written anew whenever one of them is somewhere else.

It tells what the rows, the journals and the gates say at this moment, so it does not matter how often it is written, or
that something was said late. Nobody waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from bot.deploy.journal import JournalDamaged, read
from bot.domain.comment import Said
from bot.domain.deploy.answers import gates_from_text
from bot.domain.deploy.comment import Told, marker, render
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.journey import Journey, journey_of
from bot.engine import Flow
from bot.flows import record
from bot.flows.context import Context
from bot.flows.deploying import terms
from bot.flows.persevere import persevere
from bot.github.comments import upsert_sticky
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.ops.own_secrets import OWN

log = structlog.get_logger()

NAME = "comment_on_deployment"


def flow_id(deployment_id: str) -> str:
    """A new one each time: gates may answer again what they have answered before, and that is to be told as well."""
    return f"{NAME}:{deployment_id}:{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Commenting:
    """The flow, with what it works with; started with the id of a deployment that has changed."""

    ctx: Context

    async def __call__(self, flow: Flow, deployment_id: str) -> str:
        """Write the comment anew; returns a few words about it."""
        return await persevere(flow, self.ctx.clock, "refresh", refresh, self.ctx, deployment_id)


async def refresh(ctx: Context, deployment_id: str) -> str:
    """Bring the comment of a deployment's pull request up to date. Safe to repeat, and at the same time as another.

    Raises:
        GitHubProblem: GitHub did not answer; a repeat is safe.
    """
    deployment = await ctx.deployments.get(deployment_id)
    if deployment is None or deployment.pr is None:
        return "no pull request"
    key = (deployment.repo_id, deployment.pr)
    # Two that found no comment at the same time would both write one.
    async with ctx.commenting.setdefault(key, asyncio.Lock()):
        try:
            return await _refresh(ctx, deployment, deployment.pr)
        except (Forbidden, NotFound, Unprocessable) as refused:
            # The App may not write on pull requests, the conversation is locked, or all of it is gone.
            log.warning("deployment_comment_refused", pr=deployment.pr, because=str(refused))
            return "refused"


async def _refresh(ctx: Context, deployment: Deployment, pr: int) -> str:
    if not await _is_wanted(ctx, deployment):
        return "not wanted"
    of_pull = await ctx.deployments.of_pull(deployment.repo_id, pr)
    told = [await told_of(ctx, one, of_pull) for one in newest(of_pull)]
    said = render(told)
    mark = marker(deployment.repo_id, pr, ctx.links.sign)
    kept = f"deployment-comment:{deployment.repo_id}:{pr}"
    last = json.loads(await ctx.marks.get(kept) or "{}")
    if last.get("body") == _digest(said.body):
        return "said already"
    known = last.get("id")
    comment_id = await upsert_sticky(
        ctx.github.installation(deployment.installation_id),
        deployment.repo,
        pr,
        said.under(mark),
        marker=mark,
        app_slug=await ctx.github.slug(),
        known_id=known,
        revive=_is_news(said, last),
    )
    news = _digest(said.news) if said.news else last.get("news", "")
    kept_now = {"id": comment_id or known, "body": _digest(said.body), "news": news}
    await ctx.marks.set(kept, json.dumps(kept_now))
    return "left deleted" if comment_id is None else "said"


def newest(deployments: Iterable[Deployment]) -> list[Deployment]:
    """The newest of each environment, those that were asked for last first."""
    found: dict[str, Deployment] = {}
    for deployment in sorted(deployments, key=lambda one: -one.number):
        found.setdefault(deployment.environment, deployment)
    return list(found.values())


async def told_of(ctx: Context, deployment: Deployment, of_pull: Sequence[Deployment]) -> Told:
    """All that is known of one deployment, without anybody's secrets; `of_pull` are all of its pull request."""
    ids = {one.id for one in of_pull if one.environment == deployment.environment}
    since = min(one.created_at for one in of_pull)
    given = await ctx.approvals.since(deployment.repo_id, deployment.environment, since)
    journey = await asyncio.to_thread(_journey, ctx, deployment)
    agreed = await asyncio.to_thread(terms.read, ctx, deployment)
    return Told(
        deployment=deployment,
        gates=gates_from_text(deployment.gates),
        approvals=tuple(approval for approval in given if approval.deployment in ids),
        journey=journey,
        url=ctx.links.deployment_url(deployment.number),
        open_url=agreed.environment(deployment.environment).url if agreed else "",
    )


def _journey(ctx: Context, deployment: Deployment) -> Journey:
    try:
        journey = journey_of(read(ctx.deploy_files(deployment)))
    except JournalDamaged as damage:
        log.error("journal_damaged", number=deployment.number, because=str(damage))  # noqa: TRY400 - it says all.
        return Journey()
    return replace(journey, tail=OWN.text(journey.tail))


async def _is_wanted(ctx: Context, deployment: Deployment) -> bool:
    """Whether the configuration that the commit's last run was under wants comments; without a run, they are."""
    runs = await ctx.runs.of_head(deployment.repo_id, deployment.pr, deployment.sha)
    return await asyncio.to_thread(record.comment_wanted, ctx.files(runs[0])) if runs else True


def _is_news(said: Said, last: dict[str, str]) -> bool:
    return bool(said.news) and last.get("news") != _digest(said.news)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
