"""A hub in the test's own loop; every exchange with it and every webhook is held against GitHub's description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from bot.localhub.clock import Clock
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver

CONTRACT = Contract.load()
START = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
NOT_DESCRIBED = {"create", "delete", "status"}
"""Events that the hub can send and the vendored description leaves out."""


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def hub(clock: Clock, receiver: Receiver) -> AsyncIterator[LocalHub]:
    """A hub with octo/app (mona may write), not yet with a webhook address; `http://receiver/` leads to `receiver`."""
    hub = LocalHub(clock=clock, transport=httpx.ASGITransport(receiver))
    violations = judge(hub)
    await hub.start_deliveries()
    hub.create_repository(
        "octo/app", files={"README.md": "# App\n", "src/app.py": "x = 1\n"}, collaborators={"mona": "write"}
    )
    yield hub
    await hub.settled()
    await hub.stop()
    violations += judged_webhooks(receiver)
    assert violations == []


def judge(hub: LocalHub) -> list[Violation]:
    """Hold what the hub answers against the description; the list fills as violations happen."""
    violations: list[Violation] = []
    hub.app = ContractMiddleware(hub.app, CONTRACT, violations.append, judged=hub.is_api)
    return violations


def judged_webhooks(receiver: Receiver) -> list[Violation]:
    return [
        violation
        for got in receiver.got
        if got.event not in NOT_DESCRIBED
        for violation in CONTRACT.check_webhook(got.event, got.payload.get("action"), got.body)
    ]
