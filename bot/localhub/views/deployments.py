"""Deployments, their statuses and releases as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.views.people import by_login, integration, node_id
from bot.localhub.views.repositories import api_url, html_url

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Deployment, DeploymentStatus, Json, Release, Repository


def deployment(forge: Forge, repo: Repository, row: Deployment) -> Json:
    """`deployment`."""
    url = f"{api_url(forge, repo)}/deployments/{row.id}"
    app = forge.state.apps.get(row.app_id)
    return {
        "url": url,
        "id": row.id,
        "node_id": node_id("Deployment", row.id),
        "sha": row.sha,
        "ref": row.ref,
        "task": row.task,
        "payload": row.payload,
        "original_environment": row.environment,
        "environment": row.environment,
        "description": row.description,
        "creator": by_login(forge, row.creator),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "statuses_url": f"{url}/statuses",
        "repository_url": api_url(forge, repo),
        "transient_environment": row.transient,
        "production_environment": row.production,
        "performed_via_github_app": integration(forge, app) if app else None,
    }


def status(forge: Forge, repo: Repository, row: DeploymentStatus) -> Json:
    """`deployment-status`. GitHub still shows the log's address as the target's, too."""
    about = f"{api_url(forge, repo)}/deployments/{row.deployment_id}"
    app = forge.state.apps.get(row.app_id)
    return {
        "url": f"{about}/statuses/{row.id}",
        "id": row.id,
        "node_id": node_id("DeploymentStatus", row.id),
        "state": row.state,
        "creator": by_login(forge, row.creator),
        "description": row.description,
        "environment": row.environment,
        "target_url": row.log_url,
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "deployment_url": about,
        "repository_url": api_url(forge, repo),
        "environment_url": row.environment_url,
        "log_url": row.log_url,
        "performed_via_github_app": integration(forge, app) if app else None,
    }


def release(forge: Forge, repo: Repository, row: Release) -> Json:
    """`release`, without assets."""
    url, html = f"{api_url(forge, repo)}/releases/{row.id}", html_url(forge, repo)
    return {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "html_url": f"{html}/releases/tag/{row.tag}",
        "id": row.id,
        "author": by_login(forge, row.author),
        "node_id": node_id("Release", row.id),
        "tag_name": row.tag,
        "target_commitish": row.target,
        "name": row.name,
        "draft": row.draft,
        "immutable": False,
        "prerelease": row.prerelease,
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "published_at": None if row.draft else row.created_at,
        "assets": [],
        "tarball_url": f"{html}/archive/{row.tag}.tar.gz",
        "zipball_url": f"{html}/archive/{row.tag}.zip",
        "body": row.body,
    }
