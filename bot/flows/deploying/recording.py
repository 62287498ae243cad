"""Keeping the record of a deployment that has ended, and showing one of a deployment that goes on.

A record is written aside first, then takes its place in the chain, and only then gets its name: a crash between any two
leaves either no record, which the next try makes, or one that only wants its name.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bot.deploy import journal
from bot.deploy.files import DeployFiles
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.journey import journey_of
from bot.domain.deploy.plan import Plan, plan_from_json
from bot.domain.deploy.record import Link, canonical, record_of, sealed
from bot.domain.deploy.states import FINAL
from bot.flows.context import Context
from bot.ops.own_secrets import OWN
from bot.ops.secrets import SecretsUnusable, read_secrets
from runner.redact import Redactor

log = structlog.get_logger()

FOREIGN = ("because", "gates", "approvals", "states", "calls", "watch", "log")
"""Of a record: what may repeat what a release printed, or what somebody wrote."""

ROUND = 1_000
"""Deployments that a round looks at; the others were looked at when they were as new."""


async def keep(ctx: Context, deployment_id: str) -> None:
    """Write the record of a deployment that has ended. Safe to repeat: there is one, and it never changes."""
    deployment = await ctx.deployments.get(deployment_id)
    assert deployment is not None, deployment_id
    assert deployment.state in FINAL, deployment.state
    files = ctx.deploy_files(deployment)
    while (link := await ctx.records.of(deployment.id)) is None:
        before = await ctx.records.last(deployment.repo_id, deployment.environment)
        record = sealed(await _described(ctx, deployment, before))
        await asyncio.to_thread(_write, _aside(files), canonical(record))
        link = Link(place=record["place"], number=deployment.number, hash=record["hash"])
        if await ctx.records.claim(deployment, link):
            log.info("deployment_recorded", deployment=deployment.number, state=str(deployment.state), hash=link.hash)
    await asyncio.to_thread(_name, files, link)


async def unrecorded(ctx: Context) -> list[Deployment]:
    """Those that have ended and left no record yet: a crash came between."""
    newest = await ctx.deployments.newest(limit=ROUND)
    return [one for one in newest if one.state in FINAL and not ctx.deploy_files(one).record.exists()]


async def record_now(ctx: Context, deployment: Deployment) -> dict[str, Any]:
    """A deployment's record: as it was kept, or as it would be if it ended now."""
    kept = await asyncio.to_thread(read_record, ctx.deploy_files(deployment))
    if kept is not None:
        return kept
    return await _described(ctx, deployment, await ctx.records.last(deployment.repo_id, deployment.environment))


def read_record(files: DeployFiles) -> dict[str, Any] | None:
    """A record as it lies on the disk, unverified; None where none does."""
    try:
        found = json.loads(files.record.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


async def _described(ctx: Context, deployment: Deployment, previous: Link | None) -> dict[str, Any]:
    files = ctx.deploy_files(deployment)
    approvals = await ctx.approvals.of(deployment.repo_id, deployment.environment, deployment.sha)
    plan, entries = await asyncio.to_thread(_read, files)
    journey = journey_of(entries)
    record = record_of(deployment, plan=plan, journey=journey, approvals=approvals, previous=previous)
    told = await asyncio.to_thread(_redactor, ctx, deployment.repo_id)
    return {name: _within(value, told) if name in FOREIGN else value for name, value in record.items()}


def _read(files: DeployFiles) -> tuple[Plan | None, tuple[journal.Entry, ...]]:
    try:
        plan = plan_from_json(json.loads(files.plan.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        plan = None  # it came never so far.
    try:
        return plan, journal.read(files)
    except journal.JournalDamaged as damaged:
        log.error("journal_damaged", because=str(damaged))  # noqa: TRY400 - the sentence says it all.
        return plan, ()


def _redactor(ctx: Context, repo_id: int) -> Callable[[str], str]:
    """What takes out our own secrets, and those that the release was given."""
    try:
        given = Redactor(read_secrets(ctx.secrets_dir, repo_id))
    except (SecretsUnusable, OSError):
        given = Redactor()  # nobody was given any.
    return lambda text: given.text(OWN.text(text))


def _within(value: Any, told: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return told(value)
    if isinstance(value, dict):
        return {name: _within(item, told) for name, item in value.items()}
    return [_within(item, told) for item in value] if isinstance(value, list | tuple) else value


def _aside(files: DeployFiles) -> Path:
    return files.record.with_suffix(".new")


def _write(path: Path, text: str) -> None:
    """Put a text on the disk, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _name(files: DeployFiles, link: Link) -> None:
    """Give what was written aside its name, if it is what took the place. What has its name stays."""
    aside = _aside(files)
    try:
        is_it = json.loads(aside.read_text("utf-8"))["hash"] == link.hash
    except (OSError, ValueError, KeyError, TypeError):
        is_it = False
    if is_it and not files.record.exists():
        aside.replace(files.record)
        _sync(files.directory)
    elif not files.record.exists():
        log.error("record_lost", deployment=link.number, directory=str(files.directory))
    aside.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
