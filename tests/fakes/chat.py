"""A chat's webhook: it takes what Slack's takes, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Chat(ThreadingHTTPServer):
    """What was posted, and what the next post is answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.heard: list[tuple[str, str]] = []
        self.status = 200
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Post(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        takes = self.headers["Content-Type"].startswith("application/json") and set(body) == {"text"}
        if takes and self.server.status == 200:
            self.server.heard.append((self.path, body["text"]))
        else:
            self.server.refused += 1
        self.send_response(self.server.status if takes else 400)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_GET(self) -> None:
        """Where a redirection leads to; whoever follows it has told nobody."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing: a test's output is what failed."""


@contextlib.contextmanager
def open_chat() -> Iterator[Chat]:
    """A chat that listens."""
    server = Chat()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
