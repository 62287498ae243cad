"""Prints the attack table of this machine as Markdown: `python -m tests.runner.sandbox.attack_table`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.runner.sandbox.attacks.arena import Arena, Outcome, without_engines
from tests.runner.sandbox.attacks.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {
    "off": ("--sandbox", "off"),
    "full": ("--sandbox", "full", "--trust", "T2"),
    "landlock": ("--sandbox", "auto", "--trust", "T1"),
}


def attack(asked: str) -> tuple[str, dict[str, Outcome]]:
    """Run all attacks as asked; returns the isolation that was in force, and what became of each."""
    with Arena() as arena, tempfile.TemporaryDirectory() as directory:
        path = without_engines(Path(directory)) if asked == "landlock" else ""
        return arena.run(*WORDS[asked], path=path)


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


def main(asked: list[str]) -> int:
    """Print the table of some columns, and below it how each attack that did not do as it should was answered."""
    columns: dict[str, dict[str, Outcome]] = {}
    for name in asked or WORDS:
        level, outcomes = attack(name)
        columns[level] = outcomes
    print(table(columns))  # noqa: T201 - what it is for.
    for level, outcomes in columns.items():
        for name, outcome in outcomes.items():
            print(f"{level} {name}: {outcome.broken or outcome.detail}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
