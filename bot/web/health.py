"""Is it alive, is it ready, and if not, what is wrong."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Probe = Callable[[], Awaitable[Mapping[str, object]]]
"""Answers facts about one part; raising means that the part does not work.

A fact `status` of `degraded` means that it works, but worse than it should: no reason to take traffic away.
"""


class Health:
    """The health endpoints.

    Args:
        probes: by the name of the part that each looks at.
        draining: whether the bot is about to stop; it is alive then, but not ready.
    """

    def __init__(self, probes: Mapping[str, Probe], draining: Callable[[], bool]) -> None:
        self._probes = probes
        self._draining = draining

    def routes(self) -> list[Route]:
        """`/health`, `/health/ready` and `/health/detailed`."""
        return [
            Route("/health", self.live),
            Route("/health/ready", self.ready),
            Route("/health/detailed", self.detailed),
        ]

    async def live(self, _request: Request) -> Response:
        """200 as long as the process answers."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """200 when a delivery sent now would be taken in, else 503 with the parts that are down."""
        parts = await self._look()
        down = sorted(name for name, part in parts.items() if part["status"] == "down")
        if self._draining():
            down.append("draining")
        return JSONResponse({"status": "unready" if down else "ready", "down": down}, status_code=503 if down else 200)

    async def detailed(self, _request: Request) -> Response:
        """Every part with its facts and how long the look at it took, in milliseconds."""
        parts = await self._look()
        said = {part["status"] for part in parts.values()}
        health = "unhealthy" if "down" in said else "degraded" if "degraded" in said else "healthy"
        status = "draining" if self._draining() else health
        return JSONResponse(
            {"status": status, "parts": parts}, status_code=503 if status in {"draining", "unhealthy"} else 200
        )

    async def _look(self) -> dict[str, dict[str, object]]:
        parts: dict[str, dict[str, object]] = {}
        for name, probe in self._probes.items():
            began = time.perf_counter()
            try:
                facts = {"status": "up", **await probe()}
            except Exception as error:  # noqa: BLE001 - whatever a part raises, it is down; its class is enough to say.
                facts = {"status": "down", "reason": type(error).__name__}
            parts[name] = {**facts, "milliseconds": round((time.perf_counter() - began) * 1000, 1)}
        return parts
