"""What boxes a run's files hold, asked of a process of its own, because strangers may have written them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Self

from bot.flows.child import runner_argv, runner_environ
from bot.flows.context import Context
from bot.store.runs import Run

LIST_TIMEOUT = 60.0
"""Seconds that reading the boxes may take; ten thousand need a few."""
# Isolated mode, as for the child that runs boxes. All that reading a suite needs is imported before the wait.
LIST = """
import sys; sys.path.insert(0, sys.argv.pop(1))
import hashlib, json, runner.box_files, runner.commands.list_boxes, runner.config
from runner.cli import main
sys.exit(main() if sys.stdin.readline() else 0)
"""


class Listing:
    """`runner list` of a run's files. Entering starts it, leaving ends it.

    It starts before the files are there and waits for a line on its standard input: while commits travel, Python has
    the time to start.
    """

    def __init__(self, ctx: Context, run: Run) -> None:
        self._files = ctx.files(run)
        self._cache = ctx.cache(run)
        self._has_base = run.pr is not None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        argv = runner_argv(self._files, "list", launch=LIST, has_base=self._has_base)
        self._process = await asyncio.create_subprocess_exec(
            *argv,
            "--json",
            cwd=self._files.directory,
            env=runner_environ(self._cache),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # its pipes are closed as well

    async def read(self) -> dict[str, Any]:
        """The document, now that the files are there; what cannot be read is an error in it."""
        assert self._process, "entered"
        try:
            out, err = await asyncio.wait_for(self._process.communicate(b"\n"), timeout=LIST_TIMEOUT)
        except TimeoutError:
            return {"errors": [{"message": f"reading the boxes took longer than {LIST_TIMEOUT:.0f} s"}]}
        try:
            listed: dict[str, Any] = json.loads(out)
        except ValueError:
            said = err.decode("utf-8", "replace").strip()[-500:]
            return {"errors": [{"message": said or "the boxes cannot be read"}]}
        return listed
