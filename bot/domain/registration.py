"""What GitHub knows about our App: facts for whoever judges whether it is set up well. Times are aware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFacts:
    """The App. `page` is its public page, `events` what it subscribed to."""

    slug: str
    name: str
    owner: str
    page: str
    permissions: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()

    @property
    def install_page(self) -> str:
        """Where a person installs it."""
        return f"{self.page}/installations/new"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFacts:
    """Where GitHub sends webhooks, and how. GitHub never shows the secret, only that there is one."""

    url: str
    has_secret: bool
    checks_certificates: bool = True
    as_json: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationFacts:
    """The App on one account, with what was granted there; `page` is where its owner changes that.

    `is_person`: it is somebody's own account, which has no teams.
    """

    id: int
    account: str
    page: str
    permissions: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    suspended: bool = False
    is_person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFacts:
    """One attempt at a webhook, as GitHub saw it end; `status_code` 0 when nobody answered."""

    id: int
    guid: str
    event: str
    status: str
    status_code: int
    delivered_at: datetime

    @property
    def arrived(self) -> bool:
        """Whether it was taken in."""
        return 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of GitHub's hourly limit of calls for one installation."""

    remaining: int
    limit: int
    resets_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A repository, and which of its environments on GitHub ask our rule; None when GitHub does not say."""

    repo: str
    private: bool
    asking: tuple[str, ...] | None = ()
