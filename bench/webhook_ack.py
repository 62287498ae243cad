"""How long GitHub waits for a durable acknowledgement, beside a Starlette echo that reads the same body.

Both servers are uvicorn with the same settings, each in its own process, measured in turns within one run. The promise
(docs/explanation/promises.md) is a ratio and a percentile: p99 below 10 ms at 200 deliveries a second, and at least
half of the echo's throughput.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.load import at_rate, flat_out, percentile
from bench.servers import free_port, server

SECRET = "bench"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ECHO = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def echo(request):
    body = await request.body()
    return JSONResponse({"bytes": len(body)}, status_code=202)

app = Starlette(routes=[Route("/webhooks", echo, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False)
"""


def payload() -> bytes:
    """A push of a tag: everything up to the decision runs, and nothing is started."""
    repository = {"id": 1, "full_name": "octo/app", "name": "app", "default_branch": "main", "owner": {"login": "octo"}}
    commits = [{"id": "a" * 40, "message": "x" * 200, "added": [], "removed": [], "modified": ["src/app.py"]}] * 20
    body = {
        "ref": "refs/tags/v1",
        "before": "b" * 40,
        "after": "a" * 40,
        "deleted": False,
        "repository": repository,
        "installation": {"id": 1},
        "sender": {"login": "mona", "type": "User"},
        "commits": commits,
    }
    return json.dumps(body).encode()


def requests_for(tag: str) -> tuple[object, int]:
    """A function that makes the nth request, each with a delivery id of its own, and the body's size."""
    body = payload()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    def request(n: int) -> bytes:
        head = (
            "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {tag}-{n:012d}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\n\r\n"
        )
        return head.encode() + body

    return request, len(body)


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def measure(port: int, tag: str) -> dict[str, float]:
    """One round against one server."""
    request, _ = requests_for(tag)
    await flat_out(port, request, connections=4, total=50)
    request, _ = requests_for(tag + "r")
    latencies, late_errors = await at_rate(port, request, per_second=200, seconds=3)
    request, _ = requests_for(tag + "f")
    rate, errors = await flat_out(port, request, connections=32, total=3000)
    assert not errors
    assert not late_errors
    return {"p50": percentile(latencies, 0.5) * 1e3, "p99": percentile(latencies, 0.99) * 1e3, "per_second": rate}


def main() -> int:
    """Measure, print a table and the ratio; 1 when the promise does not hold here and now."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        rows: dict[str, list[dict[str, float]]] = {"starlette echo": [], "interlock": []}
        key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True, text=True).stdout
        env = {
            "INTERLOCK_DATA_DIR": f"{directory}/data",
            "INTERLOCK_GITHUB_API_URL": f"http://127.0.0.1:{free_port()}",
            "INTERLOCK_GITHUB_APP_ID": "1",
            "INTERLOCK_GITHUB_PRIVATE_KEY": key,
            "INTERLOCK_WEBHOOK_SECRET": SECRET,
        }
        echo_port, bot_port = free_port(), free_port()
        serve = [sys.executable, "-m", "bot.cli", "serve", "--port", str(bot_port)]
        with (
            server([sys.executable, "-c", ECHO, str(echo_port)], {}, echo_port, directory),
            server(serve, env, bot_port, directory) as bot,
        ):
            with urllib.request.urlopen(f"http://127.0.0.1:{bot_port}/health/ready", timeout=10) as answer:
                assert answer.status == 200
            idle = resident(bot.pid)
            for n in range(ROUNDS):
                rows["starlette echo"].append(asyncio.run(measure(echo_port, f"echo{n}")))
                rows["interlock"].append(asyncio.run(measure(bot_port, f"bot{n}")))
            loaded = resident(bot.pid)
    return report(rows, idle, loaded)


def report(rows: dict[str, list[dict[str, float]]], idle: float, loaded: float) -> int:
    """Print medians over the rounds."""
    print(f"webhook acknowledgement, body {requests_for('x')[1]} bytes, medians of {ROUNDS} rounds")
    print(f"{'':16} {'p50 ms':>8} {'p99 ms':>8} {'max/s':>8}   (p50, p99 at 200/s open loop)")
    medians = {}
    for name, measured in rows.items():
        medians[name] = {key: statistics.median(row[key] for row in measured) for key in measured[0]}
        print(f"{name:16} {medians[name]['p50']:8.2f} {medians[name]['p99']:8.2f} {medians[name]['per_second']:8.0f}")
    ratio = medians["interlock"]["per_second"] / medians["starlette echo"]["per_second"]
    print(f"throughput ratio {ratio:.2f} (promise: >= 0.5)   p99 {medians['interlock']['p99']:.1f} ms (promise: < 10)")
    print(f"memory of the bot: {idle:.0f} MiB idle (promise: < 120), {loaded:.0f} MiB after the load (promise: < 250)")
    return 0 if ratio >= 0.5 and medians["interlock"]["p99"] < 10 and idle < 120 and loaded < 250 else 1


if __name__ == "__main__":
    sys.exit(main())
