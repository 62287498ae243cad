"""The step: refuses what it must not run, prepares the machine, runs the runner, and says how it went."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

from action import machine, origin, outcome
from action.inputs import BadInput, read
from action.outcome import Outcome, Reason
from runner.report.github import Console, place_of
from runner.report.text import clean, inert
from runner.verdict import EXIT_CONFIGURATION, EXIT_GREEN, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_RED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from action.inputs import Inputs

TITLE = {"title": "Interlock"}
LAUNCH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from runner.cli import main; sys.exit(main())"
# Files through which a step speaks to those after it, and keys to more than a box needs.
_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
_KEYS = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_RUNTIME_TOKEN")
_WITHHELD = frozenset({*_FILES, "GITHUB_OUTPUT", *_KEYS})
_PLACED = re.compile(r"runner: (?:(?P<file>[^:\s][^:]*):(?P<line>[0-9]{1,7}): )?(?P<said>.*)")


def main(environ: Mapping[str, str], *, checkout: str) -> int:
    """Run the step; returns its exit code.

    Args:
        environ: the step's environment, in the current directory, which is the workspace.
        checkout: where this action's own files are.
    """
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    console = Console(sys.stdout)
    ended = _Step(environ, checkout, console).run()
    if path := environ.get("GITHUB_OUTPUT"):
        outcome.write(ended.outputs(), path)
    console.flush()
    return ended.code


class _Step:
    def __init__(self, environ: Mapping[str, str], checkout: str, console: Console) -> None:
        self._environ = environ
        self._checkout = checkout
        self._console = console

    def run(self) -> Outcome:
        try:
            asked = read(self._environ)
        except BadInput as bad:
            return self._refuse(str(bad), Outcome(code=EXIT_USAGE, reason=Reason.USAGE))
        why = origin.stranger(self._environ.get("GITHUB_EVENT_NAME", ""), self._payload())
        if why and not asked.fork_code:
            event = self._environ["GITHUB_EVENT_NAME"]
            sentence = (
                f"nothing was run: a workflow on {event} has this repository's rights, and {why}. Run boxes on"
                " pull_request instead; docs/how-to/run-boxes-in-a-workflow.md of Interlock says how"
            )
            return self._refuse(sentence, Outcome(code=EXIT_CONFIGURATION, reason=Reason.FORK_CODE))
        if why:
            self._console.command("warning", TITLE, f"allow-unsafe-fork-code is set, and {why}")
        scratch = tempfile.mkdtemp(prefix="interlock-", dir=self._environ.get("RUNNER_TEMP") or None)
        files = [(path, _size(path)) for name in _FILES if (path := self._environ.get(name, ""))]
        try:
            return self._in(scratch, asked)
        finally:
            shutil.rmtree(os.path.join(scratch, "python"), ignore_errors=True)
            self._discard(files)

    def _in(self, scratch: str, asked: Inputs) -> Outcome:
        """The run itself, with a directory for its files."""
        if asked.sandbox != "off":
            machine.open_sandbox(self._environ, self._console.say)
        try:
            python = machine.interpreter(asked.directory, checkout=self._checkout, scratch=scratch)
        except machine.CannotInstall as cannot:
            self._console.group("The runner's dependencies could not be installed", clean(str(cannot)).split("\n"), ())
            sentence = "the runner's dependencies could not be installed, which it needs to read .github/interlock.yml"
            return self._refuse(sentence, Outcome(code=EXIT_INTERNAL, reason=Reason.NO_DEPENDENCIES))
        launch = [python, "-I", "-c", LAUNCH, self._checkout, "-C", asked.directory]
        place = place_of(asked.directory, self._environ)
        runner = Runner(self._console, launch, self._child_environment(), place=place)
        report = os.path.join(scratch, "report.jsonl")
        words = ["--sandbox", asked.sandbox, "--format", "github"]
        words += ["--shard", asked.shard] if asked.shard else []
        words += ["--jobs", asked.jobs] if asked.jobs else []
        junit = ["--junit", asked.junit] if asked.junit else []
        run = ["run", *words, *junit, "--jsonl", report, "--", asked.select]
        ended = outcome.outcome_of(runner.run(run), report)
        files = {"report": report, "junit": asked.junit}
        ended = replace(ended, files={name: path for name, path in files.items() if os.path.isfile(path)})
        if ended.code == EXIT_GREEN and asked.falsify != "off":
            strict = ["--strict"] if asked.falsify == "require" else []
            code = runner.run(["falsify", *words, *strict, "--", asked.select])
            ended = self._proved(ended, code, required=bool(strict))
        return ended

    def _proved(self, ended: Outcome, code: int, *, required: bool) -> Outcome:
        """A green run after its falsification, which ended with `code`."""
        if code == EXIT_GREEN:
            return ended
        if required or code == EXIT_INTERRUPTED:
            reason = Reason.NOT_PROVEN if code == EXIT_RED else outcome.reason_of(code)
            return replace(ended, code=code, reason=reason)
        self._console.command("warning", TITLE, "not every box proved that it can fail")
        return ended

    def _payload(self) -> object:
        """The event that started the workflow; None if it cannot be read."""
        try:
            with open(self._environ.get("GITHUB_EVENT_PATH", ""), encoding="utf-8") as file:
                payload: object = json.load(file)
        except (OSError, ValueError, RecursionError):
            return None
        return payload

    def _child_environment(self) -> dict[str, str]:
        """What the runner, and so a box outside a sandbox, may know."""
        return {
            name: value
            for name, value in self._environ.items()
            if name not in _WITHHELD and not name.startswith("INPUT_")
        }

    def _refuse(self, sentence: str, ended: Outcome) -> Outcome:
        self._console.command("error", TITLE, sentence)
        return ended

    def _discard(self, files: Sequence[tuple[str, int]]) -> None:
        """Take back what boxes told the steps after this one: a box is no step, and may be a stranger's."""
        for path, size in files:
            if _size(path) != size:
                os.truncate(path, size)
                self._console.command("warning", TITLE, f"a box wrote to {os.path.basename(path)}; that was discarded")


class Runner:
    """Runs commands of the runner; what it says on standard error is shown and cannot be an order to GitHub."""

    def __init__(self, console: Console, launch: Sequence[str], environ: Mapping[str, str], *, place: str) -> None:
        self._console = console
        self._launch = launch
        self._place = place
        self._environ = environ

    def run(self, words: Sequence[str]) -> int:
        """Run a command line; returns its exit code. A cancelled workflow's signals are handed on."""
        self._console.flush()
        with subprocess.Popen(
            [*self._launch, *words],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, _: process.send_signal(number))
            said: list[str] = []
            assert process.stderr is not None
            for line in process.stderr:
                shown = " ".join(clean(line).split("\n")).rstrip()
                said = [*said[-99:], shown]
                self._console.write(inert(shown))
                self._console.flush()
        code = process.returncode
        if code not in {EXIT_GREEN, EXIT_RED}:
            self._annotate(said)
        return code if code >= 0 else 128 - code

    def _annotate(self, said: Sequence[str]) -> None:
        """What kept the run from running, where it can be mended."""
        for match in filter(None, map(_PLACED.fullmatch, said)):
            place = {"file": self._place + match["file"], "line": match["line"]} if match["file"] else {}
            self._console.command("error", {**place, **TITLE}, match["said"])


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
