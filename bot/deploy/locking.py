"""Files that one process at a time may hold; the kernel lets go of them when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

from bot.deploy.polling import until
from bot.deploy.target import TargetUnreachable


@contextlib.asynccontextmanager
async def held(path: Path, within: float) -> AsyncIterator[int]:
    """Hold a file. Gives its descriptor: a process that inherits it holds the file as well.

    Args:
        path: made when it is not there.
        within: seconds to wait for whoever holds it now.

    Raises:
        TargetUnreachable: somebody held it all that time.
    """
    fd = _open(path)

    async def taken() -> bool:
        return _taken(fd)

    try:
        if not await until(taken, within):
            message = f"{path.name} of {path.parent.name} is held by another process for {within:.0f} s"
            raise TargetUnreachable(message)
        yield fd
    finally:
        # Closed, not unlocked: whoever inherited it goes on holding it.
        os.close(fd)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
