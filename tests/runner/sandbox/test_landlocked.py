from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.execute.environment import harmless
from runner.execute.launch import Launcher
from runner.execute.process import ProcessExecutor
from runner.executor import Finished, Job
from runner.isolation import MIB, Level, Limits
from runner.model import Attempt, Box, Verdict
from runner.sandbox import confine, seccomp
from runner.sandbox.launcher import open_launcher
from runner.services.client import Client
from tests.conftest import MISSING
from tests.runner.boxes import box

LIMITS = Limits(memory=256 * MIB, processes=40, workspace=8 * MIB, tmp=8 * MIB)
PATH = "/usr/local/bin:/usr/bin:/bin"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not seccomp.program(os.uname().machine) or not confine.abi(),
    reason=f"{MISSING} Landlock, and a filter for this machine",
)


class Rung:
    """A tree, and the boxes of it that are run on this rung."""

    def __init__(self, root: Path) -> None:
        self.tree = root / "tree"
        self.scratch = root / "scratch"
        self.tree.mkdir()
        self.scratch.mkdir()

    def run(
        self, *scripts: str, binds: Sequence[Mapping[str, bool]] = (), hosts: Sequence[str] = (), **keys: Any
    ) -> list[Attempt]:
        """Run boxes one after the other by the same launcher."""
        launcher: Launcher = open_launcher(
            Level.LANDLOCK, scratch=str(self.scratch), limits=LIMITS, path=PATH, own_choice=False
        )
        environ = harmless({**os.environ, "PATH": PATH})
        executor = ProcessExecutor(
            run_id="r",
            scratch=str(self.scratch),
            base_env=environ,
            launcher=launcher,
            attendant=Client(environ=os.environ),
        )
        try:
            shown = [*binds, *({} for _ in scripts)]
            return [
                self._finish(executor, box(1, kind="command", run=script, **keys), binds, hosts)
                for script, binds in zip(scripts, shown, strict=False)
            ]
        finally:
            executor.close()

    def _finish(
        self, executor: ProcessExecutor, a_box: Box, binds: Mapping[str, bool], hosts: Sequence[str]
    ) -> Attempt:
        executor.start(Job(box=a_box, root=str(self.tree), binds=binds, hosts=hosts))
        while True:
            for thing in executor.wait(None):
                if isinstance(thing, Finished):
                    return thing.attempt


@pytest.fixture
def rung() -> Iterator[Rung]:
    """In a directory that every user may enter: what keeps a box out of it is not its mode."""
    with tempfile.TemporaryDirectory(prefix="rung-", dir="/var/tmp") as path:
        Path(path).chmod(0o755)
        made = Rung(Path(path))
        yield made
        assert list(made.scratch.iterdir()) == []


def test_a_box_has_a_copy_of_the_tree_that_is_its_own(rung: Rung) -> None:
    (rung.tree / "given").write_text("given\n")
    first, second = rung.run("cat given && echo mine >given && echo mine >made", "cat given && test ! -e made")
    assert (first.outcome, first.output) == (Verdict.PASSED, "given\n")
    assert (second.outcome, second.output) == (Verdict.PASSED, "given\n")
    assert [path.name for path in rung.tree.iterdir()] == ["given"]
    assert (rung.tree / "given").read_text() == "given\n"


def test_a_box_cannot_reach_the_tree_itself_or_what_lies_beside_it(rung: Rung) -> None:
    (rung.tree / "given").write_text("given\n")
    secret = rung.tree.parent / "secret"
    secret.write_text("secret\n")
    (attempt,) = rung.run(f"! cat {secret} && ! cat {rung.tree}/given && ! echo x >{rung.tree}/new")
    assert attempt.outcome is Verdict.PASSED
    assert attempt.output.count("ermission denied") + attempt.output.count("cannot create") >= 3


