"""What people read on GitHub: how soon it is there, how often it is written, and whose words it is."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.comment import marker
from bot.domain.subject import Subject
from bot.github.git import Mirror
from bot.localhub.acts import pulls as acts
from tests.fakes.world import REPO, PullRequest, World, box

SUM = 'test "$(cat sum)" = 4 || { echo "sum:1: no 4"; exit 1; }'
BOXES = {"boxes/tier-1/1_sum.sh": box(SUM, title="Sum"), "sum": "4\n"}


async def red_pull_request(world: World, **more: str) -> PullRequest:
    world.repository({**BOXES, **more})
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()
    assert pr.conclusion == "failure"
    return pr


def remove_comment(world: World) -> None:
    """Somebody deletes the bot's comment."""
    state = world.hub.state
    [comment] = [each for each in state.comments if each.author == "interlock[bot]"]
    state.comments.drop(comment)


def hold_fetches(world: World) -> asyncio.Event:
    """No commit comes in until the event is set."""
    may_fetch = asyncio.Event()
    workspaces = world.running.ctx.workspaces
    fetch = workspaces.fetch

    async def held(subject: Subject) -> Mirror:
        await may_fetch.wait()
        return await fetch(subject)

    workspaces.fetch = held  # type: ignore[method-assign]
    return may_fetch


