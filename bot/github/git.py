"""A local mirror of one repository's commits: fetched by SHA, merged, read and exported without ever running its code.

Nothing that a repository contains is a command here: no hook, filter, merge driver, textconv or submodule of it runs,
and its attributes do not apply. What is written out is byte for byte what was committed. Names of branches never reach
git; only full SHAs do.
"""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bot.github.errors import (
    BadCredentials,
    CommitNotFound,
    Forbidden,
    GitFailed,
    GitHubProblem,
    GitHubUnavailable,
    NotFound,
)
from bot.github.git_lock import WriterLock
from bot.github.git_process import Finished, environment, run
from bot.github.tokens import SecretToken
from runner.execute.files import remove_content

FETCH_SECONDS = 600.0
LOCAL_SECONDS = 120.0
MAX_OUTPUT = 64 << 20
MAX_FILE = 8 << 20
MAX_ATTRIBUTES = 200
MAX_LISTING = 512 << 20
MAX_TREE_BYTES = 4 << 30
MAX_TREE_FILES = 1_000_000

_SHA = re.compile(r"[0-9a-f]{40}")
_KEEP = "refs/interlock/"
_MERGER = {
    "GIT_AUTHOR_NAME": "Interlock",
    "GIT_AUTHOR_EMAIL": "interlock@localhost",
    "GIT_COMMITTER_NAME": "Interlock",
    "GIT_COMMITTER_EMAIL": "interlock@localhost",
}
# What a repository says about itself in .gitattributes does not count: this file outranks it.
_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding -diff merge=text\n"


@dataclass(frozen=True, slots=True)
class Merged:
    """The head merged into its base: the tree, and a commit of it whose SHA depends on the two parents alone."""

    tree: str
    commit: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The two cannot be merged. `paths` are the files in the way, sorted; none when the histories are unrelated."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a directory. `kind` is `file`, `executable`, `symlink`, `directory` or `submodule`; size in bytes."""

    name: str
    kind: str
    oid: str
    size: int = 0


_KINDS = {
    "100644": "file",
    "100755": "executable",
    "120000": "symlink",
    "040000": "directory",
    "160000": "submodule",
}


def sha_of(text: str) -> str:
    """`text`, if it is a full SHA in lower case.

    Raises:
        ValueError: it is a branch, an option, or anything else that git would read as more than a commit's name.
    """
    if not _SHA.fullmatch(text):
        message = f"not a full commit SHA: {text[:60]!r}"
        raise ValueError(message)
    return text


