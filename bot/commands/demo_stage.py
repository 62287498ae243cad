"""Where the demo plays: its directory, the GitHub stand-in and the bot as processes, and what ends them all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from bot.commands.demo_checkout import Checkout
from bot.commands.demo_child import Child, gone, interlock, output_of, processes_of, sweep
from bot.commands.demo_github import CheckRun, Comment, GitHubUser, Shipped
from bot.commands.demo_outcome import DidNotHappen, StepOutcome
from bot.deploy.routers.choosing import NoRouter, find
from bot.ops.runner_child import LAUNCH, RUNNER_HOME

LOGIN = "mona"
APPROVER = "ada"
REPOSITORY = "octo/shorty"
TUTORIAL = "docs/tutorial/01-protect-your-first-repository.md"
LOOK_EVERY = 0.1
"""Seconds between two looks at GitHub."""

_SEED = f"""\
users: [{LOGIN}, {APPROVER}]
repositories:
  - name: {REPOSITORY}
    default_branch: main
    collaborators: {{{LOGIN}: write, {APPROVER}: maintain}}
"""
ENVIRONMENTS = {"staging": 8010, "production": 8020}
"""The sample's environments, and the ports that its configuration names; here they get free ones."""
_STOP = """\
#!/bin/sh
# Ends what `interlock demo --keep` left running, and removes its files. The bot and GitHub's stand-in come first;
# releases and their router outlive them, as they should elsewhere.
directory='{directory}'
own='{own}'
belongs() {{
    # To the demo: by its home; by where it works, if it has none, as routers do not. A shell that looks around has one.
    home=$(tr '\\0' '\\n' <"/proc/$1/environ" | sed -n 's/^HOME=//p')
    case "${{home:-$(readlink "/proc/$1/cwd")}}/" in "$directory"/*) [ "$1" != $$ ] ;; *) false ;; esac
}} 2>/dev/null
alive() {{
    if [ -d /proc/self ]; then belongs "$1"; else kill -s 0 "$1" 2>/dev/null; fi
}}
everybody() {{
    if [ ! -d /proc/self ]; then echo '{others}'; fi
    for place in /proc/[0-9]*; do
        if belongs "${{place#/proc/}}"; then echo "${{place#/proc/}}"; fi
    done
}}
tell() {{
    kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null
}}
end() {{
    for pid in "$@"; do
        if alive "$pid"; then tell TERM "$pid"; fi
    done
    for pid in "$@"; do
        for second in 1 2 3 4 5 6 7 8; do
            if alive "$pid"; then sleep 1; fi
        done
        if alive "$pid"; then tell KILL "$pid"; fi
    done
}}
end $own
end $(everybody)
rm -rf "$directory"
"""

T = TypeVar("T")


