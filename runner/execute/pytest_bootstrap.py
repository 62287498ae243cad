"""Runs one pytest file in whatever interpreter the box belongs to; started as a script, never imported.

Like `python -m pytest FILE` in the suite's root, with one plugin more, which is handed over as an object so that
nothing of the runner is importable from the box. Written for Python 3.8 and later, which need not have the runner.

Usage: python pytest_bootstrap.py STATE FILE. STATE is written when pytest has finished its session ("finished"), or
when it is not installed ("no pytest"); without it the process ended before its time.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HARD_ERROR = 99


class Recorder:
    """The pytest plugin: writes each executed test as an assertion to the box's report."""

    def __init__(self, report: str) -> None:
        self._report = report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A phase of a test ended: its call, or a set-up or tear-down that failed."""
        if report.skipped and not hasattr(report, "wasxfail"):
            return
        if report.when == "call" or report.failed:
            self._write(report)

    def pytest_collectreport(self, report: Any) -> None:
        """A file that could not be collected is an assertion that did not hold: it says where it broke."""
        if report.failed:
            self._write(report)

    def _write(self, report: Any) -> None:
        file, line, message = _crash(report)
        name = report.nodeid.partition("::")[2] or "collection"
        record = {"type": "assertion", "id": name, "ok": not report.failed}
        if report.failed:
            record.update(message=message, file=file, line=line)
        with open(self._report, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


def _crash(report: Any) -> tuple[str, int, str]:
    """Where and with which sentence a test failed: the line that raised, else the test itself."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.path), int(crash.lineno), str(crash.message)[:4000]
    file, line, _ = getattr(report, "location", None) or (report.nodeid.partition("::")[0], 0, "")
    text = str(report.longrepr or "").strip()
    return str(file), int(line or 0) + 1, text.splitlines()[-1][:4000] if text else "failed"


def _say(state: str, word: str) -> None:
    with open(state, "w", encoding="ascii") as stream:
        stream.write(word)


def main() -> int:
    """Run the file; the exit code is pytest's own."""
    state, file = sys.argv[1:3]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [os.getcwd(), *(entry for entry in sys.path if os.path.abspath(entry or ".") != here)]
    try:
        import pytest
    except ImportError:
        _say(state, "no pytest")
        return HARD_ERROR
    code = int(pytest.main(["-p", "no:cacheprovider", file], plugins=[Recorder(os.environ["BOX_REPORT"])]))
    _say(state, "finished")
    return code


if __name__ == "__main__":
    sys.exit(main())
