"""Runs `setup:` before the boxes of a run, each suite's into its $SETUP_DIR; or finds what an earlier run made.

A setup is isolated as the boxes are, and may reach what it names under `network`. What it made is theirs to read.
"""

from __future__ import annotations

import os

from runner.errors import SetupFailed
from runner.events import SetupFinished, SetupStarted, Warned
from runner.executor import Finished, Job
from runner.isolation import egress_of
from runner.model import Attempt, Box, BoxId, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from runner.events import Event
    from runner.executor import Executor
    from runner.model import Setup, Suite
    from runner.setup_cache import Result, SetupCache


def run_setups(
    suite: Suite,
    names: Collection[str],
    *,
    executor: Executor,
    directory: str,
    emit: Callable[[Event], None],
    clock: Callable[[], float],
    stop: Callable[[], str] = str,
    trust: str = "",
    level: str = "off",
    environ: Mapping[str, str] | None = None,
    cache: SetupCache | None = None,
) -> dict[str, str]:
    """Run the setups of the suites that are named, one after the other.

    Args:
        suite: the repository's.
        names: suites of which a box will run; one without a setup is passed over.
        executor: an idle one.
        directory: existing; each setup whose result is not kept gets a directory in it.
        emit: takes `SetupStarted` and `SetupFinished`, and a `Warned` for what is worth knowing.
        clock: Unix seconds.
        stop: when it answers anything, the setup is ended.
        trust: T0, T1, T2, or "" for a local run.
        level: how the executor isolates.
        environ: what the setups inherit.
        cache: where results are kept; stays open while they are used. None keeps nothing.

    Returns:
        $SETUP_DIR by suite.

    Raises:
        SetupFailed: one did not succeed; those after it were not started. The events have been told.
    """
    phase = _Phase(
        suite,
        executor=executor,
        emit=emit,
        clock=clock,
        stop=stop,
        trust=trust,
        level=level,
        environ=environ or {},
        cache=cache,
    )
    prepared: dict[str, str] = {}
    for name in sorted(names):
        if setup := suite.setups.get(name):
            prepared[name] = phase.prepare(name, setup, os.path.join(directory, f"setup-{len(prepared)}"))
    return prepared


class _Phase:
    """See `run_setups`."""

    def __init__(
        self,
        suite: Suite,
        *,
        executor: Executor,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        stop: Callable[[], str],
        trust: str,
        level: str,
        environ: Mapping[str, str],
        cache: SetupCache | None,
    ) -> None:
        self._suite = suite
        self._executor = executor
        self._emit = emit
        self._clock = clock
        self._stop = stop
        self._trust = trust
        self._level = level
        self._environ = environ
        self._cache = cache

    def prepare(self, name: str, setup: Setup, unkept: str) -> str:
        """Make or find the result of one setup; `unkept` is where it is made if it is not kept. Returns where it is."""
        began = self._clock()
        self._emit(SetupStarted(suite=name, run=setup.run, at=began))
        hosts = self._hosts(name, setup)
        result = self._look_up(name, setup, hosts, unkept)
        if result is None:
            os.mkdir(unkept, 0o755)
        elif result.made:
            now = self._clock()
            seconds = max(0.0, now - began)
            self._emit(SetupFinished(suite=name, ok=True, seconds=seconds, reason="", output="", cached=True, at=now))
            return result.directory
        target = result.directory if result else unkept
        job = Job(
            box=_as_box(name, setup),
            root=self._suite.root,
            cwd=self._suite.roots[name],
            env={"SETUP_DIR": target},
            binds={target: True},
            hosts=hosts,
        )
        self._make(name, job, result)
        return target

    def _look_up(self, name: str, setup: Setup, hosts: tuple[str, ...], unkept: str) -> Result | None:
        """What is kept, or the room for it; None for a setup that does not say what it depends on."""
        if self._cache is None or not setup.inputs:
            return None
        from runner.setup_key import find_inputs, key_of

        directory = os.path.normpath(os.path.join(self._suite.root, self._suite.roots[name]))
        inputs = find_inputs(setup, directory, root=self._suite.root)
        if inputs.unmatched:
            self._warn(name, f"its inputs name no file: {', '.join(inputs.unmatched)}")
        key = key_of(
            setup,
            inputs,
            suite=name,
            directory=directory,
            environ=self._environ,
            trust=self._trust,
            level=self._level,
            hosts=hosts,
        )
        result = self._cache.take(key, elsewhere=unkept, stop=self._stop)
        if result.note:
            self._warn(name, result.note)
        return result

    def _make(self, name: str, job: Job, result: Result | None) -> None:
        """Run a setup.

        Raises:
            SetupFailed: it did not succeed. Nothing of it is kept.
        """
        attempt = _run(self._executor, job, self._stop)
        ok = attempt.outcome is Verdict.PASSED
        reason = "" if ok else attempt.reason or f"it ended as {attempt.outcome}"
        if result:
            self._keep(name, result, ok=ok)
        self._emit(
            SetupFinished(
                suite=name,
                ok=ok,
                seconds=attempt.seconds,
                reason=reason,
                output=attempt.output,
                refused=attempt.refused,
                at=self._clock(),
            )
        )
        if not ok:
            raise SetupFailed(reason)

    def _keep(self, name: str, result: Result, *, ok: bool) -> None:
        from runner.setup_cache import CannotKeep

        try:
            if ok:
                result.keep()
            else:
                result.drop()
        except CannotKeep as why:
            self._warn(name, str(why))

    def _hosts(self, name: str, setup: Setup) -> tuple[str, ...]:
        """The ends that a setup may reach.

        Raises:
            UserError: it names what is neither a rule nor a host.
        """
        if not setup.network:
            return ()
        egress = egress_of(setup.network, self._trust, self._suite.settings, setup=True)
        if egress.refused:
            self._warn(name, f"at trust level {self._trust} it may not reach {', '.join(egress.refused)}")
        return egress.hosts

    def _warn(self, name: str, sentence: str) -> None:
        self._emit(Warned(message=f"setup{name and f' of {name}'}: {sentence}", at=self._clock()))


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
        network=setup.network,
    )


def _run(executor: Executor, job: Job, stop: Callable[[], str]) -> Attempt:
    executor.start(job)
    while True:
        for thing in executor.wait(None):
            if isinstance(thing, Finished):
                return thing.attempt
        if stop():
            executor.cancel(job)
