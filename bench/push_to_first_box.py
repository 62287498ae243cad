"""How long a push waits for its first box: from the answer to its webhook until the box's process is started.

A GitHub stand-in and the bot are two processes as users start them; a pull request's branch is pushed to with git, and
the mirror is warm. Between the two stands a door of ours, which only passes webhooks on and notes when the bot has
answered. Where the time goes is read from what the bot keeps anyway: the times of a flow's steps and the run's record.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report
from bench.servers import free_port, server

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
REPO = "octo/app"
BOX = "#!/bin/sh\necho 1..1\necho ok 1\n"
PATIENCE = 30.0
STEPS = ("read", "prepare", "announce")


class Door:
    """Passes webhooks on to the bot and notes when each was answered, in Unix seconds."""

    def __init__(self, bot_port: int) -> None:
        self._bot_port = bot_port
        self._open: set[asyncio.Task[None]] = set()
        self._answered: list[tuple[float, bytes]] = []

    def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the sender's until the sender closes it."""
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def close(self) -> None:
        """Wait until every sender has gone."""
        await asyncio.gather(*self._open)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each request gets a connection to the bot of its own."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _message(reader)
                bot_reader, bot_writer = await asyncio.open_connection("127.0.0.1", self._bot_port)
                bot_writer.write(request)
                answer = await _message(bot_reader)
                self._answered.append((time.time(), request))
                writer.write(answer)
                bot_writer.close()
        writer.close()

    def answered(self, sha: str) -> float | None:
        """When the bot answered the delivery that says a pull request has this head."""
        for at, request in self._answered:
            head, _, body = request.partition(b"\r\n\r\n")
            if b"x-github-event: pull_request\r\n" in head.lower() + b"\r\n":
                payload = json.loads(body)
                if payload["action"] == "synchronize" and payload["pull_request"]["head"]["sha"] == sha:
                    return at
        return None


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)


