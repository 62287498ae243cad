"""Every event that GitHub tells an App of and that matters here: what is done about each of its actions. A table.

It is the list behind docs/reference/webhooks.md, the reason in the log when nothing is done, and the measure of what is
unknown: an event or action without a place here is counted, since GitHub adds some every year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an action of an event asks for; `acts` is False when nothing is done about it, and `says` is the reason."""

    says: str
    acts: bool = False


def _acts(says: str) -> Meaning:
    return Meaning(says, acts=True)


_ECHO = Meaning("it only echoes what was reported")
_SAME_CODE = Meaning("it changes neither head nor base")
_DEPLOYED = Meaning("Interlock follows what it deploys itself, and nothing that others do")
_REVIEWED = Meaning("GitHub asks its own reviewers itself, beside Interlock's gates")
_ELSEWHERE = Meaning("other apps' work does not concern ours")
_RUN = _acts("its boxes run, unless they have run for this head and base already")
_ACCESS = _acts("remembered; open pull requests are looked at")
_EDITED = _acts("never read for commands again; what it permitted is void, unless who wrote it edited it")
_RENAMED = _acts("runs, links and mirrors follow; a repository is known by its number")

EVENTS: Mapping[str, Mapping[str, Meaning]] = {
    "ping": {"": Meaning("GitHub only says that the webhook works")},
    "push": {
        "": _acts(
            "on the default branch, and on those that its configuration lists, its boxes run, and a forced one ends "
            "runs of commits that it took away; elsewhere nothing, since an open pull request reports its own head"
        )
    },
    "create": {"": Meaning("the push of it is told on its own")},
    "delete": {"": _acts("runs of a removed branch end; removed tags concern nobody")},
    "pull_request": {
        "opened": _RUN,
        "reopened": _RUN,
        "synchronize": _acts("its boxes run for the new head, which supersedes the run of the old one"),
        "ready_for_review": _RUN,
        "edited": _acts("with another base its boxes run again; another title or text changes nothing"),
        "closed": _acts("its runs are cancelled; so are those of one that was merged"),
        "converted_to_draft": Meaning("a draft runs as any other pull request"),
        **dict.fromkeys(
            (
                *("assigned", "auto_merge_disabled", "auto_merge_enabled", "demilestoned", "dequeued", "enqueued"),
                *("labeled", "locked", "milestoned", "review_request_removed", "review_requested", "unassigned"),
                *("unlabeled", "unlocked"),
            ),
            _SAME_CODE,
        ),
    },
    "pull_request_review": {
        "submitted": _acts("its text is read for commands, as a comment's is"),
        "edited": _EDITED,
        "dismissed": Meaning("commands are read when a review is submitted"),
    },
    "issue_comment": {
        "created": _acts("read for commands, if it is on a pull request and a person wrote it"),
        "edited": _EDITED,
        "deleted": _acts("what it permitted is void; the record of it stays"),
        "pinned": Meaning("it is the comment that it was"),
        "unpinned": Meaning("it is the comment that it was"),
    },
    "merge_group": {
        "checks_requested": _acts("boxes run on the queue's own merge commit"),
        "destroyed": _acts("runs of the group end"),
    },
    "check_run": {
        "created": _ECHO,
        "completed": _ECHO,
        "rerequested": _acts("that tier runs again, or all boxes for the check `Interlock`"),
        "requested_action": _acts("the button's command is carried out for whoever pressed it"),
    },
    "check_suite": {
        "requested": Meaning("the push or pull request is told on its own"),
        "completed": _ECHO,
        "rerequested": _acts("all boxes run again for each open pull request with that head"),
    },
    "deployment": {"created": _DEPLOYED},
    "deployment_status": {"created": _DEPLOYED},
    "deployment_protection_rule": {
        "requested": _acts("the environment's gates are asked for the deployment's commit; the answer is given once")
    },
    "deployment_review": dict.fromkeys(("approved", "rejected", "requested"), _REVIEWED),
    "workflow_run": dict.fromkeys(("requested", "in_progress", "completed"), _ELSEWHERE),
    "workflow_job": dict.fromkeys(("queued", "waiting", "in_progress", "completed"), _ELSEWHERE),
    "installation": {
        "created": _ACCESS,
        "deleted": _acts("runs there are cancelled; GitHub is not asked for it any more"),
        "suspend": _acts("runs there are cancelled; GitHub is not asked for it until it is back"),
        "unsuspend": _ACCESS,
        "new_permissions_accepted": _acts("remembered; what was missing is tried again"),
    },
    "installation_repositories": {
        "added": _ACCESS,
        "removed": _acts("runs of these repositories are cancelled, and what was kept of them is removed"),
    },
    "installation_target": {"renamed": _RENAMED},
    "repository": {
        "created": _acts("remembered"),
        "deleted": _acts("its runs are cancelled, and what was kept of it is removed"),
        "renamed": _RENAMED,
        "transferred": _RENAMED,
        "edited": _acts("remembered; which branch is the default one is read each time"),
        "archived": _acts("its runs are cancelled: nothing can be reported there"),
        "unarchived": _acts("remembered; open pull requests are looked at"),
        "privatized": _acts("remembered"),
        "publicized": _acts("remembered"),
    },
}

ACTORS = frozenset({"User", "Organization", "Bot", "Mannequin", "Enterprise"})
"""Types of account."""

GROUP_ENDS = frozenset({"merged", "invalidated", "dequeued"})
"""Why a merge group is no more."""


def meaning(event: str, action: str) -> Meaning | None:
    """What an action means; None when it has no place in the table."""
    return EVENTS.get(event, {}).get(action)
