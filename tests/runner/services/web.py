"""A web server that answers by a table, and remembers what it was asked."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Reply(NamedTuple):
    """What it answers. `headers` replace the usual ones; it waits for `after` before it answers."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] | None = None
    after: Callable[[], object] | None = None


class Asked(NamedTuple):
    """What it was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Web:
    """Serves `replies`, by path; what is not in there is 404."""

    def __init__(self, **replies: Reply) -> None:
        self.replies = {f"/{name}": reply for name, reply in replies.items()}
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                web.asked.append(Asked(self.command, self.path, headers, body))
                reply = web.replies.get(self.path, Reply("nothing here", 404))
                if reply.after is not None:
                    reply.after()
                self.send_response(reply.status)
                for name, value in (reply.headers or {"Content-Type": "text/plain"}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    try:
                        self.wfile.write(reply.body.encode())
                    except ConnectionError:
                        return

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names.

            def log_message(self, *_: object) -> None:
                return

        return Handler
