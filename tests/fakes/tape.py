"""The fault tape: one story, told in good weather and under each fault, and what the world looks like afterwards.

`python -m tests.fakes.tape` prints the table of the documentation.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bot.flows import reconcile, redeliver
from bot.localhub.clock import Clock as HubClock
from bot.localhub.records import Comment
from tests.fakes.world import REPO, PullRequest, World, box, open_world

SPEED = 20.0
"""Seconds that pass in the world in a second of the machine."""


class Running:
    """A clock that began at a fixed moment and runs faster than the machine's; both sides of the world have it."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._began = time.monotonic()
        self._start = datetime(2026, 1, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)


class Shifted:
    """The bot's clock, which may be wrong by some time."""

    def __init__(self, true: Running, by: timedelta) -> None:
        self._true = true
        self._by = by

    def now(self) -> datetime:
        return self._true.now() + self._by


class Githubs(HubClock):
    """GitHub's clock, by which it judges assertions too."""

    def __init__(self, true: Running) -> None:
        super().__init__()
        self._true = true

    def now(self) -> datetime:
        return self._true.now() + self._offset

    def judging(self) -> float:
        return self.seconds()


@dataclass
class Tape:
    """The world of one telling, and its time."""

    world: World
    clock: Running
    heads: list[str] = field(default_factory=list)
    said: list[Comment] = field(default_factory=list)
    pulls: list[PullRequest] = field(default_factory=list)
    rounds: int = 0

    async def pass_by(self) -> None:
        """Let everything come to rest, and the time pass that the schedules need: a round of each."""
        await self.world.settle()
        for name, what in ((redeliver.NAME, ""), (reconcile.NAME, reconcile.EVERYWHERE)):
            self.rounds += 1
            await self.world.running.ctx.engine.start(name, f"{name}:tape:{self.rounds}", what)
            await self.world.settle()

    def note(self, sha: str) -> None:
        """Remember a head by its place in the story: its SHA is another one in every telling."""
        self.heads.append(sha)


Step = Callable[[Tape], Awaitable[None]]


@asynccontextmanager
async def open_tape(
    directory: Path, *, speed: float = SPEED, bot_is_ahead: timedelta = timedelta()
) -> AsyncIterator[Tape]:
    """A world whose time runs, with a bot."""
    clock = Running(speed)
    async with open_world(directory, hub_clock=Githubs(clock), bot_clock=Shifted(clock, bot_is_ahead)) as world:
        yield Tape(world, clock)


async def begin(tape: Tape) -> None:
    """A repository with two boxes, whose default branch has its verdict."""
    boxes = {"boxes/tier-1/1_sum.sh": box('test "$(cat sum)" = 4', title="Sum"), "sum": "4\n"}
    tape.world.repository({**boxes, "boxes/tier-2/2_late.sh": box(title="Late")})
    tape.note(tape.world.hub.forge.git(tape.world.hub.repository(REPO)).branch("main") or "")


async def propose(tape: Tape) -> None:
    """Mona opens a pull request."""
    pull = await tape.world.open_pull_request({"x": "y"})
    tape.pulls.append(pull)
    tape.note(pull.head)


async def command(tape: Tape) -> None:
    """She asks for a part of it again, and somebody else for something that they may not."""
    tape.said += [tape.pulls[0].say("/boxes run 1"), tape.pulls[0].say("/boxes run all", by="eve")]


async def break_it(tape: Tape) -> None:
    """She pushes a mistake."""
    tape.note(tape.pulls[0].push({"sum": "5\n"}))


async def close(tape: Tape) -> None:
    """She gives up."""
    tape.world.hub.close_pull_request(REPO, tape.pulls[0].number, "mona")


async def try_again(tape: Tape) -> None:
    """She opens another one."""
    pull = await tape.world.open_pull_request({"z": "z"}, branch="second")
    tape.pulls.append(pull)
    tape.note(pull.head)


async def merge(tape: Tape) -> None:
    """She merges it."""
    tape.note(tape.world.hub.merge_pull_request(REPO, tape.pulls[1].number, "mona"))


STORY: tuple[Step, ...] = (propose, command, break_it, close, try_again, merge)
"""What happens once the repository is there."""


