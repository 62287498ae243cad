"""What every report is. Imported for type checking only: `typing` is too dear for the run path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from runner.events import Event

    class Reporter(Protocol):
        """A pure reader of events: it decides nothing and the run does not wait for it."""

        def __call__(self, event: Event, /) -> None:
            """Take the next event, in stream order."""

        def close(self) -> None:
            """Write what is still owed. Called once, also when the run broke off before `RunFinished`."""
