"""One writer at a time in a mirror, across tasks, processes and crashes.

The lock is an flock that every git started under it inherits. When the bot is killed, its git may live on: the lock is
then still held, and only let go when that git has ended. So whoever gets the lock knows that lock files found in the
mirror belong to nobody, and may remove them; otherwise a crash at the wrong moment would block a commit for ever.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.github.errors import GitFailed

NAME = "interlock.flock"
_AGAIN = 0.05


class WriterLock:
    """The right to write in one mirror.

    Args:
        mirror: the directory; it exists before the lock is used.
        patience: how many seconds to wait for another process.
    """

    def __init__(self, mirror: Path, patience: float) -> None:
        self._mirror = mirror
        self._patience = patience
        self._tasks = asyncio.Lock()
        self._swept = False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[int]:
        """Hold the lock; gives the descriptor that each git must inherit.

        Raises:
            GitFailed: another process kept it for longer than the patience.
        """
        async with self._tasks:
            descriptor = os.open(self._mirror / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                await self._acquire(descriptor)
                if not self._swept:
                    await asyncio.to_thread(_sweep, self._mirror)
                    self._swept = True
                yield descriptor
            finally:
                os.close(descriptor)

    async def _acquire(self, descriptor: int) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while not _try(descriptor):  # noqa: ASYNC110 - no event tells when another process lets go.
                    await asyncio.sleep(_AGAIN)
        except TimeoutError:
            message = f"another git has been at work in {self._mirror.name} for more than {self._patience:g} s"
            raise GitFailed(message) from None


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(mirror: Path) -> None:
    """Remove what a killed git left: lock files and half-received packs."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/tmp_obj_*", "objects/??/tmp_obj_*"):
        for left in mirror.glob(pattern):
            left.unlink(missing_ok=True)
