"""The executor on machines that offer less than this one: no pidfds, no subreaper, no /proc, and none of them.

The probes are switched off one by one and the same tests run again; what leaks can be found then is in test_process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.execute.tree import Probes
from tests.runner import test_process as whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.execute.process import ProcessExecutor

MACHINES = [
    pytest.param(Probes(pidfd=False, proc=True, subreaper=True), id="no-pidfd"),
    pytest.param(Probes(pidfd=True, proc=True, subreaper=False), id="no-subreaper"),
    pytest.param(Probes(pidfd=True, proc=False, subreaper=False), id="no-proc"),
    pytest.param(Probes(pidfd=False, proc=False, subreaper=False), id="nothing"),
]


class Elsewhere(whole.Lab):
    """A lab on a machine that offers so much and no more."""

    def __init__(self, tmp_path: Path, probes: Probes) -> None:
        super().__init__(tmp_path)
        self._probes = probes

    def executor(self, **options: Any) -> ProcessExecutor:
        return super().executor(**{"probes": self._probes, **options})


@pytest.fixture(params=MACHINES)
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[whole.Lab]:
    lab = Elsewhere(tmp_path, request.param)
    yield lab
    for executor in lab.executors:
        executor.close()


class TestTheVerdict(whole.TestTheVerdict):
    """An attempt is judged by the same rules."""


class TestTheEnvironment(whole.TestTheEnvironment):
    """A box gets the same environment, descriptors and signals."""


class TestHowABoxIsStarted(whole.TestHowABoxIsStarted):
    """What cannot be started says the same."""


test_many_boxes_at_once_each_get_their_own_output = whole.test_many_boxes_at_once_each_get_their_own_output
test_other_children_of_this_process_are_left_alone = whole.test_other_children_of_this_process_are_left_alone
test_the_next_box_finds_nothing_of_the_one_before = whole.test_the_next_box_finds_nothing_of_the_one_before
