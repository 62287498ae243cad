"""The bake: users have the release, and it is watched until it can be said what it is worth."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.deploy.commands import HookFailed, run_hooks
from bot.deploy.phases.shares import alone, steps, weights
from bot.deploy.phases.switching import persistently
from bot.deploy.site import EMPTY, Next, Site, granting
from bot.deploy.target import Fenced, Observed, TargetProblem
from bot.deploy.watching import ROUNDS, Addresses, Eyes, Memory, fresh, judged, memory_from_json, step_time
from bot.deploy.wishes import Wish, Wished
from bot.domain.deploy.bake import AskBoth, BakeTime, Course, GoesOn, Good, Inconclusive, Judgement, Pairs, course
from bot.domain.deploy.states import State
from bot.domain.deploy.watch import FLOOR, tolerated

LOOK = 0.05
"""Seconds, at most, between two looks at what the watch knows and at what people wish for."""

LINES = 0.25
"""Seconds between two lines of the watch in the journal."""

_THERE: Mapping[Course, State] = {
    "retire": State.RETIRING,
    "roll_back": State.ROLLING_BACK,
    "hold": State.HELD,
}

CRASHES = 5
"""A watch that was begun so often without a line nobody keeps: the release before is the safer one."""


async def bake(site: Site) -> Next:
    """Watch the release through all of its steps."""
    if _unwatched(site):
        return Next(State.ROLLING_BACK, f"the watch was cut off {CRASHES} times before it saw anything")
    step, last = _step(site), len(steps(site)) - 1
    while True:
        follows = await _watched(site, step)
        if follows.state is not State.RETIRING or step == last:
            return follows
        step += 1
        facts = {"step": step, "share": steps(site)[step], "because": follows.because}
        await site.write("note", what="step", **facts, **granting(follows.wished))
        if follows.wished is not None:
            await site.heard(follows.wished, "takes the next step")


async def decide(site: Site) -> Next | None:
    """What follows when a held deployment is wished to go on, or back; None while nobody wishes anything."""
    while (wished := site.wished()) is not None:
        match wished.wish:
            case Wish.ROLLBACK:
                return Next(State.ROLLING_BACK, f"{wished.by} asked for it", wished)
            case Wish.PROMOTE:
                return _promoted(site, wished)
            case Wish.ABORT:
                await site.heard(wished, "nothing: users have the release; /rollback takes it back")
    return None


def _promoted(site: Site, wished: Wished) -> Next:
    """A person says that the release is good enough: for its next step, or for good."""
    if site.last("state", state=State.BAKING.value) is None:
        return Next(State.BAKING, f"{wished.by} wants it to go on", wished)
    if _step(site) + 1 < len(steps(site)):
        return Next(State.BAKING, f"{wished.by} promoted it to its next step", wished)
    return Next(State.RETIRING, f"{wished.by} promoted it", wished)


async def _watched(site: Site, step: int) -> Next:
    """One step: the traffic is divided, and watched. RETIRING stands for a step that was passed."""
    try:
        observed = await site.observe()
        if _taken_away(site, observed):
            return Next(State.ROLLING_BACK, "somebody has taken the traffic from it")
        await persistently(site, weights(site, steps(site)[step]))
        observed = await site.observe()
    except Fenced:
        raise
    except TargetProblem as problem:
        return Next(State.ROLLING_BACK, f"the router cannot be told what to do: {problem}")
    addresses = _addresses(site, observed, step)
    memory = _remembered(site, step, pairs=bool(addresses.old))
    eyes = Eyes(memory, site.environment.watch, site.target, site.clock, slot=site.plan.slot)
    looking = asyncio.create_task(eyes.look(addresses))
    late = asyncio.create_task(_afterwards(site, addresses, whole=steps(site)[step] == 1.0))
    vigil = Vigil(site, eyes, addresses, late, looking)
    try:
        return await vigil.keep()
    finally:
        looking.cancel()
        late.cancel()
        await asyncio.wait({looking, late})


@dataclass(slots=True)
class Vigil:
    """Who sits beside the watch, and acts on what it says."""

    site: Site
    eyes: Eyes
    addresses: Addresses
    late: asyncio.Task[str]
    looking: asyncio.Task[None]
    rounds: int = 0
    line: asyncio.Task[None] | None = None
    line_at: float = 0.0

    async def keep(self) -> Next:
        """Until there is something to be done."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self.eyes.changed.wait()
            self.eyes.changed.clear()
            if self.looking.done():
                self.looking.result()  # it only ends by a mistake of ours, which is raised here.
            if (follows := await self._asked() or self._failed_late() or await self._judged()) is not None:
                await self._write_line()
                return follows
            self._write_now_and_then()

    async def _asked(self) -> Next | None:
        """What people wish for."""
        site = self.site
        if (wished := site.wished()) is None:
            return None
        match wished.wish:
            case Wish.ROLLBACK:
                return Next(State.ROLLING_BACK, f"{wished.by} asked for it", wished)
            case Wish.PROMOTE if self.eyes.memory.step < len(steps(site)) - 1:
                return Next(State.RETIRING, f"{wished.by} promoted it to its next step", wished)
            case Wish.PROMOTE:
                await site.heard(wished, "nothing: the last step is watched to its end")
            case Wish.ABORT:
                await site.heard(wished, "nothing: users have the release; /rollback takes it back")
        return None

    def _failed_late(self) -> Next | None:
        """What the hooks and the smoke tests after the switch say."""
        if not self.late.done() or not (problem := self.late.result()):
            return None
        bad = State.ROLLING_BACK if self.site.environment.watch.on_bad == "rollback" else State.HELD
        return Next(bad, problem)

    async def _judged(self) -> Next | None:
        """What the watch says."""
        said = self._said()
        while isinstance(said, AskBoth):
            self.rounds += 1
            await self.eyes.ask_both(self.addresses)
            said = self._said()
        if isinstance(said, GoesOn):
            return None
        return Next(_THERE[course(said, self.site.environment.watch)], said.because)

    def _said(self) -> Judgement:
        memory = self.eyes.memory
        now = self.site.clock.now().timestamp()
        over = memory.time.over(now) if memory.judges else now - memory.time.began >= memory.time.planned
        said = judged(memory, over=over and self.late.done(), unanswered=self.rounds >= ROUNDS)
        return _fallen_silent(memory, said) if isinstance(said, Good) and not memory.time.enough else said

    def _write_now_and_then(self) -> None:
        """A line of the journal, now and then; the disk may take its time, and nobody waits for it here."""
        now = asyncio.get_running_loop().time()
        if self.eyes.tally.seen and now - self.line_at >= LINES and (self.line is None or self.line.done()):
            self.line_at = now
            self.line = asyncio.create_task(self._write())

    async def _write_line(self) -> None:
        if self.line is not None:
            await self.line
        await self._write()

    async def _write(self) -> None:
        await self.site.write("watch", **self.eyes.tally.take(), **self.eyes.memory.to_json())


