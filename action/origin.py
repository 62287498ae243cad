"""Whose code a workflow may be about to run with the repository's rights. Pure.

GitHub starts some events' workflows from the default branch, with secrets and a token that writes, even when a stranger
caused them. Such a workflow that checks out the stranger's code and runs it hands everything over. What was checked out
cannot be known for certain, so the event decides.
Source: https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/.
"""

from __future__ import annotations

from typing import Any

PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "issue_comment", "check_run", "check_suite", "status"})
"""Events that strangers cause, and whose workflows have the repository's rights all the same."""


def stranger(event: str, payload: object) -> str:
    """Why the code may be a stranger's; "" when it is not, or has no rights that it could misuse.

    Args:
        event: its name, GITHUB_EVENT_NAME.
        payload: what GITHUB_EVENT_PATH holds; None when it could not be read. The unexpected counts as a stranger's.
    """
    if event not in PRIVILEGED:
        return ""
    content = _object(payload)
    if event == "issue_comment":
        issue = content.get("issue")
        if isinstance(issue, dict) and not issue.get("pull_request"):
            return ""
        return "a comment does not say where the head of its pull request is, and that may be a fork"
    if event in {"check_run", "check_suite", "status"}:
        return "" if _is_on_a_branch(event, content) else "what was checked is on no branch here, and may be a fork's"
    if event == "workflow_run":
        head = _object(content.get("workflow_run")).get("head_repository")
        what = "the workflow that caused this one ran for a fork"
    else:
        head = _object(_object(content.get("pull_request")).get("head")).get("repo")
        what = "the head of the pull request is in a fork"
    return "" if _is_same(head, content.get("repository")) else what


def _is_on_a_branch(event: str, content: dict[str, Any]) -> bool:
    """GitHub names the branch of a checked commit where one of the repository's own has it."""
    if event == "status":
        return bool(content.get("branches"))
    suite = content if event == "check_suite" else _object(content.get("check_run"))
    return bool(_object(suite.get("check_suite")).get("head_branch"))


def _is_same(head: object, own: object) -> bool:
    """By id: names change hands. A head whose repository was deleted has none."""
    number = _object(head).get("id")
    return isinstance(number, int) and number == _object(own).get("id")


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
