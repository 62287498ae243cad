"""The first step of a run: read the facts, decide whether it may run, and lay out its files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

import structlog

from bot.domain.checks import Check, config_error, conflict, note, refused, unable
from bot.domain.configuration import mistake_of
from bot.domain.desired import CLOSED, NOT_SHOWN, OTHER_REPOSITORY
from bot.domain.stopping import Superseded, from_text, in_words
from bot.domain.subject import Subject
from bot.domain.trust import Trusted, TrustFacts, TrustLevel, Untrusted, decide_trust, permit_line
from bot.domain.wanted import mistake_in
from bot.flows import record
from bot.flows.announcing import announce_early
from bot.flows.comparing import compare, previewed
from bot.flows.configuring import default_of, has_boxes, places, put_in_force
from bot.flows.context import Context
from bot.flows.fetching import wanted_of
from bot.flows.glancing import glance
from bot.flows.listing import Listing
from bot.flows.requests import MERGE_GROUP
from bot.flows.reusing import reuse
from bot.flows.showing import note_changed
from bot.flows.standing import config_at, is_listed_branch, trust_of
from bot.flows.terms import secrets_for
from bot.github.errors import GitHubUnavailable, NotFound, Unprocessable
from bot.github.git import Conflict
from bot.github.pulls import PullFacts, branch_head, get_pull, repository
from bot.github.queue import queued
from bot.github.repo_config import OrganisationDefault
from bot.github.supplies import Order
from bot.ops.secrets import SecretsUnusable
from bot.store.runs import Run
from runner.errors import UserError
from runner.execute.files import remove_tree

log = structlog.get_logger()

YOUNG = timedelta(seconds=30)
"""For so long a 404 about what GitHub has just told of is believed to be a delay of GitHub's own."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The files lie there; the boxes can run."""