class Mirror:
    """A bare repository on this machine, one for each repository id; safe to use from any task.

    Args:
        path: where it is, or will be; its parent exists.
        remote_url: where commits come from; http(s), or `file` in tests. It holds no token.

    Raises:
        ValueError: the address is of another kind, or carries a password.
    """

    def __init__(self, path: Path, remote_url: str) -> None:
        parts = urlsplit(remote_url)
        if parts.scheme not in ("https", "http", "file") or parts.password or parts.username:
            message = f"not an address to fetch from: {parts.scheme}://{parts.hostname or ''}{parts.path}"
            raise ValueError(message)
        self.path = path.absolute()
        self.remote_url = remote_url
        self._scheme = parts.scheme
        self._writer = WriterLock(self.path, FETCH_SECONDS)

    async def fetch(self, shas: Iterable[str], *, token: SecretToken | None = None) -> None:
        """Have these commits, with all their history. Those that are here already cost no network.

        Args:
            shas: full SHAs.
            token: may read the repository's contents; sent to `remote_url` only.

        Raises:
            CommitNotFound: the repository has not got one of them; the others may have been fetched.
            BadCredentials: the token is not accepted.
            Forbidden: it may not read this repository.
            NotFound: there is no such repository, for this token.
            GitHubUnavailable: anything else on the way; a repeat is safe.
        """
        wanted = sorted({sha_of(sha) for sha in shas})
        if all(_is_loose(self.path, sha) for sha in wanted):
            return
        await asyncio.to_thread(self.path.mkdir, parents=True, exist_ok=True)
        async with self._writer.held() as lock:
            await self._create(lock)
            missing = [sha for sha in wanted if not await self._keeps(sha)]
            if not missing:
                return
            config = {"protocol.allow": "never", f"protocol.{self._scheme}.allow": "always"}
            if token:
                config["http.extraHeader"] = f"Authorization: {_basic(token)}"
            done = await self._git(
                "fetch",
                *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"),
                *("--refmap=", "--", self.remote_url),
                *(f"{sha}:{_KEEP}{sha}" for sha in missing),
                config=config,
                seconds=FETCH_SECONDS,
                lock=lock,
            )
            if done.code:
                raise _fetch_problem(_without(token, done.stderr), missing)

    async def has(self, sha: str) -> bool:
        """Whether a commit was fetched already."""
        return self.path.is_dir() and await self._keeps(sha_of(sha))

    async def read(self, sha: str, path: str) -> bytes | None:
        """A file's bytes at a commit or tree; None when there is no regular file. A symlink is not followed: None.

        Raises:
            CommitNotFound: `sha` is not in the mirror.
            GitFailed: the file is larger than `MAX_FILE`.
        """
        where = PurePosixPath(path)
        if where.is_absolute() or ".." in where.parts or not where.parts:
            return None
        for entry in await self._entries(sha, (str(where),)):
            if entry.kind in ("file", "executable"):
                if entry.size > MAX_FILE:
                    message = f"{path} has {entry.size} bytes, more than {MAX_FILE}"
                    raise GitFailed(message)
                return (await self._ok("cat-file", "blob", entry.oid)).stdout
        return None

    async def list(self, sha: str, directory: str = "") -> tuple[Entry, ...]:
        """The names in a directory at a commit or tree, sorted; empty when there is no such directory.

        Raises:
            CommitNotFound: `sha` is not in the mirror.
        """
        where = PurePosixPath(directory)
        if where.is_absolute() or ".." in where.parts:
            return ()
        return await self._entries(sha, (f"{where}/",) if where.parts else ())

    async def gitlinks(self, sha: str) -> dict[str, str]:
        """The submodules at a commit: path to commit; none without a `.gitmodules`, as a checkout would have it."""
        if await self.read(sha, ".gitmodules") is None:
            return {}
        return {path: oid for mode, oid, path in await self._every(sha) if mode == "160000"}

    async def submodule_addresses(self, sha: str) -> dict[str, str]:
        """What `.gitmodules` at a commit says: path to address, of which nothing is believed yet."""
        if await self.read(sha, ".gitmodules") is None:
            return {}
        blob = f"--blob={sha_of(sha)}:.gitmodules"
        listed = await self._git("config", blob, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
        said: dict[str, dict[str, str]] = {}
        for entry in filter(None, listed.stdout.decode("utf-8", "replace").split("\0")):
            key, _, value = entry.partition("\n")
            name, _, what = key.rpartition(".")
            said.setdefault(name, {})[what] = value
        return {each["path"]: each["url"] for each in said.values() if each.keys() == {"path", "url"}}

    async def mentions_lfs(self, sha: str) -> bool:
        """Whether some `.gitattributes` at a commit gives files to Git LFS."""
        every = await self._every(sha)
        found = [
            oid for mode, oid, path in every if mode.startswith("100") and path.rpartition("/")[2] == ".gitattributes"
        ]
        for oid in found[:MAX_ATTRIBUTES]:
            if b"filter=lfs" in (await self._ok("cat-file", "blob", oid)).stdout:
                return True
        return False

    async def sizes(self, sha: str) -> Mapping[str, int]:
        """Every regular file at a commit, with its size in bytes."""
        every = await self._every(sha, "--long")
        return {path: int(size) for mode, size, path in every if mode.startswith("100")}

    async def _every(self, sha: str, *long: str) -> tuple[tuple[str, str, str], ...]:
        """Mode, object (with `--long` its size) and path of everything below a tree but the directories.

        Not by `--format`: with that, git quotes the names that it finds unusual in spite of `-z`.
        """
        listed = await self._ok("ls-tree", "-r", "-z", *long, "--full-tree", sha_of(sha), max_output=MAX_LISTING)
        lines = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
        parts = [line.partition("\t") for line in lines if line]
        return tuple((facts.split()[0], facts.split()[-1], path) for facts, _, path in parts)

    async def contains(self, tip: str, sha: str) -> bool:
        """Whether `sha` is `tip` or one of its ancestors.

        Raises:
            CommitNotFound: one of them is not in the mirror.
        """
        for one in (tip, sha):
            await self._must_have(one)
        done = await self._git("merge-base", "--is-ancestor", sha, tip)
        if done.code not in (0, 1):
            raise _failed("merge-base", done)
        return done.code == 0

    async def is_on_line(self, tip: str, sha: str) -> bool:
        """Whether a branch that stands at `tip` stood at `sha`: what was merged into it was never the branch itself.

        Raises:
            CommitNotFound: one of them is not in the mirror.
        """
        if not await self.contains(tip, sha):
            return False
        found = await self._ok("rev-list", "--first-parent", "--parents", f"{sha_of(sha)}..{sha_of(tip)}")
        return tip == sha or any(line.split()[1:2] == [sha.encode()] for line in found.stdout.splitlines())

    async def merge(self, base: str, head: str) -> Merged | Conflict:
        """Merge `head` into `base`, as GitHub does for `refs/pull/N/merge`; nothing is fetched or pushed.

        The commit's SHA depends on the two parents alone (and on git's merge), so a repeat gives the same.

        Raises:
            CommitNotFound: one of them is not in the mirror.
        """
        base, head = sha_of(base), sha_of(head)
        done, dated = await asyncio.gather(
            self._git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head),
            self._git("show", "--no-patch", "--no-show-signature", "--format=%ct", head),
        )
        if "unrelated histories" in done.stderr:
            return Conflict(())
        # An unknown commit ends merge-tree with 1 as well, but without the tree that a conflict leaves.
        if done.code not in (0, 1) or not done.stdout or dated.code:
            for sha in (base, head):
                await self._must_have(sha)
            raise _failed("merge-tree", done)
        tree, *paths = [part.decode("utf-8", "replace") for part in done.stdout.split(b"\0") if part]
        if done.code == 1:
            return Conflict(tuple(sorted(set(paths))))
        when = dated.stdout.decode().strip()
        dates = {"GIT_AUTHOR_DATE": f"@{when} +0000", "GIT_COMMITTER_DATE": f"@{when} +0000"}
        message = f"Merge {head} into {base}"
        made = await self._ok("commit-tree", tree, "-p", base, "-p", head, "-m", message, extra=_MERGER | dates)
        commit = sha_of(made.stdout.decode().strip())
        async with self._writer.held() as lock:
            await self._ok("update-ref", f"{_KEEP}{commit}", commit, lock=lock)
        return Merged(tree, commit)

    async def diff(self, old: str, new: str) -> bytes:
        """What turns one commit or tree into another, without context, every file as text; renames are not looked for.

        Raises:
            CommitNotFound: one of them is not in the mirror.
            GitFailed: it is longer than `MAX_OUTPUT`.
        """
        options = ("-r", "-p", "-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--text")
        config = {"protocol.allow": "never", "core.quotePath": "false"}
        done = await self._git("diff-tree", *options, sha_of(old), sha_of(new), config=config)
        if done.code:
            for sha in (old, new):
                await self._must_have(sha)
            raise _failed("diff-tree", done)
        return done.stdout

    async def tree_of(self, sha: str) -> str:
        """The SHA of a commit's tree.

        Raises:
            CommitNotFound: `sha` is not in the mirror.
        """
        done = await self._git("rev-parse", "--verify", "--quiet", f"{sha_of(sha)}^{{tree}}")
        if done.code:
            raise CommitNotFound(sha)
        return sha_of(done.stdout.decode().strip())

    async def export(
        self, sha: str, destination: Path, *, max_bytes: int = MAX_TREE_BYTES, max_files: int = MAX_TREE_FILES
    ) -> None:
        """Write the tree of a commit (or a tree) to `destination`, which must be empty or not exist yet.

        There is no .git. Every file has exactly the bytes that were committed: no filter, no line ending conversion; an
        LFS pointer stays a pointer, a submodule is an empty directory. Executable bits are kept. Symlinks are written
        as git has them, also those that lead outside: who reads the tree on behalf of a box must not follow them.

        Raises:
            CommitNotFound: `sha` is not in the mirror.
            GitFailed: `destination` is not empty, the tree is larger than allowed, it holds names that git refuses to
                write (`.git`, `..`), or the disk is full. Nothing of the tree is left in `destination`.
        """
        await self._measure(sha, max_bytes, max_files)
        destination = await asyncio.to_thread(_make_empty, destination)
        with tempfile.TemporaryDirectory(prefix="interlock-index-") as private:
            extra = {"GIT_INDEX_FILE": str(Path(private, "index")), "GIT_WORK_TREE": str(destination)}
            try:
                # Into an empty index and an empty directory: reading the tree and writing it out in one process.
                await self._ok("read-tree", "--reset", "-u", sha, extra=extra, cwd=destination)
            except BaseException:
                await asyncio.to_thread(remove_content, str(destination))
                raise

    async def kept(self) -> tuple[str, ...]:
        """The commits that were fetched or merged and not forgotten, sorted."""
        listed = await self._ok("for-each-ref", "--format=%(refname)", _KEEP)
        return tuple(sorted(line.removeprefix(_KEEP) for line in listed.stdout.decode().splitlines()))

    async def forget(self, shas: Iterable[str]) -> None:
        """Stop keeping these commits; `compact` then frees what no other commit needs."""
        refs = [f"{_KEEP}{sha_of(sha)}" for sha in shas]
        async with self._writer.held() as lock:
            for ref in refs:
                await self._ok("update-ref", "-d", ref, lock=lock)

    async def compact(self) -> None:
        """Pack the mirror and drop what is not kept; takes long for large repositories, so call it when idle."""
        async with self._writer.held() as lock:
            await self._ok("gc", "--quiet", "--prune=1.hour.ago", seconds=FETCH_SECONDS, lock=lock)

    async def _create(self, lock: int) -> None:
        attributes = self.path / "info" / "attributes"
        if attributes.exists():
            return
        options = ("--quiet", "--bare", "--template=", "--object-format=sha1")
        await self._ok("init", *options, str(self.path), lock=lock)
        await asyncio.to_thread(_write_last, attributes, _ATTRIBUTES)

    async def _keeps(self, sha: str) -> bool:
        if _is_loose(self.path, sha):
            return True
        done = await self._git("rev-parse", "--verify", "--quiet", f"{_KEEP}{sha}")
        return done.code == 0

    async def _must_have(self, sha: str) -> None:
        kind = await self._git("cat-file", "-t", sha_of(sha))
        if kind.code:
            raise CommitNotFound(sha)

    async def _entries(self, sha: str, paths: Sequence[str]) -> tuple[Entry, ...]:
        listed = await self._git("ls-tree", "-z", "--long", "--full-tree", sha_of(sha), "--", *paths)
        if listed.code:
            await self._must_have(sha)
            raise _failed("ls-tree", listed)
        return tuple(_entry(line) for line in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if line)

    async def _measure(self, sha: str, max_bytes: int, max_files: int) -> None:
        """Refuse a tree that would fill the disk; a few kilobytes of nested trees can stand for billions of files."""
        try:
            listed = await self._ok(
                *("ls-tree", "-r", "--full-tree", "--format=%(objectsize)", sha_of(sha)), max_output=max_files * 8
            )
        except GitFailed as failure:
            await self._must_have(sha)
            message = f"the tree of {sha} cannot be measured: {failure}"
            raise GitFailed(message) from failure
        sizes = listed.stdout.split()
        if len(sizes) > max_files or sum(int(size) for size in sizes if size.isdigit()) > max_bytes:
            message = f"the tree of {sha} is larger than {max_bytes} bytes or {max_files} files"
            raise GitFailed(message)

    async def _ok(self, *arguments: str, **how: Any) -> Finished:
        done = await self._git(*arguments, **how)
        if done.code:
            raise _failed(arguments[0], done)
        return done

    async def _git(
        self,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        seconds: float = LOCAL_SECONDS,
        max_output: int = MAX_OUTPUT,
        lock: int | None = None,
    ) -> Finished:
        env = environment({"GIT_DIR": str(self.path), **(extra or {})}, config or {"protocol.allow": "never"})
        keep = () if lock is None else (lock,)
        return await run(arguments, cwd=cwd or self.path, env=env, seconds=seconds, max_output=max_output, keep=keep)


