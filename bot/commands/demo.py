"""`interlock demo`: the whole product at work on this machine, as a story whose every step is checked.

Real processes, a real git repository, real HTTP: a GitHub stand-in and the bot run beside each other, and what the
story claims is read from GitHub's REST API as an ordinary user would read it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from time import monotonic

from rich.console import Console

from bot.commands.demo_outcome import DidNotHappen, Outcome, StepOutcome
from bot.commands.demo_stage import Stage, open_stage
from bot.commands.demo_story import STORY, Step
from bot.commands.demo_telling import PlainTelling, RichTelling, Silent, Telling

INTERRUPTED = 130


def demo(*, keep: bool = False, as_json: bool = False) -> int:
    """The `interlock demo` command.

    Args:
        keep: leave the hub, the bot and their files at the end, with their addresses and the way to end them.
        as_json: print one document on standard output and nothing else.

    Returns:
        0 when every step happened, 1 when one did not, 130 when interrupted. Nothing is left running unless `keep`.
    """
    telling = _telling(as_json=as_json)
    try:
        outcome = asyncio.run(_play(STORY, telling, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        telling.interrupted()
        return INTERRUPTED
    if as_json:
        print(json.dumps(outcome.document(), indent=2))  # noqa: T201 - the document that was asked for.
    return 0 if outcome.ok else 1


def _telling(*, as_json: bool) -> Telling:
    if as_json:
        return Silent()
    return RichTelling(Console(highlight=False)) if sys.stdout.isatty() else PlainTelling(sys.stdout)


async def _play(story: tuple[Step, ...], telling: Telling, *, keep: bool) -> Outcome:
    """Play the steps in order until one does not happen, then clear the stage."""
    _end_on_signals()
    began = monotonic()
    steps: list[StepOutcome] = []
    telling.begin(total=len(story) + (not keep))
    async with open_stage(keep=keep) as stage:
        for step in story:
            telling.step(step.title, step.why)
            steps.append(await _play_step(step, stage))
            telling.happened(steps[-1])
            if not steps[-1].ok:
                break
        where = stage.where(kept=keep)
        comment = stage.comment
    if not keep:
        telling.step("Clear the stage", "A demonstration that leaves processes behind demonstrates the wrong thing.")
        steps.append(stage.cleared())
        telling.happened(steps[-1])
    outcome = Outcome(steps=tuple(steps), seconds=monotonic() - began, where=where, comment=comment)
    telling.end(outcome)
    return outcome


def _end_on_signals() -> None:
    """The first signal ends the story; more of them must not disturb the clearing."""
    task = asyncio.current_task()
    assert task

    def end() -> None:
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)


async def _play_step(step: Step, stage: Stage) -> StepOutcome:
    """One step, within its time. What it saw is its evidence, also when it did not happen."""
    began = monotonic()
    try:
        async with asyncio.timeout(step.within):
            seen = await step.play(stage)
    except (DidNotHappen, TimeoutError) as problem:
        because = str(problem) or f"it did not happen within {step.within:.0f} s"
        logs = stage.log_tails()
        return StepOutcome(
            name=step.name,
            title=step.title,
            ok=False,
            seconds=monotonic() - began,
            lines=(because, *stage.last_seen(), *(f"{name}: {line}" for name, tail in logs.items() for line in tail)),
            facts={"because": because, "seen": stage.seen, "logs": logs},
        )
    return StepOutcome(
        name=step.name, title=step.title, ok=True, seconds=monotonic() - began, lines=seen.lines, facts=seen.facts
    )
