from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.artifacts import collect


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret" / "key"
    path.parent.mkdir()
    path.write_text("hunter2")
    return path


def everything_in(path: Path) -> str:
    return "".join(file.read_text() for file in path.rglob("*") if file.is_file())


def test_files_are_copied_with_their_directories(source: Path, tmp_path: Path) -> None:
    (source / "shots").mkdir()
    (source / "shots" / "1.png").write_bytes(b"\0png")
    (source / "report.txt").write_text("fine")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert (collected.names, collected.refused) == (("report.txt", "shots/1.png"), ())
    assert (tmp_path / "kept" / "shots" / "1.png").read_bytes() == b"\0png"


def test_nothing_to_collect_creates_nothing(source: Path, tmp_path: Path) -> None:
    assert collect(str(source), str(tmp_path / "kept")).names == ()
    assert collect(str(tmp_path / "missing"), str(tmp_path / "kept")).names == ()
    assert not (tmp_path / "kept").exists()


def test_no_link_leads_out(source: Path, secret: Path, tmp_path: Path) -> None:
    (source / "file").symlink_to(secret)
    (source / "directory").symlink_to(secret.parent)
    os.link(secret, source / "hard")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert [entry.split(":")[0] for entry in collected.refused] == ["directory", "file", "hard"]
    assert not (tmp_path / "kept").exists()


def test_a_directory_that_is_itself_a_link_is_not_entered(source: Path, secret: Path, tmp_path: Path) -> None:
    source.rmdir()
    source.symlink_to(secret.parent)

    assert collect(str(source), str(tmp_path / "kept")).names == ()


@pytest.mark.parametrize("name", ["a\x1b[2J", "two\nlines", "right\u202eleft", os.fsdecode(b"\xff")])
def test_a_name_that_does_not_print_is_refused_and_told_harmlessly(source: Path, tmp_path: Path, name: str) -> None:
    (source / name).write_text("x")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert collected.refused[0].isprintable()


def test_a_pipe_does_not_hang_and_a_terabyte_of_nothing_is_not_copied(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe")
    with (source / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.refused == ("pipe: not a regular file", "sparse: too large")


def test_number_and_bytes_are_capped(source: Path, tmp_path: Path) -> None:
    for number in range(5):
        (source / f"{number}").write_bytes(b"x" * 10)

    assert collect(str(source), str(tmp_path / "a"), max_files=3).names == ("0", "1", "2")
    assert collect(str(source), str(tmp_path / "b"), max_bytes=25).names == ("0", "1")
    assert len(everything_in(tmp_path / "b")) == 20


def test_depth_is_capped(source: Path, tmp_path: Path) -> None:
    deep = source.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert collected.refused[0].endswith("nested too deep")


def test_a_path_too_long_for_its_place_is_refused_and_the_rest_is_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    for _ in range(15):
        Path("d" * 255).mkdir()
        os.chdir("d" * 255)
    Path("f" * 255).write_text("x")
    (source / "e").write_text("kept")
    collected = collect(str(source), str(tmp_path / "kept"))
    assert collected.names == ("e",)
    assert [entry.rpartition(": ")[2] for entry in collected.refused] == ["File name too long"]


def test_something_in_the_way_of_a_copy_refuses_that_copy(source: Path, secret: Path, tmp_path: Path) -> None:
    (source / "a").write_text("x")
    (source / "b").write_text("x")
    (tmp_path / "kept" / "a").mkdir(parents=True)
    (tmp_path / "kept" / "b").symlink_to(secret)
    assert collect(str(source), str(tmp_path / "kept")).names == ()
    assert secret.read_text() == "hunter2"