async def tell(
    tape: Tape, *, before: Mapping[Step, Step] | None = None, after: Mapping[Step, Step] | None = None
) -> None:
    """Tell the story; what is given for a step happens right before or after it."""
    for step in STORY:
        if before and step in before:
            await before[step](tape)
        await step(tape)
        if after and step in after:
            await after[step](tape)
        await tape.pass_by()


async def state_of(tape: Tape) -> dict[str, Any]:
    """What people can see, and how often each head was tested, without ids, SHAs and times."""
    world = tape.world
    names = {sha: f"head{number}" for number, sha in enumerate(tape.heads)}
    return {
        "checks": {
            label: sorted(
                Counter((run.name, run.conclusion, run.title) for run in world.hub.check_runs(REPO, sha)).items(),
                key=repr,
            )
            for sha, label in names.items()
        },
        "comments": {
            pull.number: sorted(
                (comment.author, _plain(comment.body, names)) for comment in world.hub.comments(REPO, pull.number)
            )
            for pull in tape.pulls
        },
        "reactions": [sorted(world.hub.reactions(comment)) for comment in tape.said],
        "runs": sorted(
            Counter(
                (run.pr or 0, names.get(run.head_sha, "?"), run.selection, run.conclusion)
                for run in await world.runs()
                if run.conclusion
            ).items()
        ),
        "left open": await world.running.ctx.inbox.count_open() + await world.running.ctx.runs.count_open(),
    }


def _plain(text: str, names: Mapping[str, str]) -> str:
    for sha, label in names.items():
        text = text.replace(sha, label).replace(sha[:12], label).replace(sha[:7], label)
    text = re.sub(r"https?://\S+?(?=[)\s\"'>]|$)", "URL", text)
    text = re.sub(r"\b[0-9a-f]{7,64}\b", "SHA", text)
    text = re.sub(r"interlock:[a-z-]+=\S+", "MARKER", text)
    return re.sub(r"\d+(\.\d+)? ?(ms|s|min)\b", "TIME", text)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of bad weather.

    Attributes:
        what: what happens to GitHub or to us.
        so: what Interlock makes of it.
        arrange: sets it up, once the repository stands.
        before: what happens right before a step of the story.
        after: what happens right after one.
        speed: of the world's time.
        bot_is_ahead: how wrong the bot's clock is.
        deadline: of one request, in seconds of the machine.
    """

    what: str
    so: str
    arrange: Callable[[Tape], None] = lambda _tape: None
    before: Mapping[Step, Step] = field(default_factory=dict)
    after: Mapping[Step, Step] = field(default_factory=dict)
    speed: float = SPEED
    bot_is_ahead: timedelta = timedelta()
    deadline: float = 60.0


def _each(method: str, path: str, **how: Any) -> Callable[[Tape], None]:
    """The first call of every method and path that matches is spoiled."""
    return lambda tape: tape.world.hub.faults.next(method, path, each=True, **how)


def _first_tries(tape: Tape) -> None:
    """No webhook arrives at its first try."""
    heard: set[str] = set()

    def loses(request: httpx.Request) -> bool:
        guid = request.headers["X-GitHub-Delivery"]
        is_new = guid not in heard
        heard.add(guid)
        return is_new

    tape.world.wire.loses = loses


async def _revoke(tape: Tape) -> None:
    """GitHub forgets every token of ours."""
    for token in tape.world.hub.state.tokens:
        if token.installation_id:
            tape.world.hub.state.tokens.drop(token)


async def _use_up(tape: Tape) -> None:
    """The hour's calls are used up, and there is half an hour left of it."""
    limits, now = tape.world.hub.limits, tape.clock.now().timestamp()
    for window in limits._windows.values():
        window.used, window.reset = window.limit, int(now) + 1800


async def _go_down(tape: Tape) -> None:
    tape.world.hub.faults.down = True


async def _restart_in_the_outage(tape: Tape) -> None:
    """The bot is stopped and started while GitHub is down; after half an hour that is over."""
    went_down = tape.clock.now()
    await tape.world.hub.settled()
    await asyncio.sleep(60 / tape.clock.speed)
    await tape.world.stop_bot()
    await tape.world.start_bot()
    while tape.clock.now() - went_down < timedelta(minutes=30):
        await asyncio.sleep(60 / tape.clock.speed)
    tape.world.hub.faults.down = False


def _duplicates(tape: Tape) -> None:
    for _ in range(500):
        tape.world.hub.faults.duplicate_delivery()


