"""Commands of the repository that a deployment runs: its hooks, and the one that tells the version of the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bot.deploy.running import Ran, run
from bot.deploy.site import Site

Moment = Literal["before_switch", "after_switch", "after_rollback"]

HOOK_TIMEOUT = 300.0
SCHEMA_TIMEOUT = 5.0
"""Seconds. Users have a bad release while the version of the schema is asked for."""

_TAIL = 100  # lines.


class HookFailed(Exception):
    """A hook did not end with 0. The message says which, and what it printed last."""


class SchemaUnknown(Exception):
    """The version of the database's schema cannot be told. The message says why."""


async def run_hooks(site: Site, moment: Moment) -> None:
    """Run the hooks of a moment in order. One that has ended well is not run again after a crash; one cut off is.

    Raises:
        HookFailed: one did not end well; those behind it were not run.
    """
    for place, command in enumerate(site.environment.hooks.get(moment, ())):
        facts = {"moment": moment, "place": place, "command": command}
        if site.last("done", call="hook", code=0, **facts) is not None:
            continue
        await site.write("intent", call="hook", **facts)
        ran = await _run(site, command, moment=moment, within=HOOK_TIMEOUT)
        await site.write("done", call="hook", **facts, code=ran.code, output=ran.tail(_TAIL))
        if ran.code:
            message = f"the hook `{command}` of {moment} ended with {ran.code}: {_last(ran)}"
            raise HookFailed(message)


async def schema_version(site: Site, command: str) -> int:
    """The version of the database's schema: the last word that a command prints.

    Raises:
        SchemaUnknown: it failed, took too long, or printed something else.
    """
    await site.write("intent", call="schema", command=command)
    ran = await _run(site, command, moment="schema", within=SCHEMA_TIMEOUT)
    await site.write("done", call="schema", command=command, code=ran.code, output=ran.tail(_TAIL))
    if ran.code:
        message = f"`{command}` ended with {ran.code}: {_last(ran)}"
        raise SchemaUnknown(message)
    try:
        return int(_last(ran).split()[-1])
    except (ValueError, IndexError):
        message = f"`{command}` printed no number"
        raise SchemaUnknown(message) from None


async def _run(site: Site, command: str, *, moment: str, within: float) -> Ran:
    """Run a command in the release's files, kept apart as the release is."""
    tree = site.files.tree
    return await run(
        site.confinement,
        command,
        directory=tree,
        environ={**site.variables, **_environ(site, moment)},
        writes=(tree,),
        within=within,
        together=True,
    )


def _environ(site: Site, moment: str) -> Mapping[str, str]:
    plan = site.plan
    return {
        "INTERLOCK_MOMENT": moment,
        "INTERLOCK_ENVIRONMENT": plan.environment,
        "INTERLOCK_DEPLOYMENT": str(plan.number),
        "INTERLOCK_RELEASE": plan.release.id,
        "INTERLOCK_SHA": plan.release.sha,
        "INTERLOCK_SHA_BEFORE": plan.previous.sha if plan.previous else "",
        "INTERLOCK_SLOT": plan.slot,
    }


def _last(ran: Ran) -> str:
    return ran.tail(1)[:200] or "it printed nothing"
