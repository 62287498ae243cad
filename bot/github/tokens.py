"""Who we are to GitHub: the App's signed assertion, and the installation tokens that it buys.

Not githubkit's cache: that one is shared by the process, does not know the key or the host, has no lock (20 first calls
bought 20 tokens) and reads the machine's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.github.errors import BadCredentials

REFRESH = timedelta(minutes=12)
"""How long before its end a token is no longer handed out: GitHub's live an hour, and none is used for 50 minutes."""


ASSERTION_LIFE = timedelta(minutes=9)
"""Of the App's own assertion; GitHub takes at most ten minutes."""


class SecretToken:
    """A token that does not show itself: not in `repr`, not in a format string, not in a pickle.

    Attributes:
        expires_at: aware; GitHub stops to accept the token then.
    """

    __slots__ = ("_value", "expires_at")

    def __init__(self, value: str, expires_at: datetime) -> None:
        self._value = value
        self.expires_at = expires_at

    def reveal(self) -> str:
        """The token itself, for the one line that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "SecretToken(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        message = "a token is never written down"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may do: the installation's all, or one repository and named permissions."""

    installation_id: int
    repository_id: int | None = None
    permissions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, installation_id: int, *, repository_id: int | None = None, permissions: Mapping[str, str] | None = None
    ) -> Scope:
        """A scope with its permissions in one order, so that equal wishes share a token."""
        return cls(installation_id, repository_id, tuple(sorted((permissions or {}).items())))

    def request(self) -> dict[str, object]:
        """The body that asks GitHub for such a token."""
        body: dict[str, object] = {}
        if self.repository_id is not None:
            body["repository_ids"] = [self.repository_id]
        if self.permissions:
            body["permissions"] = dict(self.permissions)
        return body


class TokenCache:
    """Tokens by scope; one purchase at a time for each installation.

    Args:
        mint: buys a token from GitHub.
        now: the time by GitHub's clock, aware.
    """

    def __init__(self, mint: Callable[[Scope], Awaitable[SecretToken]], now: Callable[[], datetime]) -> None:
        self._mint = mint
        self._now = now
        self._tokens: dict[Scope, SecretToken] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    async def get(self, scope: Scope) -> SecretToken:
        """A token for `scope` that lives for at least `REFRESH`, unless GitHub sold a shorter one."""
        if token := self._fresh(scope):
            return token
        async with self._locks.setdefault(scope.installation_id, asyncio.Lock()):
            if token := self._fresh(scope):
                return token
            token = await self._mint(scope)
            self._drop_expired()
            self._tokens[scope] = token
            return token

    def take(self, scope: Scope) -> SecretToken | None:
        """The token of a scope, which is handed out no more; None when there is none that still counts."""
        token = self._tokens.pop(scope, None)
        return token if token and token.expires_at > self._now() else None

    def forget(self, token: SecretToken) -> None:
        """Never hand out this token again. A newer one of the same scope stays."""
        self._tokens = {scope: kept for scope, kept in self._tokens.items() if kept is not token}

    def _fresh(self, scope: Scope) -> SecretToken | None:
        token = self._tokens.get(scope)
        return token if token and token.expires_at - self._now() > REFRESH else None

    def _drop_expired(self) -> None:
        now = self._now()
        self._tokens = {scope: token for scope, token in self._tokens.items() if token.expires_at > now}


class AppKey:
    """The App's private key, parsed once.

    Raises:
        BadCredentials: the text is not an RSA key in PEM.
    """

    __slots__ = ("_key",)

    def __init__(self, pem: str) -> None:
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            message = "the App's private key is not a PEM that can be read"
            raise BadCredentials(message) from None  # the cause's frames hold the text.
        if not isinstance(key, RSAPrivateKey):
            message = "the App's private key is not an RSA key"
            raise BadCredentials(message)
        self._key = key

    def assertion(self, app_id: int, now: datetime) -> SecretToken:
        """The App's own signed statement of who it is, good for nine minutes.

        It is dated a minute back, as GitHub advises, because its clock and ours may differ.

        Source: GitHub docs, "Generating a JSON Web Token (JWT) for a GitHub App".
        """
        expires_at = now + ASSERTION_LIFE
        claims = {"iss": str(app_id), "iat": now - timedelta(seconds=60), "exp": expires_at}
        return SecretToken(jwt.encode(claims, self._key, algorithm="RS256"), expires_at)
