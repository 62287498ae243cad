"""Git LFS as far as a checkout needs it: what is a pointer, and the file that it points to.

Only GitHub's own LFS server is asked, never one that the repository names. Each file is what its pointer says, by size
and SHA-256, or it is not written.

Source: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from bot.github.errors import Forbidden, GitHubProblem, GitHubUnavailable, NotFound, UnexpectedAnswer
from bot.github.tokens import SecretToken

MAX_BYTES = 1 << 30
"""Bytes of all files of one checkout together."""

AT_ONCE = 100
POINTER_BYTES = range(100, 1025)
"""How large a pointer is; it has at most 1024 bytes by its specification."""

_JSON = "application/vnd.git-lfs+json"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,13})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What stands in git in place of a file: its SHA-256 in hexadecimal, and its size in bytes."""

    oid: str
    size: int


def read_pointer(content: bytes) -> Pointer | None:
    """The pointer that a file's content is, if it is one."""
    found = _POINTER.fullmatch(content)
    return Pointer(found[1].decode(), int(found[2])) if found else None


class Store:
    """The LFS server of one repository; an async context manager.

    Args:
        git_url: the repository's, without a token.
        token: may read its contents; None for a public one.
        transport: instead of the network.
    """

    def __init__(
        self, git_url: str, token: SecretToken | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = git_url
        auth = httpx.BasicAuth("x-access-token", token.reveal()) if token else None
        self._client = httpx.AsyncClient(auth=auth, timeout=_TIMEOUT, follow_redirects=False, transport=transport)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self._client.__aexit__(*problem)

    async def fetch(self, wanted: Mapping[Path, Pointer]) -> None:
        """Put each file in the place of its pointer; executable bits stay. A repeat does what is left.

        Raises:
            GitHubUnavailable: the server does not answer; a repeat is safe.
            NotFound: it has not got one of the files.
            Forbidden: the repository's may not be read, or its quota is used up.
            UnexpectedAnswer: a file is not what its pointer says.
        """
        pointers = list(dict.fromkeys(wanted.values()))
        for at in range(0, len(pointers), AT_ONCE):
            links = await self._batch(pointers[at : at + AT_ONCE])
            for path, pointer in wanted.items():
                if pointer.oid in links:
                    await self._download(pointer, links[pointer.oid], path)

    async def _batch(self, pointers: Sequence[Pointer]) -> dict[str, Mapping[str, Any]]:
        asked = {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": one.oid, "size": one.size} for one in pointers],
        }
        headers = {"Accept": _JSON, "Content-Type": _JSON}
        url = f"{self._url}/info/lfs/objects/batch"
        try:
            answer = await self._client.post(url, json=asked, headers=headers)
        except httpx.HTTPError as error:
            message = f"no answer from the LFS server: {type(error).__name__}"
            raise GitHubUnavailable(message) from None
        if trouble := _trouble(answer.status_code):
            raise trouble
        return _links(answer, pointers)

    async def _download(self, pointer: Pointer, link: Mapping[str, Any], path: Path) -> None:
        href, extra = str(link.get("href", "")), link.get("header") or {}
        if urlsplit(href).scheme != "https" and not href.startswith(f"{_origin(self._url)}/"):
            message = "the LFS server names a place that is not safe to fetch from"
            raise UnexpectedAnswer(message)
        digest, size = hashlib.sha256(), 0
        part = path.with_name(f"{path.name[:100]}.interlock-part")
        try:
            # Without our token: the answer has the header that this place wants, if any.
            headers = {str(name): str(value) for name, value in extra.items()}
            async with self._client.stream("GET", href, headers=headers, auth=None) as answer:
                if trouble := _trouble(answer.status_code):
                    raise trouble
                with open(part, "xb") as file:  # noqa: ASYNC230, PTH123 - opening is quick; writing is in a thread.
                    async for chunk in answer.aiter_bytes():
                        size += len(chunk)
                        if size > pointer.size:
                            break
                        digest.update(chunk)
                        await asyncio.to_thread(file.write, chunk)
            if size != pointer.size or digest.hexdigest() != pointer.oid:
                message = f"an LFS file is not what its pointer says ({pointer.oid[:12]})"
                raise UnexpectedAnswer(message)
            await asyncio.to_thread(_take_place, part, path)
        except httpx.HTTPError as error:
            message = f"an LFS file could not be fetched: {type(error).__name__}"
            raise GitHubUnavailable(message) from None
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)


def _take_place(part: Path, path: Path) -> None:
    part.chmod(stat.S_IMODE(path.lstat().st_mode))
    part.replace(path)


def _links(answer: httpx.Response, pointers: Sequence[Pointer]) -> dict[str, Mapping[str, Any]]:
    try:
        objects = {each["oid"]: each for each in answer.json()["objects"]}
        links = {oid: each["actions"]["download"] for oid, each in objects.items() if "actions" in each}
    except (ValueError, KeyError, TypeError):
        message = "the LFS server answered with something else than a list of files"
        raise UnexpectedAnswer(message) from None
    if missing := [one.oid for one in pointers if one.oid not in links]:
        message = f"the LFS server has not got {missing[0][:12]}"
        raise NotFound(message)
    return links


def _trouble(status: int) -> GitHubProblem | None:
    if status < 300:
        return None
    said = f"the LFS server answered {status}"
    if status in {401, 403, 507, 509}:
        return Forbidden(said)
    if status in {404, 410, 422}:
        return NotFound(said)
    return GitHubUnavailable(said) if status >= 500 or status == 429 else UnexpectedAnswer(said)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
