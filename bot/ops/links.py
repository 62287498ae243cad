"""Links to the page of a run or a deployment that only whoever was shown one can know."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

KEY_BYTES = 32
DAYS = 90
"""How long the link of a run, or of a deployment, opens its page."""

_RUN, _DEPLOYMENT = "run", "deployment"


class KeyUnusable(Exception):
    """The key's file holds something else."""


class RunLinks:
    """Makes and checks the signed link of a run, or of a deployment. It opens that one alone, for some days.

    Args:
        key: secret of this installation of the bot.
        public_url: where people reach the bot; without it there are no links.
        older: keys of before, whose links still count.
        days: how long links count.
    """

    def __init__(self, key: bytes, public_url: str, *, older: Sequence[bytes] = (), days: int = DAYS) -> None:
        self._key = key
        self._public_url = public_url
        self._older = tuple(older)
        self.days = days

    def url(self, number: int) -> str:
        """The address of a run's page, or "" when nobody could reach it."""
        return f"{self._public_url}/runs/{number}?t={self.token(number)}" if self._public_url else ""

    def token(self, number: int) -> str:
        """What proves that the holder was shown the link."""
        return _token(self._key, _RUN, number)

    def deployment_url(self, number: int) -> str:
        """The address of a deployment's page, or "" when nobody could reach it."""
        return self._to_deployment(number, "")

    def picture_url(self, number: int) -> str:
        """The address of a deployment's picture, which GitHub shows in an issue; "" as above."""
        return self._to_deployment(number, ".svg")

    def _to_deployment(self, number: int, ending: str) -> str:
        if not self._public_url:
            return ""
        return f"{self._public_url}{deployment_path(number)}{ending}?t={self.deployment_token(number)}"

    def deployment_token(self, number: int) -> str:
        """What proves that the holder was shown the link of a deployment; it opens no run of the same number."""
        return _token(self._key, _DEPLOYMENT, number)

    def allows_deployment(self, number: int, token: str) -> bool:
        """Whether `token` belongs to that deployment."""
        return self._allows(_DEPLOYMENT, number, token)

    def sign(self, text: str) -> str:
        """What proves that `text` was written by this installation of the bot: for marks in places that others write.

        No link is signed by it: the purpose is part of what is signed.
        """
        return hmac.new(self._key, f"mark:{text}".encode(), hashlib.sha256).hexdigest()[:32]

    def allows(self, number: int, token: str) -> bool:
        """Whether `token` belongs to that run."""
        return self._allows(_RUN, number, token)

    def _allows(self, what: str, number: int, token: str) -> bool:
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(_token(key, what, number).encode(), given) for key in (self._key, *self._older))

    def lapsed(self, began: datetime, now: datetime) -> bool:
        """Whether the link of what began then has ended."""
        return now - began > timedelta(days=self.days)


def deployment_path(number: int) -> str:
    """Where the page of a deployment is below the bot's address."""
    return f"/deployments/{number}"


def _token(key: bytes, what: str, number: int) -> str:
    return hmac.new(key, f"{what}:{number}".encode(), hashlib.sha256).hexdigest()[:32]


def load_keys(path: Path) -> tuple[bytes, ...]:
    """The keys of a data directory, the one in force first; made at the first start.

    It stays the same so that old links keep working. To change it, put a new line above it: links of the old one count
    until its line is removed.

    Raises:
        KeyUnusable: the file is there and holds something else.
    """
    if not path.exists():
        # Written aside and renamed: a crash between the two must not leave an empty key, which anybody could guess.
        aside = path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
        aside.replace(path)
    try:
        keys = tuple(bytes.fromhex(line) for line in path.read_text(encoding="ascii").split())
    except ValueError:
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        message = f"{path} is not a key of {KEY_BYTES} bytes; remove it, and a new one is made (old links end)"
        raise KeyUnusable(message)
    return keys
