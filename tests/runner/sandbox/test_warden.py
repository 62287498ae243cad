from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox import warden
from runner.sandbox.warden import Orders, Status, read_status

WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
NAMES = st.text(st.characters(categories=("L", "N", "P", "S"), codec="utf-8"), min_size=1)


@given(
    argv=st.lists(WORDS, min_size=1),
    env=st.dictionaries(WORDS, WORDS),
    limits=st.dictionaries(st.sampled_from(["NPROC", "FSIZE", "DATA"]), st.integers(0, 1 << 60)),
    numbers=st.tuples(st.dictionaries(st.integers(1, 65535), WORDS), st.lists(st.integers(3, 1 << 20))),
    alone=st.booleans(),
)
def test_orders_are_read_as_they_were_written(
    argv: list[str],
    env: dict[str, str],
    limits: dict[str, int],
    numbers: tuple[dict[int, str], list[int]],
    alone: bool,
) -> None:
    sockets, groups = numbers
    orders = Orders(argv, env, limits=limits, sockets=sockets, groups=groups, alone=alone)
    assert vars(Orders.decode(orders.encode())) == vars(orders)


@given(wait=st.integers(0, 65535), rss=st.integers(0, 1 << 40), left=st.lists(NAMES))
def test_a_status_is_read_as_it_was_written(wait: int, rss: int, left: list[str]) -> None:
    told = read_status(Status(wait=wait, cpu=1.5, rss_kb=rss, left=left).encode())
    assert told is not None
    assert (told.wait, told.cpu, told.rss_kb, told.left) == (wait, 1.5, rss, tuple(left))


@given(st.binary())
def test_nothing_that_a_box_writes_makes_the_reader_raise(data: bytes) -> None:
    read_status(data)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"ended\t0\t0.0\t0", id="half-a-line"),
        pytest.param(b"ended\t0\t0.0\t0\nended\t256\t0.0\t0\n", id="two-lines"),
        pytest.param(b"ended\t0\t0.0\t0\tx\nended\t256\t0.0\t0\n", id="a-line-that-swallows-the-next"),
        pytest.param(b"ended\t0\n", id="too-few-fields"),
        pytest.param(b"ended\tx\t0.0\t0\n", id="no-number"),
        pytest.param(b"fine\t0\t0.0\t0\n", id="another-word"),
    ],
)
def test_what_is_not_exactly_one_line_of_the_warden_is_no_status(said: bytes) -> None:
    assert read_status(said) is None


def try_warden(orders: Orders) -> tuple[Status | None, subprocess.CompletedProcess[str]]:
    """Run the warden as the sandbox does, outside of one: it must not end what is not in it."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as told:
        told.write(orders.encode())
        told.flush()
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(warden.__file__), str(told.fileno()), str(writing)],
            pass_fds=[told.fileno(), writing, *orders.groups],
            env={},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        return read_status(stream.read()), done


def run_warden(orders: Orders) -> Status:
    status, done = try_warden(orders)
    assert not done.returncode, done.stderr
    assert status is not None
    return status


def shell(script: str, **keys: object) -> Status:
    return run_warden(Orders(["/bin/sh", "-c", script], {"PATH": os.defpath}, alone=False, **keys))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("exit 0", 0, id="zero"),
        pytest.param("exit 137", 137, id="a-number-that-looks-like-a-signal"),
        pytest.param("kill -9 $$", -signal.SIGKILL, id="killed"),
        pytest.param("kill -TERM $$", -signal.SIGTERM, id="a-polite-signal-is-not-ignored-by-the-box"),
    ],
)
def test_the_exit_status_is_told_exactly(script: str, code: int) -> None:
    assert os.waitstatus_to_exitcode(shell(script).wait) == code


def test_a_program_that_is_not_there_is_told_by_its_errno() -> None:
    assert run_warden(Orders(["/nonsense"], {}, alone=False)).error == 2


def test_the_box_gets_its_environment_and_nothing_else(tmp_path: Path) -> None:
    run_warden(Orders(["/usr/bin/env"], {"A": "1"}, alone=False))
    assert os.waitstatus_to_exitcode(shell(f'env > {tmp_path}/env; [ "$PATH" = "{os.defpath}" ]').wait) == 0
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names <= {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def test_the_box_is_held_to_its_limits(tmp_path: Path) -> None:
    status = shell(f"head -c 5000 /dev/zero > {tmp_path}/big", limits={"FSIZE": 4096})
    assert os.waitstatus_to_exitcode(status.wait) != 0
    assert (tmp_path / "big").stat().st_size == 4096


def test_a_limit_that_is_above_our_own_is_our_own() -> None:
    assert os.waitstatus_to_exitcode(shell("ulimit -n >/dev/null", limits={"NOFILE": 1 << 40}).wait) == 0


def test_the_box_cannot_write_the_status_itself(tmp_path: Path) -> None:
    shell(f"ls /proc/self/fd > {tmp_path}/fds")
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"], "the last one is what ls reads"


def test_the_box_starts_in_the_groups_and_gets_no_way_into_them(tmp_path: Path) -> None:
    """Files that only look like a group's tell in which order it was done: what the box writes comes after."""
    doors = [os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("one", "two")]
    try:
        shell(f"cd {tmp_path}; echo box >> one; ls /proc/self/fd > fds", groups=doors)
    finally:
        for fd in doors:
            os.close(fd)
    assert (tmp_path / "one").read_text() == "0box\n"
    assert (tmp_path / "two").read_text() == "0"
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"], "the last one is what ls reads"


def test_who_cannot_enter_a_group_starts_no_box(tmp_path: Path) -> None:
    (tmp_path / "group").touch()
    door = os.open(tmp_path / "group", os.O_RDONLY)
    try:
        status, done = try_warden(Orders(["/usr/bin/touch", f"{tmp_path}/ran"], {}, groups=[door], alone=False))
    finally:
        os.close(door)
    assert status is None
    assert done.returncode == 1
    assert done.stderr == "warden: the control group cannot be entered: Bad file descriptor\n"
    assert not (tmp_path / "ran").exists()