async def _afterwards(site: Site, addresses: Addresses, *, whole: bool) -> str:
    """What is run beside the watch once all users have the release; why something is not as it should be, or ""."""
    if not whole:
        return ""
    try:
        await run_hooks(site, "after_rollback" if site.plan.kind == "rollback" else "after_switch")
    except HookFailed as failed:
        return str(failed)
    if not site.environment.smoke:
        return ""
    if (done := site.last("done", call="smoke", which="after")) is None:
        await site.write("intent", call="smoke", which="after", address=addresses.new)
        smoked = await site.smoke(addresses.new, "after")
        await site.write("done", call="smoke", which="after", ok=smoked.ok, because=smoked.because)
        return "" if smoked.ok else f"smoke after the switch: {smoked.because}"
    return "" if done.data["ok"] else f"smoke after the switch: {done.data['because']}"


def _fallen_silent(memory: Memory, good: Good) -> Inconclusive:
    """What is said of a release that answered well and then not at all, as one that hangs behind a router."""
    time = memory.time
    because = f"inconclusive: nothing was seen for most of the time, in one piece {time.seen:.0f} of {time.planned:g} s"
    return Inconclusive(samples=good.samples, needed=good.samples, because=because)


def _addresses(site: Site, observed: Observed, step: int) -> Addresses:
    """The new release as users reach it; while it has but a share of them, in its slot. And the one before."""
    plan = site.plan
    new = observed.slots.get(plan.slot, EMPTY).address
    if steps(site)[step] == 1.0 or not new:
        new = _live(site, observed) or new
    old = EMPTY if plan.previous_slot is None or alone(site) else observed.slots.get(plan.previous_slot, EMPTY)
    return Addresses(new, old.address if old.running else "")


