"""Other receivers of GitHub's webhooks, each as its makers document it: probot, and gidgethub under aiohttp.

They are installed into a directory of their own at their first use, and checked for the signature before they are
measured. Neither keeps what it acknowledges: whatever is in memory when the process ends is lost.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROBOT = "probot@14"
GIDGETHUB = ("gidgethub>=6,<7", "aiohttp>=3.11")

PROBOT_APP = """
export default (app) => {
  app.on("push", async (context) => { seen += context.payload.commits.length; });
};
let seen = 0;
"""

GIDGETHUB_APP = """
import sys
from aiohttp import web
from gidgethub import routing, sansio

router = routing.Router()
seen = 0

@router.register("push")
async def pushed(event):
    global seen
    seen += len(event.data["commits"])

async def webhook(request):
    body = await request.read()
    try:
        event = sansio.Event.from_http(request.headers, body, secret=sys.argv[2])
    except Exception:
        return web.Response(status=401)
    await router.dispatch(event)
    return web.Response(status=202)

app = web.Application()
app.router.add_post("/webhooks", webhook)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


class Missing(Exception):
    """A peer cannot be had here; the message says what is lacking."""


def probot(directory: Path, port: int, secret: str, key: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """The command line and environment of a probot server.

    Raises:
        Missing: there is no Node.js, or it cannot be installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        message = "npm is not installed"
        raise Missing(message)
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "node_modules" / "probot").is_dir():
        _install([npm, "install", "--prefix", str(directory), "--silent", "--no-fund", "--no-audit", PROBOT], directory)
    (directory / "app.mjs").write_text(PROBOT_APP)
    environ = {
        "APP_ID": "1",
        "PRIVATE_KEY": key,
        "WEBHOOK_SECRET": secret,
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "WEBHOOK_PATH": "/webhooks",
        "LOG_LEVEL": "fatal",
        "NODE_ENV": "production",
    }
    return [str(directory / "node_modules" / ".bin" / "probot"), "run", "./app.mjs"], environ


def gidgethub(directory: Path, port: int, secret: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """The same for gidgethub under aiohttp.

    Raises:
        Missing: it cannot be installed.
    """
    python = directory / "bin" / "python"
    if not python.exists():
        _install([sys.executable, "-m", "venv", str(directory)], Path.cwd())
        _install([str(python), "-m", "pip", "install", "--quiet", *GIDGETHUB], Path.cwd())
    return [str(python), "-c", GIDGETHUB_APP, str(port), secret], {}


def _install(argv: Sequence[str], directory: Path) -> None:
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{argv[0]} said: {done.stderr.strip()[-300:]}"
        raise Missing(message)
