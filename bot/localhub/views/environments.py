"""Environments, teams, and jobs that wait for an environment, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.views import deployments
from bot.localhub.views.people import by_login, node_id
from bot.localhub.views.repositories import api_url, html_url, repository

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Environment, Json, PendingDeployment, Repository, Team, WorkflowRun

POLICIES = {"protected": (True, False), "custom": (False, True)}


def team(forge: Forge, row: Team) -> Json:
    """`team`."""
    url = f"{forge.url}/organizations/{row.organization}/team/{row.id}"
    return {
        "id": row.id,
        "node_id": node_id("Team", row.id),
        "name": row.slug,
        "slug": row.slug,
        "description": None,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "type": "organization",
        "url": url,
        "html_url": f"{forge.url}/orgs/{row.organization}/teams/{row.slug}",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
        "parent": None,
    }


def reviewers(forge: Forge, row: Environment) -> list[Json]:
    """Who may let a job into an environment."""
    shown = []
    for name in row.reviewers:
        found = forge.state.team(name) if "/" in name else None
        reviewer = team(forge, found) if found else by_login(forge, name)
        shown.append({"type": "Team" if found else "User", "reviewer": reviewer})
    return shown


def _told_reviewers(forge: Forge, row: Environment) -> list[Json]:
    """The same in events, where a team does not say whose it is."""
    shown = reviewers(forge, row)
    for one in shown:
        if one["type"] == "Team":
            del one["reviewer"]["type"]
    return shown


def environment(forge: Forge, repo: Repository, row: Environment) -> Json:
    """`environment`; Apps' rules are listed with the others, and told apart elsewhere."""
    protected, custom = POLICIES.get(row.branch_policy, (False, False))
    policy = {"protected_branches": protected, "custom_branch_policies": custom} if row.branch_policy else None
    return {
        "id": row.id,
        "node_id": node_id("Environment", row.id),
        "name": row.name,
        "url": f"{api_url(forge, repo)}/environments/{row.name}",
        "html_url": f"{html_url(forge, repo)}/deployments/activity_log?environments_filter={row.name}",
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "can_admins_bypass": True,
        "protection_rules": _rules(forge, row),
        "deployment_branch_policy": policy,
    }


def _rules(forge: Forge, row: Environment) -> list[Json]:
    rules: list[Json] = []
    if row.wait_timer:
        rules.append({"type": "wait_timer", "wait_timer": row.wait_timer})
    if row.reviewers:
        who = {"prevent_self_review": row.prevent_self_review, "reviewers": reviewers(forge, row)}
        rules.append({"type": "required_reviewers", **who})
    if row.branch_policy:
        rules.append({"type": "branch_policy"})
    return [
        {"id": row.id * 10 + number, "node_id": node_id("Gate", row.id * 10 + number), **rule}
        for number, rule in enumerate(rules)
    ]


def custom_rules(forge: Forge, row: Environment) -> list[Json]:
    """`deployment-protection-rule`: the Apps that are asked."""
    shown = []
    for app_id in row.custom_rules:
        app = forge.state.apps.get(app_id)
        assert app, "a rule belongs to an App"
        whose = {
            "id": app.id,
            "slug": app.slug,
            "node_id": node_id("Integration", app.id),
            "integration_url": f"{forge.url}/apps/{app.slug}",
        }
        number = row.id * 10 + app_id
        shown.append({"id": number, "node_id": node_id("Gate", number), "enabled": True, "app": whose})
    return shown


def pending(forge: Forge, repo: Repository, row: PendingDeployment, *, may_approve: bool) -> Json:
    """`pending-deployment`."""
    found = forge.state.environments.get(row.environment_id)
    assert found, "a job waits for an environment"
    full = environment(forge, repo, found)
    return {
        "environment": {name: full[name] for name in ("id", "node_id", "name", "url", "html_url")},
        "wait_timer": found.wait_timer,
        "wait_timer_started_at": row.asked_at if found.wait_timer else None,
        "current_user_can_approve": may_approve,
        "reviewers": reviewers(forge, found),
    }


