"""The contract finds each way in which an exchange can differ from GitHub's description, and passes GitHub's own."""

import gzip
import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.localhub.contract import Contract, Kind, Violation
from bot.localhub.contract_wire import CAP, ContractMiddleware, ContractTransport, is_api
from bot.localhub.description import Match, NoMatch, amend, vendored

CONTRACT = Contract.load()
EXAMPLES: dict[str, Any] = json.loads(gzip.decompress((Path(__file__).parent / "examples.json.gz").read_bytes()))
HEADERS = {"User-Agent": "interlock"}
RUNS = "/repos/octo/app/check-runs"
SHA = "ce587453ced02b1526dfb4cb910479d431683101"
ANNOTATION = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no"}


def check_run(**changes: object) -> dict[str, object]:
    """A check run that GitHub takes, with some members replaced; None takes a member away."""
    run: dict[str, object] = {
        "name": "Interlock",
        "head_sha": SHA,
        "status": "completed",
        "conclusion": "success",
        "output": {"title": "green", "summary": "all"},
    }
    return {name: value for name, value in (run | changes).items() if value is not None}


def output(**members: object) -> dict[str, object]:
    return {"title": "red", "summary": "one", **members}


def asked(method: str, path: str, body: object = None, query: str = "") -> list[Violation]:
    raw = b"" if body is None else json.dumps(body).encode()
    return CONTRACT.check_request(method, path, query, HEADERS, raw)


def example(method: str, path: str, status: int | None) -> Any:
    found = (e for e in EXAMPLES["rest"] if (e["method"], e["path"], e["status"]) == (method, path, status))
    return deepcopy(next(found)["body"])


def webhook_example(event: str) -> Any:
    return deepcopy(next(e["body"] for e in EXAMPLES["webhooks"] if e["event"] == event))


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        pytest.param(check_run(name=None), "", '"name" is a required property', id="missing-name"),
        pytest.param(check_run(conclusion=None), "", "not valid under any", id="completed-without-conclusion"),
        pytest.param(check_run(conclusion="green"), "/conclusion", "is not one of", id="bad-enum"),
        pytest.param(check_run(name=7), "/name", 'not of type "string"', id="wrong-type"),
        pytest.param(check_run(started_at="yesterday"), "/started_at", "date-time", id="no-timestamp"),
        pytest.param(check_run(colour="red"), "/colour", "unknown member", id="unknown-member"),
        pytest.param(
            check_run(output=output(annotations=[ANNOTATION] * 51)),
            "/output/annotations",
            "50 items",
            id="51-annotations",
        ),
        pytest.param(
            check_run(output=output(summary="x" * 65536)), "/output/summary", "longer than 65535", id="long-summary"
        ),
        pytest.param(check_run(output=output(text="x" * 65536)), "/output/text", "longer than 65535", id="long-text"),
        pytest.param(
            check_run(output=output(annotations=[ANNOTATION | {"title": "x" * 256}])),
            "/output/annotations/0/title",
            "longer than 255",
            id="long-annotation-title",
        ),
        pytest.param(
            check_run(actions=[{"label": "l", "description": "d", "identifier": "i"}] * 4),
            "/actions",
            "3 items",
            id="4-actions",
        ),
        pytest.param(
            check_run(actions=[{"label": "l" * 21, "description": "d", "identifier": "i"}]),
            "/actions/0/label",
            "longer than 20",
            id="long-label",
        ),
    ],
)
def test_a_check_run_that_github_would_refuse_is_reported(body: object, pointer: str, says: str) -> None:
    (violation,) = asked("POST", RUNS, body)
    assert violation.kind is Kind.REQUEST_BODY
    assert violation.operation == "POST /repos/{owner}/{repo}/check-runs"
    assert violation.pointer == pointer
    assert says in violation.message


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(check_run(), id="completed"),
        pytest.param(check_run(status=None), id="a-conclusion-completes"),
        pytest.param(check_run(status="in_progress", conclusion=None), id="in-progress"),
        pytest.param(check_run(output=output(annotations=[ANNOTATION] * 50, summary="x" * 65535)), id="at-the-limits"),
    ],
)
def test_a_check_run_within_the_limits_passes(body: object) -> None:
    assert asked("POST", RUNS, body) == []


