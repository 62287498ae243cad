"""The seed: people and repositories that a hub starts with, in YAML; each mistake is an error that names its line.

users: [mona]
teams: {octo/release: [mona]}
repositories:
  - {name: octo/app, from: ./app, default_branch: main, private: false, collaborators: {mona: write},
     environments: [{name: production, reviewers: [octo/release], custom_rules: true}]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from bot.localhub.records import ROLES

if TYPE_CHECKING:
    from bot.localhub.hub import LocalHub

LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")
TEAM = re.compile(rf"{LOGIN.pattern}/[a-z0-9][a-z0-9-]{{0,99}}")
REVIEWER = re.compile(rf"{LOGIN.pattern}(?:/[a-z0-9][a-z0-9-]{{0,99}})?")
ENVIRONMENT = re.compile(r"[^\s'\"`,;\\][^'\"`,;\\\n]{0,254}")
FULL_NAME = re.compile(rf"{LOGIN.pattern}/[A-Za-z0-9._-]{{1,100}}")

REPOSITORY_KEYS = ("name", "from", "default_branch", "private", "collaborators", "forks", "environments")
ENVIRONMENT_KEYS = ("name", "reviewers", "prevent_self_review", "wait_timer", "custom_rules", "branch_policy")
BRANCH_POLICIES = ("", "protected", "custom")
MOST_REVIEWERS = 6
LONGEST_TIMER = 43_200
"""Minutes. Source: both from https://docs.github.com/rest/deployments/environments#create-or-update-an-environment"""


class SeedInvalid(Exception):
    """The seed cannot be used; the message is `file:line: what is wrong`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEnvironment:
    """An environment of a repository of a seed; `custom_rules` asks our App."""

    name: str
    reviewers: list[str]
    prevent_self_review: bool
    wait_timer: int
    branch_policy: str
    custom_rules: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRepository:
    """A repository of a seed; `source` is a directory, or None for an empty repository."""

    name: str
    source: Path | None
    default_branch: str
    private: bool
    collaborators: dict[str, str]
    forks: list[str] = field(default_factory=list)
    environments: list[SeedEnvironment] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A checked seed."""

    users: list[str] = field(default_factory=list)
    teams: dict[str, list[str]] = field(default_factory=dict)
    repositories: list[SeedRepository] = field(default_factory=list)


def read(file: Path) -> Seed:
    """Read a seed file; its relative directories are relative to it.

    Raises:
        SeedInvalid: with file and line.
    """
    try:
        document = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except OSError as wrong:
        message = f"{file}: cannot be read: {wrong.strerror}"
        raise SeedInvalid(message) from wrong
    except UnicodeDecodeError as wrong:
        message = f"{file}: cannot be read as UTF-8 text"
        raise SeedInvalid(message) from wrong
    except MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
        message = f"{file}:{line}: {(wrong.problem or 'is no YAML').splitlines()[0]}"
        raise SeedInvalid(message) from wrong
    return _Reader(file).seed({} if document is None else document)


def plant(hub: LocalHub, seed: Seed) -> None:
    """Create what the seed lists and the hub does not have yet."""
    for login in seed.users:
        hub.create_user(login)
    for name, members in seed.teams.items():
        for login in members:
            hub.create_user(login)
        hub.deploying.team(name, *members)
    for wish in seed.repositories:
        if hub.state.repository(wish.name) is None:
            hub.create_repository(
                wish.name,
                from_dir=wish.source,
                default_branch=wish.default_branch,
                private=wish.private,
                collaborators=wish.collaborators,
            )
            for login in wish.forks:
                hub.fork(wish.name, login)
            for environment in wish.environments:
                _plant_environment(hub, wish.name, environment)


def _plant_environment(hub: LocalHub, repo: str, wish: SeedEnvironment) -> None:
    for reviewer in wish.reviewers:
        if "/" not in reviewer:
            hub.create_user(reviewer)
    hub.deploying.environment(
        repo,
        wish.name,
        reviewers=wish.reviewers,
        prevent_self_review=wish.prevent_self_review,
        wait_timer=wish.wait_timer,
        branch_policy=wish.branch_policy,
        asks_us=wish.custom_rules,
    )


