"""Lets the kernel do its waiting while a sandbox is being built, not when its first process enters its control groups.

Who moves a process between groups takes a lock that every fork on the machine shares. After a pause that means to wait
until all processors have noticed (a grace period of RCU: 8 to 16 ms); for some 15 ms after that it costs nothing. So
somebody takes it early, and again and again for as long as a sandbox needs until its first process is there.
"""

from __future__ import annotations

import os
import signal
from _thread import allocate_lock, start_new_thread  # without `threading` and all that it imports.
from time import monotonic

_SECONDS = 0.025
_PAUSE = 0.008  # Well below what a lock that was taken stays cheap.


class Grace:
    """Begins the wait when asked to, in a thread that does nothing else and is asleep in between.

    Args:
        own: the file by which a process enters the group that we are in: to enter it again takes the lock, and changes
            nothing. "" where we may not, and nothing is ever begun then.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._until = 0.0
        self._started = False
        self._asked = allocate_lock()
        self._asked.acquire()

    def begin(self) -> None:
        """Somebody will enter a group soon. Returns at once; what goes wrong only costs the time."""
        if not self._own:
            return
        self._until = monotonic() + _SECONDS
        if not self._started:
            self._started = True
            self._start()
        self._ask()

    def close(self) -> None:
        """Begin no more."""
        self._own = ""
        self._until = 0.0
        self._ask()

    def _ask(self) -> None:
        if self._asked.locked():
            self._asked.release()

    def _start(self) -> None:
        try:
            fd = os.open(self._own, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self._own = ""
            return
        try:
            start_new_thread(self._run, (fd,))
        except RuntimeError:  # There is no room for a thread.
            os.close(fd)
            self._own = ""

    def _run(self, fd: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # They are the main thread's.
        try:
            while self._own:
                due = monotonic() < self._until
                if due:
                    os.write(fd, b"0")
                self._asked.acquire(timeout=_PAUSE if due else -1)
        except OSError:
            return
        finally:
            os.close(fd)
