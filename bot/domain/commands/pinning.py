"""Whether a command means the commit that it would act on."""

from __future__ import annotations

from bot.domain.commands.authority import Refused
from bot.domain.text import code

WHOLE = 40


def other_than_meant(at: str, *, head_sha: str, is_fork: bool) -> Refused | None:
    """Why a command that names `at` must not act on `head_sha`; None when it may.

    Args:
        at: the commit that was typed, in lower case, whole or its beginning; "" when none was.
        head_sha: the pull request's head, as the API gives it now.
        is_fork: whether a stranger decides what the head is. A prefix can be forged, so all of it is needed then.
    """
    if not at:
        return None
    if is_fork and len(at) < WHOLE:
        return Refused(
            "short_sha",
            f"the head comes from a fork, so all {WHOLE} digits of its SHA are needed, which is {code(head_sha)}",
        )
    if not head_sha.startswith(at):
        return Refused("other_head", f"{code(at)} is not the head of this pull request, which is {code(head_sha)}")
    return None
