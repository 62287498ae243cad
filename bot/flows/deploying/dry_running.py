"""What a deployment would do, in order, with a hash; nothing is asked for, and nothing is changed."""

from __future__ import annotations

import asyncio

from bot.domain.commands.authority import Refused
from bot.domain.deploy.plan import Plan
from bot.flows.context import Context
from bot.flows.deploying import plans
from bot.flows.deploying.planning import Unplanned, Unreachable, draft
from bot.flows.deploying.request import Request
from bot.flows.deploying.terms import Terms
from bot.flows.deploying.wanting import asked_for, resolve


async def dry_run(ctx: Context, request: Request) -> Plan | Refused:
    """The plan that this request would be carried out by, if it were asked for now and its gates passed.

    Raises:
        GitHubProblem: GitHub did not answer.
    """
    resolved = await resolve(ctx, request)
    if isinstance(resolved, Refused):
        return resolved
    known, environment, _, release = resolved
    imagined = asked_for(request, resolved, now=ctx.clock.now())
    terms = Terms(section=known.sections[environment.name])
    drafted = await draft(ctx, imagined, release, terms)
    if isinstance(drafted, Unplanned | Unreachable):
        return Refused("not_plannable", drafted.because)
    await asyncio.to_thread(plans.keep, ctx.data_dir, drafted)
    return drafted
