from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.errors import SetupFailed
from runner.events import SetupFinished, SetupStarted
from runner.execute.process import ProcessExecutor
from runner.model import Setup, Suite
from runner.setup_phase import run_setups

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.events import Event


class Phase:
    """Setups run for real, their events kept."""

    def __init__(self, tmp_path: Path) -> None:
        self.events: list[Event] = []
        self._root = tmp_path / "tree"
        (self._root / "services" / "api").mkdir(parents=True)
        (tmp_path / "boxes").mkdir()
        self._tmp = tmp_path

    def run(self, setups: dict[str, Setup], stop: Callable[[], str] = str) -> dict[str, str]:
        suite = Suite(root=str(self._root), boxes=[], roots={"": ".", "api": "services/api"}, setups=setups)
        executor = ProcessExecutor(
            run_id="r1", scratch=str(self._tmp / "boxes"), base_env={"PATH": "/usr/bin:/bin", "SETUP_DIR": "/outer"}
        )
        try:
            return run_setups(
                suite,
                ["", "api", "web"],
                executor=executor,
                directory=str(self._tmp),
                emit=self.events.append,
                clock=lambda: 7.0,
                stop=stop,
            )
        finally:
            executor.close()


@pytest.fixture
def phase(tmp_path: Path) -> Phase:
    return Phase(tmp_path)


def test_each_suites_setup_runs_in_its_directory_and_fills_its_own(phase: Phase, tmp_path: Path) -> None:
    prepared = phase.run({name: Setup(run="pwd > $SETUP_DIR/where") for name in ("", "api")})

    said = {name: (tmp_path / directory / "where").read_text() for name, directory in prepared.items()}
    assert said == {"": f"{tmp_path}/tree\n", "api": f"{tmp_path}/tree/services/api\n"}
    assert [type(event) for event in phase.events] == [SetupStarted, SetupFinished] * 2


def test_a_failed_setup_is_told_with_its_output_and_ends_the_phase(phase: Phase) -> None:
    with pytest.raises(SetupFailed, match="exit 3"):
        phase.run({"": Setup(run="echo no network; exit 3"), "api": Setup(run="exit 0")})

    (_, finished) = phase.events
    assert isinstance(finished, SetupFinished)
    assert (finished.ok, finished.reason, finished.output) == (False, "exit 3", "no network\n")


def test_a_setup_that_skips_itself_has_not_succeeded(phase: Phase) -> None:
    with pytest.raises(SetupFailed):
        phase.run({"": Setup(run="exit 77")})


def test_a_setup_that_runs_out_of_time_has_not_succeeded(phase: Phase) -> None:
    with pytest.raises(SetupFailed, match="ran out of time"):
        phase.run({"": Setup(run="sleep 99", timeout=0.2)})
