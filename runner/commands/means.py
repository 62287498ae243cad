"""What every command that runs boxes stands up first, and takes down again however it ends."""

from __future__ import annotations

import os

from runner.commands import isolating, setting_up
from runner.commands.ground import BASE, DEFAULT
from runner.execute.files import remove_tree
from runner.execute.guard import Guard
from runner.execute.stopping import Stopping
from runner.options import Option
from runner.setup_phase import run_setups
from runner.state import scratch_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from types import TracebackType

    from runner.commands.ground import Ground
    from runner.events import Event
    from runner.execute.process import ProcessExecutor
    from runner.isolation import Level
    from runner.model import Box
    from runner.options import Given
    from runner.secret_values import SecretValues
    from runner.setup_cache import SetupCache

OPTIONS = (
    *isolating.OPTIONS,
    *setting_up.OPTIONS,
    Option("--secrets", value="FILE", help="values of the secrets that boxes name, as NAME=value lines"),
    BASE,
    DEFAULT,
)


class Means:
    """A scratch directory, a guard over it, signals that are noted, an executor, and room for setups: while entered.

    Enter it before there is a second thread.

    Attributes:
        scratch: this run's own directory.
        executor: isolates as was asked.
        stop: says what the signals ask for; see `Stopping.asked`.

    Args:
        given: the command's options.
        level: the isolation that boxes get.
        ground: the repository.
        secrets: of the run.
        boxes: that may run.
        run_id: names the run for the boxes.
        faults: whether controls may ask for faults.
        views: see `isolating.executor_of`.
    """

    scratch: str
    executor: ProcessExecutor

    def __init__(
        self,
        given: Given,
        level: Level,
        ground: Ground,
        secrets: SecretValues,
        *,
        boxes: Iterable[Box],
        run_id: str,
        faults: bool = False,
        views: bool = False,
    ) -> None:
        self._given = given
        self._level = level
        self._ground = ground
        self._secrets = secrets
        self._environ = secrets.without(os.environ)
        self._boxes = boxes
        self._run_id = run_id
        self._faults = faults
        self._views = views
        self._stopping = Stopping()
        self.stop = self._stopping.asked
        self._cache: SetupCache | None = None
        self._close: list[Callable[[], None]] = []

    def __enter__(self) -> Means:
        try:
            self._stand_up()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._take_down()

    def set_up(
        self, names: Collection[str], emit: Callable[[Event], None], clock: Callable[[], float]
    ) -> dict[str, str]:
        """Run or find the setups of some suites; see `runner.setup_phase.run_setups`."""
        return run_setups(
            self._ground.suite,
            names,
            executor=self.executor,
            directory=self.scratch,
            emit=emit,
            clock=clock,
            stop=self.stop,
            trust=self._given.text("trust"),
            level=self._level,
            environ=isolating.base_env(self._given, self._level, self._environ),
            cache=self._cache,
        )

    def _stand_up(self) -> None:
        given, suite = self._given, self._ground.suite
        self.scratch = scratch_directory(os.environ)
        self._close.append(lambda: remove_tree(self.scratch))
        guard = Guard(self.scratch)
        self._close.insert(0, guard.dismiss)  # it watches over the directory until that is gone.
        self._stopping.__enter__()
        self._close.append(lambda: self._stopping.__exit__(None, None, None))
        self._cache = setting_up.setup_cache_of(given, self._level, suite.setups.values(), state=self._ground.state)
        if self._cache:
            self._close.append(self._cache.close)
        self.executor = isolating.executor_of(
            given,
            self._level,
            suite.settings,
            run_id=self._run_id,
            scratch=self.scratch,
            environ=self._environ,
            attendant=isolating.attendant_for(
                self._boxes,
                suite.setups.values(),
                self._environ,
                scratch=self.scratch,
                faults=self._faults,
                target="target" in given,
            ),
            redactor=self._secrets.redactor(),
            guard=guard,
            views=self._views,
        )
        self._close.append(self.executor.close)

    def _take_down(self) -> None:
        """The last one first, whatever becomes of the others."""
        while self._close:
            try:
                self._close.pop()()
            except BaseException:
                self._take_down()
                raise
