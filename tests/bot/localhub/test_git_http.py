"""Git over HTTP with the real client: who may fetch and push, and what a push sets in motion."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.localhub.bare import git_environment
from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, mint, pull_request
from tests.bot.localhub.conftest import judged_webhooks


@pytest.fixture
async def hub(clock: Clock, receiver: Receiver) -> AsyncIterator[LocalHub]:
    """A hub on a real port with the private repository octo/app, octo/app#1, and `receiver` for its webhooks."""
    hub = LocalHub(clock=clock, transport=httpx.ASGITransport(receiver))
    await hub.start()
    hub.create_repository("octo/app", files={"README.md": "# App\n"}, collaborators={"mona": "write"}, private=True)
    pull_request(hub)
    hub.webhook_url = "http://receiver/"
    yield hub
    await hub.settled()
    await hub.stop()
    assert judged_webhooks(receiver) == []


async def git(*arguments: str, cwd: Path | None = None, fails: bool = False) -> str:
    """Run the git client, as a person without any configuration."""
    who = {"GIT_AUTHOR_NAME": "m", "GIT_AUTHOR_EMAIL": "m@m.test", "GIT_COMMITTER_NAME": "m"}
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=cwd,
        env={**git_environment(), **who, "GIT_COMMITTER_EMAIL": "m@m.test", "HOME": os.devnull},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out = (await process.communicate())[0].decode().strip()
    assert (process.returncode != 0) == fails, out
    return out


def address(hub: LocalHub, token: str, user: str = "x-access-token", repo: str = "octo/app.git") -> str:
    return hub.url.replace("http://", f"http://{user}:{token}@") + f"/{repo}"


async def cloned(hub: LocalHub, folder: Path, login: str = "mona") -> Path:
    await git("clone", "-q", "--branch", "topic", address(hub, hub.create_user(login), login), str(folder))
    return folder


async def committed(tree: Path, name: str, text: str = "1\n", *more: str) -> str:
    (tree / name).write_text(text)
    await git("add", "--all", cwd=tree)
    await git("commit", "-q", "-m", f"Add {name}", *more, cwd=tree)
    return await git("rev-parse", "HEAD", cwd=tree)


async def test_a_push_moves_the_pull_request_before_the_client_hears_of_it(
    hub: LocalHub, receiver: Receiver, tmp_path: Path
) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    sha = await committed(tree, "b.txt")
    await git("push", "-q", "origin", "topic", cwd=tree)
    assert hub.pull_request("octo/app", 1).head_sha == sha
    await hub.settled()
    assert receiver.names == ["push", "check_suite.requested", "pull_request.synchronize"]
    assert receiver.last("push")["pusher"]["name"] == "mona"
    assert f"{sha}\trefs/pull/1/head" in await git("ls-remote", "origin", cwd=tree)


async def test_a_forced_push_says_so(hub: LocalHub, receiver: Receiver, tmp_path: Path) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    await committed(tree, "b.txt", "1\n", "--amend")
    await git("push", "-q", "origin", "topic", cwd=tree, fails=True)
    await git("push", "-q", "--force", "origin", "topic", cwd=tree)
    await hub.settled()
    assert receiver.last("push")["forced"] is True


async def test_a_new_branch_and_a_deleted_one_are_told(hub: LocalHub, receiver: Receiver, tmp_path: Path) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    await git("push", "-q", "origin", "topic:other", cwd=tree)
    await git("push", "-q", "origin", "--delete", "topic", cwd=tree)
    await hub.settled()
    assert receiver.names == ["push", "delete", "push", "pull_request.closed"]
    pushes = [got.payload for got in receiver.got if got.name == "push"]
    assert [(push["created"], push["deleted"]) for push in pushes] == [
        (True, False),
        (False, True),
    ]


async def test_a_commit_is_fetched_by_its_sha_alone(hub: LocalHub, tmp_path: Path) -> None:
    head = hub.pull_request("octo/app", 1).head_sha
    token = (await mint(hub, repositories=["app"], permissions={"contents": "read"})).json()["token"]
    await git("init", "-q", str(tmp_path))
    await git("fetch", "-q", "--depth=1", "--filter=blob:none", address(hub, token), head, cwd=tmp_path)
    assert await git("rev-parse", "FETCH_HEAD", cwd=tmp_path) == head


async def test_the_test_merge_can_be_fetched(hub: LocalHub, tmp_path: Path) -> None:
    pull = hub.pull_request("octo/app", 1)
    token = (await mint(hub)).json()["token"]
    await git("init", "-q", str(tmp_path))
    await git("fetch", "-q", address(hub, token), "refs/pull/1/merge", cwd=tmp_path)
    parents = await git("rev-list", "--parents", "-1", "FETCH_HEAD", cwd=tmp_path)
    assert parents.split()[1:] == [pull.base_sha, pull.head_sha]


async def test_a_wrong_token_is_refused(hub: LocalHub) -> None:
    said = await git("ls-remote", address(hub, "ghp_wrong"), fails=True)
    assert "Authentication failed" in said


async def test_a_token_for_another_repository_sees_nothing(hub: LocalHub) -> None:
    hub.create_repository("octo/other", private=True)
    token = (await mint(hub, repositories=["other"])).json()["token"]
    assert "not found" in await git("ls-remote", address(hub, token), fails=True)


async def test_reading_contents_is_not_writing_them(hub: LocalHub, tmp_path: Path) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    await committed(tree, "b.txt")
    before = hub.pull_request("octo/app", 1).head_sha
    token = (await mint(hub)).json()["token"]
    assert "403" in await git("push", "-q", address(hub, token), "topic", cwd=tree, fails=True)
    assert hub.pull_request("octo/app", 1).head_sha == before


async def test_a_reader_may_not_push(hub: LocalHub, tmp_path: Path) -> None:
    hub.create_repository("octo/open", files={"a": "1\n"})
    token = hub.create_user("stranger")
    await git("clone", "-q", f"{hub.url}/octo/open", str(tmp_path / "tree"))
    await committed(tmp_path / "tree", "b")
    assert "403" in await git(
        "push", address(hub, token, "stranger", "octo/open"), "main", cwd=tmp_path / "tree", fails=True
    )


async def test_nobody_pushes_to_the_refs_of_pull_requests(hub: LocalHub, tmp_path: Path) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    await committed(tree, "b.txt")
    assert "hidden ref" in await git("push", "-q", "origin", "HEAD:refs/pull/1/head", cwd=tree, fails=True)


async def test_a_large_push_arrives_whole(hub: LocalHub, tmp_path: Path) -> None:
    tree = await cloned(hub, tmp_path / "tree")
    content = os.urandom(3_000_000)  # above http.postBuffer: the client sends it in chunks.
    (tree / "large.bin").write_bytes(content)
    sha = await committed(tree, "b.txt")
    await git("push", "-q", "origin", "topic", cwd=tree)
    (entry,) = hub.forge.git(hub.repository("octo/app")).entries(sha, "large.bin")
    assert hub.forge.git(hub.repository("octo/app")).blob(entry.sha) == content


async def test_rest_works_on_the_same_port(hub: LocalHub) -> None:
    token = (await mint(hub)).json()["token"]
    async with httpx.AsyncClient(base_url=hub.url, headers={"authorization": f"token {token}"}) as app:
        shown = (await app.get("/repos/octo/app")).json()
    assert shown["clone_url"] == f"{hub.url}/octo/app.git"