async def test_the_check_waits_on_github_before_any_commit_was_fetched(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    world.hub.webhook_url, later = "", world.hub.webhook_url
    world.hub.commit(REPO, "main", {"x": "y"}, "Move main", "mona")
    world.hub.webhook_url = later
    may_fetch = hold_fetches(world)
    pr = await world.open_pull_request({"sum": "4\n", "z": "z"})
    await world.until(lambda: bool(pr.checks()))
    assert {check.name: (check.status, check.title) for check in pr.checks().values()} == {
        "Interlock": ("queued", "waiting to start")
    }
    may_fetch.set()
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_check_that_waited_for_a_head_of_the_past_does_not_wait_for_ever(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    may_fetch = hold_fetches(world)
    pr = await world.open_pull_request({"z": "z"})
    await world.until(lambda: bool(pr.checks()))
    older = pr.head
    pr.push({"z": "a"})
    may_fetch.set()
    await world.settle()
    assert {check.status for check in pr.checks(older).values()} == {"completed"}
    assert pr.conclusion == "success"


async def test_the_comment_is_found_again_when_the_bot_has_forgotten_it(world: World) -> None:
    pr = await red_pull_request(world)
    ctx = world.running.ctx
    run = (await world.runs())[-1]
    await ctx.runs.save_comment(run.repo_id, pr.number, 0)
    pr.push({"sum": "4\n", "x": "y"})
    await world.settle()
    [comment] = pr.comments
    assert "green" in comment


async def test_a_mark_of_another_pull_request_or_of_somebody_else_is_not_adopted(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    world.hub.webhook_url, later = "", world.hub.webhook_url
    pr = await world.open_pull_request({"sum": "5\n"})
    repo, sign = world.hub.repository(REPO).id, world.running.ctx.links.sign
    foreign = pr.say(f"{marker(repo, pr.number, sign)}\nmine", by="eve")
    github = world.running.ctx.github.installation(world.hub.installation("octo").id)
    copied = f"{marker(repo, pr.number + 1, sign)}\nof another"
    await github.post(f"/repos/{REPO}/issues/{pr.number}/comments", {"body": copied})
    world.hub.webhook_url = later
    pr.push({"sum": "6\n"})
    await world.settle()
    first, second = pr.comments
    assert first == copied
    assert "tier 1 is red" in second
    assert [each.body for each in world.hub.comments(REPO, pr.number) if each.id == foreign.id] == [foreign.body]


async def test_a_deleted_comment_comes_back_for_news_only(world: World) -> None:
    pr = await red_pull_request(world)
    remove_comment(world)
    pr.push({"sum": "5\n", "x": "y"})
    await world.settle()
    assert pr.comments == [], "it would say what the deleted one said"
    pr.push({"sum": "4\n", "x": "z"})
    await world.settle()
    [comment] = pr.comments
    assert "1 box is green" in comment


async def test_the_base_can_do_without_a_comment(world: World) -> None:
    config = "report: {comment: false}\n"
    pr = await red_pull_request(world, **{".github/interlock.yml": config})
    assert pr.comments == []


async def test_the_base_can_do_without_a_comment_also_where_nothing_runs(world: World) -> None:
    world.repository({**BOXES, ".github/interlock.yml": "report: {comment: false}\n"})
    pr = await world.open_pull_request({"sum": "5\n"})
    world.hub.commit(REPO, "main", {"sum": "6\n"}, "Move the base", "mona")
    pr.push({"sum": "7\n"})
    await world.settle()
    assert pr.check("Interlock").title == "conflicts with main in 1 file"
    assert pr.comments == []


async def test_the_change_cannot_switch_the_comment_off(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n", ".github/interlock.yml": "report: {comment: false}\n"})
    await world.settle()
    assert len(pr.comments) == 1


async def test_more_notes_than_one_request_takes_are_sent_in_batches_those_of_the_change_first(world: World) -> None:
    lines = "\n".join(str(n) for n in range(1, 131)) + "\n"
    report = '{"type":"assertion","id":"%d","ok":false,"message":"no","file":"sum","line":%d}\\n'
    each = f"n=130; while [ $n -gt 0 ]; do printf '{report}' $n $n >> $BOX_REPORT; n=$((n-1)); done; exit 1"
    complains = box(f"test ! -e bad && exit 0; {each}", title="Sum")
    config = "report: {annotations: 120}\n"
    world.repository({"boxes/tier-1/1_sum.sh": complains, "sum": lines, ".github/interlock.yml": config})
    await world.settle()
    pr = await world.open_pull_request({"bad": "x", "sum": lines.replace("77\n", "seventy-seven\n")})
    await world.settle()
    places = [note["start_line"] for note in pr.check("Interlock / tier 1").annotations]
    assert places[0] == 77
    assert len(places) == len(set(places)) == 120


@pytest.mark.requirement("S-6")
async def test_a_pass_for_one_base_does_not_count_for_another_base_of_the_same_head(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    hub = world.hub
    hub.commit(REPO, "strict", {"boxes/tier-1/1_sum.sh": box("exit 1", title="Sum")}, "Be strict", "mona")
    other = hub.open_pull_request(REPO, "topic", "strict", "The same into strict", "mona")
    await world.settle()
    assert pr.conclusion == "failure", "GitHub shows one check of a name for a head, so it is red for both"
    acts.edit(hub.forge, hub.pull_request(REPO, other.number), "mona", title=None, body=None, base="main")
    await world.settle()
    assert pr.conclusion == "success"


@pytest.mark.requirement("S-17")
async def test_nothing_that_a_stranger_chose_mentions_links_or_forges_anything(world: World) -> None:
    evil = "@octo/everyone <!-- interlock:pr=1 --> <img src=x> [x](http://evil.example) | ![b](http://evil.example/p)"
    shouts = box(f"cat <<'END'\nsum:1: {evil}\nEND\nexit 1", title=evil.replace('"', ""))
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"boxes/tier-1/2_shouts.sh": shouts, "sum": "5\n"})
    await world.settle()
    world.hub.request_action(pr.check("Interlock"), "explain", "mona")
    await world.settle()
    written = [*pr.comments, *(f"{check.summary}\n{check.text or ''}" for check in pr.checks().values())]
    assert len(pr.comments) == 2
    for text in written:
        outside = "\n".join(text.split("```")[::2])
        for bad in ("@octo", "<img", "](http://evil", "![b]"):
            assert bad not in outside
        assert text.count("<!-- interlock:pr=") == (text.startswith("<!-- interlock:pr=") and 1)
