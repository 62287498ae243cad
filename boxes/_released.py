"""What the boxes about deployments share: a web server that is deployed, its visitors, and how its environments are
written. No box.

The server tells which commit it is of, so what users have is read from its answers and from nothing else.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from boxes._interlock import Bot, GitHub

APPROVER = "ada"
TEAM = {APPROVER: "maintain"}
SETTINGS = {"DEPLOY_TARGETS": "process", "DEPLOY_UNCONFINED": "yes"}
BOX = '#!/bin/sh\ngrep -q . version || { echo "version:1: it is empty"; exit 1; }\n'

# Its version says how it behaves: `sick` turns bad once it has served fifty pages, `dead` does not even begin.
SERVER = """\
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

VERSION = open("version").read().strip()
if VERSION == "dead":
    sys.exit("there is nothing to serve")
SERVED, SAID = count(), f"{VERSION} {os.environ['INTERLOCK_SHA']}".encode()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sick = False

    def do_GET(self):
        if self.path == "/" and VERSION == "sick" and next(SERVED) >= 50:
            Handler.sick = True
        body = b"sick" if Handler.sick else SAID
        self.send_response(500 if Handler.sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def repository(environments: Mapping[str, Any], *, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The files of a repository whose server is deployed to some environments."""
    config = json.dumps({"environments": environments})  # JSON is YAML.
    files = {"serve.py": SERVER, "version": "none\n", "boxes/tier-1/9_version.sh": BOX}
    return {**files, ".github/interlock.yml": config, **(more or {})}


def environment(port: int, **more: Any) -> dict[str, Any]:
    """An environment that follows main, watched for long enough to see that nobody is served."""
    target = {
        "kind": "process",
        "command": f"exec {sys.executable} serve.py",
        "health": "/health",
        "listen": f"127.0.0.1:{port}",
    }
    watch = {"for": "3s", "probes": [{"http": "/health", "every": "100ms"}], "traffic": False}
    return {"when": {"push": "main"}, "target": target, "gates": [{"boxes": "all"}], "watch": watch, **more}


def served(port: int) -> str:
    """What users get: the version and the commit, or why they get nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


@contextlib.contextmanager
def released(bot: Bot) -> Iterator[None]:
    """End what a bot has deployed, which is meant to outlive it, once the bot itself has ended."""
    try:
        yield
    finally:
        for _ in range(50):
            if not _end_all(os.fsencode(bot.data_dir)):
                break
            threading.Event().wait(0.05)


def _end_all(mark: bytes) -> int:
    """Kill whatever was told of a directory or works in it; how many there were."""
    found = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            places = (
                (entry / "cmdline").read_bytes(),
                (entry / "environ").read_bytes(),
                bytes((entry / "cwd").readlink()),
            )
            if any(mark in place for place in places):
                os.kill(int(entry.name), signal.SIGKILL)
                found += 1
    return found


class Visitors:
    """Users who keep their connections and never ask twice, while entered.

    Attributes:
        answers: how often each answer came, by its text, or by what came instead.
        sick: when the first and the last bad answer of a sick server came, in seconds of the clock; None for none.
    """

    def __init__(self, port: int, *, crowd: int = 6) -> None:
        self.answers: Counter[str] = Counter()
        self.sick: tuple[float, float] | None = None
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._crowd = [threading.Thread(target=self._come, daemon=True) for _ in range(crowd)]

    def __enter__(self) -> Visitors:
        for one in self._crowd:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._crowd:
            one.join()

    def lost(self) -> dict[str, int]:
        """What was no answer of a server: broken connections, and what the router had to say itself."""
        return {said: many for said, many in self.answers.items() if said != "sick" and " " not in said}

    def _come(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        while not self._over.wait(0.005):
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
                self._note(body if answer.status == 200 or body == "sick" else f"status-{answer.status}")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._note(type(error).__name__)
        connection.close()

    def _note(self, said: str) -> None:
        with self._lock:
            self.answers[said] += 1
            if said == "sick":
                now = monotonic()
                self.sick = (self.sick[0] if self.sick else now, now)


def states(github: GitHub, name: str, sha: str) -> list[str]:
    """What GitHub was told of the newest deployment of a commit to an environment, oldest first."""
    return [state for one in github.deployments(name) if one["sha"] == sha for state, _ in one["said"]]


def ended(github: GitHub, name: str, sha: str) -> bool:
    """Whether that deployment is over, as far as GitHub was told."""
    return states(github, name, sha)[-1:] in (["success"], ["failure"], ["error"], ["inactive"])
