"""Runs one git command: a clean environment, bounded output, a time limit, and nothing left behind.

Knows processes, not repositories. The child leads a process group of its own, because git's helpers (git-remote-https,
index-pack) outlive a git that is killed alone. It is only reaped after its group was signalled: until then its number
cannot belong to another process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bot.github.errors import GitFailed

GRACE = 2.0
"""Seconds between SIGTERM, on which git removes its lock files, and SIGKILL."""

_STDERR_KEPT = 8192
_PASSED_ON = (
    "PATH",
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "TMPDIR"),
)
_FIXED = {
    "LC_ALL": "C",  # messages are read below and by Mirror.
    "HOME": os.devnull,
    "XDG_CONFIG_HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "GIT_SSH_COMMAND": "false",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_NEVER = {
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "true",
    "core.fileMode": "true",
    "core.autocrlf": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "credential.helper": "",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
    "http.followRedirects": "false",  # the token would go along to wherever it leads.
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
}


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: a negative `code` is the signal; `stderr` is the end of what it said."""

    code: int
    stdout: bytes
    stderr: str


def environment(
    extra: Mapping[str, str], config: Mapping[str, str], outer: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of a git command; nothing else of ours reaches it.

    Args:
        extra: variables of this command.
        config: settings of this command. They travel in the environment, where `ps` and the repository do not see them.
        outer: where PATH, proxies and certificates come from; our own environment by default.
    """
    ours = os.environ if outer is None else outer
    settings = {**_NEVER, **config}
    numbered: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(settings))}
    for at, (key, value) in enumerate(settings.items()):
        numbered |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return {name: ours[name] for name in _PASSED_ON if name in ours} | _FIXED | numbered | dict(extra)


async def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float,
    max_output: int,
    keep: Sequence[int] = (),
) -> Finished:
    """Run `git arguments…` to its end.

    Args:
        arguments: without the leading `git`.
        cwd: where it runs.
        env: its whole environment, see `environment`.
        seconds: how long it may take.
        max_output: how many bytes it may print.
        keep: descriptors that it and its helpers inherit.

    Raises:
        GitFailed: it took too long or printed too much. It and its helpers are gone by then, as after a cancellation.
    """
    child = _spawn(arguments, cwd, env, keep)
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await _collect(child, max_output)
    except TimeoutError:
        message = f"git {arguments[0]} took more than {seconds:g} s"
        raise GitFailed(message) from None
    finally:
        # Shielded: a second cancellation must not leave a git behind.
        await asyncio.shield(asyncio.create_task(_end(child)))
    return Finished(child.returncode, stdout, stderr.decode("utf-8", "replace"))


def _spawn(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], keep: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - an argument list, no shell; `Mirror` admits no option from outside.
        ["git", *arguments],  # noqa: S607 - the git on the operator's PATH.
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=tuple(keep),
        start_new_session=True,
        umask=0o022,  # a box runs under another user and must be able to read its tree.
    )


async def _collect(child: subprocess.Popen[bytes], max_output: int) -> tuple[bytes, bytes]:
    """What it prints until it and all that it started have ended."""
    assert child.stdout, "spawned with a pipe"
    assert child.stderr, "spawned with a pipe"
    tasks = (
        asyncio.create_task(_read(child.stdout, max_output, child.args)),
        asyncio.create_task(_read_end(child.stderr)),
        asyncio.create_task(_ended_alone(child.pid)),
    )
    try:
        stdout, stderr, _ = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return stdout, stderr


@asynccontextmanager
async def _stream(pipe: IO[bytes]) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        yield reader
    finally:
        transport.close()


async def _read(pipe: IO[bytes], max_output: int, command: object) -> bytes:
    """All of it, unless that is too much."""
    kept = bytearray()
    async with _stream(pipe) as reader:
        while part := await reader.read(65536):
            kept += part
            if len(kept) > max_output:
                name = command[1] if isinstance(command, list) else "?"
                message = f"git {name} printed more than {max_output} bytes"
                raise GitFailed(message)
    return bytes(kept)


async def _read_end(pipe: IO[bytes]) -> bytes:
    """The last of it; the reason of a failure comes last."""
    kept = b""
    async with _stream(pipe) as reader:
        while part := await reader.read(65536):
            kept = (kept + part)[-_STDERR_KEPT:]
    return kept


async def _ended_alone(pid: int) -> None:
    """Wait for the leader, then end what it left behind: a helper that holds a pipe would keep us waiting."""
    await _ended(pid)
    _signal_group(pid, signal.SIGKILL)


async def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the group to stop, then make it stop, then reap the leader."""
    if not _has_ended(child.pid):
        _signal_group(child.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(_ended(child.pid), GRACE)
    _signal_group(child.pid, signal.SIGKILL)
    await _ended(child.pid)
    child.wait()


async def _ended(pid: int) -> None:
    """Return once the process has ended, without reaping it."""
    if not hasattr(os, "pidfd_open"):
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a group whose leader is not reaped, so that its number is still its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
