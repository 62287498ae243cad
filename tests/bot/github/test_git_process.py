from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.github import git_process
from bot.github.errors import GitFailed
from bot.github.git_process import Finished, environment

PIDFD_OPEN = os.pidfd_open
Run = Callable[..., Awaitable[Finished]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a shell script in git's place."""

    async def run(script: str, *arguments: str, seconds: float = 60, max_output: int = 1000) -> Finished:
        fake = tmp_path / "bin" / "git"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        env = environment({}, {}) | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
        return await git_process.run(
            ["fake", *arguments], cwd=tmp_path, env=env, seconds=seconds, max_output=max_output
        )

    return run


@pytest.fixture(params=["pidfd", "portable"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to notice an end: Linux has pidfd, other systems wait in a thread."""
    if request.param == "portable":
        monkeypatch.delattr(os, "pidfd_open")
    return str(request.param)


def ends(pid: int) -> bool:
    """True once the process has ended, however long its new parent takes to reap it."""
    try:
        descriptor = PIDFD_OPEN(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 30)[0])
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("waiting")
async def test_output_errors_and_code_come_back(run: Run) -> None:
    done = await run('echo out; echo "err $2" >&2; exit 3', "arg")
    assert done == Finished(3, b"out\n", "err arg\n")


@pytest.mark.usefixtures("waiting")
async def test_a_death_by_signal_is_a_negative_code(run: Run) -> None:
    assert (await run("kill -9 $$")).code == -signal.SIGKILL


async def test_only_the_end_of_a_long_complaint_is_kept(run: Run) -> None:
    done = await run("i=0; while [ $i -lt 3000 ]; do echo complaint $i >&2; i=$((i+1)); done; exit 1")
    assert done.stderr.endswith("complaint 2999\n")
    assert len(done.stderr) == 8192


@pytest.mark.usefixtures("waiting")
async def test_too_much_output_ends_the_command(run: Run, tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="git fake printed more than 1000 bytes"):
        await run(f"echo $$ > {tmp_path}/pid; yes")
    assert ends(int((tmp_path / "pid").read_text()))


@pytest.mark.usefixtures("waiting")
async def test_a_command_that_takes_too_long_is_ended_with_its_helpers(run: Run, tmp_path: Path) -> None:
    script = f'trap "echo asked > {tmp_path}/term; exit 1" TERM; sleep 1000 & echo $! > {tmp_path}/helper; wait'
    with pytest.raises(GitFailed, match=r"git fake took more than 0\.5 s"):
        await run(script, seconds=0.5)
    assert (tmp_path / "term").read_text() == "asked\n"
    assert ends(int((tmp_path / "helper").read_text()))


async def test_a_command_that_ignores_the_request_is_killed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_process, "GRACE", 0.05)
    with pytest.raises(GitFailed, match="took more than"):
        await run(f'trap "" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1000; done', seconds=0.3)
    assert ends(int((tmp_path / "pid").read_text()))


@pytest.mark.usefixtures("waiting")
async def test_a_cancelled_caller_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    fifo = os.open(tmp_path / "started", os.O_RDONLY | os.O_NONBLOCK)
    caller = asyncio.ensure_future(run(f"sleep 1000 & echo $! > {tmp_path}/helper; echo up > {tmp_path}/started; wait"))
    ready = asyncio.Event()
    asyncio.get_running_loop().add_reader(fifo, ready.set)
    await ready.wait()
    asyncio.get_running_loop().remove_reader(fifo)
    os.close(fifo)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ends(int((tmp_path / "helper").read_text()))


@pytest.mark.usefixtures("waiting")
async def test_a_helper_that_outlives_git_does_not_keep_us_waiting(run: Run, tmp_path: Path) -> None:
    done = await run(f"sleep 1000 & echo $! > {tmp_path}/helper; exit 0")
    assert done.code == 0
    assert ends(int((tmp_path / "helper").read_text()))


def test_our_environment_does_not_reach_git() -> None:
    outer = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://p",
        "GIT_DIR": "/x",
        "GIT_TRACE_CURL": "1",
        "SECRET": "s",
        "HOME": "/h",
    }
    env = environment({"GIT_INDEX_FILE": "i"}, {"protocol.allow": "never"}, outer)
    assert env["PATH"] == "/bin"
    assert env["HTTPS_PROXY"] == "http://p"
    assert env["HOME"] == os.devnull
    assert env["GIT_CONFIG_GLOBAL"] == env["GIT_CONFIG_SYSTEM"] == os.devnull
    assert env["GIT_INDEX_FILE"] == "i"
    assert not {"GIT_DIR", "GIT_TRACE_CURL", "SECRET"} & set(env)
    count = int(env["GIT_CONFIG_COUNT"])
    settings = {env[f"GIT_CONFIG_KEY_{at}"]: env[f"GIT_CONFIG_VALUE_{at}"] for at in range(count)}
    assert settings["protocol.allow"] == "never"
    assert settings["core.hooksPath"] == os.devnull
    assert settings["http.followRedirects"] == "false"
