from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from runner.history import History
from runner.whole_file import check_writable, write_whole


def test_a_file_is_replaced_and_nothing_stands_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("a long text that was there before")
    write_whole(str(file), ["new", "er"])
    assert file.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_whole(str(tmp_path / "link"), ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_what_is_no_regular_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    check_writable(str(pipe))
    write_whole(str(pipe), ["through"])
    reader.join(10)
    assert heard == ["through"]
    assert pipe.is_fifo()


def test_a_history_in_a_pipe_does_not_replace_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    history = History(str(pipe))
    reader = threading.Thread(target=pipe.read_text)
    reader.start()
    assert history.save()
    reader.join(10)
    assert pipe.is_fifo()


def test_asking_whether_it_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").write_text("kept")
    check_writable(str(tmp_path / "old"))
    assert (tmp_path / "old").read_text() == "kept"
    with pytest.raises(FileNotFoundError):
        check_writable(str(tmp_path / "no" / "directory"))
    with pytest.raises(IsADirectoryError):
        check_writable(str(tmp_path))


def test_a_text_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    def breaks_off() -> list[str]:
        raise OSError(errno.EIO, "the disk went away")

    file = tmp_path / "a"
    file.write_text("before")
    with pytest.raises(OSError, match="went away"):
        write_whole(str(file), (line for _ in "x" for line in breaks_off()))
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
