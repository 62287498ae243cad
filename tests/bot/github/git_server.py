"""Git over HTTP as GitHub offers it: `git http-backend` behind Basic authentication, on loopback."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route


class GitServer:
    """Serves the repositories below a directory to who has the token.

    Attributes:
        url: without a trailing slash.
        seen: the Authorization header of each request, "" for none.
        redirect_to: when set, every request is sent there instead.
    """

    def __init__(self, root: Path, token: str) -> None:
        self.url = ""
        self.token = token
        self.seen: list[str] = []
        self.redirect_to = ""
        self._root = root

    async def __call__(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        self.seen.append(given)
        if self.redirect_to:
            return RedirectResponse(f"{self.redirect_to}{request.url.path}?{request.url.query}", 301)
        if given != "Basic " + base64.b64encode(f"x-access-token:{self.token}".encode()).decode():
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        return await self._backend(request)

    async def _backend(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "PATH_INFO": request.url.path,
            "QUERY_STRING": request.url.query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        backend = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await backend.communicate(body)
        head, _, content = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return Response(content, int(headers.pop("Status", "200").split()[0]), headers)


@asynccontextmanager
async def git_server(root: Path, token: str) -> AsyncIterator[GitServer]:
    """A running server."""
    serving = GitServer(root, token)
    routes = [Route("/{path:path}", serving.__call__, methods=["GET", "POST"])]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    serving.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    running = asyncio.create_task(server.serve([socket]))
    try:
        yield serving
    finally:
        server.should_exit = True
        await running
        socket.close()
