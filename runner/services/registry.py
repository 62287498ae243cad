"""The services that boxes may need, by name. Another one is a module with a `Service`, and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.services.postgres import Postgres
from runner.services.redis import Redis

if TYPE_CHECKING:
    from runner.services.service import Service

KINDS: tuple[type[Service], ...] = (Postgres, Redis)


def services() -> dict[str, Service]:
    """One of each kind, for one run."""
    return {kind.name: kind() for kind in KINDS}
