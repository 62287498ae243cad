"""Who is calling, and what they may do. Reading `Authorization` is here; refusing is in the words of GitHub."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt

from bot.localhub import refusals
from bot.localhub.clock import parse_timestamp
from bot.localhub.state import covers

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import App, Installation, Repository, User

LEVELS = ("none", "read", "write", "admin")
JWT_LIFE = 600
"""Seconds ahead that an App's JWT may expire."""
CLOCK_SKEW = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever makes a call: nobody, an App by its JWT, an installation by its token, or a user by theirs."""

    kind: str = "anonymous"
    app: App | None = None
    installation: Installation | None = None
    user: User | None = None
    token: str = ""
    permissions: dict[str, str] = field(default_factory=dict)
    repository_ids: list[int] | None = None

    @property
    def login(self) -> str:
        """The account that acts; an installation acts as its App's bot."""
        return self.user.login if self.user else ""

    @property
    def bucket(self) -> str:
        """Whose rate limit this spends."""
        if self.installation:
            return f"installation {self.installation.id}"
        if self.app:
            return f"app {self.app.id}"
        return f"user {self.user.id}" if self.user else "anonymous"

    def covers(self, repo: Repository) -> bool:
        """Whether an installation token includes a repository."""
        if not self.installation or not covers(self.installation, repo):
            return False
        return self.repository_ids is None or repo.id in self.repository_ids

    def grants(self, permission: str, level: str) -> bool:
        """Whether an installation token has a permission at this level or above (metadata: read comes with any)."""
        held = self.permissions.get(permission, "read" if permission == "metadata" else "none")
        return LEVELS.index(held) >= LEVELS.index(level)


ANYBODY = Caller()


def caller_of(forge: Forge, authorization: str) -> Caller:
    """Read an `Authorization` header (`Bearer`, `token`, or `Basic` with the token as password or user name).

    Raises:
        Refused: 401, the credentials are not valid.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if not scheme:
        return ANYBODY
    if scheme.lower() == "basic":
        return token_caller(forge, _basic(rest))
    if scheme.lower() not in {"bearer", "token"}:
        raise refusals.bad_credentials()
    value = rest.strip()
    return jwt_caller(forge, value) if value.count(".") == 2 and value.startswith("ey") else token_caller(forge, value)


def _basic(encoded: str) -> str:
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as wrong:
        raise refusals.bad_credentials() from wrong
    return password if password and password != "x-oauth-basic" else name  # noqa: S105 - git's placeholder.


def token_caller(forge: Forge, value: str) -> Caller:
    """The user or installation behind a token.

    Raises:
        Refused: 401, unknown, revoked or expired by the hub's clock.
    """
    row = forge.state.tokens.get(value)
    if row is None or (row.expires_at and parse_timestamp(row.expires_at) <= forge.clock.now()):
        raise refusals.bad_credentials()
    if not row.installation_id:
        return Caller(kind="user", user=forge.state.account(row.login), token=value)
    installation = forge.state.installations.get(row.installation_id)
    if installation is None:
        raise refusals.bad_credentials()
    if installation.suspended_at:
        raise refusals.Refused(403, "This installation has been suspended")
    app = forge.state.app_of(installation)
    return Caller(
        kind="installation",
        app=app,
        installation=installation,
        user=forge.state.account(f"{app.slug}[bot]"),
        token=value,
        permissions=row.permissions,
        repository_ids=row.repository_ids,
    )


def jwt_caller(forge: Forge, value: str) -> Caller:
    """The App that signed a JWT.

    Raises:
        Refused: 401, with GitHub's sentence about what is wrong with it.
    """
    try:
        unchecked = jwt.decode(value, options={"verify_signature": False})
    except jwt.PyJWTError as wrong:
        raise refusals.bad_jwt("A JSON web token could not be decoded") from wrong
    issuer = str(unchecked.get("iss", ""))
    app = next((app for app in forge.state.apps if issuer in {str(app.id), app.client_id}), None)
    if app is None:
        raise refusals.bad_jwt("Integration must generate a public key")
    options = {"verify_exp": False, "verify_iat": False, "verify_iss": False, "verify_aud": False}
    try:
        jwt.decode(value, app.public_key, algorithms=["RS256"], options=options)  # type: ignore[arg-type]
    except jwt.PyJWTError as wrong:
        raise refusals.bad_jwt("A JSON web token could not be decoded") from wrong
    _check_times(forge.clock.judging(), unchecked.get("iat"), unchecked.get("exp"))
    return Caller(kind="app", app=app)


def _check_times(now: float, issued: object, expires: object) -> None:
    if not isinstance(expires, int | float) or expires <= now:
        sentence = "must be a numeric value representing the future time at which the assertion expires"
        raise refusals.bad_jwt("'Expiration time' claim ('exp') " + sentence)
    if expires > now + JWT_LIFE + CLOCK_SKEW:
        raise refusals.bad_jwt("'Expiration time' claim ('exp') is too far in the future")
    if not isinstance(issued, int | float) or issued > now + CLOCK_SKEW:
        sentence = "must be an Integer representing the time that the assertion was issued"
        raise refusals.bad_jwt("'Issued at' claim ('iat') " + sentence)


def can_see(forge: Forge, caller: Caller, repo: Repository) -> bool:
    """Whether a repository exists for this caller."""
    if not repo.private:
        return True
    if caller.kind == "installation":
        return caller.covers(repo)
    return bool(caller.user) and forge.state.role(repo, caller.login) != "none"


def require(forge: Forge, caller: Caller, repo: Repository, needs: tuple[str, ...], role: str) -> None:
    """Let a call on a repository pass, or refuse it.

    Args:
        forge: the hub's core.
        caller: who calls.
        repo: what the call is about.
        needs: an installation token must have one of these, each like `checks:write`.
        role: a user must have at least this role.

    Raises:
        Refused: 401, 403 or 404, as GitHub would.
    """
    if not can_see(forge, caller, repo):
        raise refusals.not_found()
    public_read = not repo.private and role == "read" and all(need.endswith(":read") for need in needs)
    if caller.kind == "app":
        raise refusals.authentication_required()
    if caller.kind == "installation":
        if not caller.covers(repo):
            # Outside its own repositories a token sees what anybody sees.
            if public_read:
                return
            raise refusals.not_by_integration()
        if not any(caller.grants(*need.split(":")) for need in needs):
            raise refusals.not_by_integration()
        return
    if caller.kind == "anonymous":
        if public_read:
            return
        raise refusals.authentication_required()
    if not forge.state.may(repo, caller.login, role):
        raise refusals.Refused(403, f"Must have {'push' if role == 'write' else role} access to this repository.")


def require_author(forge: Forge, caller: Caller, repo: Repository, author: str) -> None:
    """Let a user change what they wrote themselves; what others wrote takes push access.

    Raises:
        Refused: 403.
    """
    if caller.kind == "user" and caller.login != author and not forge.state.may(repo, caller.login, "write"):
        raise refusals.Refused(403, "Must have push access to this repository.")
