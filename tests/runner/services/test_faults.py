"""The fault proxy, against a real echo over real sockets. Nothing is measured: what counts is what comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fault import UP, Fault, Kind, read_fault, read_target_fault
from runner.services.faults import FaultProxy

SOON = 5.0  # seconds: what should come at once has not come when they are over


class Lab:
    """An echo, a proxy before it, and its clients. What the echo got is in `heard`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.heard = bytearray()
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        path = str(self.directory / "echo")
        self._echo = await asyncio.start_unix_server(self._serve, path)
        self.proxy = FaultProxy(lambda: asyncio.open_unix_connection(path))
        self.port = await self.proxy.listen_tcp()

    async def close(self) -> None:
        await self.proxy.close()
        self._echo.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def fault(self, text: str) -> None:
        await self.proxy.set(read_fault(text))

    async def until_heard(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                await asyncio.sleep(0)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    lab = Lab(tmp_path)
    await lab.open()
    yield lab
    await lab.close()


async def answer(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], words: bytes = b"hello") -> bytes:
    client[1].write(words)
    return await client[0].readexactly(len(words))


async def is_silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing comes while another connection's whole round trip, and a while, go by."""
    try:
        await asyncio.wait_for(reader.read(1), 0.1)
    except TimeoutError:
        return True
    return False


async def test_without_a_fault_every_byte_arrives_in_order(lab: Lab) -> None:
    reader, writer = await lab.client()
    sent = bytes(range(256)) * 65536  # 16 MiB
    sending = asyncio.ensure_future(_send(writer, sent))
    assert await reader.readexactly(len(sent)) == sent
    await sending
    assert await reader.read() == b""
    assert (lab.proxy.requested, lab.proxy.answered) == (len(sent), len(sent))


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    writer.write_eof()


async def test_down_refuses_new_connections_and_resets_open_ones(lab: Lab) -> None:
    client = await lab.client()
    assert await answer(client) == b"hello"
    await lab.fault("down")
    with pytest.raises(ConnectionResetError):
        await client[0].read(1)
    with pytest.raises(ConnectionRefusedError):
        await lab.client()
    await lab.fault("up")
    assert await answer(await lab.client()) == b"hello"


async def test_a_reset_comes_instead_of_the_first_byte(lab: Lab) -> None:
    await lab.fault("reset")
    reader, _ = await lab.client()
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    assert not lab.heard


async def test_a_reset_after_some_bytes_lets_exactly_those_through(lab: Lab) -> None:
    await lab.fault("reset after 3")
    reader, writer = await lab.client()
    writer.write(b"hello")
    assert await reader.readexactly(3) == b"hel"
    with pytest.raises(ConnectionResetError):
        await reader.read(1)


async def test_a_black_hole_takes_the_connection_and_passes_nothing_until_it_is_lifted(lab: Lab) -> None:
    await lab.fault("blackhole")
    reader, writer = await lab.client()
    writer.write(b"hello")
    assert await is_silent(reader)
    assert not lab.heard
    await lab.fault("up")
    assert await reader.readexactly(5) == b"hello"


async def test_an_open_connection_falls_into_a_black_hole_as_well(lab: Lab) -> None:
    client = await lab.client()
    assert await answer(client) == b"hello"
    await lab.fault("blackhole")
    client[1].write(b"again")
    assert await is_silent(client[0])
    assert bytes(lab.heard) == b"hello"


async def test_half_open_means_that_the_service_hears_and_the_box_does_not(lab: Lab) -> None:
    await lab.fault("half-open")
    reader, writer = await lab.client()
    writer.write(b"hello")
    await lab.until_heard(5)
    assert await is_silent(reader)
    await lab.fault("up")
    assert await reader.readexactly(5) == b"hello"


async def test_a_late_answer_comes_after_a_timer_that_was_started_with_the_request(lab: Lab) -> None:
    await lab.fault("latency 200ms")
    client = await lab.client()
    happened: list[str] = []
    asyncio.get_running_loop().call_later(0.19, happened.append, "timer")
    await answer(client)
    happened.append("answer")
    assert happened == ["timer", "answer"]


async def test_jitter_is_around_the_latency_and_the_same_for_the_same_seed() -> None:
    async def delays(seed: str) -> list[float]:
        proxy = FaultProxy(_nobody, seed=seed)
        await proxy.set(Fault(Kind.LATENCY, 2, 0.5))
        return [proxy.delay() for _ in range(50)]

    one = await delays("box 1")
    assert max(one) - min(one) > 0.5
    assert all(1.5 <= delay <= 2.5 for delay in one)
    assert (one == await delays("box 1"), one == await delays("box 2")) == (True, False)


