"""Machines that allow little: a tree, a cache or a temporary directory that may not be written, no home, `noexec`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.runner.command_line import Ended, Repository
from tests.runner.test_full_disk import UNSHARE, needs_a_mount_namespace

if TYPE_CHECKING:
    from pathlib import Path

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
NOEXEC = 'mount -t tmpfs -o noexec small "$1" && shift && exec "$@"'


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.box(1, ". $BOX_LIB; ok mine touch $BOX_TMP/file")
    repository.write("boxes/tier-1/2_py.py", "def test_it():\n    assert True\n")
    return repository


def run(repository: Repository, script: str, place: Path, *words: str) -> Ended:
    """`runner run` in a mount namespace in which a script has prepared a place."""
    done = subprocess.run(
        [*UNSHARE, script, "sh", str(place), sys.executable, "-m", "runner", "run", *words],
        cwd=repository.root,
        env=repository.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@needs_a_mount_namespace
class TestMayNotBeWritten:
    def test_a_tree_needs_only_to_be_read(self, repository: Repository) -> None:
        ended = run(repository, f"cd / && {READ_ONLY.replace('exec', 'cd - >/dev/null && exec')}", repository.root)

        assert (ended.code, ended.err) == (0, "")

    def test_a_box_that_writes_into_it_is_red_by_itself(self, repository: Repository) -> None:
        repository.box(3, "echo more >>calc.py")
        ended = run(repository, f"cd / && {READ_ONLY.replace('exec', 'cd - >/dev/null && exec')}", repository.root)

        assert ended.code == 1
        assert "3 box  failed" in ended.out
        assert "Read-only file system" in ended.out
        assert "2 passed, 1 failed" in ended.out

    def test_a_cache_is_done_without(self, repository: Repository) -> None:
        repository.cache.mkdir()
        ended = run(repository, READ_ONLY, repository.cache)

        assert (ended.code, ended.err) == (0, "")

    def test_a_temporary_directory_is_not(self, repository: Repository, tmp_path: Path) -> None:
        (tmp_path / "tmp").mkdir()
        repository.env["TMPDIR"] = str(tmp_path / "tmp")
        ended = run(repository, READ_ONLY, tmp_path / "tmp")

        assert (ended.code, ended.out) == (6, "")
        assert "Read-only file system (free it, or set TMPDIR)" in ended.err

    def test_in_a_temporary_directory_without_exec_all_runs_but_what_is_put_there(
        self, repository: Repository, tmp_path: Path
    ) -> None:
        (tmp_path / "tmp").mkdir()
        repository.env["TMPDIR"] = str(tmp_path / "tmp")
        repository.box(3, "printf '#!/bin/sh\\n' >$BOX_TMP/own; chmod +x $BOX_TMP/own; exec $BOX_TMP/own")
        ended = run(repository, NOEXEC, tmp_path / "tmp")

        assert ended.code == 1
        assert "3 box  errored" in ended.out
        assert "2 passed, 1 errored" in ended.out


def test_without_a_home_it_runs_all_the_same(repository: Repository) -> None:
    del repository.env["XDG_CACHE_HOME"]
    ended = repository.runner("run", "1")

    assert "HOME" not in repository.env
    assert (ended.code, ended.err) == (0, "")
