"""What somebody may do here, read at the moment when they ask: the one way in for comments, reviews and buttons."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from bot.domain.commands.authority import LOOKALIKE, Need, Refused, is_lookalike, may
from bot.github.app import Installation
from bot.github.errors import Forbidden, UnexpectedAnswer
from bot.github.permissions import permission

log = structlog.get_logger()

NOT_READ = "none"
"""The permission of somebody of whom GitHub would not say any."""


async def authorise(github: Installation, repo: str, actor: str, needs: Iterable[Need]) -> tuple[str, Refused | None]:
    """The actor's permission, "" where none was needed, and why it does not suffice.

    Raises:
        GitHubProblem: GitHub did not answer; then nothing is decided at all.
    """
    if is_lookalike(actor):
        return "", Refused(LOOKALIKE, "logins that look like an app's steer nothing")
    needed = [need for need in needs if need is not Need.NOTHING]
    if not needed:
        return "", None
    try:
        held = str(await permission(github, repo, actor))
    except (Forbidden, UnexpectedAnswer) as unknown:
        # No answer is no permission.
        log.warning("permission_unknown", actor=actor, because=str(unknown))
        return NOT_READ, Refused("permission_unknown", "GitHub does not say what you may do here, so nothing was done")
    answers = [may(held, need) for need in needed]
    return held, next((answer for answer in answers if isinstance(answer, Refused)), None)
