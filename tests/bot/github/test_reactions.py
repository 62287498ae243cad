from __future__ import annotations

from bot.domain.commands.reactions import Reaction
from bot.github.reactions import react
from tests.bot.github.conftest import REPO, Connected
from tests.bot.github.test_comments import pull_request


async def test_a_reaction_is_made_once_also_after_a_lost_answer(connected: Connected) -> None:
    number = await pull_request(connected)
    comment = connected.hub.comment(REPO, number, "/boxes run all", "mona")
    connected.hub.faults.next("POST", "/reactions$", status=502, after_commit=True)
    await react(connected.gh, REPO, comment.id, Reaction.EYES)
    await react(connected.gh, REPO, comment.id, Reaction.EYES)
    await react(connected.gh, REPO, comment.id, Reaction.ROCKET)
    assert connected.hub.reactions(comment) == ["eyes", "rocket"]


async def test_the_last_word_takes_the_place_of_the_one_before(connected: Connected) -> None:
    number = await pull_request(connected)
    comment = connected.hub.comment(REPO, number, "/boxes run all", "mona")
    for reaction in (Reaction.EYES, Reaction.ROCKET, Reaction.CONFUSED, Reaction.CONFUSED):
        await react(connected.gh, REPO, comment.id, reaction)
    assert connected.hub.reactions(comment) == ["eyes", "confused"]


async def test_the_reactions_of_people_are_left_alone(connected: Connected) -> None:
    number = await pull_request(connected)
    comment = connected.hub.comment(REPO, number, "/boxes run all", "mona")
    connected.hub.react(comment, "rocket", "mona")
    await react(connected.gh, REPO, comment.id, Reaction.EYES)
    await react(connected.gh, REPO, comment.id, Reaction.CONFUSED)
    assert connected.hub.reactions(comment) == ["rocket", "eyes", "confused"]
