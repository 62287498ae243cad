"""Where the runner keeps what it remembers about a repository: never in it, and nothing that it cannot do without."""

from __future__ import annotations

import os
import zlib

from runner.execute.files import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_RUNS = 10


def state_directory(root: str, environ: Mapping[str, str]) -> str:
    """The directory for one repository, created; "" when there is no place for it.

    It lies in $XDG_CACHE_HOME/interlock (~/.cache/interlock), under the repository's name and a digest of its path.
    """
    cache = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return ""
        cache = os.path.join(home, ".cache")
    path = os.fsencode(root)
    # A checksum both ways tells paths apart: hashlib would cost 3 ms, and nobody gains by a collision of their own.
    digest = f"{zlib.crc32(path):08x}{zlib.crc32(path[::-1]):08x}"
    directory = os.path.join(cache, "interlock", f"{os.path.basename(root) or 'root'}-{digest}")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError:
        return ""
    return directory if os.access(directory, os.W_OK) else ""


def run_directory(state: str, run_id: str) -> str:
    """A directory for the logs and artifacts of one run; the oldest ones beyond KEPT_RUNS are removed."""
    runs = os.path.join(state, "runs")
    directory = os.path.join(runs, run_id)
    try:
        os.makedirs(directory, exist_ok=True)
        with os.scandir(runs) as found:
            others = sorted((entry.stat().st_mtime, entry.path) for entry in found if entry.name != run_id)
    except OSError:
        return ""
    for _, path in others[: max(0, len(others) + 1 - KEPT_RUNS)]:
        remove_tree(path)
    return directory


def scratch_directory(environ: Mapping[str, str]) -> str:
    """A fresh directory, ours alone, for one run's temporary files.

    Raises:
        NoRoom: there is no place for it.
    """
    base = environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the name below cannot be guessed, and mkdir takes no existing one.
    path = os.path.join(os.path.abspath(base), f"interlock-{os.urandom(8).hex()}")
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        from runner.errors import NoRoom

        message = f"no temporary directory in {base}: {error.strerror} (free it, or set TMPDIR)"
        raise NoRoom(message) from error
    return path
