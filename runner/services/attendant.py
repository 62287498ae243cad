"""The attendant: a process beside a run that gives jobs what they need from outside, and takes it back.

It reads orders on standard input and answers on standard output, one JSON object a line; what jobs were refused goes
to a third descriptor, so that nobody has to read answers to learn it. It ends when its input does, and with its parent.
`runner.services.client` is the other end.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

from runner.attendant import Wish
from runner.execute.files import remove_surely, remove_tree
from runner.services.egress import Egress
from runner.services.ground import CannotProvide, Ground
from runner.services.servers import Servers
from runner.services.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO, Any

    from runner.services.ground import Giver

REFUSALS = 3  # the descriptor for what jobs were refused.
CLOSING_SECONDS = 8.0
_LONGEST_ORDER = 1 << 20
_PR_SET_PDEATHSIG = 1


def givers() -> tuple[Giver, ...]:
    """Everything that jobs can be given; each looks for its own part in a wish."""
    return (Egress(), Servers(), Target())


class Attendant:
    """Carries out orders.

    Args:
        givers: who gives.
        ground: where they work.
        answer: takes each answer to an order, as a mapping for one JSON line.
    """

    def __init__(self, givers: Sequence[Giver], ground: Ground, answer: Callable[[dict[str, object]], None]) -> None:
        self._givers = tuple(givers)
        self._ground = ground
        self._answer = answer
        self._asks: dict[str, asyncio.Task[None]] = {}
        self._releases: set[asyncio.Task[None]] = set()

    def order(self, order: dict[str, Any]) -> None:
        """Begin to carry out one line of input."""
        if "ask" in order:
            wish = Wish(**order["ask"])
            self._asks[wish.id] = asyncio.create_task(self._ask(wish))
        elif "release" in order:
            task = asyncio.create_task(self._release(order["release"]))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def close(self) -> None:
        """End everything, as far as it can be ended in time."""
        for task in self._asks.values():
            task.cancel()
        await asyncio.gather(*self._asks.values(), *self._releases, return_exceptions=True)
        ends = (asyncio.wait_for(giver.close(), CLOSING_SECONDS) for giver in self._givers)
        for failure in await asyncio.gather(*ends, return_exceptions=True):
            if failure is not None:
                _complain(f"closing: {failure!r}")

    async def _ask(self, wish: Wish) -> None:
        env: dict[str, str] = {}
        sockets: dict[int, str] = {}
        problem = ""
        for giver in self._givers:
            try:
                given = await giver.provide(wish, self._ground)
            except CannotProvide as why:
                problem = str(why)
                break
            except OSError as error:
                problem = f"what it needs could not be started: {error}"
                break
            except Exception as bug:  # noqa: BLE001 - it costs this job its verdict; the others go on.
                traceback.print_exc()
                problem = f"what it needs could not be started: {type(bug).__name__}: {bug}"
                break
            env.update(given.env)
            sockets.update(given.sockets)
        if problem:
            await self._take_back(wish.id)
        self._answer(
            {"answer": wish.id, "problem": problem}
            if problem
            else {"answer": wish.id, "env": env, "sockets": sockets, "problem": ""}
        )

    async def _release(self, id: str) -> None:  # noqa: A002 - as Wish.
        if asked := self._asks.pop(id, None):
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        await self._take_back(id)

    async def _take_back(self, id: str) -> None:  # noqa: A002 - as Wish.
        for failure in await asyncio.gather(*(giver.release(id) for giver in self._givers), return_exceptions=True):
            if failure is not None:
                _complain(f"releasing {id}: {failure!r}")


def main(directory: str, search: Sequence[str]) -> None:
    """Serve until the input ends. `directory` and `search` are the ground's."""
    _die_with_parent()
    os.closerange(REFUSALS + 1, 1024)
    os.chdir("/")
    # Nothing that is started here shall hold an end of these: the runner learns from their closing that we are gone.
    pipes = [os.fdopen(os.dup(fd), mode, 0) for fd, mode in ((0, "rb"), (1, "wb"), (REFUSALS, "wb"))]
    os.close(REFUSALS)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    asyncio.run(_serve(*pipes, directory=directory, search=search))
    remove_surely([directory])  # a runner that was killed cannot.


async def _serve(
    stdin: IO[bytes], stdout: IO[bytes], third: IO[bytes], *, directory: str, search: Sequence[str]
) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=_LONGEST_ORDER)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), stdin)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, orders.feed_eof)
    answers, _ = await loop.connect_write_pipe(asyncio.Protocol, stdout)
    refusals, _ = await loop.connect_write_pipe(asyncio.Protocol, third)
    ground = Ground(
        directory=directory,
        environ=dict(os.environ),
        search=tuple(search),
        refuse=lambda id, what: refusals.write(_line({"refused": id, "what": what})),  # noqa: A006 - as Wish.
    )
    attendant = Attendant(givers(), ground, lambda answer: answers.write(_line(answer)))
    try:
        while line := await orders.readline():
            attendant.order(json.loads(line))
    finally:
        await attendant.close()
    # The runner does that as well, if it is still there.
    remove_tree(directory)


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _complain(sentence: str) -> None:
    sys.stderr.write(f"attendant: {sentence}\n")


def _die_with_parent() -> None:
    """End also when the runner was killed and something else still holds our input open."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if parent == 1 or os.getppid() != parent:
        raise SystemExit("the runner has gone")
