"""Check runs and suites: written by Apps only, with the limits that GitHub sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub import refusals
from bot.localhub.acts import checks as acts
from bot.localhub.acts import queue
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.rest.repositories import known_commit
from bot.localhub.views import checks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.localhub.records import CheckRun, CheckSuite, Json

STATUSES = ("queued", "in_progress", "completed", "waiting", "requested", "pending")
CONCLUSIONS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required")
LEVELS = ("notice", "warning", "failure")
LONGEST = 65_535
MOST_ANNOTATIONS = 50
MOST_ACTIONS = 3


def _run(call: Call) -> CheckRun:
    row = call.forge.state.runs.get(call.number("check_run_id"))
    if row is None or row.repository_id != call.repo.id:
        raise refusals.not_found()
    return row


def _suite(call: Call) -> CheckSuite:
    row = call.forge.state.suites.get(call.number("check_suite_id"))
    if row is None or row.repository_id != call.repo.id:
        raise refusals.not_found()
    return row


def _own(call: Call, run: CheckRun) -> None:
    suite = call.forge.state.suites.get(run.suite_id)
    if suite is None or suite.app_id != call.app.id:
        raise refusals.Refused(
            403,
            "Invalid app_id `"
            + str(call.app.id)
            + "` - check run can only be modified by the GitHub App that created it.",
        )


def create(call: Call) -> Reply:
    """POST …/check-runs."""
    app = call.app
    name, head_sha = fields.required_text(call.body, "name"), fields.required_text(call.body, "head_sha")
    facts = {**_facts(call), "name": name}
    if call.forge.git(call.repo).kind(head_sha) != "commit" or not fields.SHA.fullmatch(head_sha):
        raise refusals.Refused(422, f"No commit found for SHA: {head_sha}")
    run = acts.create_run(call.forge, call.repo, app, head_sha, facts)
    queue.judge(call.forge, call.repo, run)
    return Reply(status=201, body=checks.run(call.forge, call.repo, run))


def update(call: Call) -> Reply:
    """PATCH …/check-runs/{id}; annotations are added to those that are there."""
    run = _run(call)
    _own(call, run)
    changed = acts.update_run(call.forge, call.repo, run, call.app, _facts(call))
    queue.judge(call.forge, call.repo, changed)
    return Reply(body=checks.run(call.forge, call.repo, changed))


def _facts(call: Call) -> Json:
    """The fields of `CheckRun` that a body sets, checked as GitHub checks them."""
    body = call.body
    facts: Json = {
        "name": fields.text(body, "name"),
        "status": fields.choice(body, "status", STATUSES),
        "conclusion": fields.choice(body, "conclusion", CONCLUSIONS),
        "external_id": fields.text(body, "external_id"),
        "details_url": fields.text(body, "details_url"),
        "started_at": fields.moment(body, "started_at"),
        "completed_at": fields.moment(body, "completed_at"),
        "actions": _actions(body),
        **_output(body),
    }
    if facts["status"] == "completed" and not facts["conclusion"]:
        raise fields.missing("conclusion")
    return {name: value for name, value in facts.items() if value is not None}


def _output(body: Json) -> Json:
    output = fields.mapping(body, "output")
    if output is None:
        return {}
    facts = {
        "title": fields.text(output, "title"),
        "summary": fields.required_text(output, "summary", most=LONGEST),
        "text": fields.text(output, "text", most=LONGEST),
    }
    annotations = fields.items(output, "annotations", most=MOST_ANNOTATIONS)
    if annotations is None:
        return facts
    return {**facts, "annotations": [_annotation(one) for one in annotations]}


def _annotation(one: object) -> Json:
    if not isinstance(one, dict):
        raise refusals.invalid_request("An annotation is not an object.")
    level = fields.choice(one, "annotation_level", LEVELS)
    if level is None:
        raise fields.missing("annotation_level")
    start, end = fields.integer(one, "start_line", required=True), fields.integer(one, "end_line", required=True)
    columns = fields.integer(one, "start_column"), fields.integer(one, "end_column")
    if start != end and columns != (None, None):
        raise refusals.invalid_request("Annotations can have columns only if start_line and end_line are the same.")
    return {
        "path": fields.required_text(one, "path"),
        "start_line": start,
        "end_line": end,
        "start_column": columns[0],
        "end_column": columns[1],
        "annotation_level": level,
        "message": fields.required_text(one, "message", most=65_536),
        "title": fields.text(one, "title", most=255),
        "raw_details": fields.text(one, "raw_details", most=65_536),
    }


def _actions(body: Json) -> list[Json] | None:
    actions = fields.items(body, "actions", most=MOST_ACTIONS)
    if actions is None:
        return None
    limits = {"label": 20, "description": 40, "identifier": 20}
    if any(not isinstance(one, dict) for one in actions):
        raise refusals.invalid_request("An action is not an object.")
    return [{name: fields.required_text(one, name, most=most) for name, most in limits.items()} for one in actions]


def get(call: Call) -> Reply:
    """GET …/check-runs/{id}."""
    return Reply(body=checks.run(call.forge, call.repo, _run(call)))


def list_annotations(call: Call) -> Reply:
    """GET …/check-runs/{id}/annotations."""
    run = _run(call)
    rows, headers = call.page(run.annotations)
    return Reply(body=[checks.annotation(call.forge, call.repo, run, one) for one in rows], headers=headers)


def runs_of_ref(call: Call) -> Reply:
    """GET …/commits/{ref}/check-runs, newest first, the newest of each name unless `filter=all`."""
    sha = known_commit(call, call.path["ref"])
    found = call.forge.state.runs.where(repository_id=call.repo.id, head_sha=sha)
    return _list_runs(call, found)


def runs_of_suite(call: Call) -> Reply:
    """GET …/check-suites/{id}/check-runs."""
    return _list_runs(call, call.forge.state.runs.where(suite_id=_suite(call).id))


def _list_runs(call: Call, found: Iterable[CheckRun]) -> Reply:
    suites = {suite.id: suite for suite in call.forge.state.suites.where(repository_id=call.repo.id)}
    rows = [
        run
        for run in found
        if call.query.get("check_name", run.name) == run.name
        and call.query.get("status", run.status) == run.status
        and call.query.get("app_id", app := str(suites[run.suite_id].app_id)) == app
    ]
    if call.query.get("filter", "latest") == "latest":
        rows = list({(run.suite_id, run.name): run for run in rows}.values())
    rows.sort(key=lambda run: run.id, reverse=True)
    shown, headers = call.page(rows)
    body = {"total_count": len(rows), "check_runs": [checks.run(call.forge, call.repo, run) for run in shown]}
    return Reply(body=body, headers=headers)


def suites_of_ref(call: Call) -> Reply:
    """GET …/commits/{ref}/check-suites."""
    sha = known_commit(call, call.path["ref"])
    rows = [
        suite
        for suite in call.forge.state.suites.where(repository_id=call.repo.id, head_sha=sha)
        if call.query.get("app_id", str(suite.app_id)) == str(suite.app_id)
    ]
    shown, headers = call.page(rows)
    body = {"total_count": len(rows), "check_suites": [checks.suite(call.forge, call.repo, one) for one in shown]}
    return Reply(body=body, headers=headers)


def get_suite(call: Call) -> Reply:
    """GET …/check-suites/{id}."""
    return Reply(body=checks.suite(call.forge, call.repo, _suite(call)))


def create_suite(call: Call) -> Reply:
    """POST …/check-suites: 200 when the App has one for this commit."""
    sha = known_commit(call, fields.required_text(call.body, "head_sha"))
    known = call.forge.state.suites.first(repository_id=call.repo.id, app_id=call.app.id, head_sha=sha)
    row = known or acts.open_suite(call.forge, call.repo, call.app, sha)
    return Reply(status=200 if known else 201, body=checks.suite(call.forge, call.repo, row))


def rerequest_run(call: Call) -> Reply:
    """POST …/check-runs/{id}/rerequest."""
    acts.rerequest_run(call.forge, call.repo, _run(call), call.caller.login)
    return Reply(status=201, body={})


def rerequest_suite(call: Call) -> Reply:
    """POST …/check-suites/{id}/rerequest."""
    acts.rerequest_suite(call.forge, call.repo, _suite(call), call.caller.login)
    return Reply(status=201, body={})


READ, WRITE = ("checks:read",), ("checks:write",)
REPO = "/repos/{owner}/{repo}"
RUN, SUITE = f"{REPO}/check-runs/{{check_run_id:int}}", f"{REPO}/check-suites/{{check_suite_id:int}}"
RUNS_DOC, SUITES_DOC = "checks/runs#", "checks/suites#"
ENDPOINTS = (
    Endpoint(
        method="POST",
        path=f"{REPO}/check-runs",
        answer=create,
        needs=WRITE,
        doc=RUNS_DOC + "create-a-check-run",
    ),
    Endpoint(method="PATCH", path=RUN, answer=update, needs=WRITE, doc=RUNS_DOC + "update-a-check-run"),
    Endpoint(method="GET", path=RUN, answer=get, needs=READ, doc=RUNS_DOC + "get-a-check-run"),
    Endpoint(
        method="GET",
        path=f"{RUN}/annotations",
        answer=list_annotations,
        needs=READ,
        doc=RUNS_DOC + "list-check-run-annotations",
    ),
    Endpoint(
        method="POST",
        path=f"{RUN}/rerequest",
        answer=rerequest_run,
        needs=WRITE,
        role="write",
        doc=RUNS_DOC + "rerequest-a-check-run",
    ),
    Endpoint(
        method="GET",
        path=f"{REPO}/commits/{{ref:rest}}/check-runs",
        answer=runs_of_ref,
        needs=READ,
        doc=RUNS_DOC + "list-check-runs-for-a-git-reference",
    ),
    Endpoint(
        method="GET",
        path=f"{REPO}/commits/{{ref:rest}}/check-suites",
        answer=suites_of_ref,
        needs=READ,
        doc=SUITES_DOC + "list-check-suites-for-a-git-reference",
    ),
    Endpoint(
        method="POST",
        path=f"{REPO}/check-suites",
        answer=create_suite,
        needs=WRITE,
        doc=SUITES_DOC + "create-a-check-suite",
    ),
    Endpoint(method="GET", path=SUITE, answer=get_suite, needs=READ, doc=SUITES_DOC + "get-a-check-suite"),
    Endpoint(
        method="GET",
        path=f"{SUITE}/check-runs",
        answer=runs_of_suite,
        needs=READ,
        doc=RUNS_DOC + "list-check-runs-in-a-check-suite",
    ),
    Endpoint(
        method="POST",
        path=f"{SUITE}/rerequest",
        answer=rerequest_suite,
        needs=WRITE,
        role="write",
        doc=SUITES_DOC + "rerequest-a-check-suite",
    ),
)
