"""A bare git repository through git's plumbing. Blocking: each question is one git process of a few milliseconds.

Answers about commits never change, so they are remembered by their ids. Names that come from outside stand behind
`--end-of-options`, so none can be read as an option.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from bot.localhub.clock import parse_timestamp, timestamp
from bot.localhub.diffs import FileChange, file_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ZERO = "0" * 40
FULL_SHA = re.compile(r"[0-9a-f]{40}")
SETTINGS = {
    "http.receivepack": "true",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.hideRefs": "refs/pull",
    "gc.auto": "0",
    "core.logAllRefUpdates": "false",
}


class GitFailed(Exception):
    """Git refused; the repository is as it was. The message is git's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who wrote a commit, and when (GitHub's timestamp format)."""

    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit object."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a tree: `kind` is `blob`, `tree` or `commit` (a submodule)."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str


def git_environment() -> dict[str, str]:
    """An environment in which no configuration of this machine or person changes git's behaviour."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


class BareRepository:
    """The commits and refs of one repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits: dict[str, Commit] = {}
        self._merges: dict[tuple[str, str], str | None] = {}
        self._diffs: dict[tuple[str, str], list[FileChange]] = {}

    def git(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git here.

        Raises:
            GitFailed: it ended with a code outside `ok`.
        """
        done = subprocess.run(  # noqa: S603 - an argument list, no shell; outside names stand behind --end-of-options.
            ["git", f"--git-dir={self.path}", *arguments],  # noqa: S607 - whichever git is on PATH is the one asked for.
            input=stdin,
            capture_output=True,
            env={**self._environment, **(env or {})},
            check=False,
        )
        if done.returncode not in ok:
            raise GitFailed(done.stderr.decode(errors="replace").strip() or f"git ended with {done.returncode}")
        return done

    @cached_property
    def _environment(self) -> dict[str, str]:
        return git_environment()

    def _text(self, *arguments: str, ok: Sequence[int] = (0,)) -> str:
        return self.git(*arguments, ok=ok).stdout.decode(errors="replace").strip()

    def create(self, default_branch: str) -> None:
        """Make the directory, with the settings that GitHub's own git servers have."""
        self.path.mkdir(parents=True)
        self._text("init", "--quiet", "--bare", f"--initial-branch={default_branch}")
        with (self.path / "config").open("a") as config:
            for key, value in SETTINGS.items():
                section, name = key.split(".")
                config.write(f"[{section}]\n\t{name} = {value}\n")

    def refs(self) -> dict[str, str]:
        """Branches and tags, by full name (`refs/heads/main`), with their commits or tag objects."""
        lines = self._text("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags").splitlines()
        return {ref: sha for sha, ref in (line.split(" ", 1) for line in lines)}

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag, full ref or (shortened) SHA names."""
        if not revision or ".." in revision or "@{" in revision or any(letter in revision for letter in "^~: "):
            return None
        if FULL_SHA.fullmatch(revision):
            return revision if self.kind(revision) == "commit" else None
        for candidate in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            found = self.git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", candidate + "^{commit}", ok=(0, 1, 128)
            )
            if found.returncode == 0:
                return found.stdout.decode().strip()
        return None

    def kind(self, sha: str) -> str | None:
        """An object's type (`commit`, `tree`, `blob`, `tag`), or nothing when it is not here."""
        if sha in self._commits:
            return "commit"
        found = self.git("cat-file", "-t", sha, ok=(0, 1, 128)) if sha.isalnum() else None
        return found.stdout.decode().strip() if found and found.returncode == 0 else None

    def branch(self, name: str) -> str | None:
        """A branch's commit."""
        found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{name}", ok=(0, 1, 128))
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def commit(self, sha: str) -> Commit:
        """The commit with this full SHA.

        Raises:
            GitFailed: there is none.
        """
        if sha not in self._commits:
            self._commits[sha] = parse_commit(sha, self.git("cat-file", "commit", sha).stdout)
        return self._commits[sha]

    def update_ref(self, ref: str, sha: str) -> None:
        """Point a ref at a commit, creating it if need be."""
        self._text("update-ref", "--end-of-options", ref, sha)

    def delete_ref(self, ref: str) -> None:
        """Delete a ref."""
        self._text("update-ref", "-d", "--end-of-options", ref)

    def valid_ref(self, ref: str) -> bool:
        """Whether git accepts this name for a ref."""
        return self.git("check-ref-format", ref, ok=(0, 1, 129)).returncode == 0

    def fetch(self, other: BareRepository, source: str, ref: str) -> None:
        """Copy a commit of another repository, with its history, to a ref here."""
        self._text("fetch", "--quiet", "--no-tags", str(other.path), f"+{source}:{ref}")

    def write(
        self,
        branch: str,
        files: Mapping[str, bytes | None],
        *,
        message: str,
        by: Person,
        executable: Sequence[str] = (),
        links: Mapping[str, str] | None = None,
    ) -> str:
        """Commit changes of files (None deletes one) on top of a branch, creating the branch if need be.

        A file that starts with `#!` or is listed in `executable` gets the executable bit. `links` are submodules: path
        to the commit that each shall stand at.

        Returns:
            The new commit's SHA.
        """
        when = _raw_date(by.date)
        text = message.encode()
        parent = self.branch(branch)
        stream = [
            f"commit refs/heads/{branch}\n".encode(),
            f"committer {by.name} <{by.email}> {when}\n".encode(),
            b"data %d\n%s\n" % (len(text), text),
            f"from {parent}\n".encode() if parent else b"",
        ]
        for path, content in sorted(files.items()):
            name = _quoted(path)
            if content is None:
                stream.append(b"D %s\n" % name)
            else:
                mode = b"100755" if content.startswith(b"#!") or path in executable else b"100644"
                stream.append(b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(content), content))
        stream += [b"M 160000 %s %s\n" % (sha.encode(), _quoted(path)) for path, sha in (links or {}).items()]
        self.git("fast-import", "--quiet", "--date-format=raw", stdin=b"".join(stream))
        written = self.branch(branch)
        assert written, "fast-import made the branch"
        return written

    def entries(self, sha: str, path: str = "") -> list[Entry]:
        """The entry at a path; for a directory, the entries in it."""
        at = path.strip("/")
        exact = self._ls_tree(sha, at) if at else []
        if exact and exact[0].kind != "tree":
            return exact
        return self._ls_tree(sha, f"{at}/" if at else "") if exact or not at else []

    def _ls_tree(self, sha: str, path: str) -> list[Entry]:
        where = ("--", path) if path else ()
        out = self.git("ls-tree", "-l", "-z", "--full-tree", sha, *where).stdout.decode(errors="replace")
        entries = []
        for line in filter(None, out.split("\0")):
            facts, name = line.split("\t", 1)
            mode, kind, object_sha, size = facts.split()
            entries.append(Entry(mode=mode, kind=kind, sha=object_sha, size=0 if size == "-" else int(size), path=name))
        return entries

    def empty_tree(self) -> str:
        """The tree without files, to diff a first commit against."""
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"").stdout.decode().strip()

    def blob(self, sha: str) -> bytes:
        """A file's content."""
        return self.git("cat-file", "blob", sha).stdout

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older` (a commit contains itself)."""
        return self.git("merge-base", "--is-ancestor", older, newer, ok=(0, 1)).returncode == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor."""
        return self._text("merge-base", one, other, ok=(0, 1)) or None

    def log(self, since: str | None, until: str, *, limit: int = 250) -> list[str]:
        """The commits that `until` has and `since` has not, newest first."""
        hidden = [f"^{since}"] if since else []
        return self._text("rev-list", f"--max-count={limit}", "--topo-order", until, *hidden).split()

    def count(self, since: str, until: str) -> int:
        """How many commits `until` has that `since` has not."""
        return int(self._text("rev-list", "--count", until, f"^{since}"))

    def diff(self, old: str, new: str) -> list[FileChange]:
        """What turned the tree of `old` into that of `new`, renames found."""
        if (old, new) not in self._diffs:
            self._diffs[old, new] = self._diff(old, new)
        return self._diffs[old, new]

    def _diff(self, old: str, new: str) -> list[FileChange]:
        options = ("diff-tree", "-r", "-M", "--no-color", "--no-ext-diff")
        raw = self.git(*options, "--raw", "-z", "--no-abbrev", old, new).stdout.decode(errors="replace")
        numbers = self.git(*options, "--numstat", "-z", old, new).stdout.decode(errors="replace")
        patch = self.git(*options, "-p", old, new).stdout.decode(errors="replace")
        return file_changes(raw, numbers, patch)

    def merge_tree(self, base: str, head: str) -> str | None:
        """The tree of a merge of two commits, or nothing when they conflict or share no history."""
        if (base, head) not in self._merges:
            done = self.git("merge-tree", "--write-tree", "--no-messages", base, head, ok=(0, 1, 128))
            merged = done.stdout.decode().split("\n", 1)[0] if done.returncode == 0 else None
            self._merges[base, head] = merged
        return self._merges[base, head]

    def commit_tree(self, tree: str, parents: Sequence[str], *, message: str, by: Person) -> str:
        """Write a commit object; no ref points at it yet."""
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", by.name), ("EMAIL", by.email), ("DATE", by.date))
        }
        points = [argument for parent in parents for argument in ("-p", parent)]
        done = self.git("commit-tree", tree, *points, "-F", "-", stdin=message.encode(), env=who)
        return done.stdout.decode().strip()


def parse_commit(sha: str, raw: bytes) -> Commit:
    """Read a commit object as `git cat-file commit` prints it."""
    head, _, message = raw.decode(errors="replace").partition("\n\n")
    facts: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, _, value = line.partition(" ")
        facts.setdefault(key, []).append(value)
    return Commit(
        sha=sha,
        tree=facts["tree"][0],
        parents=tuple(facts.get("parent", ())),
        author=_person(facts["author"][0]),
        committer=_person(facts["committer"][0]),
        message=message.removesuffix("\n"),
    )


def _person(line: str) -> Person:
    who, seconds, _zone = line.rsplit(" ", 2)
    name, _, email = who.partition(" <")
    moment = datetime.fromtimestamp(int(seconds), UTC)
    return Person(name=name, email=email.removesuffix(">"), date=timestamp(moment))


def _raw_date(date: str) -> str:
    return f"{int(parse_timestamp(date).timestamp())} +0000"


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it: C-quoted, so that no newline or quote in it ends the command."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()
