"""What a configuration declares to be fetched besides a commit itself."""

from __future__ import annotations

from bot.github.supplies import Wanted
from runner.config import Config


def wanted_of(config: Config) -> Wanted:
    """What a configuration declares under `checkout`."""
    declared = config.settings.get("checkout")
    if not isinstance(declared, dict):
        return Wanted()
    return Wanted(submodules=frozenset(path.rstrip("/") for path in declared["submodules"]), lfs=declared["lfs"])
