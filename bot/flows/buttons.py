"""The buttons of a check run: whoever presses one may do what the command of the same meaning may."""

from __future__ import annotations

import structlog

from bot.domain.commands.authority import Need, Refused, may
from bot.domain.deliveries import Press
from bot.flows.context import Context
from bot.flows.requests import open_run
from bot.github.permissions import permission
from bot.github.pulls import pulls_for_sha

log = structlog.get_logger()

SELECTIONS = {"rerun_failed": "failed", "rerun_all": "all"}
"""What a button runs again, by its identifier."""


async def press(ctx: Context, action: Press, delivery_id: str) -> tuple[str, ...]:
    """Do what a button stands for; the ids of the runs to start. Safe to repeat."""
    selection = SELECTIONS.get(action.identifier)
    if selection is None:
        log.warning("button_unknown", identifier=action.identifier[:20])
        return ()
    github = ctx.github.installation(action.installation_id)
    allowed = may(str(await permission(github, action.repo, action.by)), Need.WRITE)
    if isinstance(allowed, Refused):
        log.warning("command_refused", actor=action.by, reason=allowed.because)
        return ()
    # A check run's own list of pull requests may be empty, so they are found by the head's SHA.
    pulls = await pulls_for_sha(github, action.repo, action.head_sha)
    runs = [
        await open_run(
            ctx,
            installation_id=action.installation_id,
            repo_id=action.repo_id,
            repo=action.repo,
            pr=pull.number,
            head_sha=action.head_sha,
            base_ref=pull.base_ref,
            selection=selection,
            again=delivery_id,
            delivery=delivery_id,
        )
        for pull in pulls
        if pull.head_sha == action.head_sha and pull.state == "open"
    ]
    return tuple(run.id for run in runs)
