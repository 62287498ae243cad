"""`interlock serve` as a person meets it: the line that says it is up, and a sentence when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import main
from bot.localhub import keys

HOME = Path(__file__).parents[2]


def start(tmp_path: Path, *argv: str, data_dir: Path) -> subprocess.Popen[str]:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HOME),
        "INTERLOCK_DATA_DIR": str(data_dir),
        "INTERLOCK_GITHUB_API_URL": "http://127.0.0.1:1",
        "INTERLOCK_GITHUB_APP_ID": "7",
        "INTERLOCK_GITHUB_PRIVATE_KEY": keys.process_key(),
        "INTERLOCK_WEBHOOK_SECRET": "x",
    }
    command = [sys.executable, "-m", "bot.cli", "serve", *argv]
    return subprocess.Popen(command, env=environ, cwd=tmp_path, stderr=subprocess.PIPE, text=True)


def test_it_says_where_it_listens(tmp_path: Path) -> None:
    bot = start(tmp_path, "--port", "0", data_dir=tmp_path / "data")
    assert bot.stderr is not None
    sandbox, line = json.loads(bot.stderr.readline()), json.loads(bot.stderr.readline())
    with socket.create_connection((line["address"], line["port"]), timeout=10):
        bot.send_signal(signal.SIGTERM)
    bot.communicate(timeout=60)
    assert (sandbox["event"], sandbox["asked"]) == ("sandbox_found", "auto")
    assert line["event"] == "listening"
    assert bot.returncode == 0


def refusal(tmp_path: Path, *argv: str, data_dir: Path) -> str:
    bot = start(tmp_path, *argv, data_dir=data_dir)
    _, said = bot.communicate(timeout=60)
    assert bot.returncode == 3
    (line,) = said.splitlines()
    refused = json.loads(line)
    assert refused["event"] == "start_refused"
    return str(refused["because"])


def test_a_taken_port_is_refused_in_one_line_and_before_anything_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} on 127.0.0.1 is in use" in refusal(tmp_path, "--port", port, data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    said = refusal(tmp_path, "--port", "0", data_dir=tmp_path / "data")
    assert said == f"the data directory {tmp_path / 'data'} cannot be used: File exists; set INTERLOCK_DATA_DIR"


def test_a_database_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "app.sqlite").write_text("this is a letter, not a database\n" * 100)
    said = refusal(tmp_path, "--port", "0", data_dir=tmp_path / "data")
    assert said == f"{tmp_path / 'data' / 'app.sqlite'} cannot be used: file is not a database"


@pytest.mark.parametrize("port", ["99999", "-4", "http", "٣"])
def test_a_port_that_is_none_is_a_usage_error(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", f"--port={port}"])
    assert ended.value.code == 2
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err
