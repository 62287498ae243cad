"""Git over smart HTTP: `git http-backend` as CGI, streamed both ways, behind the hub's tokens.

A token may stand as Basic password (`x-access-token:TOKEN`, `mona:TOKEN`) or as Bearer. Fetching needs `contents:read`,
pushing `contents:write`. When a push has ended, the hub looks at what moved before the client hears that it is over.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from bot.localhub import access, refusals
from bot.localhub.acts import pushes
from bot.localhub.bare import git_environment
from bot.localhub.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Receive, Send

    from bot.localhub.access import Caller
    from bot.localhub.faults import Faults
    from bot.localhub.forge import Forge
    from bot.localhub.records import Repository

PATHS = re.compile(r"/(?P<name>[^/]+/[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)")
CHUNK = 65_536


class GitHttp:
    """The git side of one hub, as an ASGI application for the paths that `owns` accepts."""

    def __init__(self, forge: Forge, faults: Faults) -> None:
        self._forge = forge
        self._faults = faults

    def owns(self, path: str) -> bool:
        """Whether a path is git's."""
        return PATHS.fullmatch(path) is not None

    async def respond(self, request: Request, receive: Receive, send: Send) -> None:
        """Answer one request of a git client."""
        match = PATHS.fullmatch(request.url.path)
        assert match, "only paths that owns() accepted come here"
        service = request.query_params.get("service") if match["rest"] == "info/refs" else match["rest"]
        fault = self._faults.take(request.method, request.url.path)
        if fault and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault and fault.status:
            await _plain(send, fault.status, fault.message, fault.headers)
            return
        try:
            caller, repo = self._admit(request, match["name"], pushing=service == "git-receive-pack")
        except Refused as refused:
            # A client without credentials is asked for some: git sends them only then.
            ask = {"www-authenticate": 'Basic realm="GitHub"'} if refused.status == 401 else {}
            await _plain(send, refused.status, refused.message, ask)
            return
        finish = (
            (lambda: pushes.observe(self._forge, repo, caller.login)) if match["rest"] == "git-receive-pack" else None
        )
        environment = self._environment(request, repo, match["rest"], caller)
        await _Cgi(environment, receive, send, finish).run()

    def _admit(self, request: Request, name: str, *, pushing: bool) -> tuple[Caller, Repository]:
        header = request.headers.get("authorization", "")
        caller = access.caller_of(self._forge, header)
        repo = self._forge.state.repository(name)
        if repo is None or not access.can_see(self._forge, caller, repo):
            raise refusals.authentication_required() if not header else Refused(404, "Repository not found.")
        try:
            need, role = ("contents:write", "write") if pushing else ("contents:read", "read")
            access.require(self._forge, caller, repo, (need,), role)
        except Refused as refused:
            if refused.status != 403:
                raise
            who = caller.login or "anonymous"
            raise Refused(403, f"Permission to {repo.full_name}.git denied to {who}.") from refused
        return caller, repo

    def _environment(self, request: Request, repo: Repository, rest: str, caller: Caller) -> dict[str, str]:
        headers = {
            "CONTENT_TYPE": "content-type",
            "CONTENT_LENGTH": "content-length",
            "HTTP_CONTENT_ENCODING": "content-encoding",
            "GIT_PROTOCOL": "git-protocol",
        }
        given = {name: value for name, header in headers.items() if (value := request.headers.get(header))}
        return {
            **git_environment(),
            **given,
            "GIT_PROJECT_ROOT": str(self._forge.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repo.id}.git/{rest}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": caller.login or "anonymous",
        }


class _Cgi:
    """One run of `git http-backend`."""

    def __init__(
        self, environment: dict[str, str], receive: Receive, send: Send, finish: Callable[[], None] | None
    ) -> None:
        self._environment = environment
        self._receive = receive
        self._send = send
        self._finish = finish

    async def run(self) -> None:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        feeding = asyncio.create_task(self._feed(process))
        try:
            await self._answer(process)
        finally:
            feeding.cancel()
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    break
                process.stdin.write(message.get("body", b""))
                await process.stdin.drain()
                if not message.get("more_body"):
                    break
        except (BrokenPipeError, ConnectionResetError):
            return  # the backend has read all it wanted; its answer says why.
        process.stdin.close()

    async def _answer(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        status, headers = 200, []
        while line := (await process.stdout.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"status":
                status = int(value.split()[0])
            else:
                headers.append((name.strip().lower(), value.strip()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await process.stdout.read(CHUNK):
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await process.wait()
        if self._finish:
            self._finish()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _plain(send: Send, status: int, message: str, headers: dict[str, str]) -> None:
    body = f"{message}\n".encode()
    shown = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    shown += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body, "more_body": False})
