"""What GitHub's merge queue proposes: the branches that it keeps for that, which say what they are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from bot.github.addresses import repository_path
from bot.github.app import Installation

_BRANCH = re.compile(r"pr-(?P<pr>[0-9]{1,9})-(?P<base>[0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class Queued:
    """A merge group: the last pull request in it, and the commit that it was put onto."""

    pr: int
    base_sha: str


async def queued(gh: Installation, repo: str, base_ref: str, head_sha: str) -> Queued | None:
    """The merge group with this head, as the queue of a base has it now; None when it has not got it any more.

    GitHub names these branches and keeps them from being pushed to, so what they say is its word.
    """
    prefix = f"gh-readonly-queue/{base_ref}/"
    path = f"{repository_path(repo)}/git/matching-refs/heads/{quote(prefix, safe='/')}"
    listed = (await gh.get(path)).json  # GitHub gives this list whole.
    for ref in listed if isinstance(listed, list) else ():
        name = str(ref.get("ref", "")).removeprefix(f"refs/heads/{prefix}")
        made_of = _BRANCH.fullmatch(name)
        if made_of and (ref.get("object") or {}).get("sha") == head_sha:
            return Queued(int(made_of["pr"]), made_of["base"])
    return None
