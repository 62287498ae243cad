"""Git refs and commit objects."""

from __future__ import annotations

from bot.localhub import refusals
from bot.localhub.acts import pushes
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import commits


def get(call: Call) -> Reply:
    """GET …/git/ref/{ref}: exactly this one, like `heads/main`."""
    name = f"refs/{call.path['ref']}"
    sha = call.forge.git(call.repo).refs().get(name)
    if sha is None:
        raise refusals.not_found()
    return Reply(body=commits.ref(call.forge, call.repo, name, sha))


def matching(call: Call) -> Reply:
    """GET …/git/matching-refs/{ref}: all that begin like this."""
    prefix = f"refs/{call.path['ref']}"
    found = [(name, sha) for name, sha in call.forge.git(call.repo).refs().items() if name.startswith(prefix)]
    rows, headers = call.page(found)
    return Reply(body=[commits.ref(call.forge, call.repo, *row) for row in rows], headers=headers)


def create(call: Call) -> Reply:
    """POST …/git/refs."""
    name, sha = fields.required_text(call.body, "ref"), fields.required_text(call.body, "sha")
    git = call.forge.git(call.repo)
    if not name.startswith(("refs/heads/", "refs/tags/")) or not git.valid_ref(name):
        raise refusals.Refused(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if name in git.refs():
        raise refusals.Refused(422, "Reference already exists")
    _must_exist(call, sha)
    git.update_ref(name, sha)
    pushes.observe(call.forge, call.repo, call.caller.login)
    return Reply(status=201, body=commits.ref(call.forge, call.repo, name, sha))


def update(call: Call) -> Reply:
    """PATCH …/git/refs/{ref}: forward, or anywhere with `force`."""
    name, sha = f"refs/{call.path['ref']}", fields.required_text(call.body, "sha")
    force = fields.flag(call.body, "force")
    git = call.forge.git(call.repo)
    old = git.refs().get(name)
    if old is None:
        raise refusals.Refused(422, "Reference does not exist")
    _must_exist(call, sha)
    if not force and not git.is_ancestor(old, sha):
        raise refusals.Refused(422, "Update is not a fast forward")
    git.update_ref(name, sha)
    pushes.observe(call.forge, call.repo, call.caller.login)
    return Reply(body=commits.ref(call.forge, call.repo, name, sha))


def delete(call: Call) -> Reply:
    """DELETE …/git/refs/{ref}; the default branch stays."""
    name = f"refs/{call.path['ref']}"
    git = call.forge.git(call.repo)
    if name not in git.refs():
        raise refusals.Refused(422, "Reference does not exist")
    if name == f"refs/heads/{call.repo.default_branch}":
        raise refusals.Refused(422, "Cannot delete the default branch")
    git.delete_ref(name)
    pushes.observe(call.forge, call.repo, call.caller.login)
    return Reply(status=204)


def _must_exist(call: Call, sha: str) -> None:
    if not fields.SHA.fullmatch(sha) or call.forge.git(call.repo).kind(sha) not in {"commit", "tag"}:
        raise refusals.Refused(422, "Object does not exist")


def commit(call: Call) -> Reply:
    """GET …/git/commits/{sha}."""
    git = call.forge.git(call.repo)
    if git.kind(call.path["sha"]) != "commit":
        raise refusals.not_found()
    return Reply(body=commits.git_commit(call.forge, call.repo, git.commit(call.path["sha"])))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/git/ref/{ref:rest}",
        answer=get,
        needs=("contents:read",),
        doc="git/refs#get-a-reference",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/git/matching-refs/{ref:rest}",
        answer=matching,
        needs=("contents:read",),
        doc="git/refs#list-matching-references",
    ),
    Endpoint(
        method="POST",
        path="/repos/{owner}/{repo}/git/refs",
        answer=create,
        needs=("contents:write",),
        role="write",
        doc="git/refs#create-a-reference",
    ),
    Endpoint(
        method="PATCH",
        path="/repos/{owner}/{repo}/git/refs/{ref:rest}",
        answer=update,
        needs=("contents:write",),
        role="write",
        doc="git/refs#update-a-reference",
    ),
    Endpoint(
        method="DELETE",
        path="/repos/{owner}/{repo}/git/refs/{ref:rest}",
        answer=delete,
        needs=("contents:write",),
        role="write",
        doc="git/refs#delete-a-reference",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/git/commits/{sha}",
        answer=commit,
        needs=("contents:read",),
        doc="git/commits#get-a-commit-object",
    ),
)