def _overtakes(tape: Tape) -> None:
    """Those of pull requests and branches: a command that comes after a push means what was pushed, and should."""
    for event in ("pull_request", "push") * 5:
        tape.world.hub.faults.overtake_delivery(event)


WRITES = r"/(check-runs|comments|reactions)"

FAULTS: dict[str, Fault] = {
    "lost-answers": Fault(
        what="502 after every first write was carried out",
        so="it looks before it writes again: no second check run, comment or reaction",
        arrange=_each("*", WRITES, status=502, after_commit=True),
    ),
    "resets": Fault(
        what="the connection breaks in the middle of every first answer, the deed being done",
        so="as above; reads are repeated",
        arrange=_each("*", "^/(repos|app)/", reset=True, after_commit=True),
    ),
    "bad-gateways": Fault(
        what="502 to the first call of every kind, nothing being done",
        so="it is called again, a create only where it is not there",
        arrange=_each("*", "^/(repos|app)/", status=502),
    ),
    "stale-token": Fault(
        what="401 to the first call of every kind",
        so="another token is bought, once",
        arrange=_each("*", "^/repos/", status=401, message="Bad credentials"),
    ),
    "revoked-tokens": Fault(
        what="every token is revoked in the middle of the story",
        so="another one is bought",
        before={command: _revoke, break_it: _revoke, merge: _revoke},
    ),
    "clock-ahead": Fault(
        what="the bot's clock is ten minutes fast",
        so="the App's assertion is dated by GitHub's clock; `/health/detailed` warns",
        bot_is_ahead=timedelta(minutes=10),
    ),
    "clock-behind": Fault(
        what="the bot's clock is ten minutes slow",
        so="as above",
        bot_is_ahead=timedelta(minutes=-10),
    ),
    "slow-loris": Fault(
        what="the first answer of every kind drips, a few bytes at a time",
        so="it is given up at the deadline; then as for a lost answer",
        arrange=_each("*", "^/repos/.*(/check-runs|/comments|/pulls)", drip=0.5),
        deadline=1.0,
    ),
    "half-an-answer": Fault(
        what="the first answer of every kind is JSON that ends in the middle",
        so="as for a lost answer",
        arrange=_each("*", "^/(repos|app)/", garbled="half"),
    ),
    "pages": Fault(
        what="the first answer of every kind is a page of HTML with status 200",
        so="as for a lost answer",
        arrange=_each("*", "^/(repos|app)/", garbled="page"),
    ),
    "not-there-yet": Fault(
        what="404 to the first look at what a delivery has just told of",
        so="for half a minute it is looked for again",
        arrange=_each("GET", r"/pulls/\d+$|/git/ref/", status=404, message="Not Found"),
    ),
    "secondary-limit": Fault(
        what="a secondary limit, with Retry-After, at the first write of every kind",
        so="nothing is sent until then; the work is parked, not held",
        arrange=_each(
            "*",
            WRITES,
            status=403,
            message="You have exceeded a secondary rate limit",
            headers={"retry-after": "5"},
        ),
    ),
    "primary-limit": Fault(
        what="the hour's calls are used up for half an hour, twice",
        so="the work is parked until the reset that GitHub tells",
        before={command: _use_up, merge: _use_up},
        speed=300,
    ),
    "outage-and-restart": Fault(
        what="GitHub is down for half an hour, and the bot is stopped and started meanwhile",
        so="the breaker keeps it from waiting for time-outs; what was parked goes on afterwards",
        before={command: _go_down},
        after={command: _restart_in_the_outage},
        speed=300,
    ),
    "lost-deliveries": Fault(
        what="no webhook arrives at its first try",
        so="it is asked for again through GitHub's API; open pull requests are looked at",
        arrange=_first_tries,
    ),
    "doubled-deliveries": Fault(
        what="every webhook comes twice",
        so="the second finds the first in the inbox",
        arrange=_duplicates,
    ),
    "overtaken-deliveries": Fault(
        what="webhooks of pull requests and branches are overtaken by later ones",
        so="each is a hint; how things stand is asked of GitHub",
        arrange=_overtakes,
    ),
}
"""By the name of the test's case."""


def table() -> str:
    """The faults, as the documentation shows them."""
    rows = [f"| {fault.what} | {fault.so} | `{name}` |" for name, fault in FAULTS.items()]
    return "\n".join(["| what happens | what becomes of it | case |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())  # noqa: T201 - it is what the program is for.
