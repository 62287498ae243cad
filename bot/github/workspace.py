"""From a subject to directories that a run can start in: commits fetched, head merged into base, trees written."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.domain.subject import Subject
from bot.github.app import GitHubApp
from bot.github.errors import BadCredentials, Unprocessable
from bot.github.git import Conflict, Merged, Mirror
from bot.github.tokens import SecretToken

READ = {"contents": "read"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What a run starts from.

    Attributes:
        tree: what is tested, without .git.
        base: the base commit's tree, where configuration and metadata are read; None for a push, which is its own base.
        commit: the commit that `tree` is of: the head merged into its base, or the pushed head.
    """

    tree: Path
    base: Path | None
    commit: str


class Workspaces:
    """Keeps one mirror for each repository and prepares trees from them.

    Args:
        mirrors: the directory that holds them; made when it is needed.
        app: buys the tokens and knows where git is.
    """

    def __init__(self, mirrors: Path, app: GitHubApp) -> None:
        self._root = mirrors
        self._app = app
        self._mirrors: dict[int, Mirror] = {}
        self._jobs: dict[tuple[int, int], int] = {}

    @asynccontextmanager
    async def job(self, subject: Subject) -> AsyncIterator[bool]:
        """Work on one repository, with one token for reading it that GitHub forgets when the last such work ends.

        Yields:
            Whether the repository is one of the subject's installation, as GitHub says now. If it is not, no token was
            bought, and whatever named the two together is not to be believed.
        """
        key = (subject.installation_id, subject.repo_id)
        self._jobs[key] = self._jobs.get(key, 0) + 1
        try:
            try:
                await self._token(subject)
            except Unprocessable:
                yield False
            else:
                yield True
        finally:
            self._jobs[key] -= 1
            if not self._jobs[key]:
                del self._jobs[key]
                await self._app.take_back(subject.installation_id, repository_id=subject.repo_id, permissions=READ)

    async def _token(self, subject: Subject) -> SecretToken:
        return await self._app.token(subject.installation_id, repository_id=subject.repo_id, permissions=READ)

    def mirror(self, repo_id: int, repo: str) -> Mirror:
        """The one mirror of a repository; it follows a rename."""
        mirror = self._mirrors.setdefault(repo_id, Mirror(self._root / f"{repo_id}.git", self._app.git_url(repo)))
        mirror.remote_url = self._app.git_url(repo)
        return mirror

    async def drop(self, repo_id: int) -> None:
        """Forget a repository's commits. A git that is at work in them ends badly, which is what it should."""
        self._mirrors.pop(repo_id, None)
        if (kept := self._root / f"{repo_id}.git").is_dir():
            gone = kept.rename(self._root / f"{repo_id}.gone")
            await asyncio.to_thread(shutil.rmtree, gone)

    async def fetch(self, subject: Subject) -> Mirror:
        """The mirror, once it has the subject's two commits. A fork's head comes from the base repository too.

        Raises:
            GitHubProblem: as `Mirror.fetch`; a repeat is safe.
        """
        return await self._fetch(subject, (subject.base_sha, subject.head_sha))

    async def _fetch(self, subject: Subject, shas: Sequence[str]) -> Mirror:
        mirror = self.mirror(subject.repo_id, subject.repo)
        for last in (False, True):
            token = await self._token(subject)
            try:
                await mirror.fetch(shas, token=token)
            except BadCredentials:
                self._app.forget(token)
                if last:
                    raise
            else:
                break
        return mirror

    async def prepare(self, subject: Subject, into: Path) -> Workspace | Conflict:
        """Write what is to be tested to `into/tree`, and its base, unless it is the head itself, to `into/base`.

        Args:
            subject: with a pull request, its head is merged into its base first, as GitHub Actions does. A merge
                group's head has been merged by GitHub.
            into: a directory of this run alone; `tree` and `base` in it are empty or absent.

        Raises:
            GitHubProblem: as `Mirror.fetch` and `Mirror.export`.
        """
        if subject.pr is None:
            mirror = await self.fetch(subject)
            await mirror.export(subject.head_sha, into / "tree")
            if subject.has_base:
                await mirror.export(subject.base_sha, into / "base")
            base = into / "base" if subject.has_base else None
            return Workspace(tree=into / "tree", base=base, commit=subject.head_sha)
        # The base is here more often than not: it is written while the head is on its way. Both are waited for, also
        # when one fails, so that nobody writes into a directory that a repeat has emptied.
        merged, exported = await asyncio.gather(
            self._merge(subject, into / "tree"), self._export_base(subject, into / "base"), return_exceptions=True
        )
        for outcome in (merged, exported):
            if isinstance(outcome, BaseException):
                raise outcome
        assert not isinstance(merged, BaseException), "raised above"
        if isinstance(merged, Conflict):
            await asyncio.to_thread(shutil.rmtree, into / "base")
            return merged
        return Workspace(tree=into / "tree", base=into / "base", commit=merged.commit)

    async def _merge(self, subject: Subject, tree: Path) -> Merged | Conflict:
        mirror = await self.fetch(subject)
        merged = await mirror.merge(subject.base_sha, subject.head_sha)
        if isinstance(merged, Merged):
            await mirror.export(merged.commit, tree)
        return merged

    async def _export_base(self, subject: Subject, base: Path) -> None:
        mirror = await self._fetch(subject, (subject.base_sha,))
        await mirror.export(subject.base_sha, base)