def test_a_directory_that_was_filled_for_boxes_is_read_by_them_and_not_written(rung: Rung) -> None:
    place = rung.tree.parent / "setup"
    place.mkdir()
    made, read, without = rung.run(
        f"echo made >{place}/it",
        f"cat {place}/it && ! echo x >{place}/it && ! touch {place}/new && ! rm {place}/it",
        f"! cat {place}/it",
        binds=[{str(place): True}, {str(place): False}],
    )
    assert [attempt.outcome for attempt in (made, read, without)] == [Verdict.PASSED] * 3
    assert (place / "it").read_text() == "made\n"


def test_a_box_asks_for_hosts_and_services_through_the_one_port_that_it_is_given(rung: Rung) -> None:
    asks = """python3 -c "
import os, socket
host, port = os.environ['HTTP_PROXY'].removeprefix('http://').split(':')
with socket.create_connection((host, int(port))) as proxy:
    proxy.sendall(b'CONNECT evil.example:443 HTTP/1.1\\r\\n\\r\\n')
    print(proxy.recv(12).decode())
"
"""
    (attempt,) = rung.run(asks, hosts=["files.example:443"])
    assert (attempt.outcome, attempt.output) == (Verdict.PASSED, "HTTP/1.1 403\n")
    assert attempt.refused == ("evil.example:443 (not in the rules: files.example:443)",)


def test_the_endings_of_boxes_are_their_own(rung: Rung) -> None:
    failed, killed, missing = rung.run("exit 3", "kill -9 $$", "exec /no/such/program")
    assert (failed.outcome, failed.exit_code) == (Verdict.FAILED, 3)
    assert (killed.outcome, killed.exit_code) == (Verdict.ERRORED, -9)
    assert (missing.outcome, missing.exit_code) == (Verdict.ERRORED, 127)


def test_what_is_too_large_to_copy_is_seen_in_its_place(rung: Rung) -> None:
    (rung.tree / "node_modules").mkdir()
    (rung.tree / "node_modules" / "module").write_text("module\n")
    (attempt,) = rung.run("cat node_modules/module && ! echo x >node_modules/new")
    assert attempt.outcome is Verdict.PASSED


def test_the_box_reports_and_writes_where_it_is_told_to(rung: Rung) -> None:
    (attempt,) = rung.run(
        """
        . "$BOX_LIB" && is "in-the-copy" "$(pwd | grep -c '/tree$')" 1
        echo x >"$BOX_TMP/file" && echo x >"$BOX_ARTIFACTS/file" && test "$HOME" = "$BOX_TMP"
        """
    )
    assert (attempt.outcome, attempt.asserts) == (Verdict.PASSED, 1)


def test_what_a_box_leaves_running_is_named_and_ended(rung: Rung) -> None:
    (attempt,) = rung.run("setsid sleep 300 & (setsid sleep 301 &) ; exit 0")
    assert attempt.outcome is Verdict.PASSED
    assert sorted(name.partition(" (")[0] for name in attempt.leaked) == ["sleep 300", "sleep 301"]


def test_a_hung_box_is_ended_with_what_it_started(rung: Rung) -> None:
    (attempt,) = rung.run("trap '' TERM; setsid sleep 300 & sleep 301; wait", timeout=0.5, slow=0.5)
    assert attempt.outcome is Verdict.TIMED_OUT


def test_one_file_cannot_fill_the_disk(rung: Rung) -> None:
    (attempt,) = rung.run("head -c 9000000 /dev/zero >file")
    assert attempt.outcome is not Verdict.PASSED


def test_a_fork_bomb_stops(rung: Rung) -> None:
    (attempt,) = rung.run("n=0; while [ $n -lt 400 ]; do sleep 30 & n=$((n + 1)); done; echo all of them")
    assert attempt.outcome is not Verdict.PASSED
    assert "all of them" not in attempt.output


def test_a_box_without_a_network_has_none(rung: Rung) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip(f"{MISSING} the system's own python3")
    (attempt,) = rung.run("/usr/bin/python3 -c 'import socket; socket.socket()' 2>&1 | tail -1")
    assert "not supported" in attempt.output
