"""Commands of the repository that a deployment runs: its hooks, and the one that tells the version of the schema."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.deploy.site import Site

Moment = Literal["before_switch", "after_switch", "after_rollback"]

KILLED = -1
"""What stands for an exit code when a command's time was over."""

HOOK_TIMEOUT = 300.0
SCHEMA_TIMEOUT = 5.0
"""Seconds. Users have a bad release while the version of the schema is asked for."""

_TAIL = 16_384


class HookFailed(Exception):
    """A hook did not end with 0. The message says which, and what it printed last."""


class SchemaUnknown(Exception):
    """The version of the database's schema cannot be told. The message says why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code, and the end of what it printed, both streams together."""

    code: int
    output: str


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
        ran = await run(site, command, moment=moment, timeout=HOOK_TIMEOUT)
        await site.write("done", call="hook", **facts, code=ran.code, output=ran.output)
        if ran.code:
            message = f"the hook `{command}` of {moment} ended with {ran.code}: {_last(ran.output)}"
            raise HookFailed(message)


async def schema_version(site: Site, command: str) -> int:
    """The version of the database's schema: the last word that a command prints.

    Raises:
        SchemaUnknown: it failed, took too long, or printed something else.
    """
    await site.write("intent", call="schema", command=command)
    ran = await run(site, command, moment="schema", timeout=SCHEMA_TIMEOUT)
    await site.write("done", call="schema", command=command, code=ran.code, output=ran.output)
    if ran.code:
        message = f"`{command}` ended with {ran.code}: {_last(ran.output)}"
        raise SchemaUnknown(message)
    try:
        return int(_last(ran.output).split()[-1])
    except (ValueError, IndexError):
        message = f"`{command}` printed no number"
        raise SchemaUnknown(message) from None


async def run(site: Site, command: str, *, moment: str, timeout: float) -> Ran:  # noqa: ASYNC109 - part of the answer.
    """Run a command in the release's tree, in a session of its own; whatever it leaves running there is killed."""
    launched = site.launch(command, _environ(site, moment))
    tree = site.files.tree
    process = await asyncio.create_subprocess_exec(
        *launched.argv,
        cwd=tree if tree.is_dir() else site.files.directory,
        env=dict(launched.environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate(launched.said)
        assert process.returncode is not None
        return Ran(process.returncode, output[-_TAIL:].decode("utf-8", "replace"))
    except TimeoutError:
        return Ran(KILLED, f"killed after {timeout:g} s")
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


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


def _last(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1][:200] if lines else "it printed nothing"
