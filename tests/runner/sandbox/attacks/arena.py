"""Where the attacks are run: a suite of hostile boxes, run by the real `runner run`, beside a stand-in for the bot."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.events import BoxFinished, RunStarted, read
from runner.model import Verdict
from tests.runner.sandbox.attacks.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.runner.sandbox.attacks.rows import Row

SOURCE = Path(__file__).parents[4]
HOSTILE = Path(__file__).with_name("hostile.py").read_text()
STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
SHARED_PLACES = ("/tmp", "/dev/shm", "/var/tmp")
CANARY = "interlock-attack-canary-5f0e"
LIMITS = "memory: 256MiB, processes: 64, workspace: 32MiB, tmp: 32MiB"
_SAID = ("stopped: ", "SUCCEEDED: ")
ENGINES = ("bwrap", "podman", "docker")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attack. `broken` says why it says nothing, "" when it does."""

    succeeded: bool
    detail: str
    broken: str = ""


class Arena:
    """A directory that every user can reach, with all that attacks are aimed at. Gone after the `with`."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="interlock-arena-", dir="/tmp"))
        self.tree = self.base / "suite"
        self._key = zlib.crc32(self.base.name.encode()) >> 1 | 1  # of what has no name but a number
        self._daemon = f"daemon-of-{self.base.name}"
        self._leftovers = [f"{place}/left-by-a-box-of-{self.base.name}" for place in SHARED_PLACES]
        self._secret = self.base / "bot" / "secret"
        self._bot: subprocess.Popen[str] | None = None
        self._terminal = (-1, -1)

    def __enter__(self) -> Self:
        self.base.chmod(0o755)
        self._furnish()
        self._terminal = os.openpty()
        self._bot = subprocess.Popen(
            [sys.executable, str(self.base / "bot" / "stand_in.py"), str(self.base / "bot"), f"--token={CANARY}"],
            env={"PATH": os.environ["PATH"], "INTERLOCK_WEBHOOK_SECRET": CANARY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._bot.stdout
        assert self._bot.stdout.readline() == "ready\n"
        self._write_targets(json.loads((self.base / "bot" / "bot.json").read_text()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._bot:
            self._bot.kill()
            self._bot.communicate()
        for fd in self._terminal:
            os.close(fd)
        self._clear_what_stays()
        shutil.rmtree(self.base)

    def run(self, *words: str, path: str = "") -> tuple[str, dict[str, Outcome]]:
        """Run the suite; returns the isolation that was in force, and the outcome of each attack.

        Where the runner refuses to run on this machine, its words come in place of the isolation, and no outcome.
        """
        record, logs = self.base / "run" / "events.jsonl", self.base / "run" / "logs"
        command = [sys.executable, "-m", "runner", "run", "--jsonl", str(record), "--logs", str(logs)]
        with self._secret.open("rb") as inherited:
            done = subprocess.run(
                [*command, "--junit", str(self.base / "run" / "junit.xml"), "-j", "4", "--fail-fast", "never", *words],
                cwd=self.tree,
                env=self._environ(path),
                pass_fds=(inherited.fileno(),),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode == 3:
            return done.stderr, {}
        assert done.returncode in {0, 1}, done.stderr
        with record.open() as stream:
            events = list(read(stream))
        level = next(event.sandbox for event in events if isinstance(event, RunStarted))
        boxes = {event.title: event for event in events if isinstance(event, BoxFinished)}
        outcomes = {row.name: self._judge(row, boxes) for row in ROWS}
        self._clear_what_stays()
        return level, outcomes

    def run_plainly(self, row: Row) -> Outcome:
        """Run one attack as a process of this machine, with no runner at all: what the machine itself stops."""
        places = self.base / "plain" / "1"
        (places / "artifacts").mkdir(parents=True, exist_ok=True)
        (self.base / "plain" / "2").mkdir(exist_ok=True)
        (self.base / "plain" / "2" / "report.jsonl").touch()
        env = {
            **self._environ(""),
            "BOX_REPORT": str(places / "report.jsonl"),
            "BOX_JUNIT": str(places / "junit.xml"),
            "BOX_ARTIFACTS": str(places / "artifacts"),
            "BOX_LIB": str(SOURCE / "runner" / "lib" / "box.sh"),
            "BOX_LIB_PY": str(SOURCE / "runner" / "lib" / "box.py"),
        }
        neighbour = subprocess.Popen(
            ["python3", "hostile.py", "be_a_neighbour", self.base.name], cwd=self.tree, env=env
        )
        done = subprocess.CompletedProcess[str]([], 0, "", "")
        with self._secret.open("rb") as inherited:
            for name in filter(None, (row.leaves, row.name)):
                done = subprocess.run(
                    ["python3", "hostile.py", name],
                    cwd=self.tree,
                    env=env,
                    pass_fds=(inherited.fileno(),),
                    capture_output=True,
                    text=True,
                    check=False,
                )
        neighbour.kill()
        neighbour.communicate()
        for pid in processes_with(self._daemon):
            os.kill(pid, signal.SIGKILL)
        self._clear_what_stays()
        return Outcome(succeeded=done.returncode == 1, detail=done.stdout.strip())

    def _judge(self, row: Row, boxes: Mapping[str, BoxFinished]) -> Outcome:
        if left := self._left(row):
            return Outcome(succeeded=True, detail=left)
        event = boxes[row.name]
        detail = next((line for line in event.output.splitlines() if line.startswith(_SAID)), event.reason)
        stopped = event.verdict is Verdict.PASSED and detail.startswith("stopped: ")
        if stopped or (row.may_be_errored and event.verdict is Verdict.ERRORED):
            return Outcome(succeeded=False, detail=detail)
        if event.verdict is Verdict.FAILED and detail.startswith("SUCCEEDED: "):
            return Outcome(succeeded=True, detail=detail)
        return Outcome(succeeded=False, detail=detail, broken=f"{event.verdict}: {event.reason}\n{event.output}")

    def _left(self, row: Row) -> str:
        """What an attack left behind it, as this machine sees it after the run; "" for nothing."""
        if row.name == "find_the_tree_changed" and (self.tree / "left-by-a-box").exists():
            return "it stays in the tree after the run"
        if row.name == "find_the_daemon" and (alive := processes_with(self._daemon)):
            return f"alive after the run: {alive}"
        if row.name.startswith("leave_links"):
            files = [path for path in (self.base / "run").rglob("*") if path.is_file()]
            found = [str(path) for path in files if CANARY.encode() in path.read_bytes()]
            return f"the secret is in {', '.join(found)}" if found else ""
        return ""

    def _environ(self, path: str) -> dict[str, str]:
        return {
            "PATH": path or os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "XDG_CACHE_HOME": str(self.base / "run" / "cache"),
            "INTERLOCK_WEBHOOK_SECRET": CANARY,
        }

    def _furnish(self) -> None:
        for name in ("bot", "other-run", "clone/.git/hooks", "run", "suite/.github", "beside-the-tree"):
            (self.base / name).mkdir(parents=True)
        self._secret.write_text(CANARY)
        self._secret.chmod(0o600)
        (self.base / "bot" / "stand_in.py").write_text(STAND_IN)
        (self.base / "other-run" / "report.txt").write_text(CANARY)
        (self.tree / "hostile.py").write_text(HOSTILE)
        (self.tree / "a-link-to-the-secret").symlink_to(self.base / "other-run" / "report.txt")
        (self.tree / ".github" / "interlock.yml").write_text(_configuration(self.base.name))

    def _write_targets(self, bot: Mapping[str, object]) -> None:
        targets = {
            **bot,
            "canary": CANARY,
            "mark": self.base.name,
            "key": self._key,
            "secret_file": str(self._secret),
            "other_run": str(self.base / "other-run"),
            "clone": str(self.base / "clone"),
            "events": str(self.base / "run" / "events.jsonl"),
            "terminal": os.ttyname(self._terminal[1]),
            "hostname": socket.gethostname(),
            "leftovers": self._leftovers,
        }
        (self.tree / "targets.json").write_text(json.dumps(targets))

    def _clear_what_stays(self) -> None:
        """What attacks left on the machine where nothing held them."""
        for path in self._leftovers:
            Path(path).unlink(missing_ok=True)
        (self.tree / "left-by-a-box").unlink(missing_ok=True)
        libc = ctypes.CDLL(None)
        segment, semaphores = libc.shmget(self._key, 1, 0), libc.semget(self._key, 0, 0)
        if segment >= 0:
            libc.shmctl(segment, 0, None)
        if semaphores >= 0:
            libc.semctl(semaphores, 0, 0)


def processes_with(part: str) -> list[int]:
    """The processes of this machine with something in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if part.encode() in words:
            found.append(int(path.parent.name))
    return found


def without_engines(directory: Path) -> str:
    """A PATH on which everything is but what makes a full sandbox."""
    for place in reversed(os.environ["PATH"].split(":")):
        for program in Path(place).glob("*") if Path(place).is_dir() else ():
            link = directory / program.name
            if program.name in ENGINES:
                continue
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    return str(directory)


def _configuration(mark: str) -> str:
    """Those that leave something come first, then who looks for it, then those beside a neighbour, then the others."""
    tiers = {row.leaves: 1 for row in ROWS if row.leaves} | {row.name: 2 for row in ROWS if row.leaves}
    tiers |= {"be_a_neighbour": 3} | {row.name: 3 if row.beside else 4 for row in ROWS if not row.leaves}
    lines = [f"limits: {{{LIMITS}, T1: {{{LIMITS}}}, T2: {{{LIMITS}}}}}", "boxes:"]
    lines += [
        f"  {number}: {{tier: {tier}, title: {name}, run: python3 hostile.py {name} {mark}, timeout: 30s}}"
        for number, (name, tier) in enumerate(tiers.items(), start=1)
    ]
    return "\n".join([*lines, ""])
