"""What services this machine has, for those who want to know it without starting one."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from runner.model import Value
from runner.services.confine import find_cell
from runner.services.registry import services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.services.installed import Installation


class Stock(Value):
    """One kind of service: what is installed of it, the preferred one first, and how to get it."""

    __slots__ = ("found", "hint", "name")

    def __init__(self, name: str, found: tuple[Installation, ...], hint: str) -> None:
        self.name = name
        self.found = found
        self.hint = hint


class Inventory(Value):
    """All kinds of services, and whether their servers run in a sandbox of their own."""

    __slots__ = ("confined", "stocks")

    def __init__(self, stocks: tuple[Stock, ...], *, confined: bool) -> None:
        self.stocks = stocks
        self.confined = confined


def take_inventory(environ: Mapping[str, str]) -> Inventory:
    """Look. Asks each program for its version, which takes some ten milliseconds."""
    return asyncio.run(_look(environ))


async def _look(environ: Mapping[str, str]) -> Inventory:
    kinds = services().values()
    found = await asyncio.gather(*(kind.installations(environ, tuple(sys.path)) for kind in kinds))
    cell = await find_cell(environ)
    stocks = (Stock(kind.name, tuple(those), kind.hint) for kind, those in zip(kinds, found, strict=True))
    return Inventory(tuple(stocks), confined=bool(cell.bwrap))
