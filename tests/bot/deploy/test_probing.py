"""Probes: one question, one answer, and what it says about a release."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.deploy.probing import Asked, http, prometheus, url
from bot.domain.deploy.environment import HttpProbe, PrometheusProbe

PROBE = HttpProbe(path="/health", timeout=5.0)


@contextlib.asynccontextmanager
async def answering(answer: bytes, *, wait: float = 0.0) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that says the same to everybody, and what it was asked."""
    asked: list[str] = []
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            serving.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
            await asyncio.sleep(wait)
            writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def said(status: int, body: str = "") -> bytes:
    return f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "ok", "because"),
    [
        pytest.param(said(200), True, "", id="well"),
        pytest.param(said(503), False, "answered 503", id="another-status"),
        pytest.param(b"", False, None, id="hangs-up"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", False, None, id="breaks-off"),
        pytest.param(b"220 mail.example\r\n\r\n", False, None, id="no-http"),
    ],
)
async def test_an_answer_is_good_or_not(answer: bytes, ok: bool, because: str | None) -> None:
    async with answering(answer) as (address, _):
        asked = await http(PROBE, address)
    assert asked.ok is ok
    assert because is None or asked.because == because
    assert asked.ok or asked.because


async def test_an_answer_that_says_it_is_endless_is_not_waited_for() -> None:
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n" + b"x" * (5 << 20)
    async with answering(chunk) as (address, _):
        asked = await asyncio.create_task(http(replace(PROBE, timeout=20.0), address))
    assert asked.because == "the answer is too long"


async def test_no_answer_in_time_is_a_failure() -> None:
    async with answering(said(200), wait=30.0) as (address, _):
        assert (await http(replace(PROBE, timeout=0.05), address)).ok is False


async def test_nobody_there_is_a_failure() -> None:
    async with answering(said(200)) as (address, _):
        pass
    assert (await http(PROBE, address)).ok is False


async def test_a_slow_answer_is_a_failure() -> None:
    async with answering(said(200), wait=0.05) as (address, _):
        asked = await http(replace(PROBE, slow=0.01), address)
    assert asked.ok is False
    assert asked.because.startswith("took 0.")


async def test_a_controller_that_was_held_up_says_nothing_about_a_release() -> None:
    async with answering(said(200), wait=30.0) as (address, _):
        question = asyncio.create_task(http(replace(PROBE, timeout=0.05), address))
        await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.5
        while loop.time() < until:  # nobody else gets the processor meanwhile.
            pass
        assert (await question).ok is None


async def test_the_path_is_asked_for_below_the_address() -> None:
    async with answering(said(200)) as (address, asked):
        await http(PROBE, f"http://{address}/app/")
    assert asked == ["GET /app/health HTTP/1.1"]


async def test_an_address_that_is_none_says_nothing_about_a_release() -> None:
    assert await http(PROBE, "somewhere:port") == Asked(None, "http://somewhere:port/health is no address")


@pytest.mark.parametrize(
    ("address", "whole"),
    [
        ("127.0.0.1:80", "http://127.0.0.1:80/health"),
        ("https://example.test/", "https://example.test/health"),
    ],
)
def test_an_address_may_have_a_scheme(address: str, whole: str) -> None:
    assert url(address, "/health") == whole


def vector(*values: Any) -> str:
    result = [{"metric": {}, "value": [1.0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.mark.parametrize(
    ("answer", "ok", "because"),
    [
        pytest.param(said(200, vector("0.002")), True, "0.002, at most 0.01", id="below"),
        pytest.param(said(200, vector("0.002", "0.5")), False, "0.5, at most 0.01", id="one-of-two-above"),
        pytest.param(
            said(200, json.dumps({"data": {"resultType": "scalar", "result": [1.0, "0.02"]}})),
            False,
            "0.02, at most 0.01",
            id="scalar",
        ),
        pytest.param(said(200, vector()), None, "Prometheus has no value", id="no-value"),
        pytest.param(said(200, vector("NaN")), None, "Prometheus has no value", id="not-a-number"),
        pytest.param(said(200, "[]"), None, "Prometheus answered something else than values", id="no-object"),
        pytest.param(said(200, "<html>"), None, "Prometheus answered something else than values", id="no-json"),
        pytest.param(said(200, "[" * 100_000), None, "Prometheus answered something else than values", id="too-deep"),
        pytest.param(
            said(200, vector(10**400)), None, "Prometheus answered something else than values", id="too-large"
        ),
        pytest.param(said(400), None, "Prometheus answered 400", id="refused"),
    ],
)
@pytest.mark.deployment(16)
async def test_prometheus_says_something_only_where_it_has_a_value(
    answer: bytes, ok: bool | None, because: str
) -> None:
    async with answering(answer) as (address, asked):
        found = await prometheus(PrometheusProbe(url=f"http://{address}", query="rate(errors[1m])", most=0.01))
    assert (found.ok, found.because) == (ok, because)
    assert asked == ["GET /api/v1/query?query=rate%28errors%5B1m%5D%29 HTTP/1.1"]


async def test_prometheus_that_is_away_says_nothing() -> None:
    async with answering(said(200)) as (address, _):
        pass
    assert (await prometheus(PrometheusProbe(url=f"http://{address}", query="up", most=1.0))).ok is None
