"""Links to a run's page that only whoever was shown one can know."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

KEY_BYTES = 32


class KeyUnusable(Exception):
    """The key's file holds something else."""


class RunLinks:
    """Makes and checks the signed link of a run.

    Args:
        key: secret of this installation of the bot.
        public_url: where people reach the bot; without it there are no links.
    """

    def __init__(self, key: bytes, public_url: str) -> None:
        self._key = key
        self._public_url = public_url

    def url(self, number: int) -> str:
        """The address of a run's page, or "" when nobody could reach it."""
        return f"{self._public_url}/runs/{number}?t={self.token(number)}" if self._public_url else ""

    def token(self, number: int) -> str:
        """What proves that the holder was shown the link."""
        return hmac.new(self._key, f"run:{number}".encode(), hashlib.sha256).hexdigest()[:32]

    def sign(self, text: str) -> str:
        """What proves that `text` was written by this installation of the bot: for marks in places that others write.

        No link is signed by it: the purpose is part of what is signed.
        """
        return hmac.new(self._key, f"mark:{text}".encode(), hashlib.sha256).hexdigest()[:32]

    def allows(self, number: int, token: str) -> bool:
        """Whether `token` belongs to that run."""
        return hmac.compare_digest(self.token(number).encode(), token.encode("utf-8", "replace"))


def load_key(path: Path) -> bytes:
    """The key of a data directory, made at the first start. It stays the same so that old links keep working.

    Raises:
        KeyUnusable: the file is there and holds no key.
    """
    if not path.exists():
        # Written aside and renamed: a crash between the two must not leave an empty key, which anybody could guess.
        aside = path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
        aside.replace(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        message = f"{path} is not a key of {KEY_BYTES} bytes; remove it, and a new one is made (old links end)"
        raise KeyUnusable(message)
    return key
