"""Asking how a release does: paths over HTTP, and Prometheus. One question, one answer; nothing is tried again."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from bot.deploy import wire
from bot.domain.deploy.environment import HttpProbe, PrometheusProbe

LATE = 0.25
"""A timeout that rings so many seconds late says that this process was held up, and nothing about the release."""

_PROMETHEUS_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question. `ok` None: nothing can be said, and it counts as nothing."""

    ok: bool | None
    because: str = ""


async def http(probe: HttpProbe, address: str) -> Asked:
    """Ask for the probe's path at an address: `host:port`, or with a scheme."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        status = (await _get(url(address, probe.path), probe.timeout)).status
    except wire.NoAnswer as failed:
        if loop.time() - began > probe.timeout + LATE:
            return Asked(None, "the controller was held up")
        return Asked(False, str(failed))
    except ValueError:
        return Asked(None, f"{url(address, probe.path)} is no address")
    seconds = loop.time() - began
    if status != probe.status:
        return Asked(False, f"answered {status}")
    if probe.slow is not None and seconds > probe.slow:
        return Asked(False, f"took {seconds:.2f} s")
    return Asked(True)


async def prometheus(probe: PrometheusProbe) -> Asked:
    """Ask a Prometheus server; every value of the answer has to be within bounds."""
    where = f"{probe.url.rstrip('/')}/api/v1/query?{urlencode({'query': probe.query})}"
    try:
        reply = await _get(where, _PROMETHEUS_TIMEOUT)
        if reply.status != 200:
            return Asked(None, f"Prometheus answered {reply.status}")
        values = _values(json.loads(reply.body))
    except wire.NoAnswer as failed:
        return Asked(None, f"Prometheus: {failed}")
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return Asked(None, "Prometheus answered something else than values")
    if not values:
        return Asked(None, "Prometheus has no value")
    worst = max(values)
    return Asked(worst <= probe.most, f"{worst:g}, at most {probe.most:g}")


async def _get(address: str, timeout: float) -> wire.Reply:  # noqa: ASYNC109 - of the whole question.
    """Ask once, over a connection of its own: one that stands says nothing about accepting another.

    Raises:
        NoAnswer: there was none, or not in time.
    """
    parts = urlsplit(address)
    if parts.scheme == "https":
        return await _get_by_tls(address, timeout)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    where = (parts.hostname or "127.0.0.1", parts.port or 80)
    return await wire.get(where, path, timeout=timeout, host=parts.netloc.rpartition("@")[2])


async def _get_by_tls(address: str, timeout: float) -> wire.Reply:  # noqa: ASYNC109 - as above.
    import httpx  # noqa: PLC0415 - it takes long to import, and a controller is to be there soon.

    try:
        async with asyncio.timeout(timeout), httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113
            answer = await client.get(address, headers={"connection": "close"})
            return wire.Reply(answer.status_code, answer.content)
    except TimeoutError:
        message = f"no answer within {timeout:g} s"
        raise wire.NoAnswer(message) from None
    except httpx.HTTPError as failed:
        raise wire.NoAnswer(str(failed) or type(failed).__name__) from failed


def url(address: str, path: str) -> str:
    """The whole address of a path."""
    base = address if "://" in address else f"http://{address}"
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


def _values(answer: object) -> list[float]:
    """Every value of an instant query, scalar or vector; what is not a number says nothing."""
    if not isinstance(answer, dict):
        raise TypeError
    data = answer["data"]
    pairs = [data["result"]] if data["resultType"] in {"scalar", "string"} else [one["value"] for one in data["result"]]
    return [value for pair in pairs if not math.isnan(value := float(pair[1]))]
