"""The App is suspended, removed or let in again; repositories are renamed, transferred, archived, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from bot.domain.deliveries import CancelLost
from bot.flows import accounts
from bot.localhub.acts import moves, pushes
from bot.localhub.records import Delivery, Installation, Repository
from bot.store.accounts import AccountState
from bot.store.runs import RunState
from tests.fakes.world import REPO, PullRequest, World, box

BOXES = {"boxes/tier-1/1_ok.sh": box(title="Fine")}
SLOW = {"boxes/tier-1/2_slow.sh": box("touch $BOX_TMP/x; sleep 600", title="Slow", timeout='"11m"')}


def installation(world: World) -> Installation:
    return world.hub.installation("octo")


def repository(world: World, name: str = REPO) -> Repository:
    return world.hub.repository(name)


def told(world: World, words: str) -> Delivery:
    """The first delivery that said this."""
    return next(sent for sent in world.hub.deliveries() if words in sent.payload)


def statuses(world: World) -> set[str]:
    return {run.status for run in world.hub.state.runs}


async def running(world: World) -> PullRequest:
    """A pull request whose only box is under way."""
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request(dict(SLOW))
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    return pr


class Ear:
    """Hears what is asked of GitHub in the name of an installation: everything but what is the App's own."""

    def __init__(self, world: World) -> None:
        self.heard: list[str] = []
        self._app = world.hub.app
        world.hub.app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["path"] in {"/app", "/app/installations", "/app/hook/deliveries"} or scope["path"].startswith(
            "/admin"
        )
        if scope["type"] == "http" and not own:
            self.heard.append(f"{scope['method']} {scope['path']}")
        await self._app(scope, receive, send)


async def test_a_suspended_installation_is_left_alone_until_it_is_back(world: World) -> None:
    pr = await running(world)
    moves.suspend(world.hub.forge, installation(world), "octo")
    await world.settle()
    assert [run.state for run in await world.runs() if run.pr] == [RunState.CANCELLED]
    ear = Ear(world)
    world.hub.redeliver(told(world, '"action":"opened"'))
    await world.settle()
    assert ear.heard == [], "nothing is asked in its name"
    moves.unsuspend(world.hub.forge, installation(world), "octo")
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    pr.push({"boxes/tier-1/2_slow.sh": None})
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_removed_app_ends_its_runs_and_asks_for_nothing_more(world: World) -> None:
    await running(world)
    gone = installation(world)
    moves.uninstall(world.hub.forge, gone, "octo")
    await world.settle()
    known = await world.running.ctx.accounts.installation(gone.id)
    assert known is not None
    assert known.state is AccountState.REMOVED
    assert [run.state for run in await world.runs() if run.pr] == [RunState.CANCELLED]
    # A restart does not forget whom to leave alone.
    await world.stop_bot()
    await world.start_bot()
    ear = Ear(world)
    world.hub.redeliver(told(world, '"action":"opened"'))
    await world.settle()
    assert ear.heard == []


