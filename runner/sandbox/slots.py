"""Users that boxes run as, one for each that runs at the same time on this machine.

What the kernel counts by user (processes, keys, signals) one box cannot use up for another, and no box can signal or
trace another's processes. A slot is held by a lock on a file, which the kernel gives up with the process that held it.
"""

from __future__ import annotations

import fcntl
import os

SLOTS = 1024
# Ids that no distribution and no container engine gives out; the second where ours are mapped to the first 65 536.
_BASES = (0x7000_0000, 60_000)
_DIRECTORIES = ("/run/interlock-users", "/var/tmp/interlock-users")  # noqa: S108 - made 0700, and only if ours.


class NoSlot(Exception):
    """No user is free or usable. The message says why."""


class Slots:
    """Hands out users.

    Attributes:
        group: the group that all of them have.

    Raises:
        NoSlot: this process cannot become other users, or has no place for the locks.
    """

    def __init__(self) -> None:
        self._base = _base()
        self.group = self._base
        self._directory = _directory()
        self._held: dict[int, int] = {}  # user -> the descriptor that locks it
        self._idle: list[int] = []

    def take(self) -> int:
        """A user that nobody else has until `give`.

        Raises:
            NoSlot: all are taken.
        """
        if self._idle:
            return self._idle.pop()
        for number in range(1, SLOTS):
            user = self._base + number
            if user not in self._held and (fd := _lock(f"{self._directory}/{user}")) >= 0:
                self._held[user] = fd
                return user
        message = f"all {SLOTS - 1} users for boxes are taken (in {self._directory})"
        raise NoSlot(message)

    def give(self, user: int) -> None:
        """It is free again, for this run; `close` frees it for others."""
        self._idle.append(user)

    def close(self) -> None:
        """Give all of them up."""
        for fd in self._held.values():
            os.close(fd)
        self._held.clear()
        self._idle.clear()


def _base() -> int:
    """The first id; all of them must be mapped in our user namespace."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as stream:
            ranges = [tuple(map(int, line.split())) for line in stream]
    except OSError as error:
        message = f"/proc/self/uid_map: {error.strerror}"
        raise NoSlot(message) from error
    for base in _BASES:
        if any(first <= base and base + SLOTS <= first + count for first, _, count in ranges):
            return base
    raise NoSlot("no range of user ids is mapped for boxes")


def _directory() -> str:
    for directory in _DIRECTORIES:
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
        except OSError:
            continue
        status = os.lstat(directory)
        if status.st_uid == os.geteuid() and status.st_mode & 0o170077 == 0o040000:
            return directory
    message = f"no place for the locks of the boxes' users (tried {', '.join(_DIRECTORIES)})"
    raise NoSlot(message)


def _lock(path: str) -> int:
    """The descriptor that holds it; -1 when somebody else does."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd
