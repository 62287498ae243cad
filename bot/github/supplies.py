"""What a commit only points to, put where it belongs: submodules and Git LFS files, as the base declares them.

A pull request moves the pointers and nothing else: which submodules are fetched, and from where, is the base's word.
Else a change could name any repository that the App can read, and its boxes would print it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.subject import Subject
from bot.domain.trust import TrustLevel
from bot.github.app import GitHubApp
from bot.github.errors import (
    BadCredentials,
    Forbidden,
    GitFailed,
    NotFound,
    UnexpectedAnswer,
    Unprocessable,
)
from bot.github.git import Mirror
from bot.github.lfs import MAX_BYTES, POINTER_BYTES, Pointer, Store, read_pointer
from bot.github.pulls import RepositoryFacts, repository
from bot.github.submodules import repository_of
from bot.github.tokens import SecretToken
from bot.github.workspace import READ, Workspaces

NAMED = 10
"""Files that a sentence names; of more it says how many."""

_HOPELESS = (BadCredentials, Forbidden, GitFailed, NotFound, UnexpectedAnswer, Unprocessable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the base declares: paths of submodules, and whether files in LFS are fetched."""

    submodules: frozenset[str] = frozenset()
    lfs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be filled in.

    Attributes:
        subject: its `base_sha` is the commit that declares.
        commit: what `tree` was written from.
        tree: as it was exported.
        wanted: what the base's configuration declares.
        trust: at T2 nothing is fetched with a token, so only what everybody can read.
    """

    subject: Subject
    commit: str
    tree: Path
    wanted: Wanted
    trust: TrustLevel


class Supplies:
    """Fetches what trees only point to.

    Args:
        app: buys tokens, each for one repository.
        workspaces: keep the mirrors.
    """

    def __init__(self, app: GitHubApp, workspaces: Workspaces) -> None:
        self._app = app
        self._workspaces = workspaces

    async def lay(self, order: Order) -> list[str]:
        """Fill in what the tree of a commit points to. Returns a sentence for each thing that is left as it is.

        Raises:
            GitHubUnavailable: a repeat, on a tree that was exported anew, is safe.
            RateLimited: likewise.
        """
        mirror = self._workspaces.mirror(order.subject.repo_id, order.subject.repo)
        notes = [note async for note in self._submodules(order, mirror)]
        return [*notes, *await self._large_files(order, mirror)]

    async def _submodules(self, order: Order, mirror: Mirror) -> AsyncIterator[str]:
        links = await mirror.gitlinks(order.commit)
        if not links:
            return
        addresses = await mirror.submodule_addresses(order.subject.base_sha)
        for path, sha in sorted(links.items()):
            if path not in order.wanted.submodules:
                yield f"the submodule {path} is empty; `checkout: {{submodules: [{path}]}}` on the base has it fetched"
            elif path not in addresses:
                yield f"the submodule {path} is empty: .gitmodules of the base has no address for it"
            elif why := await self._submodule(order, addresses[path], sha, order.tree / path):
                yield f"the submodule {path} is empty: {why}"

    async def _submodule(self, order: Order, url: str, sha: str, into: Path) -> str:
        """Write a submodule's tree; why not, if not."""
        subject = order.subject
        name = repository_of(url, repo=subject.repo, web_url=self._app.web_url)
        if name is None:
            return "only repositories on the same GitHub are fetched"
        try:
            facts = await repository(self._app.installation(subject.installation_id), name)
            async with self._reading(order, facts) as token:
                mirror = self._workspaces.mirror(facts.id, facts.full_name)
                await mirror.fetch((sha,), token=token)
            await mirror.export(sha, into)
        except _HOPELESS as problem:
            return str(problem)
        return ""

    @asynccontextmanager
    async def _reading(self, order: Order, facts: RepositoryFacts) -> AsyncIterator[SecretToken | None]:
        """A token for reading one repository; None for one that everybody may read.

        Raises:
            Forbidden: it is private, and this code, or this installation, has no business there.
        """
        if not facts.private:
            yield None
            return
        if order.trust is TrustLevel.T2:
            message = "what is private is not given to code of strangers"
            raise Forbidden(message)
        there = replace(order.subject, repo_id=facts.id, repo=facts.full_name)
        async with self._workspaces.job(there) as is_ours:
            if not is_ours:
                message = "the App is not installed on its repository"
                raise Forbidden(message)
            yield await self._app.token(order.subject.installation_id, repository_id=facts.id, permissions=READ)

    async def _large_files(self, order: Order, mirror: Mirror) -> list[str]:
        if not await mirror.mentions_lfs(order.commit):
            return []
        sizes = await mirror.sizes(order.commit)
        small = [order.tree / path for path, size in sizes.items() if size in POINTER_BYTES]
        pointers = await asyncio.to_thread(lambda: dict(_pointers(small)))
        if not pointers:
            return []
        left = f"{_named(order.tree, pointers)} in Git LFS and not fetched"
        if not order.wanted.lfs:
            return [f"{left}; `checkout: {{lfs: true}}` on the base has them fetched"]
        if sum(pointer.size for pointer in pointers.values()) > MAX_BYTES:
            return [f"{left}: together they are larger than {MAX_BYTES >> 20} MiB"]
        try:
            repo = order.subject.repo
            facts = await repository(self._app.installation(order.subject.installation_id), repo)
            async with self._reading(order, facts) as token, Store(self._app.git_url(repo), token) as store:
                await store.fetch(pointers)
        except _HOPELESS as problem:
            return [f"{left}: {problem}"]
        return []


def _pointers(paths: Sequence[Path]) -> Iterator[tuple[Path, Pointer]]:
    for path in paths:
        if pointer := read_pointer(path.read_bytes()):
            yield path, pointer


def _named(tree: Path, pointers: Mapping[Path, Pointer]) -> str:
    names = sorted(str(path.relative_to(tree)) for path in pointers)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'}"
