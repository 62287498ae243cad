"""One bot for one data directory. The lock goes with the process, so a crash never leaves one behind."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

_NAME = "lock"


class AlreadyRunning(Exception):
    """Another bot uses the data directory; two would run everything twice."""


class DataDirUnusable(Exception):
    """The data directory cannot be made or written. Nothing was opened."""


@contextlib.contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Make the data directory, and hold it.

    Raises:
        DataDirUnusable: it cannot be made or written.
        AlreadyRunning: another bot holds it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        held = (data_dir / _NAME).open("a")
    except OSError as refused:
        message = f"the data directory {data_dir} cannot be used: {refused.strerror}; set INTERLOCK_DATA_DIR"
        raise DataDirUnusable(message) from refused
    with held as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            message = f"another interlock uses {data_dir}; stop it, or set INTERLOCK_DATA_DIR"
            raise AlreadyRunning(message) from taken
        yield


def is_held(data_dir: Path) -> bool:
    """Whether a bot uses this data directory now."""
    try:
        with (data_dir / _NAME).open("rb") as lock:
            # Held for no longer than it takes to ask.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
