"""Releases, without their assets."""

from __future__ import annotations

from bot.localhub import refusals
from bot.localhub.acts import pushes
from bot.localhub.records import Release
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import deployments


def create(call: Call) -> Reply:
    """POST …/releases; a tag that is not there is made at `target_commitish`, a draft has none yet."""
    tag = fields.required_text(call.body, "tag_name")
    target = fields.text(call.body, "target_commitish") or call.repo.default_branch
    if call.forge.state.releases.first(repository_id=call.repo.id, tag=tag):
        raise refusals.invalid({"resource": "Release", "code": "already_exists", "field": "tag_name"})
    draft = fields.flag(call.body, "draft")
    git = call.forge.git(call.repo)
    if not draft and git.refs().get(f"refs/tags/{tag}") is None:
        sha = git.resolve(target)
        if sha is None:
            raise refusals.invalid({"resource": "Release", "code": "invalid", "field": "target_commitish"})
        git.update_ref(f"refs/tags/{tag}", sha)
        pushes.observe(call.forge, call.repo, call.caller.login)
    row = call.forge.state.releases.put(
        Release(
            id=call.forge.state.releases.new_id(),
            repository_id=call.repo.id,
            tag=tag,
            target=target,
            name=fields.text(call.body, "name"),
            body=fields.text(call.body, "body"),
            draft=draft,
            prerelease=fields.flag(call.body, "prerelease"),
            author=call.caller.login,
            created_at=call.forge.clock.stamp(),
        )
    )
    return Reply(status=201, body=deployments.release(call.forge, call.repo, row))


def list_all(call: Call) -> Reply:
    """GET …/releases, newest first."""
    rows, headers = call.page(call.forge.state.releases.where(repository_id=call.repo.id)[::-1])
    return Reply(body=[deployments.release(call.forge, call.repo, row) for row in rows], headers=headers)


def by_tag(call: Call) -> Reply:
    """GET …/releases/tags/{tag}; drafts are not found by it."""
    row = call.forge.state.releases.first(repository_id=call.repo.id, tag=call.path["tag"], draft=False)
    if row is None:
        raise refusals.not_found()
    return Reply(body=deployments.release(call.forge, call.repo, row))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/releases",
        answer=list_all,
        needs=("contents:read",),
        doc="releases/releases#list-releases",
    ),
    Endpoint(
        method="POST",
        path="/repos/{owner}/{repo}/releases",
        answer=create,
        needs=("contents:write",),
        role="write",
        doc="releases/releases#create-a-release",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/releases/tags/{tag:rest}",
        answer=by_tag,
        needs=("contents:read",),
        doc="releases/releases#get-a-release-by-tag-name",
    ),
)