def _is_loose(mirror: Path, sha: str) -> bool:
    """Whether a commit is kept by a ref in a file of its own, as every one is until the mirror is compacted.

    False says nothing: the ref may have been packed, which git is then asked.
    """
    try:
        return (mirror / _KEEP / sha).read_bytes() == f"{sha}\n".encode()
    except OSError:
        return False


def _entry(line: str) -> Entry:
    facts, _, path = line.partition("\t")
    mode, _, oid, size = facts.split()
    name = path.rpartition("/")[2]
    return Entry(name=name, kind=_KINDS.get(mode, "file"), oid=oid, size=int(size) if size.isdigit() else 0)


def _basic(token: SecretToken) -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{token.reveal()}".encode()).decode()


def _without(token: SecretToken | None, text: str) -> str:
    """`text` without the token, should a proxy or a new git ever repeat it."""
    if token is None:
        return text
    return text.replace(token.reveal(), "***").replace(_basic(token).removeprefix("Basic "), "***")


def _fetch_problem(stderr: str, asked: Sequence[str]) -> GitHubProblem:
    """What git's words mean (LC_ALL=C); unknown ones are trouble on the way, which a repeat may cure."""
    lower = stderr.lower()
    if unknown := re.search(r"not our ref ([0-9a-f]{40})", lower):
        return CommitNotFound(unknown[1])
    if "unadvertised object" in lower or "couldn't find remote ref" in lower:
        return CommitNotFound(next((sha for sha in asked if sha in lower), asked[0]))
    said = " ".join(stderr.split())[-300:]
    if "authentication failed" in lower or "could not read username" in lower or "error: 401" in lower:
        return BadCredentials(f"git: {said}")
    if "error: 403" in lower:
        return Forbidden(f"git: {said}")
    if "error: 404" in lower or ("repository" in lower and "not found" in lower):
        return NotFound(f"git: {said}")
    return GitHubUnavailable(f"git could not fetch: {said}")


def _failed(command: str, done: Finished) -> GitFailed:
    return GitFailed(f"git {command} ended with {done.code}: {' '.join(done.stderr.split())[-300:]}")


def _write_last(path: Path, text: str) -> None:
    """Write a file whole or not at all: that it exists says that everything before it was done."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def _make_empty(directory: Path) -> Path:
    """The directory's absolute path, once it exists and is empty."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        message = f"the directory to export to is not empty: {directory.name}"
        raise GitFailed(message)
    return directory