@pytest.mark.parametrize(
    ("raw", "says"),
    [pytest.param(b"", "missing", id="no-body"), pytest.param(b"{", "not JSON", id="cut-off")],
)
def test_a_body_is_judged_as_sent(raw: bytes, says: str) -> None:
    (violation,) = CONTRACT.check_request("POST", RUNS, "", HEADERS, raw)
    assert violation.kind is Kind.REQUEST_BODY
    assert says in violation.message


@pytest.mark.parametrize(
    ("method", "path", "query", "kind", "pointer"),
    [
        pytest.param("GET", "/repos/o/r/pulls", "stat=open", Kind.QUERY, "stat", id="unknown-name"),
        pytest.param("GET", "/repos/o/r/pulls", "state=ajar", Kind.QUERY, "state", id="value-outside-enum"),
        pytest.param("GET", "/repos/o/r/pulls", "per_page=many", Kind.QUERY, "per_page", id="text-for-a-number"),
        pytest.param("GET", "/repos/o/r/pulls/seven", "", Kind.PATH, "pull_number", id="text-for-a-number-in-the-path"),
        pytest.param("GET", "/frobnicate", "", Kind.UNKNOWN_OPERATION, "", id="no-such-endpoint"),
        pytest.param("DELETE", "/repos/o/r/pulls/7", "", Kind.UNKNOWN_OPERATION, "", id="no-such-method"),
        pytest.param("GET", "/repos/o/r/actions/caches", "", Kind.UNKNOWN_OPERATION, "", id="not-in-the-cut"),
    ],
)
def test_a_call_that_is_not_described_is_reported(method: str, path: str, query: str, kind: Kind, pointer: str) -> None:
    (violation,) = asked(method, path, query=query)
    assert (violation.kind, violation.pointer) == (kind, pointer)


def test_github_has_it_and_the_cut_does_not_are_told_apart() -> None:
    (cut,) = asked("GET", "/repos/o/r/actions/caches")
    (nowhere,) = asked("GET", "/repos/o/r/actions/cashes")
    assert "tools/cut_openapi.py" in cut.message
    assert nowhere.message == "GitHub has no GET /repos/o/r/actions/cashes"


@pytest.mark.parametrize(
    ("headers", "pointer"),
    [
        pytest.param({}, "user-agent", id="no-user-agent"),
        pytest.param({**HEADERS, "X-GitHub-Api-Version": "2026-03-10"}, "x-github-api-version", id="another-version"),
    ],
)
def test_headers_that_change_the_contract_are_reported(headers: dict[str, str], pointer: str) -> None:
    (violation,) = CONTRACT.check_request("GET", "/rate_limit", "", headers, b"")
    assert (violation.kind, violation.pointer) == (Kind.HEADER, pointer)


@pytest.mark.parametrize(
    ("method", "path", "template", "values"),
    [
        pytest.param("GET", "/contents/docs/a b.md", "/contents/{path}", {"path": "docs/a b.md"}, id="path-with-slash"),
        pytest.param("GET", "/contents/", "/contents/{path}", {"path": ""}, id="the-root-directory"),
        pytest.param("GET", "/commits/fix/7/check-runs", "/commits/{ref}/check-runs", {"ref": "fix/7"}, id="ref"),
        pytest.param("GET", "/commits/fix%2F7", "/commits/{ref}", {"ref": "fix/7"}, id="percent-encoded"),
        pytest.param("GET", "/compare/main...a/b", "/compare/{basehead}", {"basehead": "main...a/b"}, id="basehead"),
        pytest.param(
            "GET", "/issues/comments/7", "/issues/comments/{comment_id}", {"comment_id": "7"}, id="literal-first"
        ),
        pytest.param("HEAD", "/git/ref/heads/a", "/git/ref/{ref}", {"ref": "heads/a"}, id="head-is-get"),
    ],
)
def test_the_most_specific_template_wins(method: str, path: str, template: str, values: dict[str, str]) -> None:
    found = vendored().find(method, f"/api/v3/repos/o/r{path}")
    assert isinstance(found, Match)
    assert found.operation.template == f"/repos/{{owner}}/{{repo}}{template}"
    assert found.path_parameters == {"owner": "o", "repo": "r", **values}


def test_a_greedy_parameter_does_not_swallow_an_endpoint_outside_the_cut() -> None:
    found = vendored().find("GET", "/repos/o/r/commits/main/comments")
    assert found == NoMatch(
        "GET /repos/{owner}/{repo}/commits/{commit_sha}/comments is not in the cut (add it to tools/cut_openapi.py)"
    )


