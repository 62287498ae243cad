"""Prints the attack table of this machine: `python -m tests.runner.sandbox.attack_table [--json] [COLUMN]...`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.runner.sandbox.attacks.arena import Arena, Outcome, without_engines
from tests.runner.sandbox.attacks.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).parents[3]
NOBODY_S = 12_345  # the user of the column `unprivileged`, where we are root.
PYTHON = "/usr/bin/python3"  # which every user reaches, as our own interpreter may not be.
WORDS = {
    "off": ("--sandbox", "off"),
    "full": ("--sandbox", "full", "--trust", "T2"),
    "landlock": ("--sandbox", "auto", "--trust", "T1"),
}


def attack(asked: str) -> tuple[str, dict[str, Outcome]]:
    """Run all attacks as asked; returns the isolation that was in force, and what became of each."""
    if asked == "unprivileged":
        return _unprivileged()
    with Arena() as arena, tempfile.TemporaryDirectory() as directory:
        path = without_engines(Path(directory)) if asked == "landlock" else ""
        return arena.run(*WORDS[asked], path=path)


def why_not_unprivileged() -> str:
    """Why the runner, the bot and the attacks cannot be run as one ordinary user here; "" when they can."""
    if os.geteuid():
        return "we are an ordinary user, so the column `full` is this one already"
    done = subprocess.run([PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    return "" if done.returncode == 0 else f"{PYTHON} is older than 3.11"


def _unprivileged() -> tuple[str, dict[str, Outcome]]:
    """The full sandbox for a user who is not root, from a copy of the product that this user can read."""
    drop = ("setpriv", "--reuid", str(NOBODY_S), "--regid", str(NOBODY_S), "--clear-groups")
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        copy = Path(directory)
        shutil.copytree(SOURCE / "runner", copy / "runner")
        shutil.copytree(SOURCE / "tests" / "runner" / "sandbox", copy / "tests" / "runner" / "sandbox")
        for package in ("tests", "tests/runner"):
            shutil.copy(SOURCE / package / "__init__.py", copy / package)
        yaml = find_spec("ruamel.yaml")
        assert yaml is not None
        assert yaml.origin is not None
        shutil.copytree(Path(yaml.origin).parent, copy / "ruamel" / "yaml")
        subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
        done = subprocess.run(
            [*drop, PYTHON, "-m", "tests.runner.sandbox.attack_table", "--json", "full"],
            cwd=copy,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    ((level, outcomes),) = json.loads(done.stdout).items()
    return level, {name: Outcome(**fields) for name, fields in outcomes.items()}


def table(columns: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The outcomes by isolation, as a table in Markdown."""
    lines = [f"| attack | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in ROWS:
        cells = [_cell(outcomes[row.name]) for outcomes in columns.values()]
        lines.append(f"| {row.says} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(outcome: Outcome) -> str:
    if outcome.broken:
        return "broken"
    return "**succeeded**" if outcome.succeeded else "stopped"


def main(arguments: list[str]) -> int:
    """Print the table of some columns, and how each attack was answered on standard error; or all of it as JSON."""
    asked = [word for word in arguments if word != "--json"] or [
        *WORDS,
        *([] if why_not_unprivileged() else ["unprivileged"]),
    ]
    columns: dict[str, dict[str, Outcome]] = {}
    for name in asked:
        level, outcomes = attack(name)
        if outcomes:
            columns[f"{level}, unprivileged" if name == "unprivileged" else level] = outcomes
        else:
            print(f"{name}: {level}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({level: {name: asdict(one) for name, one in seen.items()} for level, seen in columns.items()}))
        return 0
    print(table(columns))
    for level, seen in columns.items():
        for name, outcome in seen.items():
            print(f"{level}: {name}: {outcome.broken or outcome.detail}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