class Stage:
    """What the steps of the story share.

    Attributes:
        directory: all files of the demonstration.
        checkout: the user's working copy, once there is a GitHub to push to.
        github: the user's view of GitHub, likewise.
        approver: that of somebody else, who may approve.
        ports: where users of each environment come in.
        no_router: why releases cannot be deployed here; "" if they can.
        pull_request: its number, and `pull_request_url` its page, once it is open.
        branch: its branch.
        merged: the SHA that it was merged as.
        runs: addresses of pages of runs, by what they show.
        comment: the sticky comment as it was last seen.
        seen: what was last looked at, for a step that waits in vain.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.checkout: Checkout
        self.github: GitHubUser
        self.approver: GitHubUser
        self.ports = {name: _free_port() for name in ENVIRONMENTS}
        router = find("auto", os.environ.get("PATH", os.defpath))
        self.no_router = router.because if isinstance(router, NoRouter) else ""
        self.pull_request = 0
        self.branch = ""
        self.merged = ""
        self.pull_request_url = ""
        self.comment_id = 0
        self.comment = ""
        self.runs: dict[str, str] = {}
        self.seen: dict[str, Any] = {}
        self.left_behind: dict[int, str] = {}
        self.cleared_in = 0.0
        self.bot_url = f"http://127.0.0.1:{_free_port()}"
        self.bot: Child | None = None
        self._hub: Child | None = None
        self._ready: dict[str, Any] = {}
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)

    # Life of the processes.

    async def start_hub(self) -> dict[str, Any]:
        """Start the GitHub stand-in; returns what it says when it is ready."""
        seed = self.directory / "seed.yml"
        seed.write_text(_SEED, encoding="utf-8")
        argv = interlock("localhub", "--state", str(self.directory / "github"), "--seed", str(seed))
        argv += ["--webhook-url", f"{self.bot_url}/webhooks"]
        hub = self._hub = self._start("localhub", argv, {})

        async def look() -> str | None:
            return hub.first_line() or None

        self._ready = json.loads(await self.until(look))
        token = self._ready["users"][LOGIN]
        self.github = GitHubUser(self.hub_url, token, REPOSITORY)
        self.approver = GitHubUser(self.hub_url, self._ready["users"][APPROVER], REPOSITORY)
        url = f"{self.hub_url}/{REPOSITORY}.git"
        ports = {usual: self.ports[name] for name, usual in ENVIRONMENTS.items()}
        self.checkout = Checkout(self.directory / "shorty", url=url, login=LOGIN, token=token, ports=ports)
        return self._ready

    async def start_bot(self) -> Child:
        """Start the bot, and wait until it says that it is ready."""
        parts = urlsplit(self.bot_url)
        settings = {
            "INTERLOCK_DATA_DIR": str(self.directory / "bot"),
            "INTERLOCK_GITHUB_API_URL": self.hub_url,
            "INTERLOCK_GITHUB_APP_ID": str(self._ready["app_id"]),
            "INTERLOCK_GITHUB_PRIVATE_KEY_FILE": self._ready["private_key_file"],
            "INTERLOCK_WEBHOOK_SECRET": self._ready["webhook_secret"],
            "INTERLOCK_DRAIN_SECONDS": "3",
            # A day's work in a minute: GitHub would take 80 writes, and the bot would wait for the next minute.
            "INTERLOCK_GITHUB_WRITES_A_MINUTE": "2000",
            "INTERLOCK_GITHUB_WRITES_AN_HOUR": "20000",
            # Nothing is kept from releases here: the repository is the demo's own, and so are key and data.
            "INTERLOCK_DEPLOY_TARGETS": "process",
            "INTERLOCK_DEPLOY_UNCONFINED": "yes",
        }
        argv = interlock("serve", "--host", str(parts.hostname), "--port", str(parts.port))
        self.bot = self._start("bot", argv, settings)

        async def look() -> bool | None:
            with contextlib.suppress(httpx.TransportError):
                return (await self._http.get(f"{self.bot_url}/health/ready")).status_code == 200 or None
            return None

        await self.until(look)
        return self.bot

    async def kill_bot(self) -> int:
        """`kill -9` the bot; its process id."""
        assert self.bot
        child, self.bot = self.bot, None
        await child.kill()
        return child.pid

    def _start(self, name: str, argv: list[str], settings: dict[str, str]) -> Child:
        log = self.directory / f"{name}.log"
        return Child(name, argv, env={**self._environment(), **settings}, cwd=self.directory, log=log)

    def _environment(self) -> dict[str, str]:
        """For every child: nothing of the user's settings, and all files in the demo's directory."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {
            "PATH": path,
            "LANG": "C.UTF-8",
            "HOME": str(self.directory / "home"),
            "TMPDIR": str(self.directory / "tmp"),
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        }

    # What the steps ask.

    @property
    def hub_url(self) -> str:
        """Where the GitHub stand-in answers."""
        return str(self._ready["url"])

    async def runner(self, *arguments: str) -> tuple[int, str]:
        """Run the box runner in the working copy, as its user would; exit code, and what it printed."""
        argv = [sys.executable, "-I", "-c", LAUNCH, RUNNER_HOME, "-C", str(self.checkout.directory), *arguments]
        log = self.directory / "runner.log"
        return await output_of(argv, env=self._environment(), cwd=self.directory, log=log)

    async def run_record(self, details_url: str) -> dict[str, Any]:
        """The bot's own account of a run, by the link that its check run carries."""
        parts = urlsplit(details_url)
        url = f"{parts.scheme}://{parts.netloc}/api/v1{parts.path}?{parts.query}"
        answer = await self._http.get(url)
        answer.raise_for_status()
        record: dict[str, Any] = answer.json()
        return record

    async def checks(self, sha: str) -> list[CheckRun]:
        """The check runs of a commit; kept as what was last seen."""
        found = await self.github.checks(sha)
        self.seen["checks"] = {check.name: f"{check.conclusion or check.status}: {check.title}" for check in found}
        return found

    async def concluded(self, sha: str) -> dict[str, CheckRun]:
        """The check runs of a commit by name, once there are some and all are completed."""

        async def look() -> list[CheckRun] | None:
            found = await self.checks(sha)
            done = any(check.name == "Interlock" for check in found) and all(c.status == "completed" for c in found)
            return found if done else None

        return {check.name: check for check in await self.until(look)}

    async def commented(self, sha: str) -> list[Comment]:
        """Interlock's comments on the pull request, once one of them is about this commit and says how it ended."""

        async def look() -> list[Comment] | None:
            found = await self.github.app_comments(self.pull_request)
            self.seen["comments"] = [asdict(comment) for comment in found]
            done = any(sha[:7] in comment.body and not comment.body.count("⏳") for comment in found)
            return found if done else None

        comments = await self.until(look)
        self.comment = comments[0].body
        return comments

    async def shipped(self, environment: str, sha: str) -> Shipped | None:
        """GitHub's newest deployment of a commit to an environment; kept as what was last seen."""
        found = [one for one in await self.github.deployments(environment) if one.sha == sha]
        self.seen[f"deployment to {environment}"] = [list(said) for said in found[0].said] if found else "none"
        return found[0] if found else None

    async def page(self, environment: str) -> int:
        """The status with which an environment's front page answers its users."""
        return (await self._http.get(f"http://127.0.0.1:{self.ports[environment]}/")).status_code

    async def until(self, look: Callable[[], Awaitable[T | None]]) -> T:
        """Look again and again until there is something to see; the step's own time limits it.

        Raises:
            DidNotHappen: the stand-in or the bot ended meanwhile.
        """
        while True:
            for child in (self._hub, self.bot):
                if child and child.ended:
                    message = f"{child.name} ended by itself"
                    raise DidNotHappen(message)
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(LOOK_EVERY)

    # The end.

    def last_seen(self) -> tuple[str, ...]:
        """What was last looked at, in lines."""
        return tuple(f"seen: {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in self.seen.items())

    def log_tails(self, lines: int = 12) -> dict[str, list[str]]:
        """The last lines of each process's log."""
        return {
            log.name: log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            for log in sorted(self.directory.glob("*.log"))
        }

    def where(self, *, kept: bool) -> dict[str, str]:
        """Where to look next, by what is there."""
        if not kept:
            return {
                "pages to look at": "make demo ARGS=--keep, or interlock demo --keep",
                "your own repository": TUTORIAL,
            }
        places = {"the pull request": self.pull_request_url, **self.runs, "all runs": f"{self.bot_url}/"}
        places |= {"logs and data": str(self.directory), "end it": f"sh {self.directory / 'stop'}"}
        return {name: place for name, place in places.items() if place}

    def leave(self) -> None:
        """Write the script that ends what stays."""
        own = [child.pid for child in (self.bot, self._hub) if child]
        others = [pid for pid in processes_of(self.directory) if pid not in own]
        script = _STOP.format(directory=self.directory, own=_numbers(own), others=_numbers(others))
        (self.directory / "stop").write_text(script, encoding="utf-8")

    async def clear(self) -> None:
        """End everything and remove every file. What did not end when it was asked to is remembered, and killed."""
        began = monotonic()
        await asyncio.gather(*(child.end() for child in (self.bot, self._hub) if child))
        # Releases and their router are meant to outlive the bot, so they are ended by hand.
        await sweep(self.directory / "bot")
        self.left_behind = await gone(self.directory, within=2)
        await sweep(self.directory)
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)
        self.cleared_in = monotonic() - began

    async def close(self) -> None:
        """Drop this process's own connections."""
        await self._http.aclose()
        if hasattr(self, "github"):
            await asyncio.gather(self.github.close(), self.approver.close())

    def cleared(self) -> StepOutcome:
        """What the end came to."""
        alive = processes_of(self.directory)
        gone_too = not self.directory.exists()
        ok = not self.left_behind and not alive and gone_too
        lines = (
            ["no process is left, and no file"] if ok else [f"left: {pid} {c}" for pid, c in self.left_behind.items()]
        )
        facts = {
            "left_behind": {str(pid): command for pid, command in self.left_behind.items()},
            "alive": {str(pid): command for pid, command in alive.items()},
            "files_removed": gone_too,
        }
        return StepOutcome(
            name="clear", title="Clear the stage", ok=ok, seconds=self.cleared_in, lines=tuple(lines), facts=facts
        )


@contextlib.asynccontextmanager
async def open_stage(*, keep: bool) -> AsyncIterator[Stage]:
    """A stage for one demonstration. At the end it is cleared, unless it shall be kept and nobody interrupted."""
    stage = Stage(_new_directory())
    kept = False
    try:
        yield stage
        kept = keep
    finally:
        await stage.close()
        if kept:
            stage.leave()
        else:
            await stage.clear()


def _new_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="interlock-demo-")).resolve()
    for name in ("home", "tmp"):
        (directory / name).mkdir()
    return directory


def _numbers(pids: Iterable[int]) -> str:
    return " ".join(map(str, pids))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
