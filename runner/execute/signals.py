"""Makes a poll notice signals. Python resumes an interrupted poll, so it would sleep on after a handler has run."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


class Wakeup:
    """A descriptor that becomes readable when a handled signal arrives.

    Args:
        children: also when a child ends, for machines without pidfds.

    Signals are the main thread's; in another one `fd` is -1 and nothing is touched.
    """

    def __init__(self, *, children: bool) -> None:
        self.fd = -1
        self._sender = -1
        self._children = children
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            # Inherited from whoever started us: the kernel would collect our children, and their exit codes with them.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        fd, sender = os.pipe()
        os.set_blocking(fd, False)
        os.set_blocking(sender, False)
        try:
            self._before = signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        except ValueError:
            os.close(fd)
            os.close(sender)
            return
        self.fd, self._sender = fd, sender
        if children:
            self._child_before = signal.signal(signal.SIGCHLD, _nothing)

    def drain(self) -> bool:
        """Forget what arrived. Returns whether it was more than a child's end."""
        try:
            numbers = os.read(self.fd, 4096)
        except BlockingIOError:
            return False
        return any(number != signal.SIGCHLD for number in numbers)

    def close(self) -> None:
        """Put everything back as it was."""
        if self.fd < 0:
            return
        signal.set_wakeup_fd(self._before)
        if self._children:
            signal.signal(signal.SIGCHLD, self._child_before)
        os.close(self.fd)
        os.close(self._sender)
        self.fd = -1


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler: without one, the signal would not reach the descriptor."""
