from __future__ import annotations

from bot.flows.nudges import Changed, Consider, ConsiderAll, Nudges, Start


async def test_what_waits_to_be_looked_at_is_not_queued_twice() -> None:
    nudges = Nudges()
    for _ in range(3):
        nudges.give(Consider("d1"))
        nudges.give(Changed("d1"))
    assert [await nudges.take(), await nudges.take()] == [Consider("d1"), Changed("d1")]
    nudges.done()
    nudges.done()
    assert not nudges.busy


async def test_what_is_being_looked_at_is_queued_again_since_it_may_have_changed_meanwhile() -> None:
    nudges = Nudges()
    nudges.give(ConsiderAll(1))
    await nudges.take()
    nudges.give(ConsiderAll(1))
    nudges.done()
    assert nudges.busy
    assert await nudges.take() == ConsiderAll(1)


async def test_a_flow_to_start_may_have_arguments_of_any_kind() -> None:
    nudges = Nudges()
    nudges.give(Start("deploy", "deploy:d1", {"any": ["thing"]}))
    taken = await nudges.take()
    assert nudges.busy
    nudges.done()
    assert taken == Start("deploy", "deploy:d1", {"any": ["thing"]})
    assert not nudges.busy