@given(st.text())
def test_no_path_can_make_the_lookup_raise(path: str) -> None:
    assert isinstance(vendored().find("GET", path), Match | NoMatch)


@given(st.binary())
def test_no_body_can_make_the_judge_raise(body: bytes) -> None:
    assert all(
        isinstance(violation, Violation) for violation in CONTRACT.check_request("POST", RUNS, "", HEADERS, body)
    )


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(200, b"{}", Kind.STATUS, id="undescribed-2xx"),
        pytest.param(302, b"", Kind.STATUS, id="undescribed-redirect"),
        pytest.param(418, b"teapot", Kind.RESPONSE_BODY, id="an-error-that-is-not-json"),
        pytest.param(418, b'{"error": "teapot"}', Kind.RESPONSE_BODY, id="an-error-without-message"),
        pytest.param(201, b"", Kind.RESPONSE_BODY, id="nothing"),
        pytest.param(201, b"[]", Kind.RESPONSE_BODY, id="another-shape"),
    ],
)
def test_an_answer_that_github_would_not_give_is_reported(status: int, body: bytes, kind: Kind) -> None:
    violations = CONTRACT.check_response("POST", RUNS, status, body)
    assert {violation.kind for violation in violations} == {kind}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(422, b'{"message": "Validation Failed"}', id="unlisted-4xx"),
        pytest.param(503, b"<html>", id="any-5xx"),
        pytest.param(304, b"", id="not-modified"),
    ],
)
def test_an_answer_outside_the_description_that_github_does_give_passes(status: int, body: bytes) -> None:
    assert CONTRACT.check_response("POST", RUNS, status, body) == []


def test_an_answer_that_lacks_a_member_says_which() -> None:
    run = example("POST", "/repos/{owner}/{repo}/check-runs", 201)
    del run["app"]
    violations = CONTRACT.check_response("POST", RUNS, 201, json.dumps(run).encode())
    assert [str(violation) for violation in violations] == [
        'POST /repos/{owner}/{repo}/check-runs: response body: "app" is a required property'
    ]


def test_null_is_allowed_exactly_where_github_is_nullable() -> None:
    run = example("POST", "/repos/{owner}/{repo}/check-runs", 201)
    run["conclusion"] = None  # nullable, and an enum.
    run["check_suite"] = None  # nullable, and an object.
    assert CONTRACT.check_response("POST", RUNS, 201, json.dumps(run).encode()) == []
    run["name"] = None
    (violation,) = CONTRACT.check_response("POST", RUNS, 201, json.dumps(run).encode())
    assert violation.pointer == "/name"


