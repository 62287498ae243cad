"""`--setup-cache` and `--fresh-setup`: where the results of setups are kept."""

from __future__ import annotations

import os

from runner.isolation import Level
from runner.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.model import Setup
    from runner.options import Given
    from runner.setup_cache import SetupCache

OPTIONS = (
    Option("--setup-cache", value="DIR", help="where results of `setup:` are kept, apart for each trust level"),
    Option("--fresh-setup", help="run `setup:` also where its result is kept"),
)


def setup_cache_of(given: Given, level: Level, setups: Iterable[Setup], *, state: str) -> SetupCache | None:
    """The cache of a command; None when nothing may be kept, or would be.

    Args:
        given: the command's options.
        level: how setups and boxes are isolated.
        setups: that may run.
        state: where the runner keeps what it remembers of the repository; "" is nowhere.
    """
    trust = given.text("trust")
    directory = given.text("setup_cache") or (os.path.join(state, "setups") if state else "")
    if not directory or trust == "T2" or not any(setup.inputs for setup in setups):
        return None
    if level is Level.LANDLOCK and os.geteuid() == 0 and not _is_reachable(directory):
        return None  # boxes are other users there, and nothing can be mounted where they get to it.
    from runner.setup_cache import SetupCache

    return SetupCache(directory, trust=trust, verify=not level.full, fresh="fresh_setup" in given)


def _is_reachable(directory: str) -> bool:
    """Whether every user may pass to a directory, which need not be there yet."""
    from runner.sandbox.reach import is_open

    there = os.path.abspath(directory)
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    return is_open(there)
