"""Pull requests over REST: opened, followed, merged, closed, from branches and from forks."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, as_installation, as_user, pull_request

PULLS = "/repos/octo/app/pulls"


async def test_a_pull_request_opened_over_rest_tells_what_it_changes(hub: LocalHub) -> None:
    hub.commit("octo/app", "topic", {"src/app.py": "x = 2\n", "README.md": None}, "Two\n", "mona")
    async with as_user(hub, "mona") as mona:
        body = {"head": "topic", "base": "main", "title": "Two", "draft": True}
        made = await mona.post(PULLS, json=body)
        files = (await mona.get(f"{PULLS}/1/files")).json()
        commits = (await mona.get(f"{PULLS}/1/commits")).json()
    shown = made.json()
    assert made.status_code == 201
    names = ("number", "mergeable", "draft", "changed_files", "additions", "deletions", "commits", "author_association")
    assert {name: shown[name] for name in names} == snapshot(
        {
            "number": 1,
            "mergeable": True,
            "draft": True,
            "changed_files": 2,
            "additions": 1,
            "deletions": 2,
            "commits": 1,
            "author_association": "COLLABORATOR",
        }
    )
    assert [(one["filename"], one["status"], one["additions"], one["deletions"]) for one in files] == snapshot(
        [("README.md", "removed", 0, 1), ("src/app.py", "modified", 1, 1)]
    )
    assert files[1]["patch"] == snapshot(
        """\
