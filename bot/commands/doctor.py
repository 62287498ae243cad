"""`interlock doctor`: everything that can keep a pull request from its checks, looked at, with what mends it.

It works beside a running bot and without one. What to look at is here; what the facts mean is `bot.domain.diagnosis`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from bot.commands.doctor_machine import data_findings, machine_findings, release_findings
from bot.domain import diagnosis
from bot.domain.diagnosis import Finding
from bot.domain.grants import Tier, tier_of
from bot.domain.registration import AppFacts, Guarded, InstallationFacts
from bot.github.app import GitHubApp
from bot.github.errors import BadCredentials, GitHubProblem, NotFound
from bot.github.registration import (
    about,
    calls_left,
    guarded,
    hook,
    installations,
    recent_deliveries,
    skew,
)
from bot.ops import logging as logs
from bot.ops.clock import Clock, SystemClock
from bot.ops.data_lock import is_held
from bot.ops.self_ping import ping
from bot.ops.settings import BadSettings, Settings, load_settings

SCHEMA = "interlock.doctor/1"
MOST_INSTALLATIONS = 20
"""How many accounts are asked for their quota and repositories."""

MOST_REPOSITORIES = 30
"""Of all accounts together, whose environments are looked at."""


def doctor(arguments: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 nothing is broken, 1 something is, 3 the settings cannot be used."""
    findings: list[Finding] = []

    def found(finding: Finding) -> None:
        findings.append(finding)
        if not arguments.json:
            print(diagnosis.line(finding), flush=True)  # noqa: T201 - the command's own output.

    logs.configure(form="pretty", level="error")
    asyncio.run(look(os.environ, Path.cwd(), found))
    if arguments.json:
        shown = [{"name": one.name, "level": one.level, "found": one.found, "fix": one.fix or None} for one in findings]
        json.dump({"schema": SCHEMA, "findings": shown}, sys.stdout, ensure_ascii=False, indent=2)
        print()  # noqa: T201 - as above.
    return diagnosis.exit_code(findings)


async def look(
    environ: Mapping[str, str], cwd: Path, found: Callable[[Finding], object], *, clock: Clock | None = None
) -> None:
    """Look at everything, and tell each finding as soon as it is there."""
    settings = _settings(environ, cwd, found)
    async for one in machine_findings(settings):
        found(one)
    if settings is None:
        return
    for one in (*release_findings(settings), *data_findings(settings, environ)):
        found(one)
    found(diagnosis.public_address(settings.public_url))
    found(await _reachable(settings))
    async for one in _github(settings, clock or SystemClock()):
        found(one)


def _settings(environ: Mapping[str, str], cwd: Path, found: Callable[[Finding], object]) -> Settings | None:
    try:
        settings, warnings = load_settings(environ, cwd=cwd)
    except BadSettings as mistakes:
        for mistake in str(mistakes).splitlines():
            fix = mistakes.way_out or "see docs/reference/settings.md, or let `interlock setup` write them"
            if mistake.endswith(os.strerror(errno.EACCES)):
                fix = "run this as the bot's user: sudo -u interlock"
            found(Finding("settings", "configuration", mistake, fix))
        return None
    for warning in warnings:
        found(Finding("settings", "warning", warning, "take it out"))
    if not warnings:
        found(Finding("settings", "ok", f"complete; data is in {settings.data_dir}"))
    return settings


async def _reachable(settings: Settings) -> Finding:
    if not settings.public_url:
        return Finding("reachable", "warning", "not tried: the public address is not set", "set INTERLOCK_PUBLIC_URL")
    if not is_held(settings.data_dir):
        return Finding("reachable", "warning", "not tried: the bot is not running", "start it, and look again")
    return diagnosis.reachability(settings.public_url, await ping(settings.public_url, settings.webhook_secrets[0]))


async def _github(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    try:
        yield diagnosis.clock(await skew(settings.github_api_url, clock.now))
    except GitHubProblem as problem:
        fix = "let this machine reach it, by way of HTTPS_PROXY if need be; is INTERLOCK_GITHUB_API_URL right?"
        yield Finding("github", "error", f"{settings.github_api_url} cannot be reached: {problem}", fix)
        return
    try:
        async with GitHubApp(
            settings.github_api_url,
            settings.github_app_id,
            settings.github_private_key.get_secret_value(),
            clock,
            web_url=settings.github_url,
        ) as github:
            async for one in _app(github, settings, clock):
                yield one
    except BadCredentials as refused:
        fix = "generate a new private key in the App's settings on GitHub; is INTERLOCK_GITHUB_APP_ID that App's?"
        yield Finding("credentials", "error", f"GitHub does not accept them: {refused}", fix)
    except NotFound:
        fix = "register it anew: interlock setup --replace"
        yield Finding("credentials", "error", f"GitHub has no App {settings.github_app_id}", fix)
    except GitHubProblem as problem:
        yield Finding("github", "error", str(problem), "try again; GitHub's status is at www.githubstatus.com")


async def _app(github: GitHubApp, settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    itself = github.itself()
    app = await about(itself)
    yield Finding("credentials", "ok", f"GitHub accepts them for App {settings.github_app_id}")
    for one in (*diagnosis.app(app), *diagnosis.unused_grants(app)):
        yield one
    for one in diagnosis.webhook(await hook(itself), settings.public_url):
        yield one
    yield diagnosis.deliveries(await recent_deliveries(itself), now=clock.now())
    accounts = await installations(itself)
    for one in diagnosis.installations(accounts, app):
        yield one
    async for one in _accounts(github, app, accounts, clock):
        yield one


async def _accounts(
    github: GitHubApp, app: AppFacts, accounts: tuple[InstallationFacts, ...], clock: Clock
) -> AsyncIterator[Finding]:
    repositories: list[Guarded] = []
    for account in [one for one in accounts if not one.suspended][:MOST_INSTALLATIONS]:
        speaker = github.installation(account.id)
        try:
            left = await calls_left(speaker)
            if tier_of(app.permissions) is Tier.DEPLOY:
                repositories += await guarded(speaker, most=MOST_REPOSITORIES - len(repositories))
        except GitHubProblem as problem:
            yield Finding("installation", "error", f"{account.account}: {problem}", f"look at {account.page}")
            continue
        if left:
            yield diagnosis.quota(account.account, left, now=clock.now())
    for one in diagnosis.protection(repositories, app):
        yield one
