"""Runs `setup:` once before the boxes of a run, in their environment, into a fresh $SETUP_DIR per suite."""

from __future__ import annotations

import os

from runner.errors import SetupFailed
from runner.events import SetupFinished, SetupStarted
from runner.executor import Finished, Job
from runner.model import Attempt, Box, BoxId, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from runner.events import Event
    from runner.executor import Executor
    from runner.model import Setup, Suite


def run_setups(
    suite: Suite,
    names: Collection[str],
    *,
    executor: Executor,
    directory: str,
    emit: Callable[[Event], None],
    clock: Callable[[], float],
    stop: Callable[[], str] = str,
) -> dict[str, str]:
    """Run the setups of the suites that are named, one after the other.

    Args:
        suite: the repository's.
        names: suites of which a box will run; one without a setup is passed over.
        executor: an idle one.
        directory: existing; each setup gets a directory in it.
        emit: takes `SetupStarted` and `SetupFinished`.
        clock: Unix seconds.
        stop: when it answers anything, the setup is ended.

    Returns:
        $SETUP_DIR by suite.

    Raises:
        SetupFailed: one did not succeed; those after it were not started. The events have been told.
    """
    prepared: dict[str, str] = {}
    for name in sorted(names):
        setup = suite.setups.get(name)
        if setup is None:
            continue
        target = os.path.join(directory, f"setup-{len(prepared)}")
        os.mkdir(target, 0o755)
        emit(SetupStarted(suite=name, run=setup.run, at=clock()))
        job = Job(
            box=_as_box(name, setup),
            root=suite.root,
            cwd=suite.roots[name],
            env={"SETUP_DIR": target},
            binds={target: True},
        )
        attempt = _run(executor, job, stop)
        ok = attempt.outcome is Verdict.PASSED
        reason = "" if ok else attempt.reason or f"it ended as {attempt.outcome}"
        emit(
            SetupFinished(suite=name, ok=ok, seconds=attempt.seconds, reason=reason, output=attempt.output, at=clock())
        )
        if not ok:
            raise SetupFailed(reason)
        prepared[name] = target
    return prepared


def _as_box(suite: str, setup: Setup) -> Box:
    return Box(
        id=BoxId(suite, 0),
        tier=0,
        title="setup",
        kind="command",
        run=setup.run,
        source=setup.source,
        line=setup.line,
        timeout=setup.timeout,
        slow=setup.timeout,
    )


def _run(executor: Executor, job: Job, stop: Callable[[], str]) -> Attempt:
    executor.start(job)
    while True:
        for thing in executor.wait(None):
            if isinstance(thing, Finished):
                return thing.attempt
        if stop():
            executor.cancel(job)
