"""The engine with real processes: what it remembers, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa

from bot.engine import _sqlite

SCRIPT = dedent(
    """
    import asyncio, os, signal, sys
    from pathlib import Path
    from bot.codec import Codec, StepFailed
    from bot.engine import Engine

    base, kill_at = Path(sys.argv[1]), sys.argv[2]

    class Refused(Exception):
        pass

    def note(line):
        with (base / "log").open("a") as log:
            log.write(line + "\\n")

    async def fails_as_allowed():
        note("ran allowed")
        raise Refused("no", 7)

    async def fails_otherwise():
        note("ran otherwise")
        raise LookupError("gone")

    async def last(branch):
        note("ran last")
        if kill_at == "last":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"branch": branch, "pair": (1, "two")}

    async def body(flow, args):
        try:
            await flow.step("allowed", fails_as_allowed)
        except Refused as error:
            branch = f"refused {error.args}"
        except Exception as error:
            branch = f"another {type(error).__name__}"
        try:
            await flow.step("otherwise", fails_otherwise)
        except StepFailed as error:
            branch += f", failed {error.kind} {error.message}"
        except Exception as error:
            branch += f", another {type(error).__name__}"
        note("branch " + branch)
        result = await flow.step("last", last, branch)
        note(f"result {result}")

    async def main():
        engine = Engine(url=f"sqlite:///{base}/engine.sqlite", codec=Codec((), (Refused,)))
        engine.register("story", body)
        await engine.launch()
        await engine.start("story", "one", {"n": 1})
        await engine.start("story", "one", {"n": 1})
        for _ in range(600):
            if await engine.status("one") == "SUCCESS":
                break
            await asyncio.sleep(0.02)
        await engine.idle()
        note(f"status {await engine.status('one')} {await engine.unfinished()}")
        await engine.close()

    asyncio.run(main())
    """
)


def run(base: Path, kill_at: str) -> int:
    script = base / "story.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([sys.executable, script, base, kill_at], env=env, timeout=60, check=False).returncode


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path


def lines(base: Path) -> list[str]:
    return (base / "log").read_text().splitlines()


def test_a_replay_after_a_failed_step_takes_the_branch_of_the_first_run(base: Path) -> None:
    assert run(base, "last") == -signal.SIGKILL
    first = [line for line in lines(base) if line.startswith("branch")]
    assert first == ["branch refused ('no', 7), failed LookupError gone"]

    assert run(base, "never") == 0
    branches = [line for line in lines(base) if line.startswith("branch")]
    assert branches == first * 2


def test_finished_steps_are_not_run_again_and_the_one_under_way_is(base: Path) -> None:
    run(base, "last")
    run(base, "never")
    ran = [line for line in lines(base) if line.startswith("ran")]
    assert ran == ["ran allowed", "ran otherwise", "ran last", "ran last"]
    assert "status SUCCESS ()" in lines(base)


def test_a_tuple_that_a_step_returned_is_a_tuple_after_the_replay(base: Path) -> None:
    run(base, "last")
    run(base, "never")
    assert any("'pair': (1, 'two')" in line for line in lines(base) if line.startswith("result"))


def test_a_second_start_of_the_same_id_runs_nothing_again(base: Path) -> None:
    assert run(base, "never") == 0
    assert lines(base).count("ran last") == 1


def test_nothing_in_the_engines_file_is_a_pickle(base: Path) -> None:
    run(base, "never")
    stored = b"".join(path.read_bytes() for path in base.glob("engine.sqlite*"))
    assert b"interlock_json_1" in stored
    assert b"py_pickle" not in stored


@pytest.mark.requirement("S-28")
def test_nobody_else_can_read_what_flows_remember_even_if_an_older_version_left_it_open(base: Path) -> None:
    (base / "engine.sqlite").touch(mode=0o644)
    assert run(base, "last") == -signal.SIGKILL  # killed, so the files beside it stay.
    modes = {path.name: path.stat().st_mode & 0o777 for path in base.glob("engine.sqlite*")}
    assert modes.pop("engine.sqlite") == 0o600
    assert set(modes.values()) == {0o600}


def test_sqlite_tells_the_time_to_the_millisecond_whatever_its_version(tmp_path: Path) -> None:
    """On Python 3.12 and newer every timestamp of dbos is `unixepoch('subsec')`, which SQLite has since 3.42 only."""
    engine = _sqlite(f"sqlite:///{tmp_path / 'engine.sqlite'}")
    with engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE t (id INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))")
        )
        connection.execute(sa.text("INSERT INTO t (id) VALUES (1)"))
        stored = connection.execute(sa.text("SELECT at FROM t")).scalar_one()
    engine.dispose()
    assert abs(stored / 1000 - time.time()) < 60
