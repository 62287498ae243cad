"""Runs a command to see whether it works: without our environment, for so long at most, and without importing much."""

from __future__ import annotations

import os
import select
import signal
from time import monotonic

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 4096
_NOT_STARTED = 127


class Outcome(Value):
    """The exit code (negative for a signal, 127 when it could not be started) and the last bytes of what it said."""

    __slots__ = ("code", "said")

    def __init__(self, code: int, said: str) -> None:
        self.code = code
        self.said = said


def attempt(argv: Sequence[str], *, seconds: float, env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command; standard output and error are taken together.

    Args:
        argv: an absolute path, and arguments.
        seconds: after which it is ended.
        env: its whole environment.
    """
    out, into = os.pipe()
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, into, 1),
        (os.POSIX_SPAWN_DUP2, into, 2),
    ]
    try:
        pid = os.posix_spawn(argv[0], tuple(argv), env or {}, file_actions=actions, setsid=True)
    except OSError as error:
        os.close(out)
        return Outcome(_NOT_STARTED, error.strerror or "")
    finally:
        os.close(into)
    said, in_time = _drained(out, monotonic() + seconds)
    os.close(out)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not in_time:
        return Outcome(-signal.SIGKILL, f"no answer within {seconds:.0f} s")
    return Outcome(os.waitstatus_to_exitcode(status), said)


def _drained(out: int, until: float) -> tuple[str, bool]:
    """What is written until all writers are gone, and whether that was in time."""
    said = b""
    while (left := until - monotonic()) > 0:
        if select.select([out], [], [], left)[0]:
            chunk = os.read(out, 65536)
            if not chunk:
                return said.decode(errors="replace").strip(), True
            said = (said + chunk)[-_MOST:]
    return "", False
