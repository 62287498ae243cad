"""Check runs and suites, with GitHub's limits; commit statuses beside them."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from bot.localhub.rest.checks import CONCLUSIONS
from bot.localhub.rest.statuses import MOST
from tests.bot.localhub.clients import Receiver, app_jwt, as_installation, as_user, client, pull_request

RUNS = "/repos/octo/app/check-runs"
NOTE = {"path": "src/new.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no"}


def output(**members: object) -> dict[str, object]:
    return {"output": {"title": "t", "summary": "s", **members}}


async def test_a_check_run_goes_from_queued_to_completed(hub: LocalHub, clock: Clock) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        made = (await app.post(RUNS, json={"name": "Interlock", "head_sha": head, "external_id": "r-1"})).json()
        url = f"{RUNS}/{made['id']}"
        started = (await app.patch(url, json={"status": "in_progress"})).json()
        clock.advance(30)
        done = (await app.patch(url, json={"conclusion": "failure", **output(text="long")})).json()
        read = (await app.get(url)).json()
    assert [(one["status"], one["conclusion"]) for one in (made, started, done)] == [
        ("queued", None),
        ("in_progress", None),
        ("completed", "failure"),
    ]
    assert done["completed_at"] == "2026-03-02T12:00:30Z"
    assert read == done
    assert (read["app"]["id"], read["external_id"], read["output"]["text"]) == (hub.app_id, "r-1", "long")
    assert [pull["number"] for pull in read["pull_requests"]] == [1]


async def test_annotations_are_appended(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        body = {"name": "Interlock", "head_sha": head, **output(annotations=[NOTE] * 50)}
        run_id = (await app.post(RUNS, json=body)).json()["id"]
        last = NOTE | {"message": "the last"}
        updated = await app.patch(f"{RUNS}/{run_id}", json=output(annotations=[last]))
        pages = [await app.get(f"{RUNS}/{run_id}/annotations", params={"per_page": 50, "page": n}) for n in (1, 2)]
    assert updated.json()["output"]["annotations_count"] == 51
    assert [len(page.json()) for page in pages] == [50, 1]
    assert pages[1].json()[0]["message"] == "the last"
    assert 'rel="next"' in pages[0].headers["link"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(output(annotations=[NOTE] * 51), "no more than 50 items", id="51-annotations"),
        pytest.param(output(summary="x" * 65536), "only 65535 characters", id="long-summary"),
        pytest.param(output(text="x" * 65536), "only 65535 characters", id="long-text"),
        pytest.param({"output": {"title": "t"}}, '"summary" wasn\'t supplied', id="no-summary"),
        pytest.param({"status": "completed"}, '"conclusion" wasn\'t supplied', id="no-conclusion"),
        pytest.param({"conclusion": "green"}, "is not a member of", id="unknown-conclusion"),
        pytest.param({"status": "done"}, "is not a member of", id="unknown-status"),
        pytest.param({"name": None}, '"name" wasn\'t supplied', id="no-name"),
        pytest.param({"started_at": "yesterday"}, "not a valid date-time", id="no-timestamp"),
        pytest.param(
            {"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4}, "no more than 3", id="4-actions"
        ),
        pytest.param(
            {"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]}, "only 20", id="long-label"
        ),
        pytest.param(
            {"actions": [{"label": "l", "description": "d" * 41, "identifier": "i"}]}, "only 40", id="long-description"
        ),
        pytest.param(
            {"actions": [{"label": "l", "description": "d", "identifier": "i" * 21}]}, "only 20", id="long-identifier"
        ),
        pytest.param(
            output(annotations=[NOTE | {"end_line": 2, "start_column": 1}]), "columns", id="columns-over-two-lines"
        ),
        pytest.param(output(annotations=[NOTE | {"annotation_level": "bad"}]), "not a member", id="unknown-level"),
        pytest.param({"head_sha": "0" * 40}, "No commit found for SHA", id="unknown-sha"),
        pytest.param({"head_sha": "topic"}, "No commit found for SHA", id="a-branch-is-no-sha"),
    ],
)
async def test_what_github_refuses_is_refused(hub: LocalHub, body: dict[str, Any], says: str) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        refused = await app.post(RUNS, json={"name": "Interlock", "head_sha": head, **body})
    assert refused.status_code == 422
    assert says in refused.json()["message"]
    assert hub.check_runs("octo/app", head) == []


@pytest.mark.parametrize("conclusion", CONCLUSIONS)
async def test_a_suite_concludes_as_its_worst_run(hub: LocalHub, conclusion: str) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        for name, end in (("a", "success"), ("b", conclusion)):
            await app.post(RUNS, json={"name": name, "head_sha": head, "conclusion": end})
        suites = (await app.get(f"/repos/octo/app/commits/{head}/check-suites")).json()
    assert suites["total_count"] == 1
    assert (suites["check_suites"][0]["status"], suites["check_suites"][0]["conclusion"]) == ("completed", conclusion)


async def test_the_newest_run_of_a_name_counts_and_all_can_be_listed(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        for end in ("failure", "success"):
            await app.post(RUNS, json={"name": "Interlock", "head_sha": head, "conclusion": end})
        await app.post(RUNS, json={"name": "Interlock / tier 1", "head_sha": head})
        listing = "/repos/octo/app/commits/topic/check-runs"
        latest = (await app.get(listing, params={"check_name": "Interlock", "app_id": hub.app_id})).json()
        everything = (await app.get(listing, params={"filter": "all"})).json()
        queued = (await app.get(listing, params={"status": "queued"})).json()
    assert [run["conclusion"] for run in latest["check_runs"]] == ["success"]
    assert everything["total_count"] == 3
    assert [run["name"] for run in queued["check_runs"]] == ["Interlock / tier 1"]


async def test_another_apps_check_run_cannot_be_changed(hub: LocalHub) -> None:
    head = pull_request(hub)
    stranger, key = hub.create_app("stranger", account="octo")
    theirs = hub.state.installations.first(app_id=stranger.id)
    assert theirs
    async with as_installation(hub) as app:
        run_id = (await app.post(RUNS, json={"name": "Interlock", "head_sha": head})).json()["id"]
    async with client(hub, app_jwt(hub, issuer=str(stranger.id), key=key)) as jwt_client:
        token = (await jwt_client.post(f"/app/installations/{theirs.id}/access_tokens", json={})).json()["token"]
    async with client(hub, token) as other:
        refused = await other.patch(f"{RUNS}/{run_id}", json={"conclusion": "success"})
        forged = (await other.post(RUNS, json={"name": "Interlock", "head_sha": head, "conclusion": "success"})).json()
    assert refused.status_code == 403
    assert forged["app"]["id"] == stranger.id != hub.app_id


async def test_the_buttons_of_a_check_run_reach_its_app(hub: LocalHub, receiver: Receiver) -> None:
    head = pull_request(hub)
    hub.webhook_url = "http://receiver/"
    button = {"label": "Fix", "description": "Fix it", "identifier": "fix"}
    async with as_installation(hub) as app:
        made = await app.post(
            RUNS, json={"name": "Interlock", "head_sha": head, "conclusion": "failure", "actions": [button]}
        )
        await app.post(f"{RUNS}/{made.json()['id']}/rerequest")
        suite = f"/repos/octo/app/check-suites/{made.json()['check_suite']['id']}"
        assert (await app.post(f"{suite}/rerequest")).status_code == 201
    (run,) = hub.check_runs("octo/app", head)
    hub.request_action(run, "fix", "mona")
    await hub.settled()
    assert receiver.names == snapshot(
        [
            "check_run.created",
            "check_run.completed",
            "check_suite.completed",
            "check_run.rerequested",
            "check_suite.rerequested",
            "check_run.requested_action",
        ]
    )
    pressed = receiver.last("check_run.requested_action")
    assert (pressed["requested_action"]["identifier"], pressed["sender"]["login"]) == ("fix", "mona")
    with pytest.raises(LookupError, match="no action 'gone'"):
        hub.request_action(run, "gone", "mona")


async def test_a_button_can_be_pressed_over_http(hub: LocalHub, receiver: Receiver) -> None:
    head = pull_request(hub)
    hub.webhook_url = "http://receiver/"
    async with as_installation(hub) as app:
        actions = [{"label": "Fix", "description": "Fix it", "identifier": "fix"}]
        run = (await app.post(RUNS, json={"name": "x", "head_sha": head, "actions": actions})).json()
        press = f"/_hub/check-runs/{run['id']}/requested_action"
        answers = [
            (await app.post(press, json={"identifier": identifier, "by": by})).status_code
            for identifier, by in (("fix", "mona"), ("gone", "mona"), ("fix", "nobody"))
        ]
        assert (await app.post("/_hub/settle")).json() == {"deliveries": 0}
    assert answers == [201, 422, 404]
    assert "check_run.requested_action" in receiver.names


async def test_the_merge_queue_is_entered_over_http(hub: LocalHub) -> None:
    pull_request(hub)
    async with as_installation(hub) as app:
        wishes = [
            {"repository": "octo/app", "number": 1, "by": "mona"},
            {"repository": "octo/app", "number": 99, "by": "mona"},
            {"repository": "octo/app", "number": 1, "by": "nobody"},
        ]
        answers = [await app.post("/_hub/merge-queue", json=wish) for wish in wishes]
    assert [answer.status_code for answer in answers] == [201, 404, 404]
    [group] = hub.state.groups
    assert answers[0].json() == {"head_sha": group.head_sha, "head_ref": group.head_ref}


async def test_trouble_can_be_ordered_over_http(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        faults = [
            {"method": "GET", "path": "^/repos/", "status": 502, "times": 2},
            {"path": "x"},
            {"method": "GET", "path": "("},
        ]
        ordered = [(await app.post("/_hub/faults", json=fault)).status_code for fault in faults]
        met = [(await app.get("/repos/octo/app")).status_code for _ in range(3)]
    assert ordered == [201, 422, 422]
    assert met == [502, 502, 200]


async def test_the_newest_status_of_a_context_counts(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        for context, state in (("lint", "failure"), ("lint", "success"), ("unit", "pending")):
            body = {"state": state, "context": context, "description": "d", "target_url": "http://x.test/"}
            assert (await app.post(f"/repos/octo/app/statuses/{head}", json=body)).status_code == 201
        combined = (await app.get(f"/repos/octo/app/commits/{head}/status")).json()
        everything = (await app.get(f"/repos/octo/app/commits/{head}/statuses")).json()
    assert (combined["state"], combined["total_count"], len(everything)) == ("pending", 2, 3)
    assert {one["context"]: one["state"] for one in combined["statuses"]} == {"unit": "pending", "lint": "success"}


@pytest.mark.parametrize(
    ("body", "sha"),
    [
        pytest.param({"state": "green"}, "HEAD", id="unknown-state"),
        pytest.param({"state": "success", "description": "x" * 141}, "HEAD", id="long-description"),
        pytest.param({"state": "success"}, "0" * 40, id="unknown-sha"),
        pytest.param({}, "HEAD", id="no-state"),
    ],
)
async def test_a_wrong_status_is_refused(hub: LocalHub, body: dict[str, str], sha: str) -> None:
    head = pull_request(hub)
    async with as_user(hub, "mona") as mona:
        refused = await mona.post(f"/repos/octo/app/statuses/{sha.replace('HEAD', head)}", json=body)
    assert refused.status_code == 422


async def test_a_context_takes_a_thousand_statuses_and_no_more(hub: LocalHub) -> None:
    head = pull_request(hub)
    async with as_installation(hub) as app:
        body = {"state": "success", "context": "lint"}
        first = (await app.post(f"/repos/octo/app/statuses/{head}", json=body)).json()
        row = hub.state.statuses.get(first["id"])
        assert row
        for _ in range(MOST - 1):
            hub.state.statuses.put(type(row)(**{**_fields(row), "id": hub.state.statuses.new_id()}))
        refused = await app.post(f"/repos/octo/app/statuses/{head}", json=body)
    assert refused.status_code == 422
    assert "maximum number of statuses" in refused.text


def _fields(row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__slots__}  # type: ignore[attr-defined]
