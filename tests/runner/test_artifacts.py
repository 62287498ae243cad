from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner import artifacts
from runner.beneath import opener
from runner.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.artifacts import Collected

    Collect = Callable[..., Collected]


def kernel_has_openat2() -> bool:
    here = os.open("/", os.O_RDONLY)
    try:
        os.close(opener(openat2=True)(".", here))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


@pytest.fixture(params=[True, False], ids=["openat2", "without-openat2"])
def collect(request: pytest.FixtureRequest) -> Collect:
    if request.param and not kernel_has_openat2():
        pytest.skip("missing component: openat2")
    return partial(artifacts.collect, openat2=request.param)


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


def test_files_are_copied_with_their_directories(collect: Collect, source: Path, tmp_path: Path) -> None:
    (source / "shots").mkdir()
    (source / "shots" / "1.png").write_bytes(b"\0png")
    (source / "report.txt").write_text("fine")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert (collected.names, collected.refused) == (("report.txt", "shots/1.png"), ())
    assert (tmp_path / "kept" / "shots" / "1.png").read_bytes() == b"\0png"


def test_nothing_to_collect_creates_nothing(collect: Collect, source: Path, tmp_path: Path) -> None:
    assert collect(str(source), str(tmp_path / "kept")).names == ()
    assert collect(str(tmp_path / "missing"), str(tmp_path / "kept")).names == ()
    assert not (tmp_path / "kept").exists()


def test_no_link_leads_out(collect: Collect, source: Path, secret: Path, tmp_path: Path) -> None:
    (source / "file").symlink_to(secret)
    (source / "directory").symlink_to(secret.parent)
    os.link(secret, source / "hard")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert [entry.split(":")[0] for entry in collected.refused] == ["directory", "file", "hard"]
    assert not (tmp_path / "kept").exists()


def test_a_directory_that_is_itself_a_link_is_not_entered(
    collect: Collect, source: Path, secret: Path, tmp_path: Path
) -> None:
    source.rmdir()
    source.symlink_to(secret.parent)

    assert collect(str(source), str(tmp_path / "kept")).names == ()


@pytest.mark.parametrize("name", ["a\x1b[2J", "two\nlines", "right\u202eleft", os.fsdecode(b"\xff")])
def test_a_name_that_does_not_print_is_refused_and_told_harmlessly(
    collect: Collect, source: Path, tmp_path: Path, name: str
) -> None:
    (source / name).write_text("x")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert collected.refused[0].isprintable()


def test_a_pipe_does_not_hang_and_a_terabyte_of_nothing_is_not_copied(
    collect: Collect, source: Path, tmp_path: Path
) -> None:
    os.mkfifo(source / "pipe")
    with (source / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.refused == ("pipe: not a regular file", "sparse: too large")


def test_a_device_or_a_socket_is_not_even_opened(collect: Collect, source: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        (source / "device").symlink_to("/dev/zero")
        collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.refused == ("device: not a regular file", "socket: not a regular file")


def test_no_step_leads_up_or_through_a_link(source: Path, secret: Path) -> None:
    (source / "link").symlink_to(secret)
    here = os.open(source, os.O_RDONLY)
    try:
        for way in (True, False) if kernel_has_openat2() else (False,):
            with pytest.raises(OSError, match="symbolic links"):
                opener(openat2=way)("link", here)
        if kernel_has_openat2():
            for name in ("../secret/key", str(secret)):
                with pytest.raises(OSError, match="Invalid cross-device link"):
                    opener(openat2=True)(name, here)
    finally:
        os.close(here)


def test_secrets_are_overwritten_in_content_and_taken_out_of_names(
    collect: Collect, source: Path, tmp_path: Path
) -> None:
    (source / "of-tr0ub4dor").mkdir()
    content = b"\x89PNG" + b"x" * ((1 << 20) - 8) + b"tr0ub4dor" + b"end"
    (source / "of-tr0ub4dor" / "image-tr0ub4dor.png").write_bytes(content)
    (source / "\x1b-tr0ub4dor").write_text("x")
    collected = collect(str(source), str(tmp_path / "kept"), redactor=Redactor({"KEY": "tr0ub4dor"}))

    name = "of-[secret KEY]/image-[secret KEY].png"
    assert collected.names == (name,)
    assert (tmp_path / "kept" / name).read_bytes() == content.replace(b"tr0ub4dor", b"*********")
    assert collected.refused == ("\N{REPLACEMENT CHARACTER}-[secret KEY]: its name does not print",)


def test_two_names_that_become_one_do_not_overwrite_each_other(collect: Collect, source: Path, tmp_path: Path) -> None:
    (source / "a-tr0ub4dor").write_text("first")
    (source / "a-dHIwdWI0ZG9y").write_text("second")  # the same in base64
    collected = collect(str(source), str(tmp_path / "kept"), redactor=Redactor({"KEY": "tr0ub4dor"}))

    assert collected.names == ("a-[secret KEY]",)
    assert collected.refused == ("a-[secret KEY]: two names differ only in a secret",)


def test_number_and_bytes_are_capped(collect: Collect, source: Path, tmp_path: Path) -> None:
    for number in range(5):
        (source / f"{number}").write_bytes(b"x" * 10)

    assert collect(str(source), str(tmp_path / "a"), max_files=3).names == ("0", "1", "2")
    assert collect(str(source), str(tmp_path / "b"), max_bytes=25).names == ("0", "1")
    assert len(everything_in(tmp_path / "b")) == 20


def test_depth_is_capped(collect: Collect, source: Path, tmp_path: Path) -> None:
    deep = source.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    collected = collect(str(source), str(tmp_path / "kept"))

    assert collected.names == ()
    assert collected.refused[0].endswith("nested too deep")


def test_a_path_too_long_for_its_place_is_refused_and_the_rest_is_kept(
    collect: Collect, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_something_in_the_way_of_a_copy_refuses_that_copy(
    collect: Collect, source: Path, secret: Path, tmp_path: Path
) -> None:
    (source / "a").write_text("x")
    (source / "b").write_text("x")
    (tmp_path / "kept" / "a").mkdir(parents=True)
    (tmp_path / "kept" / "b").symlink_to(secret)
    assert collect(str(source), str(tmp_path / "kept")).names == ()
    assert secret.read_text() == "hunter2"
