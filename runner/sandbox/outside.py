"""A sandbox's processes as this machine sees them: whose child, which number inside, when the last one is gone."""

from __future__ import annotations

import os
import select
import signal

from runner.execute.table import send

_ENDING_SECONDS = 5.0


def await_end(pid: int) -> None:
    """Wait until the sandbox's first process is gone, and with it everything in the sandbox.

    It outlives bubblewrap's outer process by a moment, and is ours to collect then.
    """
    try:
        if not pid or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None:
            return
        fd = os.pidfd_open(pid)
    except (ChildProcessError, ProcessLookupError):
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        send(pid, signal.SIGKILL)
        if poll.poll(_ENDING_SECONDS * 1000):
            os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
    finally:
        os.close(fd)


def end(pid: int) -> None:
    """End bubblewrap's outer process, a child of ours, and the sandbox's first process, wherever they are.

    The inner one waits for ever when the outer one is gone before it has been let begin. Stopped first, the outer one
    cannot start it between our looking and our killing.
    """
    send(pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return
    for child in children_of(pid):
        send(child, signal.SIGKILL)
    send(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """What a process with one thread has started and not collected; nothing once it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def inner_pids(pid: int) -> list[int]:
    """A process's number in each namespace, ours first."""
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            return next(([int(word) for word in line.split()[1:]] for line in stream if line.startswith(b"NSpid:")), [])
    except OSError:
        return []
