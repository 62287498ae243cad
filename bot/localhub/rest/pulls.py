"""Pull requests: opened, listed, edited, merged, and what they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub import access, refusals
from bot.localhub.acts import pulls as acts
from bot.localhub.acts import pushes
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import commits, pulls

if TYPE_CHECKING:
    from bot.localhub.records import PullRequest, Repository

LONGEST_TITLE = 256
METHODS = ("merge", "squash", "rebase")


def _pull(call: Call) -> PullRequest:
    pull = call.forge.state.pull(call.repo, call.number("number"))
    if pull is None:
        raise refusals.not_found()
    return pull


def list_pulls(call: Call) -> Reply:
    """GET …/pulls, newest first, by state, head (`owner:branch`) and base."""
    wanted = call.query.get("state", "open")
    rows = [
        pull
        for pull in call.forge.state.pulls.where(repository_id=call.repo.id)
        if wanted in {"all", pull.state}
        and call.query.get("base", pull.base_ref) == pull.base_ref
        and call.query.get("head", _label(call, pull)) == _label(call, pull)
    ]
    by = call.query.get("sort", "created")
    key = {"updated": lambda one: one.updated_at}.get(by, lambda one: one.number)
    rows.sort(key=key, reverse=call.query.get("direction", "desc" if by == "created" else "asc") == "desc")
    shown, headers = call.page(rows)
    return Reply(body=[pulls.simple(call.forge, pull) for pull in shown], headers=headers)


def _label(call: Call, pull: PullRequest) -> str:
    head = call.forge.state.repositories.get(pull.head_repository_id)
    return f"{head.owner if head else call.repo.owner}:{pull.head_ref}"


def get(call: Call) -> Reply:
    """GET …/pulls/{number}."""
    return Reply(body=pulls.full(call.forge, _pull(call)))


def create(call: Call) -> Reply:
    """POST …/pulls: by anybody who may push to the head."""
    head, base = fields.required_text(call.body, "head"), fields.required_text(call.body, "base")
    title = fields.text(call.body, "title", most=LONGEST_TITLE)
    if not title:
        raise refusals.invalid(refusals.problem("PullRequest", "title", "missing_field"))
    source, branch = _head(call, head)
    _check_ends(call, source, branch, base)
    if call.caller.kind == "user" and not call.forge.state.may(source, call.caller.login, "write"):
        raise refusals.Refused(403, "must be a collaborator")
    wish = acts.Proposal(
        repository=call.repo,
        base=base,
        head_repository=source,
        head=branch,
        title=title,
        body=fields.text(call.body, "body"),
        by=call.caller.login,
        draft=fields.flag(call.body, "draft"),
        maintainer_can_modify=fields.flag(call.body, "maintainer_can_modify"),
    )
    return Reply(status=201, body=pulls.full(call.forge, acts.open_pull(call.forge, wish)))


def _head(call: Call, head: str) -> tuple[Repository, str]:
    owner, colon, branch = head.rpartition(":")
    if not colon or owner.lower() == call.repo.owner.lower():
        return call.repo, branch
    forks = call.forge.state.repositories.where(parent_id=call.repo.id)
    fork = next((fork for fork in forks if fork.owner.lower() == owner.lower()), None)
    if fork is None:
        raise refusals.invalid(refusals.problem("PullRequest", "head", "invalid"))
    return fork, branch


def _check_ends(call: Call, source: Repository, branch: str, base: str) -> None:
    base_sha, head_sha = call.forge.git(call.repo).branch(base), call.forge.git(source).branch(branch)
    for field, sha in (("head", head_sha), ("base", base_sha)):
        if sha is None:
            raise refusals.invalid(refusals.problem("PullRequest", field, "invalid"))
    same = {"head_repository_id": source.id, "head_ref": branch, "base_ref": base, "state": "open"}
    if call.forge.state.pulls.first(repository_id=call.repo.id, **same):
        sentence = f"A pull request already exists for {source.owner}:{branch}."
        raise refusals.invalid({"resource": "PullRequest", "code": "custom", "message": sentence})
    git = call.forge.git(source)
    if head_sha == base_sha or (git.kind(str(base_sha)) and git.is_ancestor(str(head_sha), str(base_sha))):
        sentence = f"No commits between {base} and {branch}"
        raise refusals.invalid({"resource": "PullRequest", "code": "custom", "message": sentence})


def update(call: Call) -> Reply:
    """PATCH …/pulls/{number}: title, body, base and state."""
    pull = _pull(call)
    access.require_author(call.forge, call.caller, call.repo, pull.author)
    state = fields.choice(call.body, "state", ("open", "closed"))
    base = fields.text(call.body, "base")
    if base and call.forge.git(call.repo).branch(base) is None:
        raise refusals.invalid(refusals.problem("PullRequest", "base", "invalid"))
    title, body = fields.text(call.body, "title", most=LONGEST_TITLE), fields.text(call.body, "body")
    pull = acts.edit(call.forge, pull, call.caller.login, title=title, body=body, base=base)
    if state == "closed" and pull.state == "open":
        pull = pushes.close(call.forge, pull, call.caller.login)
    elif state == "open" and pull.state == "closed":
        if pull.merged_at:
            sentence = "state cannot be changed. The pull request cannot be reopened."
            raise refusals.invalid(refusals.problem("PullRequest", "state", "invalid", sentence))
        pull = acts.reopen(call.forge, pull, call.caller.login)
    return Reply(body=pulls.full(call.forge, pull))


def files(call: Call) -> Reply:
    """GET …/pulls/{number}/files."""
    pull = _pull(call)
    rows, headers = call.page(pulls.changes(call.forge, pull))
    shown = [commits.file_change(call.forge, call.repo, pull.head_sha, change) for change in rows]
    return Reply(body=shown, headers=headers)


def pull_commits(call: Call) -> Reply:
    """GET …/pulls/{number}/commits, oldest first."""
    pull, git = _pull(call), call.forge.git(call.repo)
    rows, headers = call.page(list(reversed(git.log(pull.base_sha, pull.head_sha))))
    return Reply(body=[commits.commit(call.forge, call.repo, git.commit(sha)) for sha in rows], headers=headers)


def is_merged(call: Call) -> Reply:
    """GET …/pulls/{number}/merge: 204 or 404."""
    if _pull(call).merged_at:
        return Reply(status=204)
    raise refusals.not_found()


def merge(call: Call) -> Reply:
    """PUT …/pulls/{number}/merge; a `sha` that is not the head is a 409."""
    pull = _pull(call)
    method = fields.choice(call.body, "merge_method", METHODS) or "merge"
    expected = fields.text(call.body, "sha")
    title, message = fields.text(call.body, "commit_title"), fields.text(call.body, "commit_message")
    if method == "rebase":
        raise refusals.Refused(405, "Rebase merges are not allowed on this repository.")
    if pull.state != "open" or pull.draft:
        raise refusals.Refused(405, "Pull Request is not mergeable")
    if expected and expected != pull.head_sha:
        raise refusals.Refused(409, "Head branch was modified. Review and try the merge again.")
    sha = acts.merge(call.forge, pull, call.caller.login, method=method, title=title, message=message)
    if sha is None:
        raise refusals.Refused(405, "Pull Request is not mergeable")
    return Reply(body={"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


READ = ("pull_requests:read",)
NUMBERED = "/repos/{owner}/{repo}/pulls/{number:int}"
ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/pulls",
        answer=list_pulls,
        needs=READ,
        doc="pulls/pulls#list-pull-requests",
    ),
    Endpoint(
        method="POST",
        path="/repos/{owner}/{repo}/pulls",
        answer=create,
        needs=("pull_requests:write",),
        doc="pulls/pulls#create-a-pull-request",
    ),
    Endpoint(method="GET", path=NUMBERED, answer=get, needs=READ, doc="pulls/pulls#get-a-pull-request"),
    Endpoint(
        method="PATCH",
        path=NUMBERED,
        answer=update,
        needs=("pull_requests:write",),
        doc="pulls/pulls#update-a-pull-request",
    ),
    Endpoint(
        method="GET", path=f"{NUMBERED}/files", answer=files, needs=READ, doc="pulls/pulls#list-pull-requests-files"
    ),
    Endpoint(
        method="GET",
        path=f"{NUMBERED}/commits",
        answer=pull_commits,
        needs=READ,
        doc="pulls/pulls#list-commits-on-a-pull-request",
    ),
    Endpoint(
        method="GET",
        path=f"{NUMBERED}/merge",
        answer=is_merged,
        needs=READ,
        doc="pulls/pulls#check-if-a-pull-request-has-been-merged",
    ),
    Endpoint(
        method="PUT",
        path=f"{NUMBERED}/merge",
        answer=merge,
        needs=("contents:write",),
        role="write",
        doc="pulls/pulls#merge-a-pull-request",
    ),
)
