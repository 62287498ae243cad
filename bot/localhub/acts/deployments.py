"""Deployments and what is said about them: who is told, and which older ones are over by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.localhub.acts import environments
from bot.localhub.records import Deployment, DeploymentStatus
from bot.localhub.views import deployments, people, repositories

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Json, Repository

QUIET = frozenset({"inactive"})
"""GitHub tells nobody of a deployment that is over."""


def create(forge: Forge, repo: Repository, *, sha: str, by: str, facts: Json, app_id: int = 0) -> Deployment:
    """Remember a deployment; an environment that nobody has configured comes into being by it.

    Args:
        forge: the hub's core.
        repo: where.
        sha: the commit.
        by: login.
        facts: `ref`, `task`, `environment`, `description`, `payload`, `production` and `transient`.
        app_id: the App that it was made through.
    """
    now = forge.clock.stamp()
    row = forge.state.deployments.put(
        Deployment(
            id=forge.state.deployments.new_id(),
            repository_id=repo.id,
            sha=sha,
            creator=by,
            created_at=now,
            updated_at=now,
            app_id=app_id,
            **facts,
        )
    )
    environments.known(forge, repo, row.environment)

    def payload() -> Json:
        shown = {"deployment": deployments.deployment(forge, repo, row), "workflow": None, "workflow_run": None}
        return {"action": "created", **shown, **_where(forge, repo, by)}

    forge.emit("deployment", payload, repo=repo)
    return row


def say(forge: Forge, repo: Repository, about: Deployment, *, by: str, facts: Json, app_id: int = 0) -> None:
    """Add a status; `facts` are its `state`, `description`, `environment`, `environment_url` and `log_url`."""
    row = _add(forge, about, by=by, facts=facts, app_id=app_id)
    if row.state in QUIET:
        return

    def payload() -> Json:
        shown = {
            "deployment_status": deployments.status(forge, repo, row),
            "deployment": deployments.deployment(forge, repo, about),
            "check_run": None,
            "workflow": None,
            "workflow_run": None,
        }
        return {"action": "created", **shown, **_where(forge, repo, by)}

    forge.emit("deployment_status", payload, repo=repo)


def supersede(forge: Forge, about: Deployment, environment: str, *, by: str, app_id: int) -> None:
    """A success makes earlier ones of its environment inactive: those that neither are production nor transient.

    Source: https://docs.github.com/rest/deployments/statuses#create-a-deployment-status (`auto_inactive`)
    """
    for earlier in forge.state.deployments.where(repository_id=about.repository_id):
        if earlier.id >= about.id or earlier.production or earlier.transient:
            continue
        last = newest(forge, earlier)
        if last is not None and last.state == "success" and last.environment == environment:
            facts = {"state": "inactive", "environment": environment}
            _add(forge, earlier, by=by, facts=facts, app_id=app_id)


def newest(forge: Forge, about: Deployment) -> DeploymentStatus | None:
    """What was said about a deployment last."""
    said = forge.state.deployment_statuses.where(deployment_id=about.id)
    return said[-1] if said else None


def _add(forge: Forge, about: Deployment, *, by: str, facts: Json, app_id: int) -> DeploymentStatus:
    now = forge.clock.stamp()
    empty: dict[str, Any] = {"description": "", "environment_url": "", "log_url": ""}
    forge.state.deployments.change(about, updated_at=now)
    return forge.state.deployment_statuses.put(
        DeploymentStatus(
            id=forge.state.deployment_statuses.new_id(),
            deployment_id=about.id,
            repository_id=about.repository_id,
            creator=by,
            created_at=now,
            app_id=app_id,
            **{**empty, **facts},
        )
    )


def _where(forge: Forge, repo: Repository, by: str) -> Json:
    return {"repository": repositories.repository(forge, repo), "sender": people.by_login(forge, by)}
