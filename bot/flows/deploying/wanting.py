"""Asking for a deployment: what is asked for is found out, written down, and put before the gates.

Nothing is deployed here. The row that is made names the commit, what would be deployed of it, and the configuration by
which; if one of them changes before the gates pass, it is another deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.domain.commands.authority import Refused
from bot.domain.commands.pinning import WHOLE, other_than_meant
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.locking import newest_wins
from bot.domain.deploy.release import Release
from bot.domain.deploy.schema_guard import Range
from bot.domain.deploy.states import WAITING, IllegalEdge, State
from bot.domain.text import code
from bot.flows.context import Context
from bot.flows.deploying import schema
from bot.flows.deploying.configured import Configured, configured, subject_of
from bot.flows.deploying.request import Place, Request
from bot.flows.nudges import Changed, Consider
from bot.github.errors import CommitNotFound, NotFound, Unprocessable
from bot.github.payloads import Unreadable, parse
from bot.github.pulls import PullFacts, branch_head, get_pull, pulls_for_sha
from bot.store.audit import Entry

log = structlog.get_logger()

LOOKED_AT = 50
"""Deployments of an environment, newest first, among which a newer commit of the same branch is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The commit that is meant. `ref` is the branch that has it, "" for the head of a pull request."""

    sha: str
    ref: str = ""
    pr: int | None = None
    author: str = ""


Resolved = tuple[Configured, Environment, Chosen, Release]
"""What a request means: by which configuration, where, which commit, and what would be deployed of it."""


async def want(ctx: Context, request: Request) -> Deployment | Refused:
    """Make the deployment that somebody asks for, or the one that this request made already. Safe to repeat.

    Older ones that wait for the same environment are superseded: the newest wins the queue.

    Raises:
        GitHubProblem: GitHub did not answer; a repeat is safe.
    """
    deployment = await ctx.deployments.get(request.id)
    if deployment is None:
        found = await _find(ctx, request)
        if isinstance(found, Refused):
            log.info("deployment_refused", environment=request.environment, repo=request.repo, reason=found.code)
            return found
        deployment = await ctx.deployments.add(found)
    elif deployment.state not in WAITING:
        return deployment
    # Also of one that was made already: whoever made it may have ended before they came to this.
    await _write_down(ctx, deployment)
    await _supersede_older(ctx, deployment)
    log.info("deployment_wanted", number=deployment.number, environment=deployment.environment, sha=deployment.sha)
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(Consider(deployment.id))
    return deployment


async def _find(ctx: Context, request: Request) -> Deployment | Refused:
    resolved = await resolve(ctx, request)
    if isinstance(resolved, Refused):
        return resolved
    _, _, chosen, release = resolved
    if request.cause == "push" and (refused := await _overtaken(ctx, request, chosen)):
        return refused
    now = ctx.clock.now()
    await ctx.releases.add(release, now=now)
    return asked_for(request, resolved, now=now)


def asked_for(request: Request, resolved: Resolved, *, now: datetime) -> Deployment:
    """The deployment that a request would be at this moment; it has no number yet."""
    known, environment, chosen, release = resolved
    return Deployment(
        id=request.id,
        number=0,
        repo_id=request.repo_id,
        repo=request.repo,
        installation_id=request.installation_id,
        environment=environment.name,
        kind="deploy",
        state=State.REQUESTED,
        sha=chosen.sha,
        typed=request.sha if request.cause != "push" else "",
        ref=chosen.ref,
        artifact=release.artifact,
        config=environment.digest,
        config_sha=known.config_sha,
        release_id=release.id,
        pr=chosen.pr,
        author=chosen.author,
        requested_by=request.requested_by,
        cause=request.cause,
        plan_hash=request.expect,
        break_glass=request.break_glass,
        created_at=now,
        changed_at=now,
        expires_at=now + timedelta(seconds=environment.expires),
    )


async def resolve(ctx: Context, request: Request) -> Resolved | Refused:
    """What a request means at this moment: nothing is written down.

    Raises:
        GitHubProblem: GitHub did not answer; a repeat is safe.
    """
    known = await configured(ctx, request)
    if isinstance(known, Refused):
        return known
    environment = known.environment(request.environment)
    if isinstance(environment, Refused):
        return environment
    chosen = await _choose(ctx, request, environment, known)
    if isinstance(chosen, Refused):
        return chosen
    release = await release_of(ctx, request, environment, chosen.sha)
    if await schema.range_of(ctx.workspaces.mirror(request.repo_id, request.repo), chosen.sha) is None:
        return Refused("bad_schema", f"{code(schema.FILE)} of {code(chosen.sha[:7])} holds no range such as `12..15`")
    return known, environment, chosen, release


async def release_of(ctx: Context, place: Place, environment: Environment, sha: str) -> Release:
    """The release that a commit is in an environment. What is deployed of it is its tree, byte for byte.

    Raises:
        GitHubProblem: the commit could not be fetched.
    """
    mirror = await ctx.workspaces.fetch(subject_of(place, "", sha))
    schemas = await schema.range_of(mirror, sha) or Range()
    return Release(
        repo_id=place.repo_id,
        sha=sha,
        artifact=f"tree:{await mirror.tree_of(sha)}",
        config=environment.digest,
        schema_min=schemas.low,
        schema_max=schemas.high,
    )


async def _choose(ctx: Context, request: Request, environment: Environment, known: Configured) -> Chosen | Refused:
    if request.pr is None:
        return await _of_branch(ctx, request, environment, known)
    try:
        pull = await get_pull(ctx.github.installation(request.installation_id), request.repo, request.pr)
    except NotFound:
        return Refused("closed", "there is no such pull request here")
    if pull.base_repo_id != request.repo_id:
        return Refused("unknown_repository", "the pull request belongs to another repository by now")
    if pull.merged:
        return await _of_branch(ctx, request, environment, known)
    if not environment.pull_requests:
        taken = " or ".join(map(code, branches_of(environment, known)))
        return Refused("not_from_pull_requests", f"{code(environment.name)} takes commits of {taken} only; merge first")
    return _of_pull(request, pull)


def _of_pull(request: Request, pull: PullFacts) -> Chosen | Refused:
    """The head of an open pull request; a stranger's only when all of its SHA was typed."""
    if pull.state != "open":
        return Refused("closed", "the pull request is closed")
    if pull.head_is_fork and len(request.sha) < WHOLE:
        because = f"the head comes from a fork, so all {WHOLE} digits of its SHA are needed, which is"
        return Refused("short_sha", f"{because} {code(pull.head_sha)}")
    if refused := other_than_meant(request.sha, head_sha=pull.head_sha, is_fork=pull.head_is_fork):
        return refused
    return Chosen(sha=pull.head_sha, pr=pull.number, author=pull.author_login)


