"""By what a deployment is carried out: its environment's section and what the configuration has fetched, kept on disk.

Written while the gates are evaluated, when it is known to be what was asked for. From then on nobody has to be asked
for it: neither GitHub, nor the database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.reading import environment
from bot.flows.context import Context
from bot.flows.deploying.configured import Configured
from runner.whole_file import write_whole

_FILE = "terms.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what a deployment is carried out.

    Attributes:
        section: of the environment, as it is written into plans.
        submodules: paths of those that are fetched besides the commit itself.
        lfs: whether files in Git LFS are fetched.
        is_strange: whether the commit is a fork's, which gets no secret.
    """

    section: Mapping[str, Any]
    submodules: frozenset[str] = frozenset()
    lfs: bool = False
    is_strange: bool = False

    def environment(self, name: str) -> Environment:
        """The environment that the section says."""
        return environment(name, self.section)


async def keep(ctx: Context, deployment: Deployment, known: Configured, *, is_strange: bool) -> None:
    """Write them down, once."""
    terms = Terms(
        section=known.sections[deployment.environment],
        submodules=known.wanted.submodules,
        lfs=known.wanted.lfs,
        is_strange=is_strange,
    )
    if read(ctx, deployment) is None:
        await asyncio.to_thread(put, ctx, deployment, terms)


def read(ctx: Context, deployment: Deployment) -> Terms | None:
    """Those of a deployment; None before anybody looked at its gates."""
    try:
        raw = json.loads((ctx.deploy_files(deployment).directory / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Terms(**{**raw, "submodules": frozenset(raw["submodules"])})


def put(ctx: Context, deployment: Deployment, terms: Terms) -> None:
    """Write them down; the way back has those of what is there, and asks nobody."""
    path = ctx.deploy_files(deployment).directory / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = {**asdict(terms), "submodules": sorted(terms.submodules)}
    write_whole(str(path), [json.dumps(raw)])
