"""A real shorty on a free port, and a client that does not follow redirects."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

LOG = Path(os.environ["BOX_TMP"]) / "shorty.log"


class Shorty:
    """A running server; `process` is only known of our own."""

    def __init__(self, url: str, process: subprocess.Popen[str] | None = None) -> None:
        self.process = process
        self.address = urlsplit(url).netloc

    def get(self, path: str) -> HTTPResponse:
        """The answer to GET; its body has been read and stands in `text`."""
        return self._ask("GET", path, None)

    def shorten(self, url: str) -> HTTPResponse:
        """The answer to the form."""
        return self._ask("POST", "/links", urlencode({"url": url}))

    def last_line(self) -> str:
        """The line of source that gave the last answer, as `shorty/file:line`."""
        return "shorty/" + LOG.read_text(encoding="utf-8").splitlines()[-1].split(" ")[0]

    def _ask(self, method: str, path: str, body: str | None) -> HTTPResponse:
        connection = _connection(self.address)
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer


@contextlib.contextmanager
def running(db: str = "") -> Iterator[Shorty]:
    """Start a server, wait until it listens, and end it."""
    db = db or f"{os.environ['BOX_TMP']}/links.db"
    argv = [sys.executable, "-m", "shorty", "--port", "0", "--db", db]
    with LOG.open("a") as log, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            yield Shorty(process.stdout.readline().strip(), process)
        finally:
            process.terminate()


@contextlib.contextmanager
def there() -> Iterator[Shorty]:
    """The server at $TARGET_URL, or one of our own."""
    if url := os.environ.get("TARGET_URL"):
        yield Shorty(url)
    else:
        with running() as shorty:
            yield shorty


def _connection(address: str) -> HTTPConnection:
    """A connection; from a sandbox, through the way out that it has."""
    proxy = urlsplit(os.environ.get("HTTP_PROXY", "")).netloc
    if not proxy or address.startswith("127.0.0.1:"):
        return HTTPConnection(address, timeout=10)
    connection = HTTPConnection(proxy, timeout=10)
    connection.set_tunnel(address)
    return connection
