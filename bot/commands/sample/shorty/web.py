"""The web side: a page with a form, an address to post to, and the redirects."""

import logging
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from shorty.store import Busy, Links

STATIC = Path(__file__).parent / "static"
LONGEST = 2000
"""Characters of an address; browsers have limits near it."""

log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """The server, with the links that it serves. Many visitors may knock at once."""

    request_queue_size = 128

    def __init__(self, links: Links, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.links = links


class Handler(BaseHTTPRequestHandler):
    """One visitor's requests."""

    server: Server
    protocol_version = "HTTP/1.1"  # a visitor keeps the connection.
    disable_nagle_algorithm = True
    timeout = 60

    def handle_one_request(self) -> None:
        """A request; when all connections to the database are taken, an honest answer."""
        try:
            super().handle_one_request()
        except Busy:
            self._answer(503, "<p>Too many visitors. Come back in a moment.</p>")

    def do_GET(self) -> None:
        """`/`, `/health`, `/static/…`, or a code."""
        path = urlsplit(self.path).path
        if path == "/health":
            self.server.links.find("1")
            return self._answer(200, "well")
        if path == "/":
            return self._answer(200, page(self.server.links.top()))
        if path.startswith("/static/"):
            return self._static(path.removeprefix("/static/"))
        url = self.server.links.find(path[1:])
        if url is None:
            return self._answer(404, "<p>There is no such link.</p>")
        self.server.links.click(path[1:])
        return self._answer(302, "", Location=url)

    def do_POST(self) -> None:
        """`/links` with a form's `url`."""
        length = int(self.headers.get("Content-Length", 0))
        if length > 2 * LONGEST:
            return self._answer(413, "<p>This address is too long.</p>")
        url = parse_qs(self.rfile.read(length).decode("utf-8", "replace")).get("url", [""])[0].strip()
        if urlsplit(url).scheme not in {"http", "https"} or len(url) > LONGEST:
            return self._answer(400, "<p>Only addresses that begin with http:// or https://, please.</p>")
        return self._answer(201, page(self.server.links.top()), Location="/" + self.server.links.add(url))

    def _static(self, name: str) -> None:
        file = STATIC / Path(name).name
        if not file.is_file():
            return self._answer(404, "<p>There is no such file.</p>")
        return self._answer(200, file.read_text(encoding="utf-8"), **{"Content-Type": "text/css; charset=utf-8"})

    def _answer(self, status: int, body: str, **headers: str) -> None:
        log.info("%s %s -> %d", self.command, self.path, status, stacklevel=2)
        content = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so.
        """`_answer` logs, and knows more."""


def page(links: list[tuple[str, str, int]]) -> str:
    """The one page: a form, and the most used links."""
    rows = "".join(
        f'<tr><td><a href="/{code}">/{code}</a></td><td>{escape(url)}</td><td>{clicks}</td></tr>'
        for code, url, clicks in links
    )
    return (
        '<!doctype html><html lang="en"><title>shorty</title><link rel="stylesheet" href="/static/style.css">'
        '<form method="post" action="/links"><input name="url" aria-label="address"><button>Shorten</button></form>'
        f"<table>{rows}</table></html>"
    )


def serve(links: Links, port: int) -> Server:
    """A server that listens already."""
    return Server(links, port)
