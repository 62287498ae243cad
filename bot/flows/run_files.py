"""Where a run lives on disk, and how its record is read while it grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.config import FILE as CONFIG
from runner.events import Event, RunFinished, from_line


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Where a run lives on disk."""

    directory: Path

    @property
    def tree(self) -> Path:
        """The files under test."""
        return self.directory / "tree"

    @property
    def base(self) -> Path:
        """The base commit's files, for configuration and metadata."""
        return self.directory / "base"

    @property
    def default(self) -> Path:
        """The organisation's configuration, if that is in force; relative, since people read its path."""
        return Path("organisation", CONFIG)

    @property
    def has_default(self) -> bool:
        """Whether it is."""
        return (self.directory / self.default).is_file()

    @property
    def scratch(self) -> Path:
        """Temporary files of the child and its boxes; a child that was killed leaves them here, and nowhere else."""
        return self.directory / "tmp"

    @property
    def logs(self) -> Path:
        """One log for each attempt of each box."""
        return self.directory / "logs"

    @property
    def artifacts(self) -> Path:
        """What boxes left in `$BOX_ARTIFACTS`."""
        return self.directory / "artifacts"

    @property
    def child(self) -> Path:
        """Pid and start time of the child, while there is one."""
        return self.directory / "child.json"

    @property
    def prover(self) -> Path:
        """The same of the child that proves the boxes."""
        return self.directory / "prover.json"

    def records(self) -> list[Path]:
        """The event streams of the run's children, oldest first."""
        return sorted(self.directory.glob("events-*.jsonl"), key=lambda path: int(path.stem.removeprefix("events-")))

    def next_record(self) -> Path:
        """The file for the next child's events."""
        return self.directory / f"events-{len(self.records()) + 1}.jsonl"

    def events(self) -> list[Event]:
        """Everything recorded so far, in order; a line cut off by a crash is left out."""
        return [event for path in self.records() for event in read(path)]


def read(path: Path) -> list[Event]:
    """The events that a record has so far."""
    return read_from(path, 0)[0]


def read_from(path: Path, position: int) -> tuple[list[Event], int]:
    """The events of whole lines after `position`, and where the next line begins."""
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            data = stream.read()
    except FileNotFoundError:
        return [], position
    whole = data[: data.rfind(b"\n") + 1]
    found = (from_line(line.decode("utf-8", "replace")) for line in whole.splitlines())
    return [event for event in found if event is not None], position + len(whole)


def finished(record: Path) -> RunFinished | None:
    """The last event of a record that was written to its end."""
    return next((event for event in reversed(read(record)) if isinstance(event, RunFinished)), None)


def tail(path: Path, size: int = 4096) -> str:
    """The last bytes of a file as text; "" when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return data[-size:].decode("utf-8", "replace")
