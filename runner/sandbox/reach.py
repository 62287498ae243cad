"""Where the users get to that boxes and servers run as, and a directory for a run where they all do."""

from __future__ import annotations

import os
import stat

from runner.execute.files import remember
from runner.sandbox.namespace import CannotMount

# To mount over: what is there already must be ours.
_FOR_MOUNTS = ("/run", "/var/tmp", "/tmp")  # noqa: S108
# For files, which may be many: /run is small, and in memory. Names in them cannot be guessed.
_FOR_FILES = ("/var/tmp", "/tmp", "/run")  # noqa: S108


def is_open(directory: str) -> bool:
    """Whether every user may pass through a directory and all above it, wherever links lead."""
    path = os.path.realpath(directory)
    while True:
        try:
            if not os.stat(path).st_mode & stat.S_IXOTH:
                return False
        except OSError:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def let_through(scratch: str) -> bool:
    """Let every user pass through the scratch directory; False when what lies above it lets nobody."""
    if not is_open(os.path.dirname(scratch)):
        return False
    os.chmod(scratch, 0o711)  # noqa: S103 - they may pass through, and see nothing.
    return True


def reachable_room(scratch: str) -> str:
    """A name for a run's own directory that every user can get to; where nothing can be mounted.

    One that is not below `scratch` is remembered there, for the run's guard.

    Raises:
        CannotMount: there is none.
    """
    if let_through(scratch):
        return f"{scratch}/sandbox"
    if base := open_place():
        room = f"{base}/{os.path.basename(scratch)}.sandbox"
        remember(scratch, room)
        return room
    raise _nowhere(_FOR_FILES)


def open_place(*preferred: str) -> str:
    """The first of some directories, or else of those that every machine has, for files that all users get to.

    We may write to it; "" when there is none such.
    """
    return next((place for place in (*preferred, *_FOR_FILES) if is_open(place) and os.access(place, os.W_OK)), "")


def shared_room() -> str:
    """A directory for the room that every user can get to.

    Raises:
        CannotMount: there is none.
    """
    # One for all runs: each mounts its own over it, and nobody sees the others'.
    for base in _FOR_MOUNTS:
        if is_open(base) and _is_ours(f"{base}/interlock-sandbox"):
            return f"{base}/interlock-sandbox"
    raise _nowhere(_FOR_MOUNTS)


def _nowhere(tried: tuple[str, ...]) -> CannotMount:
    message = f"no directory that other users reach (tried {', '.join(tried)})"
    return CannotMount(message)


def _is_ours(directory: str) -> bool:
    """Whether a directory is ours, made now if it was not there."""
    try:
        os.mkdir(directory)
        os.chmod(directory, 0o711)  # noqa: S103 - whatever our umask is.
    except FileExistsError:
        status = os.lstat(directory)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    except OSError:
        return False
    return True