def _live(site: Site, observed: Observed) -> str:
    """Where users are answered: what the target knows is nearer than what people open."""
    return observed.address or site.environment.url


def _step(site: Site) -> int:
    """Which step of the canary it is at; one that was held at a step and came back goes on with the next."""
    step, held = 0, False
    for entry in site.journal.entries:
        if entry.kind == "note" and entry.data["what"] == "step":
            step = int(entry.data["step"])
        elif entry.kind == "state":
            step += held and entry.data["state"] == State.BAKING.value
            held = entry.data["state"] == State.HELD.value and _has_baked(site, entry.seq)
    return step


def _has_baked(site: Site, before: int) -> bool:
    return any(entry.data.get("state") == State.BAKING.value for entry in site.journal.entries[: before - 1])


def _taken_away(site: Site, observed: Observed) -> bool:
    """Whether the release before has all of the traffic again, and nobody held the new one since.

    Where nobody is served at all the router is gone, which is no decision of anybody's.
    """
    edges = [entry.data["state"] for entry in site.journal.entries if entry.kind == "state"]
    away = observed.live is not None and not observed.weights.get(site.plan.slot)
    return State.HELD.value not in edges and away


def _remembered(site: Site, step: int, *, pairs: bool) -> Memory:
    """What the watch knew before a crash, or at its last step; else a watch that has seen nothing."""
    watch, now = site.environment.watch, site.clock.now().timestamp()
    shares, pause = steps(site), site.environment.strategy.pause
    seconds = watch.seconds if step == len(shares) - 1 else pause
    known = _known(site)
    if known is None:
        whole = pause * (len(shares) - 1) + watch.seconds
        return fresh(watch, step=step, seconds=seconds, whole=whole, p0=_tolerated(site), pairs=pairs, now=now)
    if known.step == step:
        time = _without_the_pause(known.time, now)
        return replace(known, time=time, pairs=(known.pairs or Pairs()) if pairs else None)
    time = step_time(watch, seconds=seconds, now=now)
    return replace(known, step=step, time=time, pairs=Pairs() if pairs else None)


def _without_the_pause(time: BakeTime, now: float) -> BakeTime:
    """The clock goes on with the next sample; while nobody watched, nothing was watched. A long pause ends it all."""
    short = time.last_sample is not None and now - time.last_sample <= time.gap
    return replace(time, last_sample=None) if short else time


def _known(site: Site) -> Memory | None:
    """The last line of the watch since it began; what a person has overruled is not remembered."""
    for entry in reversed(site.journal.entries):
        if entry.kind == "watch":
            return memory_from_json(entry.data)
        if entry.kind == "state":
            return None
    return None


def _tolerated(site: Site) -> float:
    """The share of failures that is tolerated: configured, or learned from the release before."""
    if site.environment.watch.tolerated is not None:
        return site.environment.watch.tolerated
    before = site.last("seen", what="counts before")
    counts = before.data["slots"].get(site.plan.previous_slot) if before else None
    return tolerated(counts["failures"], counts["answers"]) if counts else FLOOR


def _unwatched(site: Site) -> bool:
    """Whether the watch was begun again and again and never saw anything."""
    begun = 0
    for entry in reversed(site.journal.entries):
        if entry.kind in {"watch", "state"}:
            break
        begun += entry.kind == "note" and entry.data["what"] == "started"
    return begun > CRASHES
