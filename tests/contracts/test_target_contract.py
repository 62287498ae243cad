"""What every target promises, held by each of them: real processes, real routers, real scripts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.deploy import wire
from bot.deploy.confine import Allowance, works
from bot.deploy.ports import free_ports
from bot.deploy.residents import Resident
from bot.deploy.routers.choosing import Program, find
from bot.deploy.target import Counts, Dead, Fenced, KeptTarget, NotYet, Ready, SlotState, TargetUnreachable, Unbuildable
from bot.deploy.targets.opening import open_target
from bot.domain.deploy.environment import TargetSpec
from bot.domain.deploy.release import Release
from runner.execute.command import which

APP = Path(__file__).with_name("app.py")
SCRIPTS = Path(__file__).with_name("symlink.sh")
OPEN = Allowance(kinds=frozenset({"process", "command"}), unconfined=True, path=os.environ["PATH"])


def release(letter: str) -> Release:
    return Release(repo_id=7, sha=letter * 40, artifact=f"tree:{letter * 40}", config="c" * 64)


A, B = release("a"), release("b")


def port_of(path: Path) -> int:
    return free_ports(f"users of {path}", 1)[0]


@dataclass(frozen=True)
class Site:
    """One target, and what a test may want to do to it."""

    spec: TargetSpec
    place: Path
    trees: Path
    token: int = 1
    allowance: Allowance = OPEN

    def open(self, token: int | None = None) -> KeptTarget:
        token = self.token if token is None else token
        return open_target(self.spec, self.place, token=token, allowance=self.allowance)

    def tree(self, of: Release) -> Path:
        tree = self.trees / of.short
        tree.mkdir(parents=True, exist_ok=True)
        (tree / "index.txt").write_text(of.short)
        return tree

    def altered(self, **options: Any) -> Site:
        return replace(self, spec=replace(self.spec, options={**self.spec.options, **options}))

    async def user_sees(self) -> str:
        address = (await self.open().observe()).address
        host, _, port = address.removeprefix("http://").partition(":")
        return (await wire.get((host, int(port)), "/", timeout=5)).body.decode()


def process(tmp_path: Path, router: str) -> TargetSpec:
    if not isinstance(find(router, OPEN.path), Program):
        pytest.skip(f"missing component: {router}")
    listen = f"127.0.0.1:{port_of(tmp_path)}"
    command = f"exec {sys.executable} {APP} $INTERLOCK_RELEASE"
    options = {"command": command, "health": "/", "listen": listen, "router": router, "stop_timeout": "2s"}
    return TargetSpec(kind="process", options=options)


def command(tmp_path: Path) -> TargetSpec:
    verbs = ("observe", "start", "ready", "route", "stop", "counts", "logs")
    return TargetSpec(kind="command", options={verb: f"sh {SCRIPTS} {verb}" for verb in verbs})


def confined(path: Path) -> Site:
    """Releases as another user, in a view without the bot's files."""
    if os.geteuid():
        # Not counted as a missing component: whoever is not root has nothing to install.
        pytest.skip("only root can become another user")
    if not works(which("bwrap", OPEN.path), root=True):
        pytest.skip("missing component: a bubblewrap that works")
    spec = process(path, "haproxy")
    program = APP.read_text().rpartition('"""')[2]
    command = f"exec /usr/bin/python3 -I -c '{program}' $INTERLOCK_RELEASE"
    allowance = replace(OPEN, user="nobody", unconfined=False, hidden=(str(path),))
    site = Site(spec, path / "place", path / "trees", allowance=allowance)
    return site.altered(command=command)


KINDS: dict[str, Callable[[Path], Site]] = {
    "process behind haproxy": lambda path: Site(process(path, "haproxy"), path / "place", path / "trees"),
    "process behind caddy": lambda path: Site(process(path, "caddy"), path / "place", path / "trees"),
    "process confined": confined,
    "command": lambda path: Site(command(path), path / "place", path / "trees"),
}


@pytest.fixture(params=list(KINDS))
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    site = KINDS[request.param](tmp_path)
    yield site
    await clean(site)


async def clean(site: Site) -> None:
    """Nothing of a test is left, whatever it did."""
    await site.open(10**6).take_down()


