"""A data directory has one bot, and whoever asks is told whether it has it now."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.ops.data_lock import AlreadyRunning, DataDirUnusable, hold, is_held


def test_a_data_directory_is_held_by_one_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "data"
    assert not is_held(directory)
    with hold(directory):
        assert is_held(directory)
        with pytest.raises(AlreadyRunning, match="another interlock uses"), hold(directory):
            pass
    assert not is_held(directory)


def test_asking_whether_a_bot_runs_does_not_keep_one_from_starting(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert not is_held(tmp_path)
    with hold(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataDirUnusable, match=r"file/data cannot be used: .*INTERLOCK_DATA_DIR"),
        hold(tmp_path / "file" / "data"),
    ):
        pass
