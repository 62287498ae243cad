"""One command of whoever sits at the machine: carried out as a comment's would be, by an actor called `operator`."""

from __future__ import annotations

from bot.domain.commands.entry import Surface
from bot.domain.commands.registry import parse_line
from bot.flows import on_commit
from bot.flows.commands.obey import Obeyed, obey
from bot.flows.commands.order import OPERATOR, Order
from bot.flows.context import Context
from bot.store.accounts import AccountState


async def operate(ctx: Context, *, repo: str, pr: int | None, text: str, surface: Surface, name: str) -> Obeyed:
    """Carry a command out and start what it asks for.

    Args:
        ctx: the adapters.
        repo: `owner/name`, of a repository that the bot has heard of.
        pr: the pull request's number; None for the repository as a whole.
        text: the command, one line.
        surface: where it was typed.
        name: unique for this request.

    Raises:
        GitHubProblem: GitHub did not answer; nothing was started.
    """
    known = await _known(ctx, repo)
    if known is None:
        return Obeyed(done=False, reason="unknown_repository", said=f"the bot has not heard of {repo} yet")
    repo_id, installation_id = known
    order = Order(
        id=f"operator:{name}",
        run_prefix=f"operator{name}",
        surface=surface,
        repo_id=repo_id,
        repo=repo,
        installation_id=installation_id,
        pr=pr,
        actor=OPERATOR,
        at_machine=True,
    )
    obeyed = await obey(ctx, order, [parse_line(text, surface)])
    for run_id in obeyed.runs:
        await ctx.engine.start(on_commit.NAME, run_id, run_id)
    for started in obeyed.started:
        await ctx.engine.start(started.flow, started.id, started.args)
    return obeyed


async def _known(ctx: Context, repo: str) -> tuple[int, int] | None:
    """Ids of the repository and of its installation, by the name that GitHub last told."""
    found = await ctx.accounts.named(repo)
    if found is not None and found.state is AccountState.ACTIVE:
        return found.id, found.installation_id
    run = await ctx.runs.newest_named(repo)
    return (run.repo_id, run.installation_id) if run else None