async def _nobody() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    raise ConnectionRefusedError


async def test_late_answers_do_not_queue_up_behind_each_other(lab: Lab) -> None:
    """Ten requests sent at once are all answered after one latency, not after ten."""
    await lab.fault("latency 500ms")
    client = await lab.client()
    late = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(4.0, late.set_result, None)
    for number in range(10):
        client[1].write(b"%d" % number)
        await lab.until_heard(number + 1)
    assert await client[0].readexactly(10) == b"0123456789"
    assert not late.done()


async def test_a_narrow_way_passes_everything_but_not_at_once(lab: Lab) -> None:
    await lab.fault("bandwidth 10KiB")
    reader, writer = await lab.client()
    writer.write(b"x" * 4096)
    happened: list[str] = []
    asyncio.get_running_loop().call_later(0.2, happened.append, "timer")
    assert len(await reader.readexactly(4096)) == 4096
    happened.append("all")
    assert happened == ["timer", "all"]


async def test_a_slow_close_hands_over_the_bytes_before_the_end(lab: Lab) -> None:
    await lab.fault("slow-close 300ms")
    reader, writer = await lab.client()
    happened: list[str] = []
    writer.write(b"bye")
    writer.write_eof()
    asyncio.get_running_loop().call_later(0.29, happened.append, "timer")
    assert await reader.readexactly(3) == b"bye"
    happened.append("bytes")
    assert await reader.read() == b""
    happened.append("end")
    assert happened == ["bytes", "timer", "end"]


async def test_a_timeout_is_silence_and_then_a_reset(lab: Lab) -> None:
    await lab.fault("timeout 200ms")
    reader, writer = await lab.client()
    happened: list[str] = []
    asyncio.get_running_loop().call_later(0.19, happened.append, "timer")
    writer.write(b"hello")
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    assert happened == ["timer"]
    assert not lab.heard


async def test_a_service_that_is_not_there_looks_like_a_reset(tmp_path: Path) -> None:
    proxy = FaultProxy(lambda: asyncio.open_unix_connection(str(tmp_path / "nothing")))
    port = await proxy.listen_tcp()
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), SOON)
    await proxy.close()


async def test_a_unix_socket_may_have_a_long_path_and_is_its_owner_s_alone(lab: Lab, tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 40)
    directory.mkdir()
    proxy = FaultProxy(lambda: asyncio.open_connection("127.0.0.1", lab.port))
    path = directory / "redis.sock"
    await proxy.listen_unix(str(path))
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o600
    await proxy.set(read_fault("down"))
    await proxy.set(UP)
    assert path.is_socket()
    await proxy.close()


async def test_the_end_of_one_direction_leaves_the_other_open(lab: Lab) -> None:
    """`nc -N`, or HTTP/1.0: the request ends before the answer begins."""
    reader, writer = await lab.client()
    await _send(writer, b"request")
    assert await reader.read() == b"request"


@given(st.text())
def test_no_text_makes_the_reader_raise_anything_but_its_sentence(text: str) -> None:
    for read in (read_fault, read_target_fault):
        try:
            fault = read(text)
        except ValueError:
            continue
        assert read(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("down", Fault(Kind.DOWN), id="a-word"),
        pytest.param("latency:200ms", Fault(Kind.LATENCY, 0.2), id="a-colon"),
        pytest.param("latency 2s jitter 500ms", Fault(Kind.LATENCY, 2, 0.5), id="jitter"),
        pytest.param("reset", Fault(Kind.RESET), id="reset-at-once"),
        pytest.param("reset after 64KiB", Fault(Kind.RESET, 65536), id="reset-after"),
        pytest.param("bandwidth 1000", Fault(Kind.BANDWIDTH, 1000), id="bytes-without-a-unit"),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert read_fault(text) == fault
    assert read_fault(str(fault)) == fault


@pytest.mark.parametrize(
    "text", ["", "up and down", "latency", "latency 5", "latency 0ms", "reset after", "bandwidth 0", "503", "slow 2s"]
)
def test_what_is_no_fault_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError, match=r"one of: up, down|after the first word comes"):
        read_fault(text)


def test_a_target_s_fault_may_be_a_status() -> None:
    assert read_target_fault("503") == Fault(Kind.STATUS, 503)
    assert str(read_target_fault("503")) == "503"
    assert read_target_fault("slow 2s") == Fault(Kind.SLOW, 2)
    with pytest.raises(ValueError, match="one of: down"):
        read_target_fault("latency 2s")
