"""Our reactions to a comment: read, made and taken away. A review has none, GitHub offers no way to react to it."""

from __future__ import annotations

from bot.domain.commands.reactions import Reaction, change
from bot.github.addresses import repository_path
from bot.github.app import Installation
from bot.github.errors import NotFound


async def react(gh: Installation, repo: str, comment_id: int, wanted: Reaction) -> None:
    """Make our reactions to a comment say `wanted`. A repeat, also after a crash in the middle, changes nothing more.

    Raises:
        Forbidden: nobody may react (the conversation is locked).
        NotFound: the comment is gone.
    """
    path = f"{repository_path(repo)}/issues/comments/{comment_id}/reactions"
    shown = await _own(gh, path)
    asked = change(shown.keys(), wanted)
    for outdated in asked.remove:
        try:
            await gh.delete(f"{path}/{shown[outdated]}")
        except NotFound:
            continue  # gone already.
    for missing in asked.add:
        await gh.post(path, {"content": str(missing)}, idempotent=True)


async def _own(gh: Installation, path: str) -> dict[Reaction, int]:
    """The ids of those that our App made, by their words."""
    author = f"{await gh.app.slug()}[bot]"
    found: dict[Reaction, int] = {}
    async for reaction in gh.paginate(path):
        user = reaction.get("user") or {}
        if user.get("login") == author and user.get("type") == "Bot" and reaction.get("content") in tuple(Reaction):
            found[Reaction(reaction["content"])] = int(reaction["id"])
    return found