@@ -1 +1 @@
-x = 1
+x = 2\
"""
    )
    assert [one["commit"]["message"] for one in commits] == ["Two"]
    assert commits[0]["author"]["login"] == "mona"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param({"head": "nowhere"}, "invalid", id="unknown-head"),
        pytest.param({"base": "nowhere"}, "invalid", id="unknown-base"),
        pytest.param({"head": "stranger:topic"}, "invalid", id="unknown-fork"),
        pytest.param({"title": ""}, "missing_field", id="no-title"),
        pytest.param({"head": "main"}, "No commits between main and main", id="nothing-to-merge"),
        pytest.param({}, "A pull request already exists for octo:topic.", id="a-second-one"),
    ],
)
async def test_a_pull_request_that_makes_no_sense_is_refused(hub: LocalHub, body: dict[str, Any], says: str) -> None:
    pull_request(hub)
    async with as_user(hub, "mona") as mona:
        refused = await mona.post(PULLS, json={"head": "topic", "base": "main", "title": "T", **body})
    assert refused.status_code == 422
    assert says in str(refused.json()["errors"])


async def test_a_push_to_the_branch_moves_the_head(hub: LocalHub, receiver: Receiver) -> None:
    old = pull_request(hub)
    hub.webhook_url = "http://receiver/"
    new = hub.commit("octo/app", "topic", {"src/new.py": "y = 3\n"}, "Three\n", "mona")
    await hub.settled()
    assert hub.pull_request("octo/app", 1).head_sha == new
    assert receiver.names == snapshot(["push", "check_suite.requested", "pull_request.synchronize"])
    moved = receiver.last("pull_request.synchronize")
    assert (moved["before"], moved["after"], moved["pull_request"]["head"]["sha"]) == (old, new, new)
    pushed = receiver.last("push")
    assert (pushed["ref"], pushed["before"], pushed["after"], pushed["forced"]) == ("refs/heads/topic", old, new, False)
    assert [one["modified"] for one in pushed["commits"]] == [["src/new.py"]]


async def test_a_stale_sha_does_not_merge(hub: LocalHub) -> None:
    old = pull_request(hub)
    new = hub.commit("octo/app", "topic", {"src/new.py": "y = 3\n"}, "Three\n", "mona")
    async with as_user(hub, "mona") as mona:
        stale = await mona.put(f"{PULLS}/1/merge", json={"sha": old})
        unmerged = await mona.get(f"{PULLS}/1/merge")
        done = await mona.put(f"{PULLS}/1/merge", json={"sha": new})
        merged = await mona.get(f"{PULLS}/1/merge")
        again = await mona.put(f"{PULLS}/1/merge", json={})
        shown = (await mona.get(f"{PULLS}/1")).json()
        tip = (await mona.get("/repos/octo/app/branches/main")).json()["commit"]
        brought_in_by = (await mona.get(f"/repos/octo/app/commits/{done.json()['sha']}/pulls")).json()
    answers = [one.status_code for one in (stale, unmerged, done, merged, again)]
    assert answers == [409, 404, 200, 204, 405]
    assert (shown["merged"], shown["state"], shown["merged_by"]["login"]) == (True, "closed", "mona")
    assert tip["sha"] == shown["merge_commit_sha"] == done.json()["sha"]
    assert len(tip["parents"]) == 2
    assert [one["number"] for one in brought_in_by] == [1]


async def test_a_squash_has_one_parent(hub: LocalHub) -> None:
    pull_request(hub)
    async with as_user(hub, "mona") as mona:
        done = await mona.put(f"{PULLS}/1/merge", json={"merge_method": "squash"})
        made = (await mona.get(f"/repos/octo/app/commits/{done.json()['sha']}")).json()
    assert (len(made["parents"]), made["commit"]["message"]) == (1, "Add new (#1)\n\nPlease")


async def test_a_conflict_is_not_mergeable(hub: LocalHub) -> None:
    hub.commit("octo/app", "topic", {"src/app.py": "x = 2\n"}, "Two\n", "mona")
    hub.open_pull_request("octo/app", "topic", "main", "Two", "mona")
    hub.commit("octo/app", "main", {"src/app.py": "x = 3\n"}, "Three\n", "mona")
    async with as_user(hub, "mona") as mona:
        shown = (await mona.get(f"{PULLS}/1")).json()
        refused = await mona.put(f"{PULLS}/1/merge", json={})
    assert (shown["mergeable"], shown["mergeable_state"], refused.status_code) == (False, "dirty", 405)


async def test_a_reader_may_not_merge(hub: LocalHub) -> None:
    pull_request(hub)
    async with as_user(hub, "stranger") as stranger:
        assert (await stranger.put(f"{PULLS}/1/merge", json={})).status_code == 403
        assert (await stranger.patch(f"{PULLS}/1", json={"title": "Mine"})).status_code == 403


async def test_a_pull_request_from_a_fork_follows_the_fork(hub: LocalHub, receiver: Receiver) -> None:
    hub.fork("octo/app", "ada")
    hub.commit("ada/app", "topic", {"a.txt": "1\n"}, "One\n", "ada")
    hub.webhook_url = "http://receiver/"
    async with as_user(hub, "ada") as ada:
        made = await ada.post(PULLS, json={"head": "ada:topic", "base": "main", "title": "From afar"})
    head = hub.commit("ada/app", "topic", {"a.txt": "2\n"}, "Two\n", "ada")
    await hub.settled()
    assert made.status_code == 201
    assert (made.json()["head"]["label"], made.json()["author_association"]) == ("ada:topic", "NONE")
    assert hub.pull_request("octo/app", 1).head_sha == head
    assert receiver.names == ["pull_request.opened", "pull_request.synchronize"]
    assert receiver.last("pull_request.synchronize")["pull_request"]["head"]["repo"]["fork"] is True
    async with as_installation(hub) as app:
        run = (await app.post("/repos/octo/app/check-runs", json={"name": "x", "head_sha": head})).json()
        compared = (await app.get("/repos/octo/app/compare/main...ada:topic")).json()
    assert run["pull_requests"] == []
    assert (compared["status"], compared["ahead_by"]) == ("ahead", 2)


async def test_a_deleted_branch_closes_its_pull_request(hub: LocalHub, receiver: Receiver) -> None:
    pull_request(hub)
    hub.webhook_url = "http://receiver/"
    async with as_user(hub, "mona") as mona:
        assert (await mona.delete("/repos/octo/app/git/refs/heads/topic")).status_code == 204
    await hub.settled()
    assert receiver.names == ["delete", "push", "pull_request.closed"]
    assert receiver.last("push")["deleted"] is True
    assert receiver.last("pull_request.closed")["pull_request"]["merged"] is False


async def test_a_branch_merged_by_hand_merges_its_pull_request(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_user(hub, "mona") as mona:
        assert (await mona.patch("/repos/octo/app/git/refs/heads/main", json={"sha": head})).status_code == 200
    pull = hub.pull_request("octo/app", 1)
    assert (pull.state, pull.merge_commit_sha, pull.merged_by) == ("closed", head, "mona")


async def test_edits_and_states_are_told(hub: LocalHub, receiver: Receiver) -> None:
    pull_request(hub)
    hub.commit("octo/app", "next", {"b": "1\n"}, "Next\n", "mona")
    hub.webhook_url = "http://receiver/"
    async with as_user(hub, "mona") as mona:
        for change in ({"title": "New"}, {"base": "next"}, {"state": "closed"}, {"state": "open"}, {"title": "New"}):
            assert (await mona.patch(f"{PULLS}/1", json=change)).status_code == 200
        listed = [
            [one["number"] for one in (await mona.get(PULLS, params=query)).json()]
            for query in ({}, {"base": "main"}, {"head": "octo:topic"}, {"state": "closed"})
        ]
    await hub.settled()
    told = ["pull_request.edited", "pull_request.edited", "pull_request.closed", "pull_request.reopened"]
    assert receiver.names == told
    assert receiver.got[1].payload["changes"]["base"]["ref"] == {"from": "main"}
    assert listed == [[1], [], [1], []]
