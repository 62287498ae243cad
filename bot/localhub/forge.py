"""The hub's core, as its parts see it: what is known (state), the commits (git), the time, and where events go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.bare import BareRepository, Person
from bot.localhub.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.localhub.clock import Clock
    from bot.localhub.hooks import Hooks
    from bot.localhub.records import App, Json, Repository


class Forge:
    """State, git directories, clock and webhooks of one hub. `url` is where it answers, without a slash at the end."""

    def __init__(self, state: State, repositories: Path, clock: Clock, hooks: Hooks) -> None:
        self.state = state
        self.clock = clock
        self.hooks = hooks
        self.url = "http://127.0.0.1"
        self._directory = repositories
        self._bare: dict[int, BareRepository] = {}
        self._seen: dict[int, dict[str, str]] = {}

    @property
    def directory(self) -> Path:
        """Where the bare repositories are, `<repository id>.git`."""
        return self._directory

    def git(self, repo: Repository | int) -> BareRepository:
        """A repository's commits."""
        key = repo if isinstance(repo, int) else repo.id
        if key not in self._bare:
            self._bare[key] = BareRepository(self._directory / f"{key}.git")
        return self._bare[key]

    def new_refs(self, repo: Repository) -> tuple[dict[str, str], dict[str, str]]:
        """The branches and tags as they were at the last call, and as they are now."""
        now = self.git(repo).refs()
        before = self._seen.get(repo.id, now)
        self._seen[repo.id] = now
        return before, now

    def person(self, login: str) -> Person:
        """An account as the author of a commit that is made now."""
        user = self.state.account(login)
        return Person(name=user.login, email=user.email, date=self.clock.stamp())

    def emit(self, event: str, payload: Callable[[], Json], *, repo: Repository, app_id: int = 0) -> None:
        """Queue an event for every App that is installed on the repository and asked for it (or for one App only).

        `payload` is called at once, if anybody listens: most of the time that goes into a push is spent on it.
        """
        hearing = [
            (app, installation)
            for installation in self.state.installed(repo)
            if (app := self.state.app_of(installation)).webhook_url and app_id in {0, app.id} and wants(app, event)
        ]
        body = payload() if hearing else {}
        for app, installation in hearing:
            full = {**body, "installation": {"id": installation.id, "node_id": f"MDIz{installation.id}"}}
            self.hooks.queue(app, event, full, repository_id=repo.id, installation_id=installation.id)


ALWAYS = ("installation", "installation_repositories")
WITH_CHECKS = ("check_run", "check_suite")


def wants(app: App, event: str) -> bool:
    """Whether an App hears of an event: it subscribed, or the event belongs to a permission it has."""
    by_permission = event in WITH_CHECKS and app.permissions.get("checks") == "write"
    return event in app.events or event in ALWAYS or by_permission
