"""Which configuration a run is judged by: found, written down with the run, and handed to the runner."""

from __future__ import annotations

import asyncio

import structlog

from bot.domain.configuration import InForce
from bot.domain.subject import Subject
from bot.flows import record
from bot.flows.context import Context
from bot.github.git import Mirror
from bot.github.repo_config import OrganisationDefault, has_own, organisation_default
from bot.store.runs import Run
from runner.config import load_config
from runner.errors import UserError

log = structlog.get_logger()


async def default_of(ctx: Context, subject: Subject, mirror: Mirror, sha: str) -> OrganisationDefault | None:
    """The organisation's configuration, if a commit has none of its own."""
    if await has_own(mirror, sha):
        return None
    return await organisation_default(
        ctx.github, ctx.workspaces, installation_id=subject.installation_id, repo=subject.repo
    )


async def has_boxes(mirror: Mirror, sha: str, default: OrganisationDefault | None) -> bool:
    """Whether there is anything to run, or to find fault with."""
    if await mirror.list(sha, "boxes") or await has_own(mirror, sha):
        return True
    if default is None:
        return False
    try:
        config = await asyncio.to_thread(load_config, default.text)
    except UserError as wrong:
        # Who broke it is told on that repository; here nobody knows whether it says anything about this one.
        log.warning("organisation_default_not_valid", repo=default.repo, sha=default.sha, because=str(wrong))
        return False
    return bool(config.boxes)


async def put_in_force(ctx: Context, run: Run, subject: Subject, default: OrganisationDefault | None) -> InForce:
    """Write down which configuration counts, and the organisation's where that is the one."""
    files = ctx.files(run)
    if default is not None:
        place = files.directory / files.default
        await asyncio.to_thread(place.parent.mkdir, parents=True)
        await asyncio.to_thread(place.write_text, default.text, encoding="utf-8")
        known = InForce(origin="organisation", repo=default.repo, sha=default.sha)
    else:
        mirror = ctx.workspaces.mirror(run.repo_id, run.repo)
        own = await has_own(mirror, subject.base_sha)
        known = InForce(origin="repository" if own else "none", repo=run.repo, sha=subject.base_sha)
    record.save_in_force(files, known)
    return known


def places(ctx: Context, subject: Subject, known: InForce) -> dict[str, str]:
    """Where on GitHub the files are that are not the head's, by the runner's word for where a mistake is."""
    root = ctx.github.web_url
    return {
        "base": f"{root}/{subject.repo}/blob/{subject.base_sha}/",
        "default": f"{root}/{known.repo}/blob/{known.sha}/",
    }
