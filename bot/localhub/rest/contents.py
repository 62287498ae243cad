"""Files of a repository: read at any commit, and written one commit at a time."""

from __future__ import annotations

import base64
import binascii

from bot.localhub import refusals
from bot.localhub.acts import pushes
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import commits

RAW = ("vnd.github.raw", "vnd.github.v3.raw")


def read(call: Call) -> Reply:
    """GET …/contents/{path}: a file (or its bytes, for the raw media type), or a directory's list."""
    revision = call.query.get("ref") or call.repo.default_branch
    git = call.forge.git(call.repo)
    sha = git.resolve(revision)
    if sha is None:
        if "ref" in call.query:
            raise refusals.Refused(404, f"No commit found for the ref {revision}")
        raise refusals.Refused(404, "This repository is empty.")
    path = call.path.get("path", "").strip("/")
    entries = git.entries(sha, path)
    if not entries and path:
        raise refusals.not_found()
    is_file = len(entries) == 1 and entries[0].path == path and entries[0].kind == "blob"
    if not is_file:
        return Reply(body=[commits.entry(call.forge, call.repo, revision, one) for one in entries])
    if any(raw in call.headers.get("accept", "") for raw in RAW):
        media = "application/vnd.github.raw+json; charset=utf-8"
        return Reply(body=git.blob(entries[0].sha), media=media)
    return Reply(body=commits.file(call.forge, call.repo, revision, entries[0]))


def write(call: Call) -> Reply:
    """PUT …/contents/{path}: one file, one commit. `sha` must be the blob that is replaced."""
    message = fields.required_text(call.body, "message")
    encoded = fields.required_text(call.body, "content")
    try:
        content = base64.b64decode(encoded)
    except binascii.Error as wrong:
        raise refusals.Refused(422, "content is not valid Base64") from wrong
    branch = fields.text(call.body, "branch") or call.repo.default_branch
    git = call.forge.git(call.repo)
    path = call.path["path"].strip("/")
    if _forbidden(path):
        raise refusals.Refused(422, "path contains a malformed path component")
    tip = git.branch(branch)
    if tip is None and git.refs():
        raise refusals.Refused(404, f"Branch {branch} not found")
    old = git.entries(tip, path) if tip else []
    replaced = fields.text(call.body, "sha")
    if old and not replaced:
        raise refusals.Refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if replaced and (not old or old[0].sha != replaced):
        raise refusals.Refused(409, f"{path} does not match {replaced}")
    by = call.forge.person(call.caller.login)
    sha = git.write(branch, {path: content}, message=message, by=by)
    pushes.observe(call.forge, call.repo, call.caller.login)
    shown = commits.file(call.forge, call.repo, branch, git.entries(sha, path)[0])
    body = {"content": shown, "commit": commits.git_commit(call.forge, call.repo, git.commit(sha))}
    return Reply(status=200 if old else 201, body=body)


def _forbidden(path: str) -> bool:
    return not path or any(part in {"", ".", "..", ".git"} for part in path.split("/"))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/contents/{path:rest}",
        answer=read,
        needs=("contents:read",),
        doc="repos/contents#get-repository-content",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/contents/",
        answer=read,
        needs=("contents:read",),
        doc="repos/contents#get-repository-content",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/contents",
        answer=read,
        needs=("contents:read",),
        doc="repos/contents#get-repository-content",
    ),
    Endpoint(
        method="PUT",
        path="/repos/{owner}/{repo}/contents/{path:rest}",
        answer=write,
        needs=("contents:write",),
        role="write",
        doc="repos/contents#create-or-update-file-contents",
    ),
)
