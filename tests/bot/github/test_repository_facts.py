from __future__ import annotations

import httpx
import pytest

from bot.github.contents import read_file
from bot.github.errors import Forbidden, NotFound, UnexpectedAnswer
from bot.github.permissions import Permission, permission
from bot.github.pulls import branch_head, get_pull, open_pulls, pulls_for_sha, repository
from tests.bot.github.conftest import REPO, Connected
from tests.bot.github.wire import Wire, answer


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read"])
async def test_a_collaborator_may_do_what_their_role_says(connected: Connected, role: str) -> None:
    connected.hub.create_repository("octo/other", collaborators={"lea": role}, private=True)
    assert await permission(connected.gh, "octo/other", "lea") == Permission(role)


async def test_strangers_may_read_what_is_public_and_nothing_else(connected: Connected) -> None:
    connected.hub.create_user("stranger")
    connected.hub.create_repository("octo/secret", private=True)
    assert await permission(connected.gh, REPO, "stranger") == Permission.READ
    assert await permission(connected.gh, "octo/secret", "stranger") == Permission.NONE
    assert await permission(connected.gh, REPO, "nobody-of-this-name") == Permission.NONE
    assert await permission(connected.gh, REPO, "interlock[bot]") in (Permission.NONE, Permission.READ)


@pytest.mark.parametrize(
    ("said", "granted"),
    [
        pytest.param({"permission": "write", "role_name": "maintain"}, "maintain", id="role-name-wins"),
        pytest.param({"permission": "write", "role_name": "release-captain"}, "write", id="an-organisation's-own-role"),
        pytest.param({"permission": "write"}, "write", id="an-old-server"),
        pytest.param({"permission": "read", "role_name": "write"}, "read", id="a-role-that-only-sounds-like-one"),
        pytest.param({"permission": "owner", "role_name": "king"}, "none", id="words-we-do-not-know"),
        pytest.param({"permission": None, "role_name": None}, "none", id="nulls"),
        pytest.param({"permission": ["admin"]}, "none", id="not-a-word"),
        pytest.param({"user": {"author_association": "OWNER"}}, "none", id="an-association-is-no-permission"),
        pytest.param([], "none", id="a-list"),
    ],
)
async def test_what_cannot_be_read_grants_nothing(said: object, granted: str) -> None:
    async with Wire([answer(said)]).app() as app:
        assert await permission(app.installation(5), REPO, "mona") == granted


async def test_a_login_cannot_reach_another_endpoint() -> None:
    wire = Wire([answer({}, 404)])
    async with wire.app() as app:
        assert await permission(app.installation(5), REPO, "../../x?y#z") == Permission.NONE
    assert wire.lines == ["GET /repos/octo/app/collaborators/..%2F..%2Fx%3Fy%23z/permission"]


async def test_trouble_is_not_taken_for_a_missing_permission() -> None:
    async with Wire([answer({"message": "Resource not accessible"}, 403)]).app() as app:
        with pytest.raises(Forbidden):
            await permission(app.installation(5), REPO, "mona")


async def test_a_pull_request_of_the_same_repository(connected: Connected) -> None:
    head = connected.hub.commit(REPO, "topic/with-slash", {"b": "1"}, "a topic", "mona")
    number = connected.hub.open_pull_request(REPO, "topic/with-slash", "main", "A topic", "mona", draft=True).number
    pull = await get_pull(connected.gh, REPO, number)
    facts = await repository(connected.gh, REPO)
    assert (pull.number, pull.state, pull.draft, pull.merged, pull.title) == (number, "open", True, False, "A topic")
    assert (pull.author_login, pull.author_type) == ("mona", "User")
    assert (pull.head_sha, pull.head_ref, pull.head_is_fork) == (head, "topic/with-slash", False)
    assert (pull.base_ref, pull.base_sha) == ("main", await branch_head(connected.gh, REPO, "main"))
    assert pull.head_repo_id == pull.base_repo_id == facts.id
    assert (facts.full_name, facts.default_branch, facts.private, facts.archived) == (REPO, "main", False, False)
    assert await branch_head(connected.gh, REPO, "topic/with-slash") == head


