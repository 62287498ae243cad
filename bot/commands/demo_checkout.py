"""The demo user's working copy: a real git repository that is pushed over HTTP."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bot.commands.demo_child import output_of
from bot.commands.demo_outcome import DidNotHappen

SAMPLE = Path(__file__).parent / "sample"
CONFIG = ".github/interlock.yml"
AUTHOR = "Mona Lisa Octocat"


class Checkout:
    """A clone that belongs to one user.

    Args:
        directory: where the files are; its parent keeps what git needs besides.
        url: the repository's address for git.
        login: the user.
        token: the user's; it travels in git's environment, never on a command line.
        ports: the port that each environment of the sample gets here, by the one that its configuration names.
    """

    def __init__(
        self, directory: Path, *, url: str, login: str, token: str, ports: Mapping[int, int] | None = None
    ) -> None:
        self.directory = directory
        self._url = url
        self._ports = dict(ports or {})
        self._env = _git_environment(directory.parent / "home", login, token)

    async def begin(self) -> str:
        """Make the repository of the sample's files and push its first commit; returns the commit's SHA."""
        self.directory.mkdir(parents=True)
        copy_sample(SAMPLE, self.directory)
        for usual, free in self._ports.items():
            self.edit(CONFIG, f'"127.0.0.1:{usual}"', f'"127.0.0.1:{free}"')
        await self.git("init", "--quiet", "--initial-branch=main")
        await self.git("remote", "add", "origin", self._url)
        return await self.push("main", "Make long addresses short")

    async def branch(self, name: str) -> None:
        """Begin a branch here."""
        await self.git("switch", "--quiet", "--create", name)

    async def branch_of(self, name: str, base: str) -> None:
        """Begin a branch at a commit that GitHub has."""
        await self.git("fetch", "--quiet", "origin", base)
        await self.git("switch", "--quiet", "--create", name, base)

    async def push(self, branch: str, message: str) -> str:
        """Commit everything and push it; returns the commit's SHA."""
        await self.git("add", "--all")
        await self.git("commit", "--quiet", f"--message={message}")
        await self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return (await self.git("rev-parse", "HEAD")).strip()

    async def head(self) -> str:
        """The SHA of what is checked out."""
        return (await self.git("rev-parse", "HEAD")).strip()

    def edit(self, file: str, find: str, replace: str) -> int:
        """Replace a text that occurs once; returns the line where that is.

        Raises:
            DidNotHappen: it does not occur once.
        """
        path = self.directory / file
        text = path.read_text(encoding="utf-8")
        if text.count(find) != 1:
            message = f"{file} holds {find!r} {text.count(find)} times, not once"
            raise DidNotHappen(message)
        path.write_text(text.replace(find, replace), encoding="utf-8")
        return text[: text.index(find)].count("\n") + 1

    async def git(self, *arguments: str) -> str:
        """What a git command prints.

        Raises:
            DidNotHappen: git is missing or the command failed.
        """
        log = self.directory.parent / "git.log"
        try:
            code, printed = await output_of(["git", *arguments], env=self._env, cwd=self.directory, log=log)
        except FileNotFoundError as missing:
            message = f"git could not be started: {missing.strerror}: {missing.filename}"
            raise DidNotHappen(message) from missing
        if code:
            message = f"git {arguments[0]} failed with exit code {code}: {printed.strip()[-500:]}"
            raise DidNotHappen(message)
        return printed


def copy_sample(source: Path, target: Path) -> None:
    """Copy files of the sample, and make scripts executable: an installer may have lost that."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (path for path in target.rglob("*") if path.is_file()):
        if script.read_bytes().startswith(b"#!"):
            script.chmod(0o755)


def _git_environment(home: Path, login: str, token: str) -> Mapping[str, str]:
    """Nothing of the user's own configuration, and the token where no process list shows it."""
    home.mkdir(parents=True, exist_ok=True)
    credentials = base64.b64encode(f"{login}:{token}".encode()).decode()
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": f"{login}@example.com",
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": f"{login}@example.com",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
    }
