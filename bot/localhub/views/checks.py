"""Check suites, check runs, annotations and statuses as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.views import pulls as pull_views
from bot.localhub.views.commits import simple_commit
from bot.localhub.views.people import by_login, integration, node_id
from bot.localhub.views.repositories import api_url, html_url, minimal

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import App, CheckRun, CheckSuite, Json, PullRequest, Repository, Status

WORST_FIRST = ("action_required", "timed_out", "cancelled", "failure", "neutral", "skipped", "success")


def pull_requests(forge: Forge, repo: Repository, head_sha: str) -> list[PullRequest]:
    """The open pull requests with this head, as GitHub attributes checks: those from forks are not found."""
    return forge.state.pulls.where(repository_id=repo.id, head_repository_id=repo.id, head_sha=head_sha, state="open")


def suite_verdict(forge: Forge, suite: CheckSuite) -> tuple[str, str | None]:
    """A suite's status and conclusion, from its newest run of each name."""
    runs = list({run.name: run for run in forge.state.runs.where(suite_id=suite.id)}.values())
    if not runs:
        return "queued", None
    if any(run.status != "completed" for run in runs):
        return ("queued" if all(run.status == "queued" for run in runs) else "in_progress"), None
    conclusions = {run.conclusion for run in runs}
    return "completed", next((one for one in WORST_FIRST if one in conclusions), "neutral")


def _app(forge: Forge, suite: CheckSuite) -> App:
    app = forge.state.apps.get(suite.app_id)
    assert app, "a check suite belongs to an App"
    return app


def suite(forge: Forge, repo: Repository, row: CheckSuite) -> Json:
    """`check-suite`."""
    status, conclusion = suite_verdict(forge, row)
    url = f"{api_url(forge, repo)}/check-suites/{row.id}"
    runs = {run.name for run in forge.state.runs.where(suite_id=row.id)}
    return {
        "id": row.id,
        "node_id": node_id("CheckSuite", row.id),
        "head_branch": row.head_branch,
        "head_sha": row.head_sha,
        "status": status,
        "conclusion": conclusion,
        "url": url,
        "before": row.before,
        "after": row.after,
        "pull_requests": [pull_views.minimal(forge, pull) for pull in pull_requests(forge, repo, row.head_sha)],
        "app": integration(forge, _app(forge, row)),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "rerequestable": True,
        "runs_rerequestable": True,
        "latest_check_runs_count": len(runs),
        "check_runs_url": f"{url}/check-runs",
        "head_commit": simple_commit(forge.git(repo).commit(row.head_sha)),
        "repository": minimal(forge, repo),
    }


def run(forge: Forge, repo: Repository, row: CheckRun) -> Json:
    """`check-run`."""
    owner = forge.state.suites.get(row.suite_id)
    assert owner, "a check run belongs to a suite"
    url = f"{api_url(forge, repo)}/check-runs/{row.id}"
    app = _app(forge, owner)
    return {
        "id": row.id,
        "name": row.name,
        "node_id": node_id("CheckRun", row.id),
        "head_sha": row.head_sha,
        "external_id": row.external_id,
        "url": url,
        "html_url": f"{html_url(forge, repo)}/runs/{row.id}",
        "details_url": row.details_url or f"{forge.url}/apps/{app.slug}",
        "status": row.status,
        "conclusion": row.conclusion,
        "started_at": row.started_at,
        "completed_at": row.completed_at,
        "output": {
            "title": row.title,
            "summary": row.summary,
            "text": row.text,
            "annotations_count": len(row.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": row.suite_id},
        "app": integration(forge, app),
        "pull_requests": [pull_views.minimal(forge, pull) for pull in pull_requests(forge, repo, row.head_sha)],
    }


def annotation(forge: Forge, repo: Repository, row: CheckRun, one: Json) -> Json:
    """`check-annotation`."""
    return {
        "path": one["path"],
        "blob_href": f"{html_url(forge, repo)}/blob/{row.head_sha}/{one['path']}",
        "start_line": one["start_line"],
        "end_line": one["end_line"],
        "start_column": one.get("start_column"),
        "end_column": one.get("end_column"),
        "annotation_level": one["annotation_level"],
        "title": one.get("title"),
        "message": one["message"],
        "raw_details": one.get("raw_details"),
    }


def run_event(forge: Forge, repo: Repository, row: CheckRun) -> Json:
    """A check run as webhooks carry it: with its suite in it."""
    owner = forge.state.suites.get(row.suite_id)
    assert owner, "a check run belongs to a suite"
    inner = suite(forge, repo, owner)
    for left_out in ("head_commit", "latest_check_runs_count", "check_runs_url", "rerequestable", "runs_rerequestable"):
        del inner[left_out]
    return {**run(forge, repo, row), "check_suite": inner}


def suite_event(forge: Forge, repo: Repository, row: CheckSuite) -> Json:
    """A check suite as webhooks carry it: without the repository, which stands beside it."""
    shown = suite(forge, repo, row)
    del shown["repository"]
    return shown


def status(forge: Forge, repo: Repository, row: Status) -> Json:
    """`status`."""
    return {**simple_status(forge, repo, row), "creator": by_login(forge, row.creator)}


def simple_status(forge: Forge, repo: Repository, row: Status) -> Json:
    """`simple-commit-status`."""
    return {
        "url": f"{api_url(forge, repo)}/statuses/{row.sha}",
        "avatar_url": by_login(forge, row.creator)["avatar_url"],
        "id": row.id,
        "node_id": node_id("StatusContext", row.id),
        "state": row.state,
        "description": row.description,
        "target_url": row.target_url,
        "context": row.context,
        "created_at": row.created_at,
        "updated_at": row.created_at,
    }


def combined(forge: Forge, repo: Repository, sha: str, rows: list[Status], page: list[Status]) -> Json:
    """`combined-commit-status` of the newest status per context; `page` are those to show."""
    states = {row.state for row in rows}
    worst = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return {
        "state": worst,
        "sha": sha,
        "total_count": len(rows),
        "statuses": [simple_status(forge, repo, row) for row in page],
        "repository": minimal(forge, repo),
        "commit_url": f"{api_url(forge, repo)}/commits/{sha}",
        "url": f"{api_url(forge, repo)}/commits/{sha}/status",
    }