@dataclass(frozen=True, slots=True)
class Pass:
    """There is nothing to say to anybody."""

    because: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The pull request has moved on to another head."""

    head_sha: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing runs, and these checks say why. `because` is one sentence for the comment and the log."""

    checks: tuple[Check, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Nothing is configured yet, and the change configures something: these checks say what."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Decline:
    """The selection that somebody asked for means nothing on this head; earlier verdicts stay as they are."""

    because: str


Answer = Ready | Pass | Stale | Refuse | Preview | Decline


async def prepare(ctx: Context, run_id: str) -> Answer:
    """Read what GitHub says now, decide, and write the run's files. Safe to repeat until the run executes."""
    run = await ctx.run(run_id)
    if (stop := from_text(run.stop_because)) is not None:
        return Pass(in_words(stop))
    if not await ctx.welcome(run):
        return Pass("the App has no access to the repository any more")
    try:
        async with ctx.workspaces.job(record.subject(run)) as is_ours:
            if not is_ours:
                return Pass("the repository belongs to another installation than the delivery says")
            return await _prepare(ctx, run)
    except (NotFound, Unprocessable) as gone:
        if isinstance(gone, Unprocessable) and "No commit found" not in str(gone):
            raise
        if ctx.clock.now() - run.created_at.replace(tzinfo=UTC) < YOUNG:
            # What GitHub has just told of is not everywhere at once; the step is repeated until it can be told apart.
            message = f"GitHub does not show it yet: {gone}"
            raise GitHubUnavailable(message) from None
        return Pass(f"{NOT_SHOWN}: {gone}")


async def _prepare(ctx: Context, run: Run) -> Answer:
    if run.cause == MERGE_GROUP:
        return await _prepare_group(ctx, run)
    if run.pr is None:
        return await _prepare_push(ctx, run)
    return await _prepare_pull(ctx, run, await get_pull(ctx.installation(run), run.repo, run.pr))


async def _prepare_push(ctx: Context, run: Run) -> Answer:
    """The delivery only hints: which branches are protected, and whether one has the commit, is read here.

    A re-run button on a commit that no open pull request has leads here too, and the commit may be any stranger's:
    GitHub hands out a fork's commits from the base repository.
    """
    github = ctx.installation(run)
    facts = await repository(github, run.repo)
    if facts.id != run.repo_id:
        return Pass(OTHER_REPOSITORY)
    if run.base_ref in ("", facts.default_branch):
        await announce_early(ctx, run, run.head_sha)
    branch = await _protected_branch(ctx, run, facts.default_branch)
    trust = decide_trust(TrustFacts(event="push", author="", is_protected=branch != ""))
    if isinstance(trust, Untrusted):
        log.warning("run_refused", reason="untrusted", author="", fork=False)
        return Refuse(refused(trust), trust.because)
    mirror = await ctx.workspaces.fetch(replace(record.subject(run), base_sha=run.head_sha))
    default = await default_of(ctx, record.subject(run), mirror, run.head_sha)
    if not await has_boxes(mirror, run.head_sha, default):
        return Pass("there are no boxes")
    of_head = replace(record.subject(run), base_ref=branch, base_sha=run.head_sha)
    await ctx.runs.update(
        run.id, base_ref=branch, base_sha=run.head_sha, trust=str(trust.level), title=f"push to {branch}"
    )
    return _hindrance(ctx, run, trust.level) or await _lay_out(ctx, run, of_head, trust.level, default)


async def _prepare_group(ctx: Context, run: Run) -> Answer:
    """A head that GitHub's merge queue has made of a pull request and its base. The queue's own branch names both."""
    github = ctx.installation(run)
    if (await repository(github, run.repo)).id != run.repo_id:
        return Pass(OTHER_REPOSITORY)
    group = await queued(github, run.repo, run.base_ref, run.head_sha)
    if group is None:
        return Pass("the merge queue does not propose this commit any more")
    trust = decide_trust(TrustFacts(event="merge_group", author="", is_protected=True))
    assert isinstance(trust, Trusted), "it is the queue's"
    await announce_early(ctx, run, group.base_sha)
    subject = replace(record.subject(run), base_sha=group.base_sha)
    mirror = await ctx.workspaces.fetch(subject)
    if not await mirror.contains(run.head_sha, group.base_sha):
        return Pass("the merge queue's commit does not contain the base that its branch names")
    default = await default_of(ctx, subject, mirror, group.base_sha)
    if not await has_boxes(mirror, group.base_sha, default):
        return Pass("the base has no boxes")
    title = f"merge queue: #{group.pr}"
    await ctx.runs.update(run.id, base_sha=group.base_sha, trust=str(trust.level), title=title)
    answer = _hindrance(ctx, run, trust.level) or await _lay_out(ctx, run, subject, trust.level, default)
    if isinstance(answer, Ready):
        await reuse(ctx, await ctx.run(run.id))
    return answer


async def _protected_branch(ctx: Context, run: Run, default: str) -> str:
    """A branch whose pushes run and that has the run's head: the default one, or the pushed one; "" for neither."""
    subject = record.subject(run)
    pushed = [run.base_ref] if run.base_ref not in ("", default) and await is_listed_branch(ctx, subject) else []
    for branch in (default, *pushed):
        try:
            tip = await branch_head(ctx.installation(run), run.repo, branch)
        except NotFound:
            continue
        # A head that is nowhere is passed over as a whole: a refusal could not even be shown on it.
        mirror = await ctx.workspaces.fetch(replace(subject, base_sha=tip))
        if await mirror.contains(tip, run.head_sha):
            return branch
    return ""


async def _prepare_pull(ctx: Context, run: Run, pull: PullFacts) -> Answer:
    if pull.base_repo_id != run.repo_id:
        return Pass(OTHER_REPOSITORY)
    if pull.state != "open":
        return Pass(CLOSED)
    if pull.head_sha != run.head_sha:
        return Stale(pull.head_sha)
    base_sha = await _base_of(ctx, run, pull)
    await ctx.runs.update(
        run.id, title=pull.title[:300], author=pull.author_login, base_ref=pull.base_ref, base_sha=base_sha
    )
    await _supersede(ctx, run)
    subject = replace(record.subject(run), base_ref=pull.base_ref, base_sha=base_sha)
    await announce_early(ctx, run, base_sha)
    # The base alone, first: whether there are boxes decides whether a stranger's pull request hears anything at all.
    mirror = await ctx.workspaces.fetch(replace(subject, head_sha=base_sha))
    default = await default_of(ctx, record.subject(run), mirror, base_sha)
    if not await has_boxes(mirror, base_sha, default):
        return await _first_of_all(ctx, run, subject)
    await _note_report(ctx, run, base_sha, default)
    trust = await trust_of(ctx, run, pull)
    if isinstance(trust, Untrusted):
        log.warning("run_refused", reason="untrusted", author=pull.author_login, fork=pull.head_is_fork)
        weakened = await glance(ctx, run, subject, default) if trust.line else ""
        shown = refused(trust, subject_note=note(subject), weakened=weakened)
        return Refuse((*shown, *previewed(ctx.files(run))), trust.because)
    await ctx.runs.update(run.id, trust=str(trust.level))
    return _hindrance(ctx, run, trust.level) or await _lay_out_pull(ctx, run, subject, trust.level, default)


async def _first_of_all(ctx: Context, run: Run, subject: Subject) -> Answer:
    """Show what a change would configure where there is nothing yet. It is read, and nothing of it is executed."""
    mirror = await ctx.workspaces.fetch(subject)
    if not await has_boxes(mirror, subject.head_sha, None):
        return Pass("the base has no boxes")
    await glance(ctx, run, subject)
    shown = previewed(ctx.files(run))
    return Preview(shown) if shown else Pass("the base has no boxes, and neither has the change")


async def _lay_out_pull(
    ctx: Context, run: Run, subject: Subject, level: TrustLevel, default: OrganisationDefault | None
) -> Answer:
    answer = await _lay_out(ctx, run, subject, level, default)
    if isinstance(answer, Ready) and level is TrustLevel.T2:
        assert run.pr is not None, "a stranger's code comes with a pull request"
        permit = await ctx.permits.of(run.repo_id, run.pr, run.head_sha)
        covers = permit.covers.split() if permit else ()
        record.save_accepted(ctx.files(run), covers, line=permit_line(run.head_sha))
    return answer


async def _base_of(ctx: Context, run: Run, pull: PullFacts) -> str:
    """The commit that the head is merged into: where the base branch stands now.

    A run of a part stays on the base of the run that it continues, or else the verdicts that it keeps would be about
    something else. `base.sha` of a pull request is where the base stood when its head was last pushed.
    """
    if run.selection != "all":
        older = await record.continued(ctx, run)
        if older is not None and older.base_ref == pull.base_ref and older.base_sha:
            return older.base_sha
    try:
        return await branch_head(ctx.installation(run), run.repo, pull.base_ref)
    except NotFound:
        return pull.base_sha


async def _supersede(ctx: Context, run: Run) -> None:
    """A newer head ends what runs for an older one; runs of the same head take turns instead."""
    assert run.pr is not None
    for other in await ctx.runs.open_of(run.repo_id, run.pr):
        if other.number < run.number and other.head_sha != run.head_sha:
            await ctx.stop(other.id, Superseded(run.head_sha))
    await ctx.hush(run)


def _hindrance(ctx: Context, run: Run, trust: TrustLevel) -> Refuse | None:
    """Why this machine cannot run boxes of this trust level as its owner wants, before anything is laid out."""
    try:
        ctx.sandbox.level(trust)
        secrets_for(ctx, run.repo_id, trust)
    except UserError as lacking:
        log.error("run_refused", reason="sandbox", because=lacking.message, fix=lacking.hint)  # noqa: TRY400 - said all.
        return Refuse(unable(lacking.message, hint=lacking.hint), lacking.message)
    except SecretsUnusable as refused:
        log.error("run_refused", reason="secrets", because=str(refused))  # noqa: TRY400 - as above.
        because = "the secrets of this repository cannot be read"
        return Refuse(unable(because, hint="whoever runs Interlock finds the reason in its log"), because)
    return None


async def _lay_out(
    ctx: Context, run: Run, subject: Subject, trust: TrustLevel, default: OrganisationDefault | None
) -> Answer:
    """Write the tree under test and the base's, and read the plan of all boxes in a process of its own."""
    files = ctx.files(run)
    if files.directory.exists():
        await asyncio.to_thread(remove_tree, str(files.directory))
    files.directory.mkdir(parents=True)
    await _note_report(ctx, run, subject.base_sha, default)
    known = await put_in_force(ctx, run, subject, default)
    async with Listing(ctx, run, trust, has_base=subject.has_base) as listing:
        workspace = await ctx.workspaces.prepare(subject, files.directory)
        if isinstance(workspace, Conflict):
            shown = conflict(workspace.paths, base_ref=subject.base_ref)
            return Refuse(shown, f"it does not merge into {subject.base_ref}")
        mirror = ctx.workspaces.mirror(run.repo_id, run.repo)
        wanted = wanted_of(await config_at(mirror, subject.base_sha, default))
        order = Order(subject=subject, commit=workspace.commit, tree=workspace.tree, wanted=wanted, trust=trust)
        left = await ctx.supplies.lay(order)
        tree = await mirror.tree_of(workspace.commit)
        listed, _ = await asyncio.gather(listing.read(), note_changed(ctx, run, subject.base_sha, tree))
    if errors := listed.get("errors"):
        await compare(files, ctx.cache(run.repo_id, trust))
        notes = "  \n".join((note(subject), known.sentence))
        mistakes = [mistake_of(error) for error in errors]
        shown = config_error(mistakes, places=places(ctx, subject, known), subject_note=notes)
        return Refuse((*shown, *previewed(files)), "its boxes cannot be read")
    if not listed.get("boxes"):
        return Refuse(unable("there is no box left on this head"), "there is no box left on this head")
    record.save_plan(files, listed["boxes"])
    record.save_notes(files, left)
    record.save_report(files, _report(run, listed.get("report") or {}))
    if (mistake := mistake_in(run.selection, map(record.box, listed["boxes"]))) is not None:
        return Decline(mistake)
    config_hash = str(listed.get("config_hash", ""))
    record.save_in_force(files, replace(known, config_hash=config_hash))
    await ctx.runs.update(run.id, config_hash=config_hash, tree=tree)
    return Ready()


async def _note_report(ctx: Context, run: Run, base_sha: str, default: OrganisationDefault | None) -> None:
    """Keep what the base asks of the report, for what is said of a run that never gets to its boxes."""
    mirror = await ctx.workspaces.fetch(replace(record.subject(run), base_sha=base_sha, head_sha=base_sha))
    report = (await config_at(mirror, base_sha, default)).settings.get("report")
    ctx.files(run).directory.mkdir(parents=True, exist_ok=True)
    record.save_report(ctx.files(run), report if isinstance(report, dict) else {})


def _report(run: Run, wanted: Mapping[str, object]) -> Mapping[str, object]:
    """What the report is to hold; who asks for proofs gets them, whatever the configuration says."""
    return {**wanted, "falsify": "tell"} if run.prove and wanted.get("falsify") == "off" else wanted
