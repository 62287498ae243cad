"""What a sandbox adds to a box that does nothing, level by level, and what its parts cost alone.

Levels take turns within one run, because a shared machine is never the same machine twice. What a box costs is the
difference between a run of many and a run of one, so starting the runner and preparing its sandbox are told apart.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
BOXES = 25
PROMISE = 30.0
"""Milliseconds that the full sandbox may add to a box."""
ENGINES = ("bwrap", "podman", "docker")
DOES_NOTHING = "#!/bin/true\n"


class Levels:
    """The levels that this machine has, and the commands that run a suite on each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._without = directory / "path"
        self._without.mkdir()
        for place in reversed(os.environ["PATH"].split(":")):
            for program in Path(place).glob("*") if Path(place).is_dir() else ():
                link = self._without / program.name
                if program.name not in ENGINES:
                    link.unlink(missing_ok=True)
                    link.symlink_to(program)
        self.suites = {1: self._suite("one", 1), BOXES + 1: self._suite("many", BOXES + 1)}
        asked = {
            "off": (("--sandbox", "off"), os.environ["PATH"]),
            "full": (("--sandbox", "full"), os.environ["PATH"]),
            "next": (("--sandbox", "auto"), str(self._without)),
        }
        self.commands: dict[str, tuple[tuple[str, ...], str]] = {}
        for words, path in asked.values():
            level = self._level(words, path)
            if level:
                self.commands.setdefault(level, (words, path))

    def seconds(self, level: str, boxes: int) -> float:
        """Wall time of one run.

        Raises:
            SystemExit: it did not end with 0, so what it cost says nothing.
        """
        words, path = self.commands[level]
        began = perf_counter()
        done = self._run(boxes, words, path)
        took = perf_counter() - began
        if done.returncode:
            sys.exit(f"{level} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return took

    def _level(self, words: tuple[str, ...], path: str) -> str:
        """The isolation that is in force, "" when there is none to be had."""
        done = self._run(1, words, path)
        return done.stdout.partition("sandbox: ")[2].split()[0] if done.returncode == 0 else ""

    def _run(self, boxes: int, words: tuple[str, ...], path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runner", "run", "-j", "1", "--format", "plain", *words],
            cwd=self.suites[boxes],
            env={"PATH": path, "HOME": str(self._directory), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _suite(self, name: str, boxes: int) -> Path:
        for number in range(1, boxes + 1):
            path = self._directory / name / "boxes" / "tier-1" / f"{number:04}_box"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(DOES_NOTHING)
            path.chmod(0o755)
        return self._directory / name


def parts() -> dict[str, tuple[str, ...]]:
    """What the full sandbox consists of, as commands that can be timed alone; those that this machine has."""
    true = "/bin/true"
    everything = ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
    spaces = ("--unshare-all", "--disable-userns", "--unshare-user", "--die-with-parent", "--new-session")
    found = {
        "part: a process": (true,),
        "part: setpriv, another user": ("setpriv", "--reuid", "60001", "--regid", "60001", "--clear-groups", true),
        "part: bubblewrap, namespaces and few mounts": ("bwrap", *spaces, *everything, true),
        "part: the warden's interpreter": (os.path.realpath(sys.executable), "-I", "-S", "-c", "pass"),
    }
    return {name: words for name, words in found.items() if _works(words)}


def _works(words: tuple[str, ...]) -> bool:
    return bool(shutil.which(words[0])) and subprocess.run(words, capture_output=True, check=False).returncode == 0


def figures(levels: Levels) -> list[Figure]:
    """Measure all levels in turns."""
    slopes: dict[str, list[float]] = {level: [] for level in levels.commands}
    starts: dict[str, list[float]] = {level: [] for level in levels.commands}
    pieces = parts()
    alone: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in range(ROUNDS + 1):
        for level in levels.commands:
            one, many = levels.seconds(level, 1), levels.seconds(level, BOXES + 1)
            if turn:
                slopes[level].append((many - one) / BOXES * 1e3)
                starts[level].append(one * 1e3)
        for _ in range(BOXES if turn else 1):
            for name, words in pieces.items():
                began = perf_counter()
                subprocess.run(words, capture_output=True, check=True)
                alone[name].append((perf_counter() - began) * 1e3)
    boxes = {level: statistics.median(values) for level, values in slopes.items()}
    made = [Figure(what=f"a box that does nothing, {level}", value=value, unit="ms") for level, value in boxes.items()]
    for level, value in boxes.items():
        if level != "off":
            promise = PROMISE if level == "bubblewrap" else None
            made.append(Figure(what=f"added by {level}", value=value - boxes["off"], unit="ms", promise=promise))
    for level, values in starts.items():
        made.append(Figure(what=f"a whole run of one box, {level}", value=statistics.median(values), unit="ms"))
    made += [Figure(what=name, value=statistics.median(values), unit="ms") for name, values in alone.items()]
    return made


def main() -> int:
    """Measure and print; 1 when a promise does not hold here and now."""
    print(f"sandboxes over {BOXES} boxes, one at a time, medians of {ROUNDS} rounds; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        Path(directory).chmod(0o755)
        levels = Levels(Path(directory))
        if "bubblewrap" not in levels.commands:
            print("this machine has no bubblewrap that works; `runner doctor` says why")
        return report(figures(levels))


if __name__ == "__main__":
    sys.exit(main())
