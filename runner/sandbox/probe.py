"""Finds out which rungs of the isolation ladder this machine has."""

from __future__ import annotations

import os

from runner.execute.command import which
from runner.isolation import Level, Rung

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def rungs(environ: Mapping[str, str]) -> tuple[Rung, ...]:
    """What the machine offers, best first."""
    missing = "" if which("bwrap", environ.get("PATH", os.defpath)) else "bubblewrap is not installed"
    return (Rung(Level.BUBBLEWRAP, why=missing, fix="apt install bubblewrap"),)