def branches_of(environment: Environment, known: Configured) -> tuple[str, ...]:
    """The branches whose commits may go into an environment: those that it follows, and the default one."""
    return tuple(dict.fromkeys((*environment.branches, known.default_branch)))


async def _of_branch(ctx: Context, request: Request, environment: Environment, known: Configured) -> Chosen | Refused:
    """A commit of one of the environment's branches: where it stands, or one that it has."""
    github = ctx.github.installation(request.installation_id)
    branches = branches_of(environment, known)
    for branch in branches:
        try:
            tip = await branch_head(github, request.repo, branch)
        except NotFound:
            continue
        if not request.sha or tip.startswith(request.sha):
            return await _authored(ctx, request, branch, tip)
        if len(request.sha) == WHOLE and await _is_in(ctx, request, branch, tip):
            return await _authored(ctx, request, branch, request.sha)
    where = " or ".join(map(code, branches))
    short = "" if len(request.sha) == WHOLE else f"; name an older one by all {WHOLE} digits"
    return Refused("not_on_branch", f"{code(request.sha) if request.sha else 'a commit'} is not on {where}{short}")


async def _is_in(ctx: Context, request: Request, branch: str, tip: str) -> bool:
    """Whether a branch has a commit. GitHub hands out any fork's commits, so that it can be fetched says nothing."""
    try:
        await ctx.workspaces.fetch(subject_of(request, branch, tip))
        mirror = await ctx.workspaces.fetch(subject_of(request, branch, request.sha))
        return await mirror.contains(tip, request.sha)
    except (CommitNotFound, ValueError):
        return False


async def author_of(ctx: Context, place: Place, branch: str, sha: str) -> str:
    """Login of who answers for a commit of a branch; "" when nobody can say."""
    return (await _authored(ctx, place, branch, sha)).author