async def test_an_installation_that_is_told_of_late_is_what_github_says_now(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    moves.suspend(world.hub.forge, installation(world), "octo")
    moves.unsuspend(world.hub.forge, installation(world), "octo")
    await world.settle()
    world.hub.redeliver(told(world, '"action":"suspend"'))
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_repository_that_is_taken_away_leaves_nothing_behind_and_may_come_back(world: World) -> None:
    pr = await running(world)
    repo, kept = repository(world), world.data_dir / "mirrors"
    assert (kept / f"{repo.id}.git").is_dir()
    moves.select(world.hub.forge, installation(world), [], "octo")
    await world.settle()
    assert [run.state for run in await world.runs() if run.pr] == [RunState.CANCELLED]
    assert list(kept.glob(f"{repo.id}*")) == []
    assert not any(path.exists() for path in world.running.ctx.kept_of(repo.id))
    moves.select(world.hub.forge, installation(world), [repository(world)], "octo")
    pr.push({"boxes/tier-1/2_slow.sh": None})
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_removal_that_is_told_of_late_takes_nothing_from_a_repository_that_is_back(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    moves.select(world.hub.forge, installation(world), [], "octo")
    moves.select(world.hub.forge, installation(world), [repository(world)], "octo")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    world.hub.redeliver(replace(told(world, '"action":"removed"'), guid="0ddba11-removed-once-more"))
    await world.settle()
    assert (world.data_dir / "mirrors" / f"{repository(world).id}.git").is_dir()
    known = await world.running.ctx.accounts.repository(repository(world).id)
    assert known
    assert known.state is AccountState.ACTIVE


async def test_a_renamed_repository_keeps_its_runs_under_its_new_name(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    moves.rename(world.hub.forge, repository(world), "tool", "octo")
    await world.settle()
    assert {run.repo for run in await world.runs()} == {"octo/tool"}
    pr.repo = "octo/tool"
    pr.push({"x": "z"})
    await world.settle()
    assert pr.conclusion == "success"
    assert len({run.repo_id for run in await world.runs()}) == 1


async def test_a_rename_that_is_told_of_late_does_not_bring_the_old_name_back(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    moves.rename(world.hub.forge, repository(world), "tool", "octo")
    moves.rename(world.hub.forge, repository(world, "octo/tool"), "gadget", "octo")
    await world.settle()
    world.hub.redeliver(told(world, '"from":"app"'))
    await world.settle()
    assert {run.repo for run in await world.runs()} == {"octo/gadget"}


async def test_a_renamed_account_takes_its_repositories_along(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    moves.rename_account(world.hub.forge, "octo", "octopus")
    await world.settle()
    assert {run.repo for run in await world.runs()} == {"octopus/app"}


async def test_a_transferred_repository_goes_on_under_its_new_installation(world: World) -> None:
    world.repository(BOXES)
    world.hub.create_repository("acme/other", files={"a": "b"}, collaborators={"mona": "write"})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    moves.transfer(world.hub.forge, repository(world), "acme", "octo")
    await world.settle()
    new = world.hub.installation("acme").id
    of_repo = [run for run in await world.runs() if run.pr]
    assert {(run.repo, run.installation_id) for run in of_repo} == {("acme/app", new)}
    pr.repo = "acme/app"
    pr.push({"x": "z"})
    await world.settle()
    assert pr.conclusion == "success"


@pytest.mark.parametrize("how", ["deleted", "archived"])
async def test_what_cannot_be_reported_on_is_not_run(world: World, how: str) -> None:
    await running(world)
    repo = repository(world)
    if how == "deleted":
        moves.delete(world.hub.forge, repo, "octo")
    else:
        moves.archive(world.hub.forge, repo, "octo")
    await world.settle()
    assert [run.state for run in await world.runs() if run.pr] == [RunState.CANCELLED]
    assert (world.data_dir / "mirrors" / f"{repo.id}.git").exists() is (how == "archived")


async def test_the_runs_of_a_removed_branch_end(world: World) -> None:
    world.repository(SLOW)
    await world.until(lambda: "in_progress" in statuses(world))
    world.hub.state.repositories.change(repository(world), default_branch="other")
    git = world.hub.forge.git(repository(world))
    git.git("update-ref", "-d", "refs/heads/main")
    pushes.observe(world.hub.forge, repository(world), "mona")
    await world.settle()
    assert [run.state for run in await world.runs()] == [RunState.CANCELLED]


async def test_a_forced_push_ends_runs_of_what_it_took_away(world: World) -> None:
    world.repository(SLOW)
    await world.until(lambda: "in_progress" in statuses(world))
    git, repo = world.hub.forge.git(repository(world)), repository(world)
    by = world.hub.forge.person("mona")
    tree = git.git("rev-parse", "main^{tree}").stdout.decode().strip()
    orphan = git.commit_tree(tree, (), message="Begin again", by=by)
    git.update_ref("refs/heads/main", orphan)
    pushes.observe(world.hub.forge, repo, "mona")
    await world.until(lambda: len(list(world.hub.state.runs)) > 2)
    await world.until(lambda: "cancelled" in {run.conclusion for run in world.hub.state.runs})


async def test_runs_of_what_a_branch_still_has_go_on(world: World) -> None:
    world.repository(SLOW)
    await world.until(lambda: "in_progress" in statuses(world))
    world.hub.commit(REPO, "main", {"x": "y"}, "Go on", "mona")
    [run] = [run for run in await world.runs() if run.state is RunState.RUNNING]
    place: dict[str, Any] = {"repo_id": run.repo_id, "repo": REPO, "installation_id": run.installation_id}
    await accounts.cancel_lost(world.running.ctx, CancelLost(**place, branch="main", because="a forced push"))
    assert not (await world.running.ctx.run(run.id)).stop_because


@pytest.mark.requirement("S-25")
async def test_a_delivery_about_somebody_else_s_repository_changes_nothing(world: World) -> None:
    world.repository(BOXES)
    world.hub.create_repository("acme/secret", files=BOXES, private=True)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    opened = told(world, '"action":"opened"')
    foreign = world.hub.repository("acme/secret")
    before = await world.runs()
    payload = opened.payload.replace(f'"id":{repository(world).id}', f'"id":{foreign.id}').replace(REPO, "acme/secret")
    world.hub.redeliver(replace(opened, guid="another-installation-0001", payload=payload))
    await world.settle()
    assert await world.runs() == before
    assert pr.conclusion == "success"
