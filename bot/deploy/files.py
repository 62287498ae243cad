"""The directory of one deployment: the plan that it is given, the journal that it writes, and what it was asked since.

Everything that brings a deployment to its end lies here, so that it needs nothing else to go on after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DeployFiles:
    """Where things lie."""

    directory: Path

    @property
    def plan(self) -> Path:
        """What is to be done, written once, whole."""
        return self.directory / "plan.json"

    @property
    def journal(self) -> Path:
        """One line for everything that is meant to be done, and that was seen to be done; synced to the disk."""
        return self.directory / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Locked by the controller, as long as it lives."""
        return self.directory / "controller.lock"

    @property
    def wishes(self) -> Path:
        """A file for each thing that somebody asked for while it went on."""
        return self.directory / "wishes"

    @property
    def logs(self) -> Path:
        """The controller's own log, and the end of what slots printed."""
        return self.directory / "logs"

    @property
    def tree(self) -> Path:
        """The files of the release."""
        return self.directory / "tree"

    @property
    def before(self) -> Path:
        """The files of the release before, for when it has to be started again; a link, or missing if there is none."""
        return self.directory / "before"

    @property
    def record(self) -> Path:
        """What is kept of it, written when it has ended."""
        return self.directory / "record.json"
