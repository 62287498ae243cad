"""Repositories, their branches and commits, and who may do what in them."""

from __future__ import annotations

from bot.localhub import refusals
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import commits, people, pulls, repositories

PERMISSION = {"maintain": "write", "triage": "read"}
"""The legacy permission of a role, where it differs from the role's name."""


def repository(call: Call) -> Reply:
    """GET /repos/{owner}/{repo}."""
    role = call.forge.state.role(call.repo, call.caller.login) if call.caller.kind == "user" else "read"
    return Reply(body=repositories.full(call.forge, call.repo, role))


def branches(call: Call) -> Reply:
    """GET …/branches."""
    heads = [(ref[11:], sha) for ref, sha in call.forge.git(call.repo).refs().items() if ref.startswith("refs/heads/")]
    rows, headers = call.page(heads)
    return Reply(body=[commits.short_branch(call.forge, call.repo, *row) for row in rows], headers=headers)


def branch(call: Call) -> Reply:
    """GET …/branches/{branch}."""
    sha = call.forge.git(call.repo).branch(call.path["branch"])
    if sha is None:
        raise refusals.Refused(404, "Branch not found")
    return Reply(body=commits.branch(call.forge, call.repo, call.path["branch"], sha))


def known_commit(call: Call, revision: str) -> str:
    """The SHA that a revision of the path names.

    Raises:
        Refused: 422 for a full SHA that is not here, as for a name that is none.
    """
    sha = call.forge.git(call.repo).resolve(revision)
    if sha is None:
        raise refusals.Refused(422, f"No commit found for SHA: {revision}")
    return sha


def list_commits(call: Call) -> Reply:
    """GET …/commits, newest first, from `sha` or the default branch."""
    git = call.forge.git(call.repo)
    start = git.resolve(call.query.get("sha") or call.repo.default_branch)
    if start is None:
        raise refusals.not_found() if call.query.get("sha") else refusals.Refused(409, "Git Repository is empty.")
    rows, headers = call.page(git.log(None, start, limit=10_000))
    return Reply(body=[commits.commit(call.forge, call.repo, git.commit(sha)) for sha in rows], headers=headers)


def commit(call: Call) -> Reply:
    """GET …/commits/{ref}."""
    one = call.forge.git(call.repo).commit(known_commit(call, call.path["ref"]))
    if "vnd.github.sha" in call.headers.get("accept", "") or "github.v3.sha" in call.headers.get("accept", ""):
        return Reply(body=one.sha.encode(), media="application/vnd.github.sha; charset=utf-8")
    return Reply(body=commits.detailed_commit(call.forge, call.repo, one))


def pulls_of_commit(call: Call) -> Reply:
    """GET …/commits/{sha}/pulls: open ones that contain it, and merged ones that brought it in."""
    git = call.forge.git(call.repo)
    sha = known_commit(call, call.path["sha"])
    found = [
        pull
        for pull in call.forge.state.pulls.where(repository_id=call.repo.id)
        if (git.is_ancestor(sha, pull.head_sha) and not git.is_ancestor(sha, pull.base_sha))
        or sha == pull.merge_commit_sha
    ]
    rows, headers = call.page(found)
    return Reply(body=[pulls.simple(call.forge, pull) for pull in rows], headers=headers)


def compare(call: Call) -> Reply:
    """GET …/compare/{base}...{head}; `owner:branch` names a branch of a fork."""
    base, dots, head = call.path["basehead"].partition("...")
    if not dots:
        raise refusals.not_found()
    ends = [_end(call, one) for one in (base, head)]
    if not ends[0] or not ends[1]:
        raise refusals.not_found()
    shown = commits.compared(call.forge, call.repo, ends[0], ends[1])
    if shown is None:
        raise refusals.Refused(404, f"No common ancestor between {base} and {head}.")
    return Reply(body=shown)


def _end(call: Call, revision: str) -> str | None:
    owner, colon, name = revision.rpartition(":")
    git = call.forge.git(call.repo)
    if not colon or owner.lower() == call.repo.owner.lower():
        return git.resolve(name)
    for fork in call.forge.state.repositories.where(parent_id=call.repo.id):
        sha = call.forge.git(fork).branch(name) if fork.owner.lower() == owner.lower() else None
        if sha:
            git.fetch(call.forge.git(fork), f"refs/heads/{name}", f"refs/compare/{fork.id}/{name}")
            return sha
    return None


def collaborators(call: Call) -> Reply:
    """GET …/collaborators: the owner and those with a role of their own."""
    roles = {call.repo.owner: "admin", **call.repo.collaborators}
    people_here = [login for login in roles if (user := call.forge.state.user(login)) and user.type == "User"]
    rows, headers = call.page(people_here)
    body = [
        {
            **people.by_login(call.forge, login),
            "permissions": repositories.permissions(roles[login]),
            "role_name": roles[login],
        }
        for login in rows
    ]
    return Reply(body=body, headers=headers)


def is_collaborator(call: Call) -> Reply:
    """GET …/collaborators/{username}: 204 or 404."""
    login = call.path["username"].lower()
    if login in {who.lower() for who in (call.repo.owner, *call.repo.collaborators)}:
        return Reply(status=204)
    raise refusals.not_found()


def permission(call: Call) -> Reply:
    """GET …/collaborators/{username}/permission: anybody who exists has one, a stranger's is `read` or `none`."""
    user = call.forge.state.user(call.path["username"])
    if user is None:
        raise refusals.Refused(404, f"{call.path['username']} is not a user")
    role = call.forge.state.role(call.repo, user.login)
    shown = {
        **people.simple_user(call.forge, user),
        "permissions": repositories.permissions(role),
        "role_name": role,
    }
    return Reply(body={"permission": PERMISSION.get(role, role), "user": shown, "role_name": role})


CONTENTS = ("contents:read",)
ENDPOINTS = (
    Endpoint(method="GET", path="/repos/{owner}/{repo}", answer=repository, doc="repos/repos#get-a-repository"),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/branches",
        answer=branches,
        needs=CONTENTS,
        doc="branches/branches#list-branches",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/branches/{branch:rest}",
        answer=branch,
        needs=CONTENTS,
        doc="branches/branches#get-a-branch",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/commits",
        answer=list_commits,
        needs=CONTENTS,
        doc="commits/commits#list-commits",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/commits/{sha}/pulls",
        answer=pulls_of_commit,
        needs=("contents:read", "pull_requests:read"),
        doc="commits/commits#list-pull-requests-associated-with-a-commit",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/compare/{basehead:rest}",
        answer=compare,
        needs=CONTENTS,
        doc="commits/commits#compare-two-commits",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/collaborators",
        answer=collaborators,
        role="write",
        doc="collaborators/collaborators#list-repository-collaborators",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/collaborators/{username}",
        answer=is_collaborator,
        role="write",
        doc="collaborators/collaborators#check-if-a-user-is-a-repository-collaborator",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/collaborators/{username}/permission",
        answer=permission,
        role="write",
        doc="collaborators/collaborators#get-repository-permissions-for-a-user",
    ),
)
COMMIT = Endpoint(
    method="GET",
    path="/repos/{owner}/{repo}/commits/{ref:rest}",
    answer=commit,
    needs=CONTENTS,
    doc="commits/commits#get-a-commit",
)
"""Last in the API's table: its `{ref}` may contain slashes and would swallow its neighbours."""
