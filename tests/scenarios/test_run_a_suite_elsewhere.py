"""The stories of test_run_a_suite on machines that lack what the runner would like to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios import test_run_a_suite as whole

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runner.command_line import Repository

MACHINES = [
    pytest.param(("pidfd",), id="no-pidfd"),
    pytest.param(("subreaper",), id="no-subreaper"),
    pytest.param(("proc", "subreaper"), id="no-proc"),
    pytest.param(("pidfd", "proc", "subreaper"), id="nothing"),
]


@pytest.fixture(params=MACHINES)
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    repository = whole.a_repository(tmp_path)
    repository.without(*request.param)
    return repository


going = whole.going
test_a_red_box_blocks_the_next_tier = whole.test_a_red_box_blocks_the_next_tier_and_a_fix_makes_all_green
test_a_setup_prepares_what_boxes_use = whole.test_a_setup_prepares_what_boxes_use_and_its_failure_blocks_them
test_an_interrupt_lets_running_boxes_end = whole.test_an_interrupt_lets_running_boxes_end_and_starts_no_other
test_a_termination_ends_running_boxes = whole.test_a_termination_or_a_second_interrupt_ends_running_boxes
test_a_killed_run_is_resumed = whole.test_a_killed_run_leaves_whole_lines_and_is_resumed_from_them
test_boxes_of_one_lock_do_not_meet = whole.test_boxes_of_one_lock_do_not_meet
