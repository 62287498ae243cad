"""What a person may do in a repository, as GitHub enforces it.

`author_association` in payloads is not used: it says who somebody is to the project, not what they may do.
"""

from __future__ import annotations

from enum import StrEnum

from bot.github.addresses import repository_path, segment
from bot.github.app import Installation
from bot.github.errors import NotFound


class Permission(StrEnum):
    """GitHub's roles, from the most to the least."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    TRIAGE = "triage"
    READ = "read"
    NONE = "none"


_WRITES = (Permission.ADMIN, Permission.MAINTAIN, Permission.WRITE)


async def permission(gh: Installation, repo: str, login: str) -> Permission:
    """What `login` may do in `repo`; NONE for strangers, for names that do not exist, and for roles we cannot read.

    `role_name` is preferred because `permission` knows no maintain and no triage; an organisation's own role counts as
    the permission that it is based on. Nobody is a writer by the name of a role alone: `permission` must agree.
    """
    try:
        answer = await gh.get(f"{repository_path(repo)}/collaborators/{segment(login)}/permission")
    except NotFound:
        return Permission.NONE
    said = answer.json if isinstance(answer.json, dict) else {}
    may_write = said.get("permission", "write") in _WRITES
    for key in ("role_name", "permission"):
        if said.get(key) in tuple(Permission) and (may_write or said[key] not in _WRITES):
            return Permission(said[key])
    return Permission.NONE
