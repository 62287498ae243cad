"""What the health endpoints say when a part is down, and when it only works worse than it should."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from starlette.applications import Starlette

from bot.web.health import Health


async def up() -> Mapping[str, object]:
    return {"open": 3}


async def degraded() -> Mapping[str, object]:
    return {"status": "degraded", "warnings": ["the clock is off"]}


async def down() -> Mapping[str, object]:
    raise ConnectionError


@pytest.mark.parametrize(
    ("probes", "status", "ready", "detailed"),
    [
        pytest.param({"a": up, "b": up}, "healthy", 200, 200, id="all-is-well"),
        pytest.param({"a": up, "b": degraded}, "degraded", 200, 200, id="worse-than-it-should-be"),
        pytest.param({"a": down, "b": degraded}, "unhealthy", 503, 503, id="something-is-down"),
    ],
)
async def test_what_is_degraded_is_told_and_keeps_its_traffic(
    probes: Mapping[str, object], status: str, ready: int, detailed: int
) -> None:
    app = Starlette(routes=Health(probes, lambda: False).routes())  # type: ignore[arg-type]  # they are probes.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot") as client:
        told = await client.get("/health/detailed")
        assert (told.json()["status"], told.status_code) == (status, detailed)
        assert (await client.get("/health/ready")).status_code == ready
