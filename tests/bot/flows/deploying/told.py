"""Deployments that lie in a bot's data directory as the controller and the flows leave them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from bot.deploy.journal import Journal
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.plan import plan_to_json
from bot.domain.deploy.states import FINAL, State
from bot.flows.context import Context
from tests.bot.domain.deploy import stories


class Moments:
    """A clock that says what it is told."""

    def __init__(self) -> None:
        self.at = stories.BEGAN

    def now(self) -> datetime:
        """That moment."""
        return self.at


async def put(ctx: Context, story: stories.Story | None = None, **row: Any) -> Deployment:
    """A row, and the plan and the journal of a story."""
    state = row.pop("state", State.ROLLED_BACK)
    ended = row.pop("finished_at", story.at if story else stories.BEGAN) if state in FINAL else None
    known = await ctx.deployments.add(stories.deployment(state, finished_at=ended, **row))
    if story is not None:
        files = ctx.deploy_files(known)
        files.directory.mkdir(parents=True)
        files.plan.write_text(json.dumps(plan_to_json(stories.plan())))
        clock = Moments()
        journal = Journal(files, clock)
        for line in story.lines:
            clock.at = line.at
            journal.append(line.kind, **line.data)  # type: ignore[arg-type]
        journal.close()
    return known
