"""Servers as processes of their own, for a measurement."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    argv: Sequence[str], env: Mapping[str, str], port: int, directory: str | Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process of this tree that answers on `port`, ended afterwards; its log is `directory`/server.log.

    Raises:
        SystemExit: it ended before it answered; its log is the message.
    """
    logged = Path(directory, "server.log")
    with logged.open("ab") as log:
        process = subprocess.Popen(
            argv, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, stdout=log, stderr=log, cwd=directory
        )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                sys.exit(logged.read_text())
            time.sleep(0.02)  # noqa: TID251 - waiting for another process.
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)
