"""What is deployed in stories: a small server whose answers a file of the repository decides."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

from bot.deploy.residents import Resident

SERVER = """\
import http.server, json, os, pathlib, sys
HERE = pathlib.Path(__file__).parent
BEHAVIOUR = json.loads((HERE / "behaviour.json").read_text())
if BEHAVIOUR.get("dies"):
    print("cannot find the database"); sys.exit(3)
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global asked
        asked += 1
        bad = "bad_after" in BEHAVIOUR and asked > BEHAVIOUR["bad_after"]
        body = BEHAVIOUR["says"].encode()
        self.send_response(500 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def behaves(says: str, **more: object) -> dict[str, str]:
    """The files of a release that answers so."""
    return {"server.py": SERVER, "behaviour.json": json.dumps({"says": says, **more})}


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int) -> tuple[int, str]:
    """What users are answered: status and body; (0, "") when nobody is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


@asynccontextmanager
async def users(port: int) -> AsyncIterator[list[tuple[int, str]]]:
    """Somebody who asks without a pause over one connection, never twice for the same; every answer, in order."""
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def keep_asking() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        while not over.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answers.append((answer.status, answer.read().decode()))
            except OSError:
                answers.append((0, ""))
                connection.close()
        connection.close()

    asking = asyncio.create_task(asyncio.to_thread(keep_asking))
    try:
        yield answers
    finally:
        over.set()
        await asking


def command() -> str:
    """The command that serves."""
    return f"{sys.executable} server.py"


async def end_everything(data_dir: Path) -> None:
    """End what outlives a bot on purpose: controllers, slots and routers."""
    for journal in data_dir.glob("deployments/*/journal.jsonl"):
        started = [json.loads(line) for line in journal.read_text().splitlines() if '"started"' in line]
        for pid in {entry["data"]["pid"] for entry in started if "pid" in entry["data"]}:
            with suppress(OSError):
                if str(journal.parent) in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
    for note in data_dir.glob("environments/**/process.json"):
        await Resident(note.parent).stop(0)
