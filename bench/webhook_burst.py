"""A burst of 2 000 deliveries while ten runs execute: how long each acknowledgement takes, beside other receivers.

A GitHub stand-in and the bot are two processes as users start them. Ten pull requests are opened whose boxes run until
they are ended; while they do, the same burst goes to the bot, to probot, and to gidgethub under aiohttp, in turns, on
this machine and in this run. The bot makes every delivery durable before it answers; the others keep nothing.
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
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import peers
from bench.figures import Figure, machine, report
from bench.load import Request, burst, percentile
from bench.servers import free_port, server
from bench.webhook_ack import payload

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
DELIVERIES, CONNECTIONS, RUNS = 2000, 16, 10
REPO = "octo/app"
BOX = """#!/bin/sh
# /// box
# timeout = 600
# ///
while :; do awk 'BEGIN { for (i = 0; i < 30000; i++) x += i }'; sleep 0.2; done
"""
SEED = f"users: [mona]\nrepositories:\n  - {{name: {REPO}, from: app, collaborators: {{mona: write}}}}\n"
PATIENCE = 120.0


def requests_for(tag: str, secret: str) -> Request:
    """The nth request; each has a delivery id of its own."""
    body = payload()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

    def request(n: int) -> bytes:
        head = (
            "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {tag}-{n:012d}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\n\r\n"
        )
        return head.encode() + body

    return request


@contextmanager
def hub(directory: Path, bot_port: int) -> Iterator[dict[str, Any]]:
    """The stand-in, with a repository whose one box never ends; what it says of itself."""
    box = directory / "app" / "boxes" / "tier-1" / "01_endless.sh"
    box.parent.mkdir(parents=True)
    box.write_text(BOX)
    box.chmod(0o755)
    (directory / "seed.yml").write_text(SEED)
    argv = [sys.executable, "-m", "bot.cli", "localhub", "--seed", str(directory / "seed.yml")]
    argv += ["--webhook-url", f"http://127.0.0.1:{bot_port}/webhooks"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=env)
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def call(said: dict[str, Any], method: str, path: str, body: object = None) -> Any:
    """One call of the stand-in's API, as mona."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {said['users']['mona']}", "Accept": "application/vnd.github+json"}
    asked = urllib.request.Request(said["url"] + path, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def open_pull_requests(said: dict[str, Any]) -> None:
    """Ten branches, each with a commit of its own, each proposed."""
    start = call(said, "GET", f"/repos/{REPO}/git/ref/heads/main")["object"]["sha"]
    for n in range(RUNS):
        call(said, "POST", f"/repos/{REPO}/git/refs", {"ref": f"refs/heads/topic-{n}", "sha": start})
        change = {"message": f"Change {n}", "content": "eA==", "branch": f"topic-{n}"}
        call(said, "PUT", f"/repos/{REPO}/contents/file_{n}.txt", change)
        call(said, "POST", f"/repos/{REPO}/pulls", {"title": f"Change {n}", "head": f"topic-{n}", "base": "main"})


def await_runs(port: int) -> None:
    """Wait until all of them execute.

    Raises:
        TimeoutError: they do not.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/runs", timeout=10) as answer:
            runs = json.load(answer)["runs"]
        if sum(run["state"] == "running" for run in runs) >= RUNS:
            return
        time.sleep(0.2)  # noqa: TID251 - waiting for another process.
    message = f"not all of {RUNS} runs execute after {PATIENCE:g} s"
    raise TimeoutError(message)


async def measure(port: int, tag: str, secret: str) -> dict[str, float]:
    """One burst at one receiver, after a few that warm it up."""
    await burst(port, requests_for(f"{tag}w", secret), connections=4, total=50)
    latencies, rate, errors = await burst(port, requests_for(tag, secret), connections=CONNECTIONS, total=DELIVERIES)
    assert not errors, f"{tag}: {errors} deliveries were refused"
    return {"p50": percentile(latencies, 0.5) * 1e3, "p99": percentile(latencies, 0.99) * 1e3, "rate": rate}


async def check_signature(port: int, tag: str) -> None:
    """A receiver that takes what nobody signed is no peer."""
    _, _, errors = await burst(port, requests_for(f"{tag}x", "another secret"), connections=1, total=1)
    assert errors == 1, f"{tag} takes unsigned deliveries"


def main() -> int:
    """Measure, print the table and the ratios."""
    print(machine())
    cache = Path(os.environ.get("BENCH_PEERS", Path.home() / ".cache" / "interlock-bench"))
    with tempfile.TemporaryDirectory(prefix="bench-") as made, ExitStack() as stack:
        directory, bot_port = Path(made), free_port()
        said = stack.enter_context(hub(directory, bot_port))
        secret, key = said["webhook_secret"], Path(said["private_key_file"]).read_text()
        env = {
            "INTERLOCK_DATA_DIR": f"{made}/data",
            "INTERLOCK_GITHUB_API_URL": said["url"],
            "INTERLOCK_GITHUB_APP_ID": str(said["app_id"]),
            "INTERLOCK_GITHUB_PRIVATE_KEY": key,
            "INTERLOCK_WEBHOOK_SECRET": secret,
            "INTERLOCK_MAX_RUNS": str(RUNS),
            "INTERLOCK_SANDBOX": "off",
            "INTERLOCK_DRAIN_SECONDS": "0",
        }
        serve = [sys.executable, "-m", "bot.cli", "serve", "--port", str(bot_port)]
        stack.enter_context(server(serve, env, bot_port, made))
        ports = {"interlock": bot_port}
        for name, make in (
            ("probot", lambda port: peers.probot(cache / "probot", port, secret, key)),
            ("gidgethub", lambda port: peers.gidgethub(cache / "gidgethub", port, secret)),
        ):
            port = free_port()
            try:
                argv, environ = make(port)
            except peers.Missing as why:
                print(f"without {name}: {why}")
                continue
            where = cache / "probot" if name == "probot" else directory
            stack.enter_context(server(argv, environ, port, where))
            ports[name] = port
        open_pull_requests(said)
        await_runs(bot_port)
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
        for name, port in ports.items():
            asyncio.run(check_signature(port, name))
        for n in range(ROUNDS):
            for name, port in ports.items():
                rows[name].append(asyncio.run(measure(port, f"{name}{n}", secret)))
        await_runs(bot_port)  # They still did while it was measured.
    return tell(rows)


def tell(rows: dict[str, list[dict[str, float]]]) -> int:
    """Print medians over the rounds, then the ratios."""
    print(f"burst of {DELIVERIES} deliveries over {CONNECTIONS} connections while {RUNS} runs execute; medians")
    medians = {name: {key: statistics.median(row[key] for row in of) for key in of[0]} for name, of in rows.items()}
    for name, one in medians.items():
        print(f"{name:12} p50 {one['p50']:7.1f} ms   p99 {one['p99']:7.1f} ms   {one['rate']:7.0f} a second")
    ours = medians["interlock"]
    figures = [
        Figure(what=f"p99 of an acknowledgement, to {name}'s", value=ours["p99"] / one["p99"], unit="x")
        for name, one in medians.items()
        if name != "interlock"
    ]
    figures += [
        Figure(what=f"throughput, to {name}'s", value=ours["rate"] / one["rate"], unit="x")
        for name, one in medians.items()
        if name != "interlock"
    ]
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
