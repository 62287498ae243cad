"""Deployments and their statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.localhub import refusals
from bot.localhub.acts import deployments as acts
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import deployments

if TYPE_CHECKING:
    from bot.localhub.records import Deployment, DeploymentStatus

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
LONGEST_DESCRIPTION = 140
PRODUCTION = "production"


def create(call: Call) -> Reply:
    """POST …/deployments: of a branch, tag or SHA, unless a check or a conflict is in the way."""
    ref = fields.required_text(call.body, "ref")
    sha = call.forge.git(call.repo).resolve(ref)
    if sha is None:
        raise refusals.Refused(422, f"No ref found for: {ref}")
    environment = fields.text(call.body, "environment") or PRODUCTION
    if merged := _merge(call, ref, sha):
        return merged
    _require_green(call, ref, sha)
    row = acts.create(
        call.forge,
        call.repo,
        sha=sha,
        by=call.caller.login,
        app_id=call.caller.app.id if call.caller.app else 0,
        facts={
            "ref": ref,
            "task": fields.text(call.body, "task") or "deploy",
            "environment": environment,
            "description": fields.text(call.body, "description"),
            "payload": _payload(call),
            "production": fields.flag(call.body, "production_environment", otherwise=environment == PRODUCTION),
            "transient": fields.flag(call.body, "transient_environment"),
        },
    )
    return Reply(status=201, body=deployments.deployment(call.forge, call.repo, row))


def _payload(call: Call) -> Any:
    given = call.body.get("payload", "")
    if not isinstance(given, str | dict):
        raise refusals.invalid_request("For 'properties/payload', it is neither an object nor a string.")
    return given or {}


def _merge(call: Call, ref: str, sha: str) -> Reply | None:
    """With `auto_merge`, as it is by default, a branch that is behind the default branch gets it merged first."""
    git, base = call.forge.git(call.repo), call.repo.default_branch
    tip = git.branch(base)
    if not fields.flag(call.body, "auto_merge", otherwise=True) or git.branch(ref) is None or tip is None:
        return None
    if git.is_ancestor(tip, sha):
        return None
    tree = git.merge_tree(sha, tip)
    if tree is None:
        raise refusals.Refused(409, f"Conflict merging {base} into {ref}.")
    by = call.forge.person(call.caller.login)
    merge = git.commit_tree(tree, (sha, tip), message=f"Merge {base} into {ref}", by=by)
    git.update_ref(f"refs/heads/{ref}", merge)
    return Reply(status=202, body={"message": f"Auto-merged {base} into {ref} on deployment."})


def _require_green(call: Call, ref: str, sha: str) -> None:
    """Without `required_contexts` every status and check must be green; with some, these; with [], none."""
    named = fields.items(call.body, "required_contexts", most=1000)
    statuses = {row.context: row.state for row in call.forge.state.statuses.where(repository_id=call.repo.id, sha=sha)}
    runs = call.forge.state.runs.where(repository_id=call.repo.id, head_sha=sha)
    checks = {run.name: run.conclusion or "pending" for run in runs}
    every = {**checks, **statuses}
    passing = {"success", "neutral", "skipped"}
    red = [name for name in (every if named is None else named) if every.get(name) not in passing]
    if red:
        problem = {"contexts": red, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        message = f"Conflict: Commit status checks failed for {ref}."
        raise refusals.Refused(409, message, errors=[problem])


def _newest_first(call: Call) -> list[Deployment]:
    found = call.forge.state.deployments.where(repository_id=call.repo.id)[::-1]
    wanted = [(name, call.query[name]) for name in ("sha", "ref", "task", "environment") if call.query.get(name)]
    return [row for row in found if all(getattr(row, name) == value for name, value in wanted)]


def list_all(call: Call) -> Reply:
    """GET …/deployments, newest first."""
    rows, headers = call.page(_newest_first(call))
    return Reply(body=[deployments.deployment(call.forge, call.repo, row) for row in rows], headers=headers)


def _deployment(call: Call) -> Deployment:
    row = call.forge.state.deployments.get(call.number("deployment_id"))
    if row is None or row.repository_id != call.repo.id:
        raise refusals.not_found()
    return row


def get(call: Call) -> Reply:
    """GET …/deployments/{id}."""
    return Reply(body=deployments.deployment(call.forge, call.repo, _deployment(call)))


def _statuses(call: Call) -> list[DeploymentStatus]:
    return call.forge.state.deployment_statuses.where(deployment_id=_deployment(call).id)[::-1]


def list_statuses(call: Call) -> Reply:
    """GET …/deployments/{id}/statuses, newest first."""
    rows, headers = call.page(_statuses(call))
    return Reply(body=[deployments.status(call.forge, call.repo, row) for row in rows], headers=headers)


def get_status(call: Call) -> Reply:
    """GET …/deployments/{id}/statuses/{status_id}."""
    for row in _statuses(call):
        if row.id == call.number("status_id"):
            return Reply(body=deployments.status(call.forge, call.repo, row))
    raise refusals.not_found()


def create_status(call: Call) -> Reply:
    """POST …/deployments/{id}/statuses; a success ends earlier ones, unless `auto_inactive` is false."""
    about = _deployment(call)
    state = fields.choice(call.body, "state", STATES)
    if state is None:
        raise fields.missing("state")
    description = fields.text(call.body, "description") or ""
    if len(description) > LONGEST_DESCRIPTION:
        sentence = f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)"
        raise refusals.invalid(refusals.problem("DeploymentStatus", "description", "custom", sentence))
    environment = fields.text(call.body, "environment") or about.environment
    by, app_id = call.caller.login, call.caller.app.id if call.caller.app else 0
    facts = {
        "state": state,
        "description": description,
        "environment": environment,
        "environment_url": _address(call, "environment_url"),
        "log_url": _address(call, "log_url") or _address(call, "target_url"),
    }
    acts.say(call.forge, call.repo, about, by=by, facts=facts, app_id=app_id)
    if state == "success" and fields.flag(call.body, "auto_inactive", otherwise=True):
        acts.supersede(call.forge, about, environment, by=by, app_id=app_id)
    newest = acts.newest(call.forge, about)
    assert newest, "it was just said"
    return Reply(status=201, body=deployments.status(call.forge, call.repo, newest))


def _address(call: Call, name: str) -> str:
    """An address that leads somewhere: GitHub refuses what is not http."""
    url = fields.text(call.body, name) or ""
    if url and not url.startswith(("http://", "https://")):
        sentence = f"{name} must use http(s) scheme"
        raise refusals.invalid(refusals.problem("DeploymentStatus", name, "custom", sentence))
    return url


READ, WRITE = ("deployments:read",), ("deployments:write",)
ONE = "/repos/{owner}/{repo}/deployments/{deployment_id:int}"
ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/deployments",
        answer=list_all,
        needs=READ,
        doc="deployments/deployments#list-deployments",
    ),
    Endpoint(
        method="POST",
        path="/repos/{owner}/{repo}/deployments",
        answer=create,
        needs=WRITE,
        role="write",
        doc="deployments/deployments#create-a-deployment",
    ),
    Endpoint(method="GET", path=ONE, answer=get, needs=READ, doc="deployments/deployments#get-a-deployment"),
    Endpoint(
        method="GET",
        path=f"{ONE}/statuses",
        answer=list_statuses,
        needs=READ,
        doc="deployments/statuses#list-deployment-statuses",
    ),
    Endpoint(
        method="POST",
        path=f"{ONE}/statuses",
        answer=create_status,
        needs=WRITE,
        role="write",
        doc="deployments/statuses#create-a-deployment-status",
    ),
    Endpoint(
        method="GET",
        path=f"{ONE}/statuses/{{status_id:int}}",
        answer=get_status,
        needs=READ,
        doc="deployments/statuses#get-a-deployment-status",
    ),
)
