"""Git LFS over HTTP: the batch API, and the place that it sends clients to for the files themselves.

Source: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from bot.localhub import access
from bot.localhub.refusals import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

    from bot.localhub.forge import Forge
    from bot.localhub.records import Repository

PATHS = re.compile(r"/(?P<name>[^/]+/[^/]+?)\.git/info/lfs/(?:objects/batch|files/(?P<oid>[0-9a-f]{64}))")
MEDIA = "application/vnd.git-lfs+json"
GUARD = "X-Localhub-Lfs"
"""The header that the batch answer hands out for downloads, as GitHub's storage wants its own and never our token."""


class LfsHttp:
    """The LFS side of one hub. Files are kept in memory, by repository."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        self._files: dict[tuple[int, str], bytes] = {}

    def owns(self, path: str) -> bool:
        """Whether a path is LFS's."""
        return PATHS.fullmatch(path) is not None

    def keep(self, repo: Repository, content: bytes) -> str:
        """Store a file, as `git lfs push` would; returns the pointer that is committed in its place."""
        oid = hashlib.sha256(content).hexdigest()
        self._files[repo.id, oid] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"

    async def respond(self, request: Request) -> Response:
        """Answer one request of an LFS client."""
        match = PATHS.fullmatch(request.url.path)
        assert match, "only paths that owns() accepted come here"
        repo = self._forge.state.repository(match["name"])
        if match["oid"]:
            return self._file(request, repo, match["oid"])
        try:
            caller = access.caller_of(self._forge, request.headers.get("authorization", ""))
            if repo is None or not access.can_see(self._forge, caller, repo):
                return _refusal(404, "Repository not found.")
            access.require(self._forge, caller, repo, ("contents:read",), "read")
        except Refused as refused:
            return _refusal(refused.status, refused.message)
        asked = json.loads(await request.body())
        objects = [self._object(repo, str(each["oid"]), int(each["size"])) for each in asked["objects"]]
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type=MEDIA)

    def _object(self, repo: Repository, oid: str, size: int) -> dict[str, object]:
        if (repo.id, oid) not in self._files:
            return {"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}}
        href = f"{self._forge.url}/{repo.full_name}.git/info/lfs/files/{oid}"
        download = {"href": href, "header": {GUARD: oid[:16]}, "expires_in": 3600}
        return {"oid": oid, "size": size, "actions": {"download": download}}

    def _file(self, request: Request, repo: Repository | None, oid: str) -> Response:
        content = self._files.get((repo.id, oid)) if repo else None
        if content is None:
            return _refusal(404, "Not found")
        if "authorization" in request.headers or request.headers.get(GUARD) != oid[:16]:
            return _refusal(400, "Only one auth mechanism allowed")  # as the storage behind GitHub answers.
        return Response(content, media_type="application/octet-stream")


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, media_type=MEDIA)
