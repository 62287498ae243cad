"""What `interlock doctor` sees of this machine: programs, the sandbox, the disk, the database, who can read what."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from bot.deploy.confine import Allowance, Refusal, Way, allowance_of, choose
from bot.deploy.routers.choosing import NoRouter, find
from bot.domain import diagnosis
from bot.domain.diagnosis import FileFacts, Finding
from bot.github.git_version import GitUnusable, require_git
from bot.ops.credentials import credentials_dir
from bot.ops.data_lock import is_held
from bot.ops.sandbox import find_sandbox
from bot.ops.settings import PREFIX, Settings
from bot.store.inspection import DatabaseFacts, inspect
from runner import __version__


async def machine_findings(settings: Settings | None) -> AsyncIterator[Finding]:
    """What can be seen without the settings, and better with them."""
    versions = f"interlock {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    try:
        yield Finding("programs", "ok", f"{versions}, git {await require_git()}")
    except GitUnusable as lacking:
        yield Finding("programs", "ok", versions)
        yield Finding("git", "error", str(lacking), "apt-get install git: Debian 12 and later have it")
    asked, image = (settings.sandbox, settings.sandbox_image) if settings else ("auto", "")
    yield sandbox_finding((await asyncio.to_thread(find_sandbox, asked, image)).facts)


def sandbox_finding(facts: Mapping[str, object]) -> Finding:
    """What isolation boxes get."""
    better = facts["better"]
    lacking = better if isinstance(better, list) else []
    why = "; ".join(f"{rung['level']}: {rung['why_not']}" for rung in lacking)
    fix = next((str(rung["fix"]) for rung in lacking if rung["fix"]), "see docs/how-to/get-a-full-sandbox.md")
    level = str(facts["level"])
    if facts["full"]:
        return Finding("sandbox", "ok", f"{level}: full")
    if facts["asked"] == "full":
        return Finding("sandbox", "error", f"a full one is demanded and there is none, so nothing runs ({why})", fix)
    if facts["asked"] == "off":
        return Finding("sandbox", "warning", "switched off: boxes can read the bot's key", "unset INTERLOCK_SANDBOX")
    return Finding("sandbox", "warning", f"{level} only, so strangers' code does not run ({why})", fix)


def release_findings(settings: Settings) -> Iterator[Finding]:
    """How releases would run on this machine; nothing where the operator lets none run here."""
    allowance = allowance_of(settings)
    if not allowance.kinds:
        return
    chosen = choose(allowance)
    if isinstance(chosen, Refusal):
        yield Finding("releases", "error", "none can run here", chosen.because)
        return
    if chosen.way is Way.NONE:
        fix = "set INTERLOCK_DEPLOY_USER where the bot is root, install bubblewrap where it is not"
        yield Finding("releases", "warning", "they run as the bot's own user and see all that it sees", fix)
    else:
        whose = chosen.person.name if chosen.person else "the bot's own user"
        yield Finding("releases", "ok", f"they run as {whose}, kept apart from what is the bot's")
    if "process" in allowance.kinds:
        yield _router(allowance)


def _router(allowance: Allowance) -> Finding:
    router = find("auto", allowance.path)
    if isinstance(router, NoRouter):
        return Finding("router", "error", "there is none, so no target of kind process works", router.because)
    return Finding("router", "ok", f"{router.kind}: {router.path}")


def data_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The data directory and what is in it."""
    directory = settings.data_dir
    try:
        there = directory.exists()
    except OSError as refused:
        fix = "run this as the bot's user, or set INTERLOCK_DATA_DIR"
        yield Finding("data", "error", f"{directory} cannot be looked at: {refused.strerror}", fix)
        return
    if not there:
        yield Finding("data", "ok", f"{directory} will be made at the first start")
        return
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        fix = f"run this as the bot's user: sudo -u {_owner(directory)} interlock doctor"
        yield Finding("data", "error", f"{directory} cannot be read and written by {_me()}", fix)
        return
    up = is_held(directory)
    yield Finding("bot", "ok" if up else "warning", "running" if up else "not running", "" if up else "interlock serve")
    yield database_finding(inspect(settings.app_database))
    yield diagnosis.disk(shutil.disk_usage(directory).free)
    yield from diagnosis.privacy(_private(settings, environ))


def database_finding(facts: DatabaseFacts) -> Finding:
    """Whether the database can be used by this version."""
    if not facts.there:
        return Finding("database", "ok", f"{facts.path} will be made at the first start")
    if facts.trouble:
        fix = "restore it from a copy; without one, move it away: GitHub has the checks, and the bot looks again"
        return Finding("database", "error", f"{facts.path}: {facts.trouble}", fix)
    if facts.schema > facts.known_schema:
        found = f"{facts.path} has schema {facts.schema}, this version knows {facts.known_schema}"
        return Finding("database", "configuration", found, "install the newer version again")
    size = f"{facts.bytes / 1024**2:.1f} MiB"
    if facts.journal != "wal":
        found = f"{facts.path} keeps a {facts.journal} journal: webhooks wait for readers"
        return Finding("database", "warning", found, "start the bot once; it changes that")
    later = "" if facts.schema == facts.known_schema else ", brought up to date at the next start"
    return Finding("database", "ok", f"{size}, schema {facts.schema}{later}")


def _private(settings: Settings, environ: Mapping[str, str]) -> Iterator[FileFacts]:
    """What nobody else may read, as far as it is there."""
    directory = credentials_dir(settings.data_dir)
    own = [directory, *(sorted(directory.iterdir()) if directory.is_dir() else ())]
    own += [settings.data_dir / name for name in ("app.sqlite", "engine.sqlite", "links.key")]
    # What root lays down for the bot, its group may read.
    named = [environ.get(f"{PREFIX}{name}_FILE") for name in ("GITHUB_PRIVATE_KEY", "WEBHOOK_SECRET")]
    laid_down = [Path(path) for path in named if path]
    if settings.secrets_dir:
        laid_down.append(settings.secrets_dir)
    for group, paths in ((False, own), (True, laid_down)):
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue  # not there, or kept even from us.
            yield FileFacts(
                path=str(path),
                mode=stat.S_IMODE(status.st_mode),
                own=status.st_uid in {0, os.geteuid()},
                directory=stat.S_ISDIR(status.st_mode),
                group=group,
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"'#{path.stat().st_uid}'"


def _me() -> str:
    return f"user {os.geteuid()}"
