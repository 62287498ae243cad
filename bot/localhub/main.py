"""`interlock localhub`: a hub alone in its process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

from bot.localhub import keys, seed
from bot.localhub.hub import LocalHub

USAGE, CONFIGURATION = 2, 3


def serve(
    *,
    port: int = 0,
    state_dir: str | Path | None = None,
    seed_file: str | Path | None = None,
    webhook_url: str | None = None,
) -> int:
    """Run a hub until it is told to stop; when it listens, print one JSON line that says how to reach and use it.

    Args:
        port: on 127.0.0.1; 0 takes a free one, which the line tells.
        state_dir: where everything is kept, made if missing; None keeps nothing beyond this process.
        seed_file: what to create that is not there yet.
        webhook_url: where our App's webhooks go; None leaves it as the state directory has it.

    Returns:
        The process's exit code: 0 stopped as asked, 2 the port is taken, 3 the seed or the state directory is wrong.
    """
    try:
        planted = seed.read(Path(seed_file)) if seed_file else seed.Seed()
    except seed.SeedInvalid as wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - the command's own output.
        return CONFIGURATION
    if state_dir:
        try:
            Path(state_dir).mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            print(f"{state_dir}: cannot keep state there: {refused.strerror}", file=sys.stderr)  # noqa: T201 - as above.
            return CONFIGURATION
        return asyncio.run(_serve(port, Path(state_dir), planted, webhook_url or ""))
    with tempfile.TemporaryDirectory(prefix="localhub-") as passing:
        return asyncio.run(_serve(port, Path(passing), planted, webhook_url or ""))


async def _serve(port: int, state_dir: Path, planted: seed.Seed, webhook_url: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hub = LocalHub(state_dir)
    seed.plant(hub, planted)
    if webhook_url:
        hub.webhook_url = webhook_url
    try:
        await hub.start(port)
    except OSError as taken:
        print(f"127.0.0.1:{port}: {taken.strerror}", file=sys.stderr)  # noqa: T201 - the command's own output.
        await hub.stop()
        return USAGE
    print(json.dumps(ready_line(hub)), flush=True)  # noqa: T201 - the line that the command promises.
    await stop.wait()
    await hub.stop()
    return 0


def ready_line(hub: LocalHub) -> dict[str, object]:
    """What a client needs to know: addresses, the App's credentials, and each user's token.

    `installation_id` is that of the first installation, or None before there is a repository.
    """
    users = [user for user in hub.state.users if user.type == "User" and user.login != "ghost"]
    installation = hub.state.installations.first(app_id=hub.app_id)
    return {
        "schema": "interlock.localhub/1",
        "url": hub.url,
        "app_id": hub.app_id,
        "private_key_file": str((hub.directory / keys.NAME).resolve()),
        "webhook_secret": hub.webhook_secret,
        "installation_id": installation.id if installation else None,
        "installations": {row.account: row.id for row in hub.state.installations.where(app_id=hub.app_id)},
        "users": {user.login: hub.create_user(user.login) for user in users},
    }
