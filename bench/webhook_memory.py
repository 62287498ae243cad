"""Whether the bot's memory stays flat over many deliveries: small ones, in the mixture that a busy organisation sends.

The promise (docs/explanation/promises.md): after 100 000 deliveries through the real door resident memory is within
10 % of what it was after the first 5 000. `BENCH_DELIVERIES` makes it shorter.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.figures import Figure, machine, report
from bench.load import flat_out
from bench.servers import free_port, server
from bot.localhub.hub import LocalHub

SECRET = "bench-secret"
WARM = 5_000
TOTAL = int(os.environ.get("BENCH_DELIVERIES", "100000"))
CONNECTIONS = 8
SETTLE_SECONDS = 60.0


def mixture(installation_id: int, repo_id: int) -> list[tuple[str, bytes]]:
    """A hundred deliveries: mostly what nobody acts on, some that start a flow, and a few strange ones."""
    base = {
        "repository": {"id": repo_id, "full_name": "octo/app", "default_branch": "main"},
        "installation": {"id": installation_id},
        "sender": {"login": "mona", "id": 1, "type": "User"},
    }
    commit = {"id": "a" * 40, "message": "x" * 200, "added": [], "removed": [], "modified": ["src/app.py"]}
    push = {**base, "ref": "refs/heads/topic", "after": "a" * 40, "deleted": False, "commits": [commit] * 3}
    check = {**base, "action": "completed", "check_run": {"id": 1, "name": "ci", "head_sha": "a" * 40}}
    comment = {
        **base,
        "action": "created",
        "issue": {"number": 1, "pull_request": {}},
        "comment": {"id": 7, "body": "looks good to me", "user": {"login": "mona", "type": "User"}},
    }
    gone = {**base, "ref": "refs/heads/topic", "after": "0" * 40, "deleted": True}
    kinds = [
        *[("check_run", check)] * 40,
        *[("push", push)] * 25,
        *[("check_suite", {**check, "check_suite": {"head_sha": "a" * 40}})] * 12,
        *[("issue_comment", comment)] * 10,
        *[("workflow_run", {**base, "action": "completed"})] * 8,
        ("push", gone),  # acted on: a flow of its own looks for runs of the branch.
        ("star", {**base, "action": "created"}),
        ("pull_request", {**base, "action": "frobnicated", "pull_request": {"number": 1}}),
        ("pull_request", {"action": "opened"}),
        ("ping", {"zen": "x"}),
    ]
    return [(event, json.dumps(payload).encode()) for event, payload in kinds]


def requests(mixed: list[tuple[str, bytes]], start: int) -> Callable[[int], bytes]:
    """A function that makes the nth request from `start` on, each with a delivery id of its own."""
    signed = [
        (event, body, hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(), len(body)) for event, body in mixed
    ]

    def request(n: int) -> bytes:
        event, body, signature, size = signed[n * 37 % len(signed)]
        head = (
            "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {size}\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: memory-{start + n:012d}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\n\r\n"
        )
        return head.encode() + body

    return request


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def settled(port: int) -> None:
    """Wait until every delivery has its end."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/detailed HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        parts = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["parts"]
        writer.close()
        if not parts["database"].get("open_deliveries") and not parts["flows"].get("unfinished"):
            return
        await asyncio.sleep(0.2)


async def measure(directory: str) -> list[Figure]:
    """Send the first deliveries, look, send the others in ten parts, and look after each."""
    hub = LocalHub()
    await hub.start()
    repo = hub.create_repository("octo/app", files={"a": "b"})
    port = free_port()
    env = {
        "INTERLOCK_DATA_DIR": f"{directory}/data",
        "INTERLOCK_GITHUB_API_URL": hub.url,
        "INTERLOCK_GITHUB_APP_ID": str(hub.app_id),
        "INTERLOCK_GITHUB_PRIVATE_KEY": hub.private_key,
        "INTERLOCK_WEBHOOK_SECRET": SECRET,
        "INTERLOCK_SANDBOX": "off",
    }
    mixed = mixture(hub.installation("octo").id, repo.id)
    with server([sys.executable, "-m", "bot.cli", "serve", "--port", str(port)], env, port, directory) as bot:
        sent = 0
        seen: list[float] = []
        rates: list[float] = []
        for part in (WARM, *[(TOTAL - WARM) // 10] * 10):
            rate, errors = await flat_out(port, requests(mixed, sent), connections=CONNECTIONS, total=part)
            assert not errors, f"{errors} deliveries were refused"
            sent += part
            await settled(port)
            seen.append(resident(bot.pid))
            rates.append(rate)
            print(f"{sent:8} deliveries  {seen[-1]:7.1f} MiB  {rate:6.0f}/s", flush=True)
    await hub.stop()
    return [
        Figure(what=f"memory after {WARM} deliveries", value=seen[0], unit="MiB"),
        Figure(what=f"memory after {sent} deliveries", value=seen[-1], unit="MiB"),
        Figure(what="growth since the first", value=(seen[-1] / seen[0] - 1) * 100, unit="%", promise=10),
        Figure(what="highest growth on the way", value=(max(seen) / seen[0] - 1) * 100, unit="%"),
    ]


def main() -> int:
    """Measure and report; 1 when the promise does not hold."""
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        return report(asyncio.run(measure(directory)))


if __name__ == "__main__":
    sys.exit(main())
