"""What boxes a run's files hold, asked of a process of its own, because strangers may have written them."""

from __future__ import annotations

from asyncio.subprocess import Process
from typing import Any, Self

from bot.flows.asking import NoAnswer, answer_of, dismiss, start_asking
from bot.flows.child import runner_argv
from bot.flows.context import Context
from bot.ops.runner_child import runner_environ
from bot.store.runs import Run

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

    def __init__(self, ctx: Context, run: Run, trust: str, *, has_base: bool) -> None:
        self._files = ctx.files(run)
        self._cache = ctx.cache(run.repo_id, trust)
        self._has_base = has_base
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        argv = runner_argv(self._files, "list", launch=LIST, has_base=self._has_base)
        self._process = await start_asking(
            [*argv, "--json"], directory=self._files.directory, environ=runner_environ(self._cache)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await dismiss(self._process)

    async def read(self) -> dict[str, Any]:
        """The document, now that the files are there; what cannot be read is an error in it."""
        assert self._process, "entered"
        try:
            return await answer_of(self._process, b"\n")
        except NoAnswer as why:
            return {"errors": [{"message": str(why)}]}
