"""What `runner` costs over the boxes themselves, beside a C loop that spawns the same files and does nothing else.

Everything is measured in turns within one run, because a shared machine is never the same machine twice: compare the
ratios, not the milliseconds. A median over the rounds is reported; the first round warms up and is not counted.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
JOBS = 2
FEW, MANY = 77, 1000
CONSOLE_SCRIPT = "import sys\nfrom runner.cli import main\nsys.exit(main())\n"
TRIVIAL = "#!/bin/sh\necho 1..1\necho ok 1\n"
SLEEPER = "#!/bin/sh\nsleep {seconds:.3f}\necho 1..1\necho ok 1\n"
# The control breaks the product, and the box looks at the product: as small as a proof can be.
PROVABLE = """#!/bin/sh
# /// box
# [control]
# edit = {{ file = "product/{number}.txt", find = "right", replace = "wrong" }}
# expect = {{ output = "wrong" }}
# ///
read answer < product/{number}.txt
echo "it is $answer"
sleep {seconds:.3f}
[ "$answer" = right ]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one command: wall and processor seconds, and the largest resident size of one of its processes, in MiB."""

    wall: float
    cpu: float
    rss: float


class Bench:
    """Measures commands in rounds.

    Args:
        directory: scratch; programs, suites and caches go there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._costs: dict[str, list[Cost]] = {}
        self._launcher = self._compile("meas")
        self.limit = self._compile("limit")
        script = directory / "runner"
        script.write_text(CONSOLE_SCRIPT)
        self.runner = (sys.executable, str(script))
        # Not ours: a variable such as PYTHONDONTWRITEBYTECODE or CI would make it another measurement.
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }

    def measure(self, name: str, command: Sequence[str], *, keep: bool = True) -> None:
        """Run a command once.

        Raises:
            SystemExit: it did not end with 0, so what it cost says nothing.
        """
        out = self.directory / "cost"
        done = subprocess.run(
            [str(self._launcher), str(out), *command],
            env=self._env,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        wall, cpu, rss, code = out.read_text().split() if done.returncode == 0 else ("0", "0", "0", "launcher")
        if code != "0":
            sys.exit(f"{name}: {' '.join(command)} ended with {code}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        if keep:
            self._costs.setdefault(name, []).append(Cost(wall=float(wall), cpu=float(cpu), rss=int(rss) / 1024))

    def wall(self, name: str) -> float:
        """Median seconds."""
        return statistics.median(cost.wall for cost in self._costs[name])

    def cpu(self, name: str) -> float:
        """Median seconds of processor time, the boxes' included. A busy machine hardly changes it."""
        return statistics.median(cost.cpu for cost in self._costs[name])

    def rss(self, name: str) -> float:
        """The largest resident size of all rounds, in MiB."""
        return max(cost.rss for cost in self._costs[name])

    def _compile(self, name: str) -> Path:
        program = self.directory / name
        subprocess.run(["cc", "-O2", "-o", str(program), str(ROOT / "bench" / f"{name}.c")], check=True)
        return program


def suite(directory: Path, texts: Sequence[str]) -> Path:
    """A repository with one tier of these boxes, and beside them the list of their files for the C loop."""
    boxes = directory / "boxes" / "tier-1"
    boxes.mkdir(parents=True)
    paths = [boxes / f"{number:04}_box.sh" for number in range(1, len(texts) + 1)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
        path.chmod(0o755)
    (directory / "list").write_text("".join(f"{path}\n" for path in paths))
    return directory


def skewed() -> list[float]:
    """Seconds that 77 boxes sleep: most a few hundredths, one half a second; in an order that helps nobody."""
    chance = random.Random(7)
    seconds = [round(0.005 * 100 ** (chance.random() ** 1.5), 3) for _ in range(FEW - 1)]
    seconds.append(0.5)
    chance.shuffle(seconds)
    return seconds


def provable(directory: Path, seconds: float) -> Path:
    """A repository whose boxes each have a product file to look at, and a control that breaks it."""
    made = suite(directory, [PROVABLE.format(number=number, seconds=seconds) for number in range(1, FEW + 1)])
    (directory / "product").mkdir()
    for number in range(1, FEW + 1):
        (directory / "product" / f"{number}.txt").write_text("right\n")
    return made


def commands(bench: Bench) -> dict[str, tuple[str, ...]]:
    """What is measured, in the order of a round."""
    few = suite(bench.directory / "few", [TRIVIAL] * FEW)
    many = suite(bench.directory / "many", [TRIVIAL] * MANY)
    mixed = suite(bench.directory / "mixed", [SLEEPER.format(seconds=seconds) for seconds in skewed()])
    proved = provable(bench.directory / "proved", 0.02)
    loop = (str(bench.limit), str(JOBS))

    def runner(repository: Path, *words: str) -> tuple[str, ...]:
        return (*bench.runner, "-C", str(repository), *words)

    jobs = ("-j", str(JOBS))
    return {
        "python": (sys.executable, "-c", "pass"),
        "version": (*bench.runner, "--version"),
        "list": runner(few, "list"),
        "run 1": runner(few, "run", "1"),
        "C few": (*loop, str(few / "list")),
        "few": runner(few, "run", *jobs),
        "C many": (*loop, str(many / "list")),
        "many": runner(many, "run", *jobs),
        "C mixed": (*loop, str(mixed / "list")),
        "mixed": runner(mixed, "run", *jobs),
        "plain": runner(proved, "run", *jobs),
        "falsify": runner(proved, "falsify", "--strict", "--no-cache", *jobs),
        "falsify again": runner(proved, "falsify", "--strict", *jobs),
    }


def figures(bench: Bench) -> list[Figure]:
    """The medians beside the promises."""
    boxes = MANY - FEW
    slope = (bench.wall("many") - bench.wall("few")) / boxes * 1e3
    floor = (bench.wall("C many") - bench.wall("C few")) / boxes * 1e3
    spent = (bench.cpu("many") - bench.cpu("few") - bench.cpu("C many") + bench.cpu("C few")) / boxes * 1e3
    asleep = skewed()
    bound = max(*asleep, sum(asleep) / JOBS)
    return [
        Figure(what="python -c pass (nothing starts faster)", value=bench.wall("python") * 1e3, unit="ms"),
        Figure(what="runner --version", value=bench.wall("version") * 1e3, unit="ms", promise=30),
        Figure(what="runner list, 77 boxes, warm", value=bench.wall("list") * 1e3, unit="ms", promise=40),
        Figure(what="runner run 1", value=bench.wall("run 1") * 1e3, unit="ms", promise=40),
        Figure(what="77 trivial boxes, with start-up", value=bench.wall("few") * 1e3, unit="ms", promise=95),
        Figure(what="the same in the C loop", value=bench.wall("C few") * 1e3, unit="ms"),
        Figure(what="one box more", value=slope, unit="ms", promise=1.0),
        Figure(what="one box more in the C loop", value=floor, unit="ms"),
        Figure(what="one box more / in the C loop", value=slope / floor, unit="", promise=2.0),
        Figure(what="processor time over the C loop, a box", value=spent, unit="ms"),
        Figure(what="skewed mix / its bound, with history", value=bench.wall("mixed") / bound, unit="", promise=1.06),
        Figure(what="the same in the C loop, in file order", value=bench.wall("C mixed") / bound, unit=""),
        Figure(what="peak RSS, 1000 boxes", value=bench.rss("many"), unit="MiB", promise=20),
        Figure(
            what="falsify 77 / plain run of 77 (20 ms boxes)",
            value=bench.wall("falsify") / bench.wall("plain"),
            unit="",
            promise=2.1,
        ),
        Figure(what="the same again, nothing changed", value=bench.wall("falsify again") * 1e3, unit="ms"),
    ]


def main() -> int:
    """Measure and print; 1 when a promise does not hold here and now."""
    if shutil.which("cc") is None:
        print("skipped: there is no C compiler (cc), and without the C loop there is nothing to compare with")
        return 0
    print(f"runner over its boxes, {JOBS} at a time, medians of {ROUNDS} rounds; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        bench = Bench(Path(directory))
        measured = commands(bench)
        for turn in range(ROUNDS + 1):
            for name, command in measured.items():
                bench.measure(name, command, keep=turn > 0)
        return report(figures(bench))


if __name__ == "__main__":
    sys.exit(main())
