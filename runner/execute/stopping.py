"""Turns signals into what the schedule asks for: one interrupt drains, a second one or a termination kills."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

DRAIN = "drain"
KILL = "kill"


class Stopping:
    """While it is entered, SIGINT, SIGTERM and SIGHUP are noted instead of ending the process."""

    def __init__(self) -> None:
        self._asked = ""
        self._before: dict[int, object] = {}

    def asked(self) -> str:
        """Nothing to go on, "drain" to start nothing more, "kill" to end what runs too."""
        return self._asked

    def __enter__(self) -> Stopping:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What is ignored stays so: nohup means it.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal.signal` gave us.

    def _note(self, number: int, _: FrameType | None) -> None:
        self._asked = KILL if number != signal.SIGINT or self._asked else DRAIN
