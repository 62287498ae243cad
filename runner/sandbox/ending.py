"""What a warden says of a box, as the ending that the executor knows."""

from __future__ import annotations

import errno
import os

from runner.execute.command import CANNOT_EXECUTE, NOT_FOUND
from runner.execute.launch import Ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.sandbox.warden import Status


_TOOLS = ("bwrap: ", "setpriv: ", "warden: ")


def complaint(said: str, exit_code: int) -> str:
    """Why a sandbox failed: the first that those who build it had to say, of all that was said in it."""
    return next((line for line in said.splitlines() if line.startswith(_TOOLS)), f"it ended with {exit_code}")


def ending_of(status: Status, problem: str) -> Ending:
    """The box's own ending; `problem` is why it is red in any case, as far as its cell knows."""
    if status.error:
        missing = status.error in {errno.ENOENT, errno.ENOTDIR}
        return Ending(
            exit_code=NOT_FOUND if missing else CANNOT_EXECUTE,
            problem=f"it could not be started in the sandbox: {os.strerror(status.error)}",
            unstarted=True,
        )
    return Ending(
        exit_code=os.waitstatus_to_exitcode(status.wait),
        cpu=status.cpu,
        rss_kb=status.rss_kb,
        leaked=status.left,
        problem=problem,
    )
