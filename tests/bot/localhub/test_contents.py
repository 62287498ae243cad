"""Files, refs, commits and branches over REST."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import as_installation, as_user, client

REPO = "/repos/octo/app"


async def test_a_file_is_read_as_json_and_as_bytes(hub: LocalHub) -> None:
    raw = {"accept": "application/vnd.github.raw+json"}
    async with as_installation(hub) as app:
        shown = (await app.get(f"{REPO}/contents/src/app.py")).json()
        plain = await app.get(f"{REPO}/contents/src/app.py", params={"ref": "main"}, headers=raw)
    assert base64.b64decode(shown["content"]) == plain.content == b"x = 1\n"
    assert (shown["path"], shown["size"], shown["encoding"]) == ("src/app.py", 6, "base64")


async def test_a_directory_is_listed(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        root = (await app.get(f"{REPO}/contents/")).json()
        inner = (await app.get(f"{REPO}/contents/src")).json()
    assert [(one["path"], one["type"]) for one in root] == [("README.md", "file"), ("src", "dir")]
    assert [one["path"] for one in inner] == ["src/app.py"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("contents/nowhere", id="no-file"),
        pytest.param("contents/README.md?ref=nowhere", id="no-ref"),
        pytest.param("contents/README.md?ref=--help", id="an-option-for-git"),
        pytest.param("branches/nowhere", id="no-branch"),
        pytest.param("git/ref/heads/nowhere", id="no-such-ref"),
        pytest.param("git/commits/" + "0" * 40, id="no-commit-object"),
        pytest.param("compare/main...nowhere", id="no-comparison"),
    ],
)
async def test_what_is_not_there_is_404(hub: LocalHub, path: str) -> None:
    async with as_installation(hub) as app:
        assert (await app.get(f"{REPO}/{path}")).status_code == 404


async def test_an_unknown_commit_is_422(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        answers = [await app.get(f"{REPO}/commits/{sha}") for sha in ("0" * 40, "nowhere")]
    assert [answer.status_code for answer in answers] == [422, 422]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"sha": "OLD"}, 200, id="with-its-sha"),
        pytest.param({}, 422, id="without-its-sha"),
        pytest.param({"sha": "0" * 40}, 409, id="with-a-stale-sha"),
        pytest.param({"sha": "OLD", "branch": "nowhere"}, 404, id="on-an-unknown-branch"),
    ],
)
async def test_a_file_is_replaced_only_by_somebody_who_saw_it(hub: LocalHub, body: dict[str, Any], code: int) -> None:
    async with as_user(hub, "mona") as mona:
        old = (await mona.get(f"{REPO}/contents/README.md")).json()["sha"]
        body = {name: value.replace("OLD", old) for name, value in body.items()}
        body.update(message="Change", content=base64.b64encode(b"new\n").decode())
        answer = await mona.put(f"{REPO}/contents/README.md", json=body)
        now = (await mona.get(f"{REPO}/contents/README.md")).json()["sha"]
    assert answer.status_code == code
    assert (now != old) == (code == 200)


async def test_a_new_file_is_created_with_the_one_who_wrote_it(hub: LocalHub) -> None:
    async with as_user(hub, "mona") as mona:
        body = {"message": "Add", "content": base64.b64encode(b"1\n").decode()}
        made = await mona.put(f"{REPO}/contents/docs/a%20b.md", json=body)
        newest = (await mona.get(f"{REPO}/commits")).json()[0]
    assert made.status_code == 201
    assert made.json()["content"]["path"] == "docs/a b.md"
    assert (newest["sha"], newest["author"]["login"]) == (made.json()["commit"]["sha"], "mona")


@pytest.mark.parametrize("path", ["../x", "a/.git/config", "a//b"])
async def test_a_path_out_of_the_tree_is_refused(hub: LocalHub, path: str) -> None:
    async with as_user(hub, "mona") as mona:
        encoded = path.replace(".", "%2E").replace("/", "%2F")
        answer = await mona.put(f"{REPO}/contents/{encoded}", json={"message": "m", "content": "YQ=="})
    assert answer.status_code == 422


async def test_refs_are_created_moved_forward_and_deleted(hub: LocalHub) -> None:
    first = hub.forge.git(hub.repository("octo/app")).branch("main")
    second = hub.commit("octo/app", "main", {"a": "1\n"}, "A\n", "mona")
    async with as_user(hub, "mona") as mona:
        made = await mona.post(f"{REPO}/git/refs", json={"ref": "refs/heads/feature/one", "sha": first})
        again = await mona.post(f"{REPO}/git/refs", json={"ref": "refs/heads/feature/one", "sha": first})
        nowhere = await mona.post(f"{REPO}/git/refs", json={"ref": "refs/heads/two", "sha": "0" * 40})
        moved = await mona.patch(f"{REPO}/git/refs/heads/feature/one", json={"sha": second})
        back = await mona.patch(f"{REPO}/git/refs/heads/feature/one", json={"sha": first})
        forced = await mona.patch(f"{REPO}/git/refs/heads/feature/one", json={"sha": first, "force": True})
        read = (await mona.get(f"{REPO}/git/ref/heads/feature/one")).json()
        branch = (await mona.get(f"{REPO}/branches/feature/one")).json()
        matching = (await mona.get(f"{REPO}/git/matching-refs/heads/feature")).json()
        deleted = await mona.delete(f"{REPO}/git/refs/heads/feature/one")
        default = await mona.delete(f"{REPO}/git/refs/heads/main")
    answers = [one.status_code for one in (made, again, nowhere, moved, back, forced, deleted, default)]
    assert answers == [201, 422, 422, 200, 422, 200, 204, 422]
    assert read["object"]["sha"] == branch["commit"]["sha"] == matching[0]["object"]["sha"] == first


async def test_a_commit_tells_its_files_and_two_compare(hub: LocalHub) -> None:
    first = hub.forge.git(hub.repository("octo/app")).branch("main")
    second = hub.commit("octo/app", "main", {"src/app.py": None, "src/app2.py": "x = 1\n"}, "Move\n", "mona")
    async with as_installation(hub) as app:
        shown = (await app.get(f"{REPO}/commits/{second}")).json()
        compared = (await app.get(f"{REPO}/compare/{first}...{second}")).json()
        behind = (await app.get(f"{REPO}/compare/{second}...{first}")).json()
        same = (await app.get(f"{REPO}/compare/main...main")).json()
        bare = (await app.get(f"{REPO}/git/commits/{second}")).json()
        sha = await app.get(f"{REPO}/commits/main", headers={"accept": "application/vnd.github.sha"})
    assert [(one["status"], one["previous_filename"]) for one in shown["files"]] == [("renamed", "src/app.py")]
    assert [one["status"] for one in (compared, behind, same)] == ["ahead", "behind", "identical"]
    assert compared["files"] == shown["files"]
    assert (bare["message"], sha.text) == ("Move", second)


async def test_repositories_people_and_branches_are_shown(hub: LocalHub) -> None:
    async with as_user(hub, "mona") as mona, client(hub) as nobody:
        repo = (await nobody.get(REPO)).json()
        branches = (await nobody.get(f"{REPO}/branches")).json()
        people = (await mona.get(f"{REPO}/collaborators")).json()
        checked = [(await mona.get(f"{REPO}/collaborators/{who}")).status_code for who in ("mona", "ghost")]
        me = (await mona.get("/user")).json()
        user = (await nobody.get("/users/MONA")).json()
    assert (repo["full_name"], repo["default_branch"], repo["visibility"]) == ("octo/app", "main", "public")
    assert [one["name"] for one in branches] == ["main"]
    assert [(one["login"], one["role_name"]) for one in people] == [("mona", "write")]
    assert checked == [204, 404]
    assert me["login"] == user["login"] == "mona"
