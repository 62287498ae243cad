"""How the demo is told: with a spinner on a terminal, in plain lines elsewhere, or not at all for machines."""

from __future__ import annotations

import re
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bot.commands.demo_outcome import Outcome, StepOutcome


class Telling(Protocol):
    """Hears what happens, in order."""

    def begin(self, total: int) -> None:
        """The story begins; it has `total` steps."""

    def step(self, title: str, why: str) -> None:
        """A step begins."""

    def happened(self, step: StepOutcome) -> None:
        """It is over, one way or the other."""

    def interrupted(self) -> None:
        """Somebody broke the story off; everything has been ended."""

    def end(self, outcome: Outcome) -> None:
        """The story is over."""


class Silent:
    """For machines, which get the document."""

    def begin(self, total: int) -> None:
        """Say nothing."""

    def step(self, title: str, why: str) -> None:
        """Say nothing."""

    def happened(self, step: StepOutcome) -> None:
        """Say nothing."""

    def interrupted(self) -> None:
        """Say nothing."""

    def end(self, outcome: Outcome) -> None:
        """Say nothing."""


class PlainTelling:
    """Lines of text, for pipes and logs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._number = 0
        self._total = 0

    def begin(self, total: int) -> None:
        """What this is."""
        self._total = total
        self._say("interlock demo: the whole product on this machine")

    def step(self, title: str, why: str) -> None:
        """The title and the reason, before anything happens."""
        self._number += 1
        self._say(f"\n{self._number}/{self._total} {title}\n    {why}")

    def happened(self, step: StepOutcome) -> None:
        """The evidence."""
        for line in step.lines:
            self._say(f"    {line}")
        self._say(f"    {'done' if step.ok else 'DID NOT HAPPEN'} after {step.seconds:.1f} s")

    def interrupted(self) -> None:
        """A last word."""
        self._say("\ninterrupted; everything was ended")

    def end(self, outcome: Outcome) -> None:
        """What there was to see, and where to look."""
        self._say(f"\n{verdict(outcome)}")
        if comment := shown_comment(outcome):
            self._say("\nThe comment on the pull request:")
            self._say("\n".join(f"    {line}".rstrip() for line in comment.splitlines()))
        self._say("")
        for name, place in outcome.where.items():
            self._say(f"{name}: {place}")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class RichTelling:
    """Colours, a spinner for what is going on, and a table at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._why = ""

    def begin(self, total: int) -> None:
        """What this is."""
        self._console.print(f"\n[bold]interlock demo[/bold] · {total} steps, nothing leaves this machine\n")

    def step(self, title: str, why: str) -> None:
        """The title and the reason beside a spinner."""
        going_on = Group(Text(title, "bold"), Text(why, "dim"))
        self._status = self._console.status(going_on, spinner="dots")
        self._status.start()
        self._why = why

    def happened(self, step: StepOutcome) -> None:
        """The title again with its sign, the reason, and the evidence."""
        self._stop()
        sign = ("✓ ", "bold green") if step.ok else ("✗ ", "bold red")
        self._console.print(Text.assemble(sign, (step.title, "bold"), (f"  {step.seconds:.1f} s", "dim")))
        self._console.print(Padding(Text(self._why, "dim"), (0, 0, 0, 2)))
        for line in step.lines:
            style = {"✓": "green", "✗": "red"}.get(line[:1], "" if step.ok else "red")
            self._console.print(Padding(Text(line, style), (0, 0, 0, 4)))
        self._console.print()

    def interrupted(self) -> None:
        """A last word."""
        self._stop()
        self._console.print("\n[yellow]interrupted; everything was ended[/yellow]")

    def end(self, outcome: Outcome) -> None:
        """The table, the comment, and where to look."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for step in outcome.steps:
            sign = Text("✓", "green") if step.ok else Text("✗", "red")
            table.add_row(sign, step.title, Text(f"{step.seconds:.1f} s", "dim", justify="right"))
        self._console.print(table)
        self._console.print(Text(f"\n{verdict(outcome)}\n", "bold green" if outcome.ok else "bold red"))
        if comment := shown_comment(outcome):
            self._console.print(Panel(Text(comment), title="the comment on the pull request", title_align="left"))
        for name, place in outcome.where.items():
            self._console.print(Text.assemble((f"{name}: ", "dim"), place), soft_wrap=True)
        self._console.print()

    def _stop(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def verdict(outcome: Outcome) -> str:
    """The last sentence."""
    if outcome.ok:
        return f"All {len(outcome.steps)} steps happened in {outcome.seconds:.0f} s."
    missed = next((step.title for step in outcome.steps if not step.ok), "the first")
    return f"This step did not happen: {missed}. With --keep, everything stays for a closer look."


def shown_comment(outcome: Outcome) -> str:
    """The comment as people read it: without the hidden first line, and links by their names alone."""
    shown = "\n".join(line for line in outcome.comment.splitlines() if not line.startswith("<!--")).strip()
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", shown)
