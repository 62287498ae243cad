"""The seed: people and repositories that a hub starts with, in YAML; each mistake is an error that names its line.

users: [mona]
repositories:
  - {name: octo/app, from: ./app, default_branch: main, private: false, collaborators: {mona: write}}
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
FULL_NAME = re.compile(rf"{LOGIN.pattern}/[A-Za-z0-9._-]{{1,100}}")


class SeedInvalid(Exception):
    """The seed cannot be used; the message is `file:line: what is wrong`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRepository:
    """A repository of a seed; `source` is a directory, or None for an empty repository."""

    name: str
    source: Path | None
    default_branch: str
    private: bool
    collaborators: dict[str, str]
    forks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A checked seed."""

    users: list[str] = field(default_factory=list)
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


class _Reader:
    """One file's checks; every error knows its line."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def seed(self, document: Any) -> Seed:
        self._keys(document, document, ("users", "repositories"))
        users = self._list(document, "users")
        for index, login in enumerate(users):
            self._match(users, index, login, LOGIN, "a login")
        repositories = self._list(document, "repositories")
        return Seed(
            users=[str(login) for login in users],
            repositories=[self._repository(repositories, index) for index in range(len(repositories))],
        )

    def _repository(self, rows: Any, index: int) -> SeedRepository:
        row = rows[index]
        self._keys(rows, row, ("name", "from", "default_branch", "private", "collaborators", "forks"), index)
        if "name" not in row:
            raise self._wrong(row, None, "a repository needs a name")
        self._match(row, "name", row["name"], FULL_NAME, "owner/name")
        private = row.get("private", False)
        if not isinstance(private, bool):
            raise self._wrong(row, "private", "private is true or false")
        roles = row.get("collaborators") or {}
        if not isinstance(roles, dict):
            raise self._wrong(row, "collaborators", "collaborators is a mapping of logins to roles")
        for login, role in roles.items():
            self._match(roles, login, login, LOGIN, "a login")
            if role not in ROLES[1:]:
                raise self._wrong(roles, login, f"{role!r} is no role (there are: {', '.join(ROLES[1:])})")
        forks = self._list(row, "forks")
        for nth, login in enumerate(forks):
            self._match(forks, nth, login, LOGIN, "a login")
        return SeedRepository(
            name=str(row["name"]),
            source=self._directory(row),
            default_branch=str(row.get("default_branch", "main")),
            private=private,
            collaborators={str(login): str(role) for login, role in roles.items()},
            forks=[str(login) for login in forks],
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
