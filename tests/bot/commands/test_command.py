"""`interlock command` against servers that are no bot, on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bot.cli import main
from bot.ops.operator_key import OperatorKey


class _Page(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b"<!doctype html>\n<title>Nothing here</title>\n<style>:root { --fg:#1f2328 }</style>"
        self.send_response(405)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_server_that_is_no_bot_is_called_one_in_a_line(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OperatorKey(tmp_path)
    assert main(["command", "octo/app#1", "/boxes status", "--url", page, "--data-dir", str(tmp_path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("no answer of a bot's; give --url the address that `interlock serve` listens on")
    assert "405" in line


def test_an_interruption_while_the_command_line_is_read_is_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bot.cli._parser", interrupted)
    assert main(["serve"]) == 130
