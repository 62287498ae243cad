"""Who gets in, and how far: JWTs, installation tokens with their narrowing and their end, users, strangers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from inline_snapshot import snapshot

from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from bot.localhub.keys import new_key
from tests.bot.localhub.clients import app_jwt, as_app, as_installation, as_user, client, mint, pull_request

STRANGERS_KEY = new_key()


async def test_an_app_is_known_by_its_jwt(hub: LocalHub) -> None:
    async with as_app(hub) as app:
        shown = await app.get("/app")
    assert (shown.status_code, shown.json()["slug"], shown.json()["id"]) == (200, "interlock", hub.app_id)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param({"key": STRANGERS_KEY}, "A JSON web token could not be decoded", id="another-key"),
        pytest.param({"issuer": "999"}, "Integration must generate a public key", id="another-app"),
        pytest.param({"expires": -5}, "'exp'", id="expired"),
        pytest.param({"expires": 3600}, "too far in the future", id="valid-for-an-hour"),
        pytest.param({"issued": 300}, "'iat'", id="from-the-future"),
    ],
)
async def test_a_wrong_jwt_is_refused(hub: LocalHub, wrong: dict[str, Any], says: str) -> None:
    async with client(hub, app_jwt(hub, **wrong)) as app:
        refused = await app.get("/app")
    assert refused.status_code == 401
    assert says in refused.json()["message"]


async def test_an_error_looks_like_githubs(hub: LocalHub) -> None:
    async with client(hub, "ghs_nonsense") as nobody:
        refused = await nobody.get("/repos/octo/app")
    assert refused.status_code == 401
    assert refused.json() == snapshot(
        {
            "message": "Bad credentials",
            "documentation_url": "https://docs.github.com/rest/repos/repos#get-a-repository",
            "status": "401",
        }
    )


async def test_a_token_has_the_shape_of_2026(hub: LocalHub) -> None:
    token = (await mint(hub)).json()["token"]
    assert len(token) == 520
    assert re.fullmatch(rf"ghs_{hub.app_id}_[A-Za-z0-9_.-]+", token)
    assert {".", "-", "_"} <= set(token)


async def test_a_token_lives_for_an_hour_of_the_hubs_time(hub: LocalHub, clock: Clock) -> None:
    minted = (await mint(hub)).json()
    assert minted["expires_at"] == "2026-03-02T13:00:00Z"
    async with client(hub, minted["token"]) as installation:
        clock.advance(3599)
        assert (await installation.get("/repos/octo/app")).status_code == 200
        clock.advance(1)
        assert (await installation.get("/repos/octo/app")).status_code == 401


async def test_a_revoked_token_is_worthless(hub: LocalHub) -> None:
    async with as_installation(hub) as installation:
        assert (await installation.delete("/installation/token")).status_code == 204
        assert (await installation.get("/repos/octo/app")).status_code == 401


async def test_a_token_narrowed_to_a_repository_reaches_no_other(hub: LocalHub) -> None:
    hub.create_repository("octo/secret", files={"a": "b\n"}, private=True)
    async with as_installation(hub, repositories=["app"]) as installation:
        listed = await installation.get("/installation/repositories")
        hidden = await installation.get("/repos/octo/secret")
        mine = await installation.get("/repos/octo/app")
    assert [repo["full_name"] for repo in listed.json()["repositories"]] == ["octo/app"]
    assert (hidden.status_code, mine.status_code) == (404, 200)


async def test_a_narrowed_token_may_not_write_elsewhere_even_in_public(hub: LocalHub) -> None:
    other = hub.create_repository("octo/other", files={"a": "b\n"})
    sha = hub.forge.git(other).branch("main")
    async with as_installation(hub, repository_ids=[hub.repository("octo/app").id]) as installation:
        refused = await installation.post("/repos/octo/other/check-runs", json={"name": "x", "head_sha": sha})
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(("POST", "/repos/octo/app/check-runs", {"name": "x", "head_sha": "SHA"}), id="check-run"),
        pytest.param(("POST", "/repos/octo/app/issues/1/comments", {"body": "x"}), id="comment"),
        pytest.param(("POST", "/repos/octo/app/statuses/SHA", {"state": "success"}), id="status"),
        pytest.param(("PUT", "/repos/octo/app/contents/a", {"message": "m", "content": "YQ=="}), id="contents"),
        pytest.param(("GET", "/repos/octo/app/contents/README.md", None), id="reading-contents"),
    ],
)
async def test_a_token_narrowed_to_metadata_may_do_nothing_else(hub: LocalHub, call: tuple[str, str, Any]) -> None:
    head = pull_request(hub)
    method, path, body = call
    body = {**body, "head_sha": head} if body and "head_sha" in body else body
    async with as_installation(hub, permissions={"metadata": "read"}) as installation:
        refused = await installation.request(method, path.replace("SHA", head), json=body)
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")


@pytest.mark.parametrize(
    "excess",
    [
        pytest.param({"permissions": {"contents": "write"}}, id="a-higher-level"),
        pytest.param({"permissions": {"administration": "read"}}, id="another-permission"),
        pytest.param({"repositories": ["app", "nowhere"]}, id="an-unknown-repository"),
        pytest.param({"repository_ids": [1]}, id="an-unknown-id"),
    ],
)
async def test_more_than_the_installation_has_is_not_given(hub: LocalHub, excess: dict[str, Any]) -> None:
    refused = await mint(hub, **excess)
    assert refused.status_code == 422


async def test_a_private_repository_does_not_exist_for_strangers(hub: LocalHub) -> None:
    hub.create_repository("octo/secret", files={"a": "b\n"}, private=True, collaborators={"mona": "read"})
    async with as_user(hub, "hubot") as stranger, as_user(hub, "mona") as mona, client(hub) as nobody:
        answers = [(await who.get("/repos/octo/secret")).status_code for who in (stranger, nobody, mona)]
    assert answers == [404, 404, 200]


async def test_only_an_app_may_write_checks(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_user(hub, "mona") as mona:
        refused = await mona.post("/repos/octo/app/check-runs", json={"name": "x", "head_sha": head})
    assert (refused.status_code, refused.json()["message"]) == (403, "You must authenticate via a GitHub App.")


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        pytest.param("admin", "admin", id="admin"),
        pytest.param("maintain", "write", id="maintain"),
        pytest.param("write", "write", id="write"),
        pytest.param("triage", "read", id="triage"),
        pytest.param("read", "read", id="read"),
    ],
)
async def test_a_collaborator_has_a_role_and_its_legacy_permission(hub: LocalHub, role: str, permission: str) -> None:
    hub.create_repository("octo/other", collaborators={"ada": role})
    async with as_installation(hub) as installation:
        shown = (await installation.get("/repos/octo/other/collaborators/ada/permission")).json()
    assert (shown["permission"], shown["role_name"]) == (permission, role)


@pytest.mark.parametrize(("private", "permission"), [(False, "read"), (True, "none")])
async def test_a_stranger_has_what_everybody_has(hub: LocalHub, private: bool, permission: str) -> None:
    hub.create_user("stranger")
    hub.create_repository("octo/other", private=private)
    async with as_installation(hub) as installation:
        shown = (await installation.get("/repos/octo/other/collaborators/stranger/permission")).json()
    assert shown["permission"] == permission


async def test_somebody_who_does_not_exist_has_no_permission_to_show(hub: LocalHub) -> None:
    async with as_installation(hub) as installation:
        assert (await installation.get("/repos/octo/app/collaborators/nobody/permission")).status_code == 404