def callback(forge: Forge, repo: Repository, row: PendingDeployment) -> str:
    """Where an App's answer goes; the run's number stands nowhere else in what it is told."""
    return f"{api_url(forge, repo)}/actions/runs/{row.run_id}/deployment_protection_rule"


def asked(forge: Forge, repo: Repository, row: PendingDeployment) -> Json:
    """The body of a `deployment_protection_rule` event."""
    found, run = forge.state.environments.get(row.environment_id), forge.state.workflow_runs.get(row.run_id)
    about = forge.state.deployments.get(row.deployment_id)
    assert found, "a job waits for an environment"
    assert run, "a job is of a run"
    assert about, "Actions made it"
    return {
        "action": "requested",
        "environment": found.name,
        "event": run.event,
        "ref": f"refs/heads/{run.head_branch}",
        "sha": run.head_sha,
        "deployment_callback_url": callback(forge, repo, row),
        "deployment": deployments.deployment(forge, repo, about),
        "pull_requests": [],
        "repository": repository(forge, repo),
        "sender": by_login(forge, run.by),
    }


def reviewed(forge: Forge, repo: Repository, row: PendingDeployment, action: str, *, by: str, comment: str) -> Json:
    """The body of a `deployment_review` event."""
    found, run = forge.state.environments.get(row.environment_id), forge.state.workflow_runs.get(row.run_id)
    assert found, "a job waits for an environment"
    assert run, "a job is of a run"
    job = _job(forge, repo, row, found, run)
    organization = _organization(forge, repo)
    body = {
        "action": action,
        "workflow_run": workflow_run(forge, repo, run),
        "since": row.asked_at,
        "repository": repository(forge, repo),
        **({"organization": organization} if organization else {}),
        "sender": by_login(forge, by),
    }
    if action == "requested":
        who = {"reviewers": _told_reviewers(forge, found), "requestor": by_login(forge, run.by)}
        return {**body, "environment": found.name, "workflow_job_run": job, **who}
    said = {"approver": by_login(forge, by), "comment": comment, "reviewers": _told_reviewers(forge, found)}
    return {**body, **said, "workflow_job_run": job, "workflow_job_runs": [job]}


def _job(forge: Forge, repo: Repository, row: PendingDeployment, found: Environment, run: WorkflowRun) -> Json:
    return {
        "id": row.id,
        "name": None,
        "status": "waiting",
        "conclusion": None,
        "environment": found.name,
        "html_url": f"{html_url(forge, repo)}/actions/runs/{run.id}/job/{row.id}",
        "created_at": row.asked_at,
        "updated_at": row.asked_at,
    }


def _organization(forge: Forge, repo: Repository) -> Json | None:
    account = forge.state.account(repo.owner)
    if account.type != "Organization":
        return None
    url = f"{forge.url}/orgs/{account.login}"
    parts = ("repos", "events", "hooks", "issues")
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("Organization", account.id),
        "url": url,
        **{f"{part}_url": f"{url}/{part}" for part in parts},
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": by_login(forge, account.login)["avatar_url"],
        "description": None,
    }


def workflow_run(forge: Forge, repo: Repository, run: WorkflowRun) -> Json:
    """A workflow run, as events carry it."""
    url = f"{api_url(forge, repo)}/actions/runs/{run.id}"
    actor = by_login(forge, run.by)
    return {
        "id": run.id,
        "name": run.name,
        "node_id": node_id("WorkflowRun", run.id),
        "path": ".github/workflows/deploy.yml",
        "display_title": run.name,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "run_number": run.number,
        "run_attempt": 1,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": repo.id,
        "check_suite_id": run.id,
        "check_suite_node_id": node_id("CheckSuite", run.id),
        "url": url,
        "html_url": f"{html_url(forge, repo)}/actions/runs/{run.id}",
        "pull_requests": [],
        "created_at": run.created_at,
        "updated_at": run.created_at,
        "run_started_at": run.created_at,
        "actor": actor,
        "triggering_actor": actor,
        "head_commit": None,
    }