class _Reader:
    """One file's checks; every error knows its line."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._teams: set[str] = set()

    def seed(self, document: Any) -> Seed:
        self._keys(document, document, ("users", "teams", "repositories"))
        teams = self._mapping(document, "teams", "teams is a mapping of organization/team to logins")
        for name in teams:
            self._match(teams, name, name, TEAM, "organization/team")
        self._teams = {str(name).lower() for name in teams}
        repositories = self._list(document, "repositories")
        return Seed(
            users=self._logins(document, "users"),
            teams={str(name): self._logins(teams, name) for name in teams},
            repositories=[self._repository(repositories, index) for index in range(len(repositories))],
        )

    def _repository(self, rows: Any, index: int) -> SeedRepository:
        row = rows[index]
        self._keys(rows, row, REPOSITORY_KEYS, index)
        if "name" not in row:
            raise self._wrong(row, None, "a repository needs a name")
        self._match(row, "name", row["name"], FULL_NAME, "owner/name")
        roles = self._mapping(row, "collaborators", "collaborators is a mapping of logins to roles")
        for login, role in roles.items():
            self._match(roles, login, login, LOGIN, "a login")
            if role not in ROLES[1:]:
                raise self._wrong(roles, login, f"{role!r} is no role (there are: {', '.join(ROLES[1:])})")
        environments = self._list(row, "environments")
        return SeedRepository(
            name=str(row["name"]),
            source=self._directory(row),
            default_branch=str(row.get("default_branch", "main")),
            private=self._flag(row, "private"),
            collaborators={str(login): str(role) for login, role in roles.items()},
            forks=self._logins(row, "forks"),
            environments=[self._environment(environments, nth) for nth in range(len(environments))],
        )

    def _environment(self, rows: Any, index: int) -> SeedEnvironment:
        row = rows[index]
        self._keys(rows, row, ENVIRONMENT_KEYS, index)
        self._match(row, "name", row.get("name"), ENVIRONMENT, "the name of an environment")
        reviewers = self._list(row, "reviewers")
        for nth, reviewer in enumerate(reviewers):
            self._match(reviewers, nth, reviewer, REVIEWER, "a login or organization/team")
            if "/" in reviewer and reviewer.lower() not in self._teams:
                raise self._wrong(reviewers, nth, f"{reviewer!r} is not among the teams")
        if len(reviewers) > MOST_REVIEWERS:
            raise self._wrong(row, "reviewers", f"an environment has at most {MOST_REVIEWERS} reviewers")
        timer = row.get("wait_timer", 0)
        if isinstance(timer, bool) or not isinstance(timer, int) or not 0 <= timer <= LONGEST_TIMER:
            raise self._wrong(row, "wait_timer", f"wait_timer is a number of minutes up to {LONGEST_TIMER}")
        policy = row.get("branch_policy", "")
        if policy not in BRANCH_POLICIES:
            raise self._wrong(row, "branch_policy", "branch_policy is protected or custom")
        return SeedEnvironment(
            name=str(row["name"]),
            reviewers=[str(reviewer) for reviewer in reviewers],
            prevent_self_review=self._flag(row, "prevent_self_review"),
            wait_timer=timer,
            branch_policy=policy,
            custom_rules=self._flag(row, "custom_rules"),
        )

    def _directory(self, row: Any) -> Path | None:
        if row.get("from") is None:
            return None
        source = self._file.parent / str(row["from"])
        if not source.is_dir():
            raise self._wrong(row, "from", f"{row['from']} is no directory")
        return source

    def _keys(self, parent: Any, mapping: Any, known: tuple[str, ...], index: int | None = None) -> None:
        if not isinstance(mapping, dict):
            raise self._wrong(parent, index, f"expected a mapping with {', '.join(known)}")
        for key in mapping:
            if key not in known:
                raise self._wrong(mapping, key, f"unknown key {key!r} (there are: {', '.join(known)})")

    def _list(self, mapping: Any, key: str) -> Any:
        rows = mapping.get(key)
        if rows is None:
            return []
        if not isinstance(rows, list):
            raise self._wrong(mapping, key, f"{key} is a list")
        return rows

    def _mapping(self, mapping: Any, key: str, sentence: str) -> Any:
        rows = mapping.get(key) or {}
        if not isinstance(rows, dict):
            raise self._wrong(mapping, key, sentence)
        return rows

    def _logins(self, mapping: Any, key: str) -> list[str]:
        rows = self._list(mapping, key)
        for nth, login in enumerate(rows):
            self._match(rows, nth, login, LOGIN, "a login")
        return [str(login) for login in rows]

    def _flag(self, mapping: Any, key: str) -> bool:
        value = mapping.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(mapping, key, f"{key} is true or false")
        return value

    def _match(self, parent: Any, key: Any, value: Any, pattern: re.Pattern[str], what: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._wrong(parent, key, f"{value!r} is not {what}")

    def _wrong(self, node: Any, key: Any, sentence: str) -> SeedInvalid:
        return SeedInvalid(f"{self._file}:{_line(node, key)}: {sentence}")


def _line(node: Any, key: Any) -> int:
    """The line (from 1) of a key or item of a loaded node; of the node itself if the key has none."""
    marks = getattr(node, "lc", None)
    if marks is None:
        return 1
    places = marks.data or {}
    place = places.get(key)
    return (place[0] if place else marks.line or 0) + 1
