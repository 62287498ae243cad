"""Environments, and jobs of workflows that wait to go into one: for Apps' rules, for reviewers, for a timer.

Only as much of Actions as an App sees: a run with one job that names an environment. Nothing of it is executed.
Source: https://docs.github.com/actions/deployment/targeting-different-environments/managing-environments-for-deployment
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from bot.localhub.acts import accounts
from bot.localhub.clock import parse_timestamp, timestamp
from bot.localhub.records import Deployment, DeploymentStatus, Environment, PendingDeployment, Team, WorkflowRun
from bot.localhub.views import deployments as deployment_views
from bot.localhub.views import environments as views
from bot.localhub.views import people, repositories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.localhub.forge import Forge
    from bot.localhub.records import App, Json, Repository

ACTIONS = "github-actions[bot]"
DAYS = 30.0
"""After so many days GitHub fails a job that still waits."""

NOTHING_PENDING = "No pending deployment requests to approve or reject"
ALREADY = "Deployment protection rule has already been reviewed"


class Unanswerable(Exception):
    """GitHub takes no such answer; the message is its own."""


def known(forge: Forge, repo: Repository, name: str) -> Environment:
    """The environment of this name; one that nobody has configured comes into being when it is used."""
    if found := forge.state.environment(repo, name):
        return found
    row = Environment(
        id=forge.state.environments.new_id(), repository_id=repo.id, name=name, created_at=forge.clock.stamp()
    )
    return forge.state.environments.put(row)


def protect(
    forge: Forge,
    repo: Repository,
    name: str,
    *,
    reviewers: Sequence[str] = (),
    prevent_self_review: bool = False,
    wait_timer: int = 0,
    branch_policy: str = "",
    custom_rules: Sequence[int] = (),
) -> Environment:
    """Say what protects an environment; whatever protected it before does not any more.

    Raises:
        LookupError: a reviewer is neither a user nor a team.
    """
    for reviewer in reviewers:
        if (forge.state.team(reviewer) if "/" in reviewer else forge.state.user(reviewer)) is None:
            message = f"no user or team {reviewer!r}"
            raise LookupError(message)
    return forge.state.environments.change(
        known(forge, repo, name),
        reviewers=list(reviewers),
        prevent_self_review=prevent_self_review,
        wait_timer=wait_timer,
        branch_policy=branch_policy,
        custom_rules=list(custom_rules),
    )


def team(forge: Forge, name: str, members: Sequence[str]) -> Team:
    """Make a team, `organization/slug`, or give it other members."""
    if found := forge.state.team(name):
        return forge.state.teams.change(found, members=list(members))
    organization, _, slug = name.partition("/")
    row = Team(id=forge.state.teams.new_id(), organization=organization, slug=slug, members=list(members))
    return forge.state.teams.put(row)


def want(
    forge: Forge,
    repo: Repository,
    name: str,
    *,
    sha: str,
    by: str,
    ref: str = "",
    event: str = "push",
    run: WorkflowRun | None = None,
    days: float = DAYS,
) -> PendingDeployment:
    """A job of a workflow wants to go into an environment; its Apps are asked, and so are its reviewers.

    `run` is the run that is tried again; by default it is a new one.
    """
    environment = known(forge, repo, name)
    run = run or _run(forge, repo, sha=sha, ref=ref or repo.default_branch, by=by, event=event)
    now = forge.clock.now()
    row = forge.state.pending.put(
        PendingDeployment(
            id=forge.state.pending.new_id(),
            repository_id=repo.id,
            run_id=run.id,
            environment_id=environment.id,
            deployment_id=_deployment(forge, repo, environment, run).id,
            asked_at=timestamp(now),
            due_at=timestamp(now + timedelta(days=days)),
            rules=dict.fromkeys(map(str, environment.custom_rules), ""),
        )
    )
    for app_id in environment.custom_rules:
        forge.emit("deployment_protection_rule", lambda: views.asked(forge, repo, row), repo=repo, app_id=app_id)
    if environment.reviewers:
        _emit_review(forge, repo, row, "requested", by=run.by)
    return settle(forge, row)


def settle(forge: Forge, row: PendingDeployment) -> PendingDeployment:
    """Let a job go on, or end it, if everybody has said what they had to, or time is over."""
    if row.state != "waiting":
        return row
    environment = forge.state.environments.get(row.environment_id)
    assert environment, "a job waits for an environment"
    now, asked = forge.clock.now(), parse_timestamp(row.asked_at)
    said = [*row.rules.values(), *([row.review] if environment.reviewers else ())]
    if "rejected" in said:
        return _end(forge, row, "rejected")
    if now >= parse_timestamp(row.due_at):
        return _end(forge, row, "expired")
    if all(one == "approved" for one in said) and now >= asked + timedelta(minutes=environment.wait_timer):
        _say(forge, row, "in_progress")
        return forge.state.pending.change(row, state="approved")
    return row


def answer(
    forge: Forge, run: WorkflowRun, app: App, name: str, *, state: Literal["approved", "rejected"] | None, comment: str
) -> None:
    """What an App says for its own rule; without a state it only comments.

    Raises:
        Unanswerable: none of its rules waits for that.
    """
    found = [row for row in _of(forge, run, name) if str(app.id) in row.rules]
    waiting = [row for row in (settle(forge, one) for one in found) if row.state == "waiting"]
    open_ones = [row for row in waiting if not row.rules[str(app.id)]]
    if not open_ones:
        raise Unanswerable(ALREADY if any(row.rules[str(app.id)] for row in found) else NOTHING_PENDING)
    for row in open_ones:
        said = {"app_id": app.id, "state": state or "", "comment": comment, "at": forge.clock.stamp()}
        rules = {**row.rules, str(app.id): state} if state else row.rules
        settle(forge, forge.state.pending.change(row, rules=rules, comments=[*row.comments, said]))


def may_review(forge: Forge, row: PendingDeployment, login: str) -> bool:
    """Whether somebody is a reviewer of what waits; whoever started it may not be one."""
    environment, run = forge.state.environments.get(row.environment_id), forge.state.workflow_runs.get(row.run_id)
    assert environment, "a job waits for an environment"
    assert run, "a job is of a run"
    if environment.prevent_self_review and run.by.lower() == login.lower():
        return False
    for reviewer in environment.reviewers:
        found = forge.state.team(reviewer) if "/" in reviewer else None
        if login.lower() in [one.lower() for one in (found.members if found else [reviewer])]:
            return True
    return False


def review(
    forge: Forge,
    repo: Repository,
    run: WorkflowRun,
    environment_ids: Sequence[int],
    *,
    by: str,
    state: str,
    comment: str,
) -> list[Deployment]:
    """What a reviewer says about jobs that wait; which deployments that let go or ended.

    Raises:
        Unanswerable: none of them waits for this person.
    """
    named = [row for row in forge.state.pending.where(run_id=run.id) if row.environment_id in environment_ids]
    rows = [settle(forge, row) for row in named]
    mine = [row for row in rows if row.state == "waiting" and not row.review and may_review(forge, row, by)]
    if not mine:
        raise Unanswerable(NOTHING_PENDING)
    reviewed = []
    for row in mine:
        said = forge.state.pending.change(row, review=state, reviewed_by=by)
        _emit_review(forge, repo, said, state, by=by, comment=comment)
        settle(forge, said)
        reviewed += [one for one in [forge.state.deployments.get(row.deployment_id)] if one]
    return reviewed


def _of(forge: Forge, run: WorkflowRun, name: str) -> list[PendingDeployment]:
    repo = forge.state.repositories.get(run.repository_id)
    environment = forge.state.environment(repo, name) if repo else None
    return forge.state.pending.where(run_id=run.id, environment_id=environment.id) if environment else []


def _run(forge: Forge, repo: Repository, *, sha: str, ref: str, by: str, event: str) -> WorkflowRun:
    return forge.state.workflow_runs.put(
        WorkflowRun(
            id=forge.state.workflow_runs.new_id(),
            repository_id=repo.id,
            name="Deploy",
            number=len(forge.state.workflow_runs.where(repository_id=repo.id)) + 1,
            event=event,
            head_branch=ref,
            head_sha=sha,
            by=by,
            created_at=forge.clock.stamp(),
            status="waiting",
        )
    )


def _deployment(forge: Forge, repo: Repository, environment: Environment, run: WorkflowRun) -> Deployment:
    """Actions makes one for each job that names an environment; production is what is called so."""
    now = forge.clock.stamp()
    accounts.create_user(forge, ACTIONS, kind="Bot")
    row = forge.state.deployments.put(
        Deployment(
            id=forge.state.deployments.new_id(),
            repository_id=repo.id,
            sha=run.head_sha,
            ref=run.head_branch,
            task="deploy",
            environment=environment.name,
            description=None,
            payload={},
            production=environment.name == "production",
            transient=False,
            creator=ACTIONS,
            created_at=now,
            updated_at=now,
        )
    )
    shown = {"deployment": deployment_views.deployment(forge, repo, row), "workflow": None}
    where = {"repository": repositories.repository(forge, repo), "sender": people.by_login(forge, run.by)}
    full = {"action": "created", **shown, "workflow_run": views.workflow_run(forge, repo, run), **where}
    forge.emit("deployment", lambda: full, repo=repo)
    return row


def _end(forge: Forge, row: PendingDeployment, state: str) -> PendingDeployment:
    """The job fails, and with it its run; whatever waited behind it in its concurrency group may start."""
    _say(forge, row, "failure")
    if run := forge.state.workflow_runs.get(row.run_id):
        forge.state.workflow_runs.change(run, status="completed", conclusion="failure")
    return forge.state.pending.change(row, state=state)


def _say(forge: Forge, row: PendingDeployment, state: str) -> None:
    environment, run = forge.state.environments.get(row.environment_id), forge.state.workflow_runs.get(row.run_id)
    if run and state == "in_progress":
        forge.state.workflow_runs.change(run, status="in_progress")
    forge.state.deployment_statuses.put(
        DeploymentStatus(
            id=forge.state.deployment_statuses.new_id(),
            deployment_id=row.deployment_id,
            repository_id=row.repository_id,
            state=state,
            description="",
            environment=environment.name if environment else "",
            environment_url="",
            log_url="",
            creator=ACTIONS,
            created_at=forge.clock.stamp(),
        )
    )


def _emit_review(
    forge: Forge, repo: Repository, row: PendingDeployment, action: str, *, by: str, comment: str = ""
) -> None:
    def payload() -> Json:
        return views.reviewed(forge, repo, row, action, by=by, comment=comment)

    forge.emit("deployment_review", payload, repo=repo)
