"""Asking a process of the runner about files that strangers may have written: with an end, and with a limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""How long an answer may take; reading ten thousand boxes needs a few seconds."""

LIMIT = 32 * 1024 * 1024
"""Bytes that an answer may have; ten thousand boxes are described in ten million."""

SAID = 64 * 1024


class NoAnswer(Exception):
    """There is no answer to go by; the message says why, in words for whoever wrote the files."""


async def start_asking(argv: Sequence[str], *, directory: Path, environ: Mapping[str, str]) -> Process:
    """Start the process that will answer on its standard output."""
    return await asyncio.create_subprocess_exec(
        *argv, cwd=directory, env=environ, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=SAID
    )


async def answer_of(process: Process, question: bytes = b"") -> dict[str, Any]:
    """The JSON object that a process prints, whatever its exit code. Afterwards the process is gone.

    Raises:
        NoAnswer: it took too long, said too much, or printed no such thing.
    """
    try:
        async with asyncio.timeout(SECONDS):
            speaking = _say(process, question)
            out, err, _ = await asyncio.gather(_read(process.stdout, LIMIT), _skim(process.stderr), speaking)
            await process.wait()
    except TimeoutError:
        message = f"reading the boxes took longer than {SECONDS:.0f} s"
        raise NoAnswer(message) from None
    finally:
        await dismiss(process)
    try:
        answer = json.loads(out)
    except (ValueError, RecursionError):
        said = err.decode("utf-8", "replace").strip()[-500:]
        raise NoAnswer(said or "the boxes cannot be read") from None
    if not isinstance(answer, dict):
        message = "the boxes cannot be read"
        raise NoAnswer(message)
    return answer


async def dismiss(process: Process) -> None:
    """End a process whose answer nobody waits for; its pipes are closed as well."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    assert stream, "piped"
    chunks: list[bytes] = []
    size = 0
    while chunk := await stream.read(SAID):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            message = f"what there is to say about the boxes is over {limit // (1024 * 1024)} MiB"
            raise NoAnswer(message)
    return b"".join(chunks)


async def _skim(stream: asyncio.StreamReader | None) -> bytes:
    """The end of what it says, however much that is."""
    assert stream, "piped"
    kept = b""
    while chunk := await stream.read(SAID):
        kept = (kept + chunk)[-SAID:]
    return kept


async def _say(process: Process, question: bytes) -> None:
    assert process.stdin, "piped"
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(question)
        await process.stdin.drain()
    process.stdin.close()