def test_a_body_where_github_sends_none_is_reported() -> None:
    (violation,) = CONTRACT.check_response("DELETE", "/repos/o/r/issues/comments/7", 204, b"{}")
    assert violation.message == "has a body, where GitHub sends none"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/repos/o/r/pulls/7/merge", 404, id="described-without-a-body"),
        pytest.param("PUT", "/repos/o/r/contents/a.py", 409, id="described-as-one-of-two-that-are-alike"),
        pytest.param("POST", "/repos/o/r/git/blobs", 422, id="the-other-such"),
    ],
)
def test_githubs_usual_error_passes_where_it_is_described_badly(method: str, path: str, status: int) -> None:
    usual = {"message": "No", "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    assert CONTRACT.check_response(method, path, status, json.dumps(usual).encode()) == []


def test_custom_media_types_are_not_judged_but_html_is() -> None:
    path = "/repos/o/r/pulls/7"
    assert CONTRACT.check_response("GET", path, 200, b"diff", content_type="application/vnd.github.diff") == []
    (violation,) = CONTRACT.check_response("GET", path, 200, b"<p>", content_type="text/html")
    assert violation.kind is Kind.RESPONSE_BODY


# Members that the schema requires and an old example of GitHub's own lacks. Real answers have them, so the contract
# asks for them: a stand-in that leaves them out is wrong. By operation, status and the name of the example.
OUTDATED = {
    ("GET", "/repos/{owner}/{repo}", "default-response"): "language",
    ("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments", "default"): "a team's type",
    ("GET", "/repos/{owner}/{repo}/branches", "default"): "checks",
    (
        "GET",
        "/repos/{owner}/{repo}/collaborators/{username}/permission",
        "response-if-user-has-admin-permissions",
    ): "role_name",
    ("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", "default"): "a team's type",
    ("GET", "/repos/{owner}/{repo}/commits/{ref}", "default"): "a file's sha and contents_url",
    ("POST", "/repos/{owner}/{repo}/forks", "default"): "has_discussions",
    ("POST", "/repos/{owner}/{repo}/merges", "default"): "a file's sha and contents_url",
    ("GET", "/repos/{owner}/{repo}/pulls", "default"): "a team's type",
    ("POST", "/repos/{owner}/{repo}/pulls", "default"): "a team's type",
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", "default"): "a team's type",
    ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", "default"): "a team's type",
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", "default"): "a team's type",
    ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", "default"): "a team's type",
}


def test_githubs_own_examples_pass_but_for_the_outdated_ones() -> None:
    refused = {(e["method"], e["path"], e["name"]) for e in EXAMPLES["rest"] if violations_of_an_example(e)}
    assert len(EXAMPLES["rest"]) > 100
    assert refused == OUTDATED.keys()


def violations_of_an_example(e: dict[str, Any]) -> list[Violation]:
    path = re.sub(r"{\w+}", "x", re.sub(r"{(\w+_id|\w+_number)}", "1", e["path"]))
    body = b"" if e["body"] is None else json.dumps(e["body"]).encode()
    if e["status"] is None:
        return CONTRACT.check_request(e["method"], path, "", HEADERS, body)
    return CONTRACT.check_response(e["method"], path, e["status"], body)


def test_githubs_own_webhook_examples_pass() -> None:
    assert EXAMPLES["webhooks"]
    for e in EXAMPLES["webhooks"]:
        assert CONTRACT.check_webhook(e["event"], e["action"], e["body"]) == [], e["name"]


def test_a_webhook_that_lacks_a_member_says_where() -> None:
    payload = webhook_example("check_run")
    action = payload["action"]
    del payload["check_run"]["head_sha"]
    assert {v.pointer for v in CONTRACT.check_webhook("check_run", action, json.dumps(payload).encode())} == {
        "/check_run"
    }


@pytest.mark.parametrize(
    ("event", "action"),
    [pytest.param("check_run", "exploded", id="action"), pytest.param("sponsorship", "created", id="event")],
)
def test_a_webhook_outside_the_cut_is_reported(event: str, action: str) -> None:
    (violation,) = CONTRACT.check_webhook(event, action, {})
    assert (violation.kind, violation.operation) == (Kind.UNKNOWN_WEBHOOK, f"{event}.{action}")


@pytest.mark.parametrize(
    "amendment",
    [
        pytest.param({"at": "/required", "remove": ["gone"]}, id="remove"),
        pytest.param({"at": "/required", "add": ["name"]}, id="add"),
        pytest.param({"at": "/limits", "set": {"maxLength": 5}}, id="set"),
    ],
)
def test_an_amendment_that_a_newer_description_made_idle_is_an_error(amendment: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs no amendment any more"):
        amend({"required": ["name"], "limits": {"maxLength": 5}}, amendment)


def test_every_amendment_has_a_reason() -> None:
    folder = Path(__file__).resolve().parents[3] / "bot" / "localhub" / "openapi"
    amendments = json.loads((folder / "amendments.json").read_text("utf-8"))
    assert amendments
    assert [a["at"] for a in amendments if not a.get("reason")] == []


def test_the_cut_says_where_it_comes_from() -> None:
    assert vendored().sources == ("@octokit/openapi@23.0.2", "@octokit/openapi-webhooks@12.1.0")
    assert vendored().rest["x-cut"]["license"] == vendored().webhooks["x-cut"]["license"] == "MIT"


# On the wire.


async def create(request: Request) -> Response:
    """A stand-in that swallows everything, or refuses it when asked to."""
    if request.query_params.get("refuse"):
        return JSONResponse({"message": "Validation Failed"}, 422)
    await request.body()
    return JSONResponse(example("POST", "/repos/{owner}/{repo}/check-runs", 201), 201)


async def rate_limit(_request: Request) -> Response:
    return JSONResponse({"rate": {}})


async def git(_request: Request) -> Response:
    return PlainTextResponse("# service=git-upload-pack")


HUB = Starlette(
    routes=[
        Route("/repos/{owner}/{repo}/check-runs", create, methods=["POST"]),
        Route("/rate_limit", rate_limit),
        Route("/octo/app.git/info/refs", git),
    ]
)


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test")


async def test_the_middleware_reports_what_a_stand_in_swallowed() -> None:
    seen: list[Violation] = []
    async with client(ContractMiddleware(HUB, CONTRACT, seen.append)) as http:
        answer = await http.post(RUNS, json=check_run(name=None))
    assert answer.status_code == 201
    assert [violation.kind for violation in seen] == [Kind.REQUEST_BODY]


async def test_the_middleware_reports_a_wrong_answer() -> None:
    seen: list[Violation] = []
    async with client(ContractMiddleware(HUB, CONTRACT, seen.append)) as http:
        answer = await http.get("/rate_limit")
    assert answer.json() == {"rate": {}}
    assert {violation.kind for violation in seen} == {Kind.RESPONSE_BODY}


async def test_the_middleware_judges_a_get_that_the_application_never_read() -> None:
    seen: list[Violation] = []
    async with client(ContractMiddleware(HUB, CONTRACT, seen.append)) as http:
        await http.get("/rate_limit", params={"colour": "red"})
    assert [violation.pointer for violation in seen if violation.kind is Kind.QUERY] == ["colour"]


@pytest.mark.parametrize(
    ("refused_too", "kinds"),
    [
        pytest.param(False, set(), id="a-refusal-is-right"),
        pytest.param(True, {Kind.QUERY, Kind.REQUEST_BODY}, id="but-the-request-was-wrong"),
    ],
)
async def test_a_wrong_request_that_was_refused_counts_only_when_asked(refused_too: bool, kinds: set[Kind]) -> None:
    seen: list[Violation] = []
    async with client(ContractMiddleware(HUB, CONTRACT, seen.append, refused_too=refused_too)) as http:
        await http.post(RUNS, params={"refuse": "1"}, json=check_run(name=None))
    assert {violation.kind for violation in seen} == kinds


async def test_the_middleware_leaves_git_alone() -> None:
    seen: list[Violation] = []
    async with client(ContractMiddleware(HUB, CONTRACT, seen.append)) as http:
        answer = await http.get("/octo/app.git/info/refs", params={"service": "git-upload-pack"})
    assert answer.text == "# service=git-upload-pack"
    assert seen == []


async def test_a_body_over_the_cap_arrives_whole_and_is_not_judged() -> None:
    seen: list[Violation] = []
    arrived: list[int] = []

    async def measure(request: Request) -> Response:
        arrived.append(len(await request.body()))
        return JSONResponse(example("POST", "/repos/{owner}/{repo}/check-runs", 201), 201)

    async def chunks() -> Any:
        for _ in range(9):
            yield b"x" * (1024 * 1024)

    hub = Starlette(routes=[Route("/repos/{owner}/{repo}/check-runs", measure, methods=["POST"])])
    async with client(ContractMiddleware(hub, CONTRACT, seen.append)) as http:
        await http.post(RUNS, content=chunks())
    assert arrived == [9 * 1024 * 1024]
    assert arrived[0] > CAP
    assert seen == []


async def test_the_transport_reports_both_ways_and_passes_the_answer_on() -> None:
    seen: list[Violation] = []
    transport = ContractTransport(httpx.ASGITransport(HUB), CONTRACT, seen.append)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as http:
        refused = await http.post(RUNS, params={"refuse": "1"}, json=check_run(conclusion="green"))
        limits = await http.get("/rate_limit")
    assert refused.json() == {"message": "Validation Failed"}
    assert limits.json() == {"rate": {}}
    assert {violation.kind for violation in seen} == {Kind.QUERY, Kind.REQUEST_BODY, Kind.RESPONSE_BODY}


@pytest.mark.parametrize(
    ("path", "judged"),
    [
        pytest.param("/octo/app.git/git-receive-pack", False, id="push"),
        pytest.param("/octo/app/info/refs", False, id="git-without-suffix"),
        pytest.param("/_hub/clock", False, id="the-stand-ins-own"),
        pytest.param("/octo/app/pull/1", False, id="a-page"),
        pytest.param("/repos/octo/app.git/pulls", True, id="the-api-of-a-repository-named-so"),
        pytest.param("/app/hook/config", True, id="the-apps-own"),
    ],
)
def test_only_the_api_is_judged(path: str, judged: bool) -> None:
    assert is_api(path) is judged