async def _authored(ctx: Context, place: Place, branch: str, sha: str) -> Chosen:
    """Who answers for a commit of a branch: the author of the pull request that brought it, or else who pushed it.

    What the commit itself says is its maker's choice.
    """
    github = ctx.github.installation(place.installation_id)
    try:
        pulls = await pulls_for_sha(github, place.repo, sha)
    except (NotFound, Unprocessable):
        pulls = ()
    for pull in reversed(pulls):
        if pull.merged and pull.base_ref == branch and pull.base_repo_id == place.repo_id:
            return Chosen(sha=sha, ref=branch, pr=pull.number, author=pull.author_login)
    return Chosen(sha=sha, ref=branch, author=await _pusher(ctx, place.repo_id, sha))


async def _pusher(ctx: Context, repo_id: int, sha: str) -> str:
    """Login of whoever pushed a commit, as GitHub told when they did; "" when that is not known any more."""
    for run in reversed(await ctx.runs.of_head(repo_id, None, sha)):
        delivery = await ctx.inbox.get(run.delivery)
        if delivery is None or delivery.event != "push":
            continue
        payload = parse(delivery.event, delivery.body)
        if not isinstance(payload, Unreadable) and payload.facts.head_sha == sha:
            return payload.facts.sender
    return ""


async def pushers_of(ctx: Context, deployment: Deployment) -> tuple[str, ...]:
    """Logins of those who wrote what it brings beside its author, as GitHub told when they pushed.

    They pushed to its pull request; or they are behind an earlier deployment of its branch that never became good here,
    so that this one brings their commits too.
    """
    found = dict.fromkeys(await _pushed_to(ctx, deployment.repo_id, deployment.pr))
    for earlier in await ctx.deployments.of_environment(deployment.repo_id, deployment.environment):
        if earlier.number >= deployment.number or earlier.kind != "deploy":
            continue
        if not deployment.ref or earlier.state is State.SUCCEEDED:
            break
        if earlier.ref == deployment.ref:
            found |= dict.fromkeys((earlier.author, *await _pushed_to(ctx, earlier.repo_id, earlier.pr)))
    return tuple(login for login in found if login)


async def _pushed_to(ctx: Context, repo_id: int, pr: int | None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for run in [] if pr is None else await ctx.runs.of_pull(repo_id, pr):
        delivery = await ctx.inbox.get(run.delivery)
        if delivery is None or delivery.event != "pull_request":
            continue
        payload = parse(delivery.event, delivery.body)
        if not isinstance(payload, Unreadable) and payload.action == "synchronize":
            found[payload.facts.sender] = None
    return tuple(found)


async def _overtaken(ctx: Context, request: Request, chosen: Chosen) -> Refused | None:
    """Whether a push of a newer commit was taken up already: a run that ends late must not bring an older one back."""
    mirror = ctx.workspaces.mirror(request.repo_id, request.repo)
    for other in await ctx.deployments.of_environment(request.repo_id, request.environment, limit=LOOKED_AT):
        if other.cause != "push" or other.kind != "deploy" or other.sha == chosen.sha:
            continue
        if await mirror.has(other.sha) and await mirror.contains(other.sha, chosen.sha):
            return Refused(
                "overtaken", f"#{other.number} has a newer commit of {code(chosen.ref)}, {code(other.short)}"
            )
    return None


async def _supersede_older(ctx: Context, newest: Deployment) -> None:
    waiting = await ctx.deployments.open(newest.repo_id, newest.environment)
    for older in newest_wins(waiting)[1]:
        await _supersede(ctx, older.deployment, older.because)


async def _supersede(ctx: Context, deployment: Deployment, because: str) -> None:
    """End a deployment that waits; one that has begun meanwhile goes on."""
    try:
        await ctx.deployments.enter(deployment.id, State.SUPERSEDED, now=ctx.clock.now(), because=because)
    except IllegalEdge as begun:
        log.info("deployment_not_superseded", number=deployment.number, because=str(begun))
        return
    log.info("deployment_superseded", number=deployment.number, because=because)
    ctx.nudges.give(Changed(deployment.id))


async def _write_down(ctx: Context, deployment: Deployment) -> None:
    glass = f", break-glass: {deployment.break_glass}" if deployment.break_glass else ""
    await ctx.audit.write(
        Entry(
            id=f"deployment:{deployment.id}",
            at=deployment.created_at,
            actor=deployment.requested_by or "interlock",
            action=f"deployment {deployment.environment}",
            decision="noted",
            reason=deployment.cause,
            repo_id=deployment.repo_id,
            repo=deployment.repo,
            pr=deployment.pr,
            head_sha=deployment.sha,
            detail=f"#{deployment.number}{glass}",
        )
    )
