"""The user's own commands for each thing that a deployment does. The contract is docs/reference/targets.md.

A command tells by its exit code how it went, and on standard output what it was asked. Which release and which start a
slot holds is remembered here, so that commands need not; whether it runs, they say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.deploy.confine import Confinement
from bot.deploy.durable import get_json, put
from bot.deploy.residents import NONCE
from bot.deploy.running import KILLED, Ran, run
from bot.deploy.target import (
    Capabilities,
    Counts,
    Dead,
    Fenced,
    NotYet,
    Observed,
    Readiness,
    Ready,
    Slot,
    SlotState,
    TargetProblem,
    TargetUnreachable,
    Unbuildable,
)
from bot.deploy.targets.fence import Fence
from bot.deploy.targets.options import CommandOptions, variables
from bot.domain.deploy.environment import StrategyKind
from bot.domain.deploy.release import Release

DONE, AGAIN, FENCED, CANNOT = 0, 75, 76, 77
"""Exit codes. 75 is EX_TEMPFAIL of sysexits.h."""

_PROBLEMS: Mapping[int, type[TargetProblem]] = {AGAIN: TargetUnreachable, FENCED: Fenced, CANNOT: Unbuildable}

ONLY = "only"
"""The slot of a target without `route`."""


def capabilities(options: CommandOptions) -> Capabilities:
    """What a target with these commands can do."""
    routed = "route" in options.verbs
    strategies: set[StrategyKind] = {"recreate"}
    strategies |= {"blue_green"} if routed else set()
    strategies |= {"canary"} if routed and options.shares else set()
    return Capabilities(
        strategies=frozenset(strategies),
        idle_address=routed,
        counters="counts" in options.verbs,
        keeps_old=routed,
        promise="what your commands make of it",
    )


class CommandTarget:
    """See `bot.deploy.target.Target` for what each call promises.

    Args:
        options: the commands.
        place: what is kept of the environment.
        token: of the controller's lease.
        confinement: of the commands.
        secrets: by name.
    """

    def __init__(
        self,
        options: CommandOptions,
        place: Path,
        *,
        token: int,
        confinement: Confinement,
        secrets: Mapping[str, str],
    ) -> None:
        self._options = options
        self._place = place
        self._token = token
        self._fence = Fence(place, token)
        self._confinement = confinement
        self._secrets = secrets
        self.capabilities = capabilities(options)

    async def observe(self) -> Observed:
        """What the command `observe` says, with what is remembered of starts."""
        said = _json(await self._done("observe"), "observe")
        slots = said.get("slots")
        weights = said.get("weights", {} if "route" in self._options.verbs else {ONLY: 100})
        if not isinstance(slots, dict) or not isinstance(weights, dict):
            message = "observe must print an object with `slots`, and `weights` if there is a route"
            raise TargetUnreachable(message)
        return Observed(
            slots={str(slot): self._state(str(slot), facts) for slot, facts in slots.items()},
            weights={str(slot): _whole(share, "weights") for slot, share in weights.items()},
            token=self._fence.highest,
            address=str(said.get("address", "")),
        )

    async def start(self, slot: Slot, release: Release, tree: Path, nonce: str) -> None:
        """Run the command `start`, unless the slot runs this very start."""
        async with self._fence.passed():
            known = get_json(self._memory(slot))
            if known.get("nonce") == nonce and known.get("started") and await self._runs(slot):
                return
            facts = {"release": release.id, "sha": release.sha, "tree": str(tree), "nonce": nonce}
            self._remember(slot, {**facts, "started": False})
            self._confinement.check_reach((tree,))
            await asyncio.to_thread(self._confinement.own, tree)
        # A start may take minutes; who comes later with a newer token is not held up by it.
        await self._done("start", slot, within=self._options.start_timeout)
        async with self._fence.passed():
            self._remember(slot, {**facts, "started": True})

    async def ready(self, slot: Slot) -> Readiness:
        """Run the command `ready`; without one, what `observe` says of the slot."""
        if "ready" not in self._options.verbs:
            return Ready() if await self._runs(slot) else NotYet("observe does not say that it runs")
        ran = await self._run("ready", slot)
        if ran.code == DONE:
            return Ready()
        because = (ran.out.strip() or ran.printed.strip() or f"ready ended with {ran.code}").splitlines()[-1]
        return Dead(because, ran.tail()) if ran.code == CANNOT else NotYet(because)

    async def route(self, weights: Mapping[Slot, int]) -> None:
        """Run the command `route`, and see by `observe` that it is so."""
        wanted = {slot: share for slot, share in weights.items() if share}
        async with self._fence.passed():
            if "route" in self._options.verbs:
                await self._done("route", extra={"INTERLOCK_WEIGHTS": json.dumps(wanted, sort_keys=True)})
            seen = {slot: share for slot, share in (await self.observe()).weights.items() if share}
            if seen != wanted:
                message = f"route was to make it {wanted}, and observe says {seen}"
                raise TargetUnreachable(message)

    async def drain(self, slot: Slot, within: float) -> None:
        """Run the command `drain`; without one, wait."""
        self._fence.check()
        if "drain" not in self._options.verbs:
            await asyncio.sleep(within)
            return
        extra = {"INTERLOCK_WITHIN": f"{within:g}"}
        await self._done("drain", slot, extra=extra, within=within + self._options.timeout)

    async def stop(self, slot: Slot) -> None:
        """Run the command `stop`; without one, a slot stays until the next start takes its place."""
        async with self._fence.passed():
            if "stop" in self._options.verbs:
                await self._done("stop", slot)
                self._memory(slot).unlink(missing_ok=True)

    async def counts(self) -> Mapping[Slot, Counts]:
        """What the command `counts` says."""
        if "counts" not in self._options.verbs:
            return {}
        said = _json(await self._done("counts"), "counts")
        return {
            slot: Counts(_whole(one.get("answers"), "answers"), _whole(one.get("failures"), "failures"))
            for slot, one in said.items()
            if isinstance(one, dict)
        }

    async def logs(self, slot: Slot, lines: int) -> str:
        """What the command `logs` prints, or the last of what `start` did."""
        if "logs" not in self._options.verbs:
            return "\n".join(str(get_json(self._memory(slot)).get("printed", "")).splitlines()[-lines:])
        ran = await self._done("logs", slot, extra={"INTERLOCK_LINES": str(lines)})
        return "\n".join(ran.out.splitlines()[-lines:])

    async def tend(self) -> None:
        """Nothing: what these commands started is kept by whatever they started it with."""

    async def take_down(self) -> None:
        """Serve nobody, and stop every slot."""
        if "route" in self._options.verbs:
            await self.route({})
        for slot in (await self.observe()).slots:
            await self.stop(slot)

    async def _runs(self, slot: Slot) -> bool:
        state = (await self.observe()).slots.get(slot)
        return state is not None and state.running

    async def _done(
        self, verb: str, slot: Slot = "", *, extra: Mapping[str, str] | None = None, within: float | None = None
    ) -> Ran:
        """Run a command that must succeed.

        Raises:
            Fenced: it says that somebody newer was there.
            Unbuildable: it says that it never will.
            TargetUnreachable: it did not.
        """
        ran = await self._run(verb, slot, extra=extra, within=within)
        if verb == "start":
            self._keep_printed(slot, ran)
        said = f"`{verb}` ended with {ran.code}" if ran.code != KILLED else f"`{verb}` took too long"
        message = f"{said}:\n{ran.tail()}" if ran.tail() else said
        if ran.code != DONE:
            raise _PROBLEMS.get(ran.code, TargetUnreachable)(message)
        return ran

    async def _run(
        self, verb: str, slot: Slot = "", *, extra: Mapping[str, str] | None = None, within: float | None = None
    ) -> Ran:
        self._lay_out()
        known = get_json(self._memory(slot)) if slot else {}
        tree = Path(str(known["tree"])) if known.get("tree") else None
        there = tree is not None and tree.is_dir()
        environ = {
            **variables(self._options, self._secrets),
            "HOME": str(self._home),
            "INTERLOCK": "1",
            "INTERLOCK_VERB": verb,
            "INTERLOCK_TOKEN": str(self._token),
            "INTERLOCK_SLOT": slot,
            "INTERLOCK_RELEASE": str(known.get("release", "")),
            "INTERLOCK_SHA": str(known.get("sha", "")),
            "INTERLOCK_TREE": str(tree) if there else "",
            NONCE: str(known.get("nonce", "")),
            **(extra or {}),
        }
        return await run(
            self._confinement,
            self._options.verbs[verb],
            directory=self._home,
            environ=environ,
            writes=(self._home, *((tree,) if tree is not None and there else ())),
            within=within or self._options.timeout,
        )

    def _state(self, slot: Slot, facts: object) -> SlotState:
        said = facts if isinstance(facts, dict) else {}
        known = get_json(self._memory(slot))
        release = str(said.get("release") or "")
        same = known.get("release") == release and bool(known.get("started"))
        nonce = str(said.get("nonce") or (known.get("nonce") if same else "") or "")
        running = bool(said.get("running", bool(release)))
        return SlotState(release=release, nonce=nonce, running=running, address=str(said.get("address") or ""))

    def _memory(self, slot: Slot) -> Path:
        if slot not in {"blue", "green", ONLY}:
            message = f"there is no slot {slot}: slots are blue and green, or only"
            raise Unbuildable(message)
        return self._place / "slots" / f"{slot}.json"

    def _remember(self, slot: Slot, facts: Mapping[str, object]) -> None:
        self._memory(slot).parent.mkdir(exist_ok=True)
        put(self._memory(slot), json.dumps({**get_json(self._memory(slot)), **facts}))

    def _keep_printed(self, slot: Slot, ran: Ran) -> None:
        self._remember(slot, {"printed": "\n".join((*ran.out.splitlines(), *ran.printed.splitlines()))[-65536:]})

    @property
    def _home(self) -> Path:
        return self._place / "home"

    def _lay_out(self) -> None:
        if not self._home.is_dir():
            self._home.mkdir(parents=True)
            self._confinement.own(self._home)
        self._confinement.check_reach((self._home,))


def _json(ran: Ran, verb: str) -> dict[str, Any]:
    try:
        said = json.loads(ran.out)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        message = f"`{verb}` must print one JSON object, and printed {ran.out.strip()[:200]!r}"
        raise TargetUnreachable(message)
    return said


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"{name} must be a whole number, and is {value!r}"
        raise TargetUnreachable(message)
    return value
