"""The key by which whoever sits at the machine proves it: released code shares its network, and cannot read the key."""

from __future__ import annotations

import hmac
from pathlib import Path

from bot.ops.links import load_keys

FILE = "operator.key"
"""In the data directory; nobody but the bot's user may read it."""


class OperatorKey:
    """The keys in force; a new line above the others rotates it.

    Args:
        data_dir: the bot's.

    Raises:
        KeyUnusable: the file holds something else.
    """

    def __init__(self, data_dir: Path) -> None:
        self._keys = tuple(key.hex() for key in load_keys(data_dir / FILE))

    @property
    def header(self) -> str:
        """What a request has to say: the value of its `Authorization`."""
        return f"Bearer {self._keys[0]}"

    def fits(self, header: str) -> bool:
        """Whether a request said so."""
        said = header.encode("latin-1", "replace")
        return any([hmac.compare_digest(said, f"Bearer {key}".encode()) for key in self._keys])  # noqa: C419 - each, always.
