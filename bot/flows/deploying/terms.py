"""By what a deployment is carried out: its environment's section and what the configuration has fetched, kept on disk.

Written while the gates are evaluated, when it is known to be what was asked for. From then on nobody has to be asked
for it: neither GitHub, nor the database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    """The section of the environment as it is written into plans, and what is fetched besides the commit."""

    section: Mapping[str, Any]
    submodules: frozenset[str] = frozenset()
    lfs: bool = False

    def environment(self, name: str) -> Environment:
        """The environment that the section says."""
        return environment(name, self.section)


async def keep(ctx: Context, deployment: Deployment, known: Configured) -> None:
    """Write them down, once."""
    path = ctx.deploy_files(deployment).directory / _FILE
    if path.exists():
        return
    text = json.dumps(
        {
            "section": known.sections[deployment.environment],
            "submodules": sorted(known.wanted.submodules),
            "lfs": known.wanted.lfs,
        }
    )
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(write_whole, str(path), [text])


def read(ctx: Context, deployment: Deployment) -> Terms | None:
    """Those of a deployment; None before anybody looked at its gates."""
    try:
        raw = json.loads((ctx.deploy_files(deployment).directory / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Terms(section=raw["section"], submodules=frozenset(raw["submodules"]), lfs=raw["lfs"])


def put(ctx: Context, deployment: Deployment, terms: Terms) -> None:
    """Hand a deployment the terms of another: the way back goes by what is there, and asks nobody."""
    path = ctx.deploy_files(deployment).directory / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = {"section": dict(terms.section), "submodules": sorted(terms.submodules), "lfs": terms.lfs}
    write_whole(str(path), [json.dumps(raw)])
