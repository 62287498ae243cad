"""What holds for every test. Where CI=true a skip for a missing component fails: there, nothing may be missing."""

import os
import signal
import threading
from collections.abc import Generator

import pytest
from hypothesis import settings

MISSING = "missing component:"

# A shell without job control starts what it puts into the background with interrupts ignored, and every process that a
# test starts would inherit that; the tests that interrupt one would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines that run tests are shared, so how long one example takes says nothing about the code.
settings.register_profile("interlock", deadline=None)
settings.load_profile("interlock")


def pytest_xdist_auto_num_workers() -> int:
    """Most stories wait longer than they compute: `-n auto` is one more than there are processors."""
    return 1 + (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's skip for a missing component red."""
    report = yield
    _insist(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself."""
    report = yield
    _insist(report)
    return report


def _insist(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") != "true" or not report.skipped or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if reason.startswith(MISSING):
        report.outcome = "failed"
        report.longrepr = f"{reason} (it must be there when CI=true)"