@pytest.fixture(params=[kind for kind in KINDS if kind != "command"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """Targets whose slots are processes."""
    site = KINDS[request.param](tmp_path)
    yield site
    await clean(site)


async def until_ready(target: KeptTarget, slot: str) -> None:
    async with asyncio.timeout(20):
        while not isinstance(found := await target.ready(slot), Ready):
            assert not isinstance(found, Dead), found
            await asyncio.sleep(0.02)


async def live(site: Site, slot: str, of: Release, nonce: str) -> KeptTarget:
    target = site.open()
    await target.start(slot, of, site.tree(of), nonce)
    await until_ready(target, slot)
    await target.route({slot: 100})
    return target


async def test_a_new_target_is_empty_and_serves_nobody(site: Site) -> None:
    seen = await site.open().observe()
    assert seen.live is None
    assert not any(slot.running or slot.release for slot in seen.slots.values())


async def test_what_was_started_and_routed_is_what_is_observed(site: Site) -> None:
    await live(site, "blue", A, "n1")
    seen = await site.open().observe()
    assert seen.live == "blue"
    assert (seen.slots["blue"].release, seen.slots["blue"].nonce, seen.slots["blue"].running) == (A.id, "n1", True)


async def test_every_call_can_be_repeated(site: Site) -> None:
    target = await live(site, "blue", A, "n1")
    before = await target.observe()
    for _ in range(2):
        await target.start("blue", A, site.tree(A), "n1")
        assert await target.ready("blue") == Ready()
        await target.route({"blue": 100})
    assert await target.observe() == before
    await target.route({})
    for _ in range(2):
        await target.stop("blue")
    assert (await target.observe()).slots["blue"].running is False


async def test_a_switch_goes_there_and_back(site: Site) -> None:
    target = await live(site, "blue", A, "n1")
    await target.start("green", B, site.tree(B), "n2")
    await until_ready(target, "green")
    assert (await target.observe()).live == "blue"
    await target.route({"green": 100})
    assert (await target.observe()).live == "green"
    await target.route({"blue": 100})
    seen = await target.observe()
    assert seen.live == "blue"
    assert {slot: state.release for slot, state in seen.slots.items()} == {"blue": A.id, "green": B.id}


async def test_stopping_an_empty_slot_is_nothing(site: Site) -> None:
    target = site.open()
    await target.stop("green")
    assert (await target.observe()).slots["green"] == SlotState()


@pytest.mark.deployment(9)
async def test_a_controller_with_an_older_token_changes_nothing(site: Site) -> None:
    old = await live(site, "blue", A, "n1")
    new = site.open(2)
    await new.start("green", B, site.tree(B), "n2")
    await until_ready(new, "green")
    await new.route({"green": 100})
    before = await new.observe()
    calls: list[Callable[[], Awaitable[None]]] = [
        lambda: old.route({"blue": 100}),
        lambda: old.stop("green"),
        lambda: old.start("green", A, site.tree(A), "n3"),
        lambda: old.drain("green", 0.1),
    ]
    for late in calls:
        with pytest.raises(Fenced, match="older than 2"):
            await late()
    assert await new.observe() == before
    assert before.token == 2


async def test_a_slot_of_another_name_is_refused(site: Site) -> None:
    with pytest.raises(Unbuildable, match="there is no slot purple"):
        await site.open().start("purple", A, site.tree(A), "n1")


async def test_what_a_release_printed_can_be_read(site: Site) -> None:
    target = await live(site, "blue", A, "n1")
    assert A.id in await target.logs("blue", 5)


async def test_what_the_release_before_it_printed_is_not_taken_for_a_releases_own(site: Site) -> None:
    target = await live(site, "blue", A, "n1")
    await live(site, "green", B, "n2")
    await target.stop("blue")
    await live(site, "blue", B, "n3")
    said = await target.logs("blue", 50)
    assert B.id in said
    assert A.id not in said


async def test_counts_only_grow(site: Site) -> None:
    target = await live(site, "blue", A, "n1")
    assert target.capabilities.counters
    before, after = await target.counts(), await target.counts()
    assert after["blue"].answers >= before["blue"].answers >= before["blue"].failures


async def test_users_are_answered_by_the_slot_that_is_observed(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    assert await served.user_sees() == A.id
    await target.start("green", B, served.tree(B), "n2")
    await until_ready(target, "green")
    await target.route({"green": 100})
    assert await served.user_sees() == B.id
    await target.route({})
    assert await served.user_sees() == "no release serves here"


async def test_a_killed_process_is_seen_at_once(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    await kill(served, "slots/blue")
    seen = await target.observe()
    assert not seen.slots["blue"].running
    assert seen.live == "blue"
    assert isinstance(await target.ready("blue"), Dead)


async def test_what_outlives_its_first_process_still_runs_and_is_ended_with_it(served: Site) -> None:
    served = served.altered(command=f"{str(served.spec.options['command']).removeprefix('exec ')} & wait")
    target = served.open()
    await target.start("blue", A, served.tree(A), "outlived")
    await until_ready(target, "blue")
    noted = json.loads((served.place / "slots" / "blue" / "process.json").read_text())
    os.kill(noted["pid"], signal.SIGKILL)
    assert await target.ready("blue") == Ready()
    assert (await target.observe()).slots["blue"].running
    await target.stop("blue")
    assert not (await target.observe()).slots["blue"].running
    assert carrying("outlived") == []


async def test_a_program_that_sits_on_a_slots_port_is_not_taken_for_the_release(served: Site) -> None:
    stuck = served.altered(command="exec sleep 600")
    target = stuck.open()
    port = json.loads((stuck.place / "ports.json").read_text())["blue"]

    async def intrude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(intrude, "127.0.0.1", port):
        await target.start("blue", A, stuck.tree(A), "n1")
        assert await target.ready("blue") == NotYet(f"another program has its port {port}")


async def test_two_routers_never_share_an_address(served: Site) -> None:
    await live(served, "blue", A, "n1")
    second = replace(served, place=served.place.with_name("other"))
    target = second.open()
    await target.start("blue", B, second.tree(B), "n2")
    try:
        with pytest.raises(TargetUnreachable):
            await target.route({"blue": 100})
        assert {await served.user_sees() for _ in range(10)} == {A.id}
    finally:
        await target.take_down()


async def test_a_killed_router_serves_nobody_until_it_is_routed_again_or_tended(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    await kill(served, f"router/{served.spec.options['router']}")
    assert (await target.observe()).live is None
    assert await target.counts() == {}
    await target.tend()
    assert (await target.observe()).live == "blue", "the decision was written down"
    assert await served.user_sees() == A.id


async def test_a_live_process_that_died_is_brought_back_by_tending(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    await kill(served, "slots/blue")
    await target.tend()
    await until_ready(target, "blue")
    seen = await target.observe()
    assert (seen.slots["blue"].nonce, seen.slots["blue"].running) == ("n1", True)
    assert await served.user_sees() == A.id


async def kill(site: Site, what: str) -> None:
    noted = json.loads((site.place / what / "process.json").read_text())
    os.killpg(int(noted["pid"]), signal.SIGKILL)
    async with asyncio.timeout(5):
        while Resident(site.place / what).look().alive:
            await asyncio.sleep(0.01)


async def test_a_release_that_exits_at_boot_is_dead_and_says_why(served: Site) -> None:
    broken = served.altered(command="echo cannot find the database; exit 3")
    target = broken.open()
    await target.start("blue", A, broken.tree(A), "n1")
    async with asyncio.timeout(10):
        while not isinstance(found := await target.ready("blue"), Dead):
            await asyncio.sleep(0.02)
    assert "cannot find the database" in found.tail
    assert not (await target.observe()).slots["blue"].running


async def test_a_release_that_never_answers_is_dead_after_its_time(served: Site) -> None:
    silent = served.altered(command="echo waiting; exec sleep 600", start_timeout="1ms")
    target = silent.open()
    await target.start("blue", A, silent.tree(A), "n1")
    await asyncio.sleep(0.01)
    found = await target.ready("blue")
    assert isinstance(found, Dead)
    assert "not ready within 0.001 s" in found.because


async def test_a_build_that_fails_starts_nothing(served: Site) -> None:
    target = served.altered(build="echo no compiler; exit 9").open()
    with pytest.raises(Unbuildable, match="ended with 9:\nno compiler"):
        await target.start("blue", A, served.tree(A), "n1")
    assert not (await target.observe()).slots["blue"].nonce


async def test_a_release_is_built_once_however_often_it_is_started(served: Site) -> None:
    target = served.altered(build="echo x >> built").open()
    tree = served.tree(A)
    await target.start("blue", A, tree, "n1")
    await target.stop("blue")
    await target.start("blue", A, tree, "n2")
    assert (tree / "built").read_text() == "x\n"


async def test_two_controllers_that_start_at_once_start_once(served: Site) -> None:
    tree = served.tree(A)
    await asyncio.gather(*(served.open().start("blue", A, tree, "n1") for _ in range(3)))
    target = served.open()
    await until_ready(target, "blue")
    assert await target.logs("blue", 50) == f"{A.id} serves", "no other one tried to take the port"


async def test_nothing_is_left_of_a_stopped_slot_not_even_what_ignores_being_asked(served: Site) -> None:
    stubborn = served.altered(
        command="trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & "
        "(setsid sh -c 'while :; do sleep 1; done' &); while :; do sleep 1; done",
        stop_timeout="50ms",
    )
    target = stubborn.open()
    await target.start("blue", A, stubborn.tree(A), "stubborn")
    async with asyncio.timeout(10):
        while len(carrying("stubborn")) < 3:
            await asyncio.sleep(0.02)
    await target.stop("blue")
    assert carrying("stubborn") == []


def carrying(nonce: str) -> list[str]:
    found = []
    for one in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"INTERLOCK_NONCE={nonce}".encode() in one.read_bytes().split(b"\0"):
                found.append((one.parent / "comm").read_text().strip())
        except OSError:
            continue
    return found


async def test_requests_under_way_are_answered_before_a_drained_slot_is_stopped(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    await target.start("green", B, served.tree(B), "n2")
    await until_ready(target, "green")
    host, _, port = (await target.observe()).address.removeprefix("http://").partition(":")
    slow = asyncio.create_task(wire.get((host, int(port)), "/slow?0.5", timeout=10))
    async with asyncio.timeout(5):
        while not await target._router.under_way("blue"):  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
    await target.route({"green": 100})
    await target.drain("blue", 5)
    await target.stop("blue")
    assert (await slow).body.decode() == A.id


async def test_failures_are_counted_for_the_slot_that_made_them(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    host, _, port = (await target.observe()).address.removeprefix("http://").partition(":")
    where = (host, int(port))
    for path in ("/status/500", "/status/404", "/"):
        await wire.get(where, path, timeout=5)
    assert (await target.counts())["blue"] == Counts(answers=3, failures=1)
    await kill(served, "slots/blue")
    assert (await wire.get(where, "/", timeout=5)).status in {502, 503}
    seen = await target.counts()
    assert seen["blue"] == Counts(answers=4, failures=2)
    assert seen.get("green", Counts(0, 0)).failures == 0


async def test_a_canary_gets_its_share(served: Site) -> None:
    target = await live(served, "blue", A, "n1")
    await target.start("green", B, served.tree(B), "n2")
    await until_ready(target, "green")
    await target.route({"blue": 80, "green": 20})
    assert (await target.observe()).weights == {"blue": 80, "green": 20}
    host, _, port = (await target.observe()).address.removeprefix("http://").partition(":")
    for _ in range(500):
        await wire.get((host, int(port)), "/", timeout=5)
    counted = await target.counts()
    # 100 of 500 are expected, with a standard deviation of 9.
    assert 50 < counted["green"].answers < 150
    assert counted["blue"].answers + counted["green"].answers == 500


async def test_a_router_whose_configuration_changed_takes_the_new_one(served: Site) -> None:
    await live(served, "blue", A, "n1")
    moved = served.altered(listen=f"127.0.0.1:{port_of(served.place)}")
    target = moved.open()
    await target.route({"blue": 100})
    assert await moved.user_sees() == A.id
    assert (await target.observe()).live == "blue"
