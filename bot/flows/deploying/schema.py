"""Which versions of the database's schema a release works with, and which one the database has.

A release says it in a file of its own; the environment's configuration has the command that prints the version.
"""

from __future__ import annotations

import structlog

from bot.deploy.confine import Refusal, choose
from bot.deploy.running import run
from bot.deploy.target import Unbuildable
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.gate_facts import Unknown
from bot.domain.deploy.release import Release
from bot.domain.deploy.schema_guard import Range, read_range
from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying import terms
from bot.flows.deploying.targeting import secrets_for
from bot.github.git import Mirror

log = structlog.get_logger()

FILE = ".github/interlock.schema"
"""In a release's tree: `12..15`, `12..`, `..15`, or `12`."""

WITHIN = 5.0
"""Seconds that the command has."""


async def range_of(mirror: Mirror, sha: str) -> Range | None:
    """What a commit says; any version where it says nothing, None where it cannot be understood."""
    text = await mirror.read(sha, FILE)
    return Range() if text is None else read_range(text.decode("utf-8", "replace"))


async def version(ctx: Context, place: Deployment, release: Release) -> int | Unknown | None:
    """The version that an environment's database has, asked by the files of what is live there.

    None where the release does not care, or nothing is live that could be asked.
    """
    if not release.names_schemas:
        return None
    live = await _live(ctx, place)
    by = terms.read(ctx, live) if live else None
    command = by.environment(place.environment).rollback.schema if by else ""
    if live is None or by is None or not command:
        return None
    confinement = choose(ctx.allowance)
    if isinstance(confinement, Refusal):
        return Unknown(f"the version of the schema cannot be asked for: {confinement.because}", "")
    try:
        options = by.environment(place.environment).target.options
        secrets = secrets_for(ctx, live, by)
    except Unbuildable as unusable:
        return Unknown(str(unusable), "")
    named = options.get("secrets")
    declared = options.get("env")
    environ = {name: str(value) for name, value in declared.items()} if isinstance(declared, dict) else {}
    environ |= {name: secrets[name] for name in (named if isinstance(named, list) else ()) if name in secrets}
    tree = ctx.deploy_files(live).tree
    ran = await run(confinement, command, directory=tree, environ=environ, reads=(tree,), within=WITHIN, together=True)
    try:
        return int(ran.tail(1).split()[-1]) if ran.code == 0 else _unknown(command, f"ended with {ran.code}")
    except (ValueError, IndexError):
        return _unknown(command, "printed no number")


def _unknown(command: str, what: str) -> Unknown:
    return Unknown(f"`{command}`, which prints the version of the schema, {what}")


async def _live(ctx: Context, place: Deployment) -> Deployment | None:
    """The newest deployment that users have, whose files are there."""
    for deployment in await ctx.deployments.of_environment(place.repo_id, place.environment):
        if deployment.state is State.SUCCEEDED and ctx.deploy_files(deployment).tree.is_dir():
            return deployment
    return None