async def test_a_pull_request_of_a_fork_says_so(connected: Connected) -> None:
    fork = connected.hub.fork(REPO, "lea")
    sha = connected.hub.commit("lea/app", "topic", {"b": "1"}, "a topic", "lea")
    number = connected.hub.open_pull_request(REPO, "topic", "main", "From afar", "lea", head_repo="lea/app").number
    pull = await get_pull(connected.gh, REPO, number)
    assert pull.head_is_fork
    assert (pull.head_repo_id, pull.head_sha) == (fork.id, sha)


async def test_a_merged_pull_request_is_found_by_its_commit(connected: Connected) -> None:
    sha = connected.hub.commit(REPO, "topic", {"b": "1"}, "a topic", "mona")
    number = connected.hub.open_pull_request(REPO, "topic", "main", "A topic", "mona").number
    assert [pull.number for pull in await open_pulls(connected.gh, REPO)] == [number]
    connected.hub.merge_pull_request(REPO, number, "mona")
    (pull,) = await pulls_for_sha(connected.gh, REPO, sha)
    assert (pull.number, pull.state, pull.merged) == (number, "closed", True)
    assert await open_pulls(connected.gh, REPO) == ()


async def test_what_is_not_there_is_not_found(connected: Connected) -> None:
    with pytest.raises(NotFound):
        await get_pull(connected.gh, REPO, 99)
    with pytest.raises(NotFound):
        await branch_head(connected.gh, REPO, "nowhere")
    with pytest.raises(NotFound):
        await repository(connected.gh, "octo/nowhere")


PULL = {
    "number": 3,
    "state": "open",
    "user": None,
    "draft": None,
    "head": {"sha": "a" * 40, "ref": "topic", "repo": None},
    "base": {"sha": "b" * 40, "ref": "main", "repo": {"id": 1, "full_name": REPO}},
}


async def test_a_deleted_fork_and_a_deleted_author_can_still_be_read() -> None:
    async with Wire([answer(PULL)]).app() as app:
        pull = await get_pull(app.installation(5), REPO, 3)
    assert (pull.head_is_fork, pull.head_repo_id, pull.author_login) == (True, None, "ghost")


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        pytest.param({**PULL, "head": None}, "head", id="no-head"),
        pytest.param({**PULL, "number": "three"}, "number", id="an-odd-number"),
        pytest.param({**PULL, "base": {"sha": "b", "ref": "main"}}, "without its repository", id="no-base-repository"),
        pytest.param([], "without a usable", id="a-list"),
    ],
)
async def test_an_unusable_answer_says_what_it_lacks(said: object, lacks: str) -> None:
    async with Wire([answer(said)]).app() as app:
        with pytest.raises(UnexpectedAnswer, match=lacks):
            await get_pull(app.installation(5), REPO, 3)


async def test_a_file_is_read_at_a_commit(connected: Connected) -> None:
    first = connected.hub.commit(REPO, "main", {".github/interlock.yml": "boxes: {}\n"}, "configure", "mona")
    connected.hub.commit(REPO, "main", {".github/interlock.yml": "changed\n"}, "change", "mona")
    assert await read_file(connected.gh, REPO, ".github/interlock.yml", ref=first) == b"boxes: {}\n"
    assert await read_file(connected.gh, REPO, ".github", ref=first) is None
    assert await read_file(connected.gh, REPO, "no/such file?.txt", ref=first) is None
    connected.asked.clear()
    assert await read_file(connected.gh, REPO, "../../../user", ref=first) is None
    assert connected.asked == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param({"type": "file", "encoding": "none", "content": ""}, "too large", id="over-1-MiB"),
        pytest.param({"type": "file", "encoding": "base64", "content": "a"}, "cannot be read", id="broken"),
        pytest.param({"type": "file", "encoding": "base64"}, "cannot be read", id="nothing"),
    ],
)
async def test_a_file_that_does_not_come_whole_is_no_file(said: object, why: str) -> None:
    async with Wire([httpx.Response(200, json=said)]).app() as app:
        with pytest.raises(UnexpectedAnswer, match=why):
            await read_file(app.installation(5), REPO, "x", ref="a" * 40)