class Story:
    """A person with a clone of the repository, on a pull request's branch."""

    def __init__(self, hub: dict[str, Any], directory: Path, data_dir: Path) -> None:
        self._hub = hub
        self._clone = directory / "clone"
        self._data_dir = data_dir
        self._token = hub["users"]["mona"]
        address = f"{hub['url'].replace('://', f'://mona:{self._token}@')}/{REPO}.git"
        self._git("clone", "--quiet", address, str(self._clone), cwd=directory)
        self._git("checkout", "--quiet", "-b", "topic")

    def push(self, content: str) -> str:
        """Commit one changed file and push it; returns the new head."""
        (self._clone / "src" / "file_1.txt").write_text(content)
        self._git("commit", "--quiet", "--all", "--message", "Change a file")
        self._git("push", "--quiet", "origin", "topic")
        return self._git("rev-parse", "HEAD").strip()

    def open_pull_request(self) -> None:
        """From the branch into main."""
        self._api("POST", f"/repos/{REPO}/pulls", {"title": "Change a file", "head": "topic", "base": "main"})

    async def verdict(self, sha: str) -> None:
        """Wait until the bot has concluded on a head.

        Raises:
            TimeoutError: it has not.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                path = f"/repos/{REPO}/commits/{sha}/check-runs?check_name=Interlock"
                runs = (await asyncio.to_thread(self._api, "GET", path))["check_runs"]
                if runs and runs[0]["conclusion"] == "success":
                    return
                assert not runs or runs[0]["conclusion"] is None, runs
                await asyncio.sleep(0.1)

    def first_box(self, number: int) -> float:
        """When the first box of a run was started, in Unix seconds."""
        with (self._data_dir / "runs" / str(number) / "events-1.jsonl").open() as lines:
            return next(float(event["at"]) for event in map(json.loads, lines) if event.get("type") == "box_started")

    def _api(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/vnd.github+json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._hub["url"] + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def _git(self, *words: str, cwd: Path | None = None) -> str:
        who = ("-c", "user.name=mona", "-c", "user.email=mona@localhost")
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            ["git", *who, *words], cwd=cwd or self._clone, env=env, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


def steps(data_dir: Path, sha: str) -> dict[str, tuple[float, float]]:
    """When each step of the flows for a head began and ended, in Unix seconds, by name."""
    with contextlib.closing(sqlite3.connect(data_dir / "engine.sqlite")) as engine:
        rows = engine.execute(
            "SELECT o.function_name, o.started_at_epoch_ms, o.completed_at_epoch_ms FROM operation_outputs o"
            " WHERE o.workflow_uuid LIKE ? OR o.workflow_uuid IN"
            " (SELECT workflow_uuid FROM operation_outputs WHERE output LIKE ?)",
            (f"run:%{sha}", f"%{sha}%"),
        ).fetchall()
    return {name: (began / 1e3, ended / 1e3) for name, began, ended in rows if began and ended}


def template(directory: Path) -> Path:
    """A small repository: three boxes, fifty files."""
    boxes, sources = directory / "boxes" / "tier-1", directory / "src"
    boxes.mkdir(parents=True)
    sources.mkdir()
    for number in (1, 2, 3):
        (boxes / f"0{number}_ok.sh").write_text(BOX)
        (boxes / f"0{number}_ok.sh").chmod(0o755)
    for number in range(50):
        (sources / f"file_{number}.txt").write_text(f"{number}\n" * 20)
    return directory


@contextlib.contextmanager
def localhub(directory: Path, webhook_url: str) -> Iterator[dict[str, Any]]:
    """The stand-in as a process; gives the line that it prints when it is ready."""
    seed = directory / "seed.yml"
    template(directory / "template")
    seed.write_text(
        f"users: [mona]\nrepositories:\n  - {{name: {REPO}, from: ./template, collaborators: {{mona: write}}}}\n"
    )
    command = [sys.executable, "-m", "bot.cli", "localhub", "--state", str(directory / "hub"), "--seed", str(seed)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with (
        (directory / "hub.log").open("wb") as log,
        subprocess.Popen([*command, "--webhook-url", webhook_url], env=env, stdout=subprocess.PIPE, stderr=log) as hub,
    ):
        try:
            assert hub.stdout, "started with a pipe"
            line = hub.stdout.readline()
            assert line, (directory / "hub.log").read_text()
            yield json.loads(line)
        finally:
            hub.terminate()


@contextlib.asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[tuple[Story, Door, Path]]:
    """Everything up: the stand-in, the door, the bot, and a person on a branch."""
    bot_port, data_dir = free_port(), directory / "data"
    door = Door(bot_port)
    listener = await asyncio.start_server(door.enter, "127.0.0.1", 0, limit=1 << 25)
    address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/webhooks"
    with localhub(directory, address) as hub:
        env = {
            "INTERLOCK_DATA_DIR": str(data_dir),
            "INTERLOCK_GITHUB_API_URL": hub["url"],
            "INTERLOCK_GITHUB_APP_ID": str(hub["app_id"]),
            "INTERLOCK_GITHUB_PRIVATE_KEY_FILE": hub["private_key_file"],
            "INTERLOCK_WEBHOOK_SECRET": hub["webhook_secret"],
        }
        with server([sys.executable, "-m", "bot.cli", "serve", "--port", str(bot_port)], env, bot_port, directory):
            yield Story(hub, directory, data_dir), door, data_dir
    listener.close()
    await door.close()


async def measure(directory: Path) -> dict[str, list[float]]:
    """Milliseconds of each round: `all`, and its parts."""
    found: dict[str, list[float]] = {}
    async with stage(directory) as (story, door, data_dir):
        sha = await asyncio.to_thread(story.push, "to begin with\n")
        await asyncio.to_thread(story.open_pull_request)
        await story.verdict(sha)
        for turn in range(ROUNDS + 1):
            sha = await asyncio.to_thread(story.push, f"turn {turn}\n")
            await story.verdict(sha)
            answered = door.answered(sha)
            assert answered, "the bot heard nothing of the push"
            box, when = story.first_box(turn + 2), steps(data_dir, sha)
            if turn == 0:
                continue  # it warms up
            spent = {name: when[name][1] - when[name][0] for name in STEPS}
            spent["child"] = box - when["announce"][1]
            spent["all"] = box - answered
            spent["between"] = spent["all"] - sum(spent[name] for name in (*STEPS, "child"))
            for name, seconds in spent.items():
                found.setdefault(name, []).append(seconds * 1e3)
    return found


def main() -> int:
    """Measure and print; 1 when the promise does not hold here and now."""
    print(f"push to first box, warm mirror, pull request, medians of {ROUNDS} pushes; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        found = {name: statistics.median(values) for name, values in asyncio.run(measure(Path(directory))).items()}
    return report(
        [
            Figure(what="webhook answered -> first box started", value=found["all"], unit="ms", promise=100),
            Figure(what="  read the delivery", value=found["read"], unit="ms"),
            Figure(what="  prepare (fetch, merge, export, list)", value=found["prepare"], unit="ms"),
            Figure(what="  announce (check runs)", value=found["announce"], unit="ms"),
            Figure(what="  start the runner and its first box", value=found["child"], unit="ms"),
            Figure(what="  between the steps (the engine)", value=found["between"], unit="ms"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
