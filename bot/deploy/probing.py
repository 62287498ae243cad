"""Asking how a release does: paths over HTTP, and Prometheus. One question, one answer; nothing is tried again."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

import httpx

from bot.domain.deploy.environment import HttpProbe, PrometheusProbe

LATE = 0.25
"""A timeout that rings so many seconds late says that this process was held up, and nothing about the release."""

_ANSWER_LIMIT = 1 << 20
_PROMETHEUS_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question. `ok` None: nothing can be said, and it counts as nothing."""

    ok: bool | None
    because: str = ""


class Prober:
    """Asks. Each question gets a connection of its own, since one that stands says nothing about accepting another."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            trust_env=False,
            timeout=None,  # noqa: S113 - the probe's own holds for the whole of a question.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"user-agent": "interlock-probe", "connection": "close"},
        )

    async def http(self, probe: HttpProbe, address: str) -> Asked:
        """Ask for the probe's path at an address: `host:port`, or with a scheme."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(probe.timeout):
                status = await self._status(url(address, probe.path))
        except TimeoutError:
            if loop.time() - began > probe.timeout + LATE:
                return Asked(None, "the controller was held up")
            return Asked(False, f"no answer within {probe.timeout:g} s")
        except httpx.HTTPError as failed:
            return Asked(False, str(failed) or type(failed).__name__)
        seconds = loop.time() - began
        if status != probe.status:
            return Asked(False, f"answered {status}")
        if probe.slow is not None and seconds > probe.slow:
            return Asked(False, f"took {seconds:.2f} s")
        return Asked(True)

    async def prometheus(self, probe: PrometheusProbe) -> Asked:
        """Ask a Prometheus server; every value of the answer has to be within bounds."""
        try:
            async with asyncio.timeout(_PROMETHEUS_TIMEOUT):
                answer = await self._client.get(f"{probe.url.rstrip('/')}/api/v1/query", params={"query": probe.query})
                answer.raise_for_status()
                values = _values(answer.json())
        except (TimeoutError, httpx.HTTPError, ValueError, KeyError, TypeError, IndexError) as failed:
            return Asked(None, f"Prometheus: {str(failed) or type(failed).__name__}")
        if not values:
            return Asked(None, "Prometheus has no value")
        worst = max(values)
        return Asked(worst <= probe.most, f"{worst:g}, at most {probe.most:g}")

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()

    async def _status(self, address: str) -> int:
        """The status of a whole answer: one that breaks off in the middle is a failure too."""
        async with self._client.stream("GET", address) as answer:
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > _ANSWER_LIMIT:
                    break
            return answer.status_code


def url(address: str, path: str) -> str:
    """The whole address of a path."""
    base = address if "://" in address else f"http://{address}"
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


def _values(answer: object) -> list[float]:
    """Every value of an instant query, scalar or vector; what is not a number says nothing."""
    assert isinstance(answer, dict)
    data = answer["data"]
    pairs = [data["result"]] if data["resultType"] in {"scalar", "string"} else [one["value"] for one in data["result"]]
    return [value for pair in pairs if not math.isnan(value := float(pair[1]))]
