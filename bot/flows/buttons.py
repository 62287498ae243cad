"""The buttons of a check run: whoever presses one may do what the command of the same meaning may.

A press has no id of its own, and two hooks tell of it in two deliveries. What it asks for is made once for each check
run and button: a run that was started so shows check runs of its own, which have buttons again.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bot.domain.buttons import EXPLAIN
from bot.domain.commands.authority import Need, Refused
from bot.domain.commands.buttons import rerun_of
from bot.domain.deliveries import Press
from bot.domain.explain import explain
from bot.domain.run_states import GIVEN_UP, RunState
from bot.flows import holds, record
from bot.flows.authorising import authorise
from bot.flows.context import Context
from bot.flows.requests import open_run, run_id
from bot.flows.showing import shown
from bot.github.comments import reply
from bot.github.pulls import PullFacts, pulls_for_sha
from bot.store.audit import Entry
from bot.store.runs import Run

log = structlog.get_logger()


async def press(ctx: Context, action: Press, delivery_id: str) -> tuple[str, ...]:
    """Do what a button stands for; the ids of the runs to start. Safe to repeat."""
    again = rerun_of(action.identifier)
    if again is None and action.identifier != EXPLAIN.identifier:
        log.warning("button_unknown", identifier=action.identifier[:20])
        return ()
    github = ctx.github.installation(action.installation_id)
    has, refused = await authorise(github, action.repo, action.by, (Need.WRITE,))
    await _note(ctx, action, delivery_id, has, refused)
    # A check run's own list of pull requests may be empty, so they are found by the head's SHA.
    pulls = [
        pull
        for pull in await pulls_for_sha(github, action.repo, action.head_sha)
        if pull.head_sha == action.head_sha and pull.state == "open"
    ]
    if refused is not None:
        if refused.is_told:
            said = f"@{action.by}: {refused.because}."
            await _say(ctx, action, pulls, said, f"refused={action.check_run_id}.{action.by}")
        return ()
    if again is None:
        await _explain(ctx, action, pulls)
        return ()
    return await _run_again(ctx, action, pulls, delivery_id, selection=again.selection)


async def _run_again(
    ctx: Context, action: Press, pulls: Sequence[PullFacts], delivery_id: str, *, selection: str
) -> tuple[str, ...]:
    places: list[tuple[int | None, str]] = [(pull.number, pull.base_ref) for pull in pulls]
    of_push = await ctx.runs.get(action.external_id)
    if of_push is not None and of_push.pr is None and of_push.repo_id == action.repo_id:
        places = [(None, of_push.base_ref)]
    runs = []
    for pr, base_ref in places:
        again = await _again(ctx, action, pr, delivery_id)
        run = await open_run(
            ctx,
            installation_id=action.installation_id,
            repo_id=action.repo_id,
            repo=action.repo,
            pr=pr,
            head_sha=action.head_sha,
            base_ref=base_ref,
            selection=selection,
            again=again,
            delivery=delivery_id,
            cause=of_push.cause if of_push is not None and pr is None else "",
        )
        runs.append(run.id)
    return tuple(runs)


async def _again(ctx: Context, action: Press, pr: int | None, delivery_id: str) -> str:
    """What sets the run of this press apart; another one where the run of an earlier press came to nothing."""
    again = f"press{action.check_run_id}.{action.identifier}"
    known = await ctx.runs.get(run_id(action.repo_id, pr, action.head_sha, again=again))
    return f"{again}.{delivery_id}" if known is not None and known.state in GIVEN_UP else again


async def _explain(ctx: Context, action: Press, pulls: Sequence[PullFacts]) -> None:
    run = await ctx.runs.get(action.external_id)
    if run is None or (run.repo_id, run.head_sha) != (action.repo_id, action.head_sha):
        log.warning("button_of_no_run", external_id=action.external_id[:100])
        return
    own = [pull for pull in pulls if pull.number == run.pr]
    await _say(ctx, action, own, await explained(ctx, run), f"explained={action.check_run_id}")


async def explained(ctx: Context, run: Run) -> str:
    """What there is to say about a run's verdict, as Markdown."""
    files = ctx.files(run)
    state = await holds.state_of(ctx, run)
    because = run.because if run.state is RunState.REFUSED or run.state in GIVEN_UP else ""
    return explain(state, record.scrutiny(files), shown(ctx, run, state), number=run.number, because=because)


async def _say(ctx: Context, action: Press, pulls: Sequence[PullFacts], body: str, mark: str) -> None:
    github = ctx.github.installation(action.installation_id)
    for pull in pulls:
        await reply(github, action.repo, pull.number, body, marker=f"<!-- interlock:{mark} -->")


async def _note(ctx: Context, action: Press, delivery_id: str, has: str, refused: Refused | None) -> None:
    log.info("button_pressed", actor=action.by, button=action.identifier, decision="refused" if refused else "allowed")
    entry = Entry(
        id=f"press:{delivery_id}",
        at=ctx.clock.now(),
        actor=action.by,
        permission=has,
        action=f"button {action.identifier}",
        decision="refused" if refused else "allowed",
        reason=refused.code if refused else "done",
        repo_id=action.repo_id,
        repo=action.repo,
        head_sha=action.head_sha,
    )
    await ctx.audit.write(entry)
