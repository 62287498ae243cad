from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github.errors import Forbidden, GitHubProblem, GitHubUnavailable, NotFound, UnexpectedAnswer
from bot.github.lfs import Pointer, Store, read_pointer
from bot.github.tokens import SecretToken

CONTENT = b"large content"
OID = hashlib.sha256(CONTENT).hexdigest()
POINTER = Pointer(OID, len(CONTENT))
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n".encode()
URL = "https://github.example/octo/app.git"
HREF = "https://storage.example/file"
TOKEN = SecretToken("ghs_secret", datetime(2026, 1, 2, tzinfo=UTC))


class Server(httpx.MockTransport):
    """The LFS server and its storage; `asked` is what was sent to them."""

    def __init__(self, *, content: bytes = CONTENT, href: str = HREF, status: int = 200, knows: bool = True) -> None:
        self.asked: list[httpx.Request] = []
        self._content, self._href, self._status, self._knows = content, href, status, knows
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if not request.url.path.endswith("/batch"):
            return httpx.Response(200, content=self._content)
        named = {"actions": {"download": {"href": self._href, "header": {"X-Guard": "let me in"}}}}
        missing = {"error": {"code": 404, "message": "gone"}}
        objects = [{**each, **(named if self._knows else missing)} for each in json.loads(request.content)["objects"]]
        return httpx.Response(self._status, json={"objects": objects})


def pointed(directory: Path) -> Path:
    path = directory / "big.bin"
    path.write_bytes(TEXT)
    path.chmod(0o755)
    return path


async def test_a_file_takes_the_place_of_its_pointer_and_the_token_goes_to_github_alone(tmp_path: Path) -> None:
    path, server = pointed(tmp_path), Server()
    async with Store(URL, TOKEN, server) as store:
        await store.fetch({path: POINTER})
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o755
    batch, download = server.asked
    assert batch.headers["authorization"].startswith("Basic ")
    assert "authorization" not in download.headers
    assert download.headers["x-guard"] == "let me in"


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        pytest.param(Server(content=b"other content"), UnexpectedAnswer, id="another-file-of-that-size"),
        pytest.param(Server(content=CONTENT * 2), UnexpectedAnswer, id="more-than-promised"),
        pytest.param(Server(content=b""), UnexpectedAnswer, id="nothing"),
        pytest.param(Server(href="http://169.254.169.254/token"), UnexpectedAnswer, id="a-place-inside"),
        pytest.param(Server(href="file:///etc/passwd"), UnexpectedAnswer, id="a-file-of-this-machine"),
        pytest.param(Server(knows=False), NotFound, id="not-there"),
        pytest.param(Server(status=403), Forbidden, id="not-allowed"),
        pytest.param(Server(status=503), GitHubUnavailable, id="away"),
        pytest.param(Server(status=302), UnexpectedAnswer, id="a-redirect"),
    ],
)
async def test_what_is_not_the_file_is_never_written(
    tmp_path: Path, server: Server, problem: type[GitHubProblem]
) -> None:
    path = pointed(tmp_path)
    async with Store(URL, TOKEN, server) as store:
        with pytest.raises(problem):
            await store.fetch({path: POINTER})
    assert path.read_bytes() == TEXT
    assert list(tmp_path.iterdir()) == [path]


def test_a_pointer_is_read_with_its_extensions() -> None:
    assert read_pointer(TEXT) == POINTER
    assert read_pointer(TEXT.replace(b"oid", b"ext-0-foo sha256:abc\noid", 1)) == POINTER


@pytest.mark.parametrize("text", [b"", TEXT + b"more", TEXT.replace(b"v1", b"v2"), TEXT.upper(), b" " + TEXT])
def test_what_is_no_pointer_is_left_alone(text: bytes) -> None:
    assert read_pointer(text) is None


@given(st.binary(max_size=2000))
def test_no_content_makes_the_reader_raise(content: bytes) -> None:
    read_pointer(content)
