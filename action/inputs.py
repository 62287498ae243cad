"""What a workflow asked for. Text in, checked values out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import BadSelection
from runner.select import parse
from runner.shards import read_shard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BadInput(Exception):
    """An input means nothing; the text names it and says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of action.yml, under their own names.

    Attributes:
        select: a selection text; the input `tier` is part of it.
        falsify: `off`, `tell` or `require`.
        sandbox: `off`, `auto` or `full`.
        junit: absolute; "" for no file.
        directory: absolute; it is there.
        jobs: "" for as many as there are CPUs.
        shard: `2/5`, or "" for all.
        fork_code: the workflow lets strangers' code run with its rights.
    """

    select: str
    shard: str
    falsify: str
    junit: str
    sandbox: str
    jobs: str
    directory: str
    fork_code: bool


def read(environ: Mapping[str, str]) -> Inputs:
    """The inputs, as action.yml hands them over.

    Raises:
        BadInput: one of them means nothing.
    """

    def text(name: str, default: str = "") -> str:
        return environ.get(f"INPUT_{name}", "").strip() or default

    shard, jobs = text("SHARD"), text("JOBS")
    if shard and read_shard(shard) is None:
        raise BadInput("`shard` must be such as 2/5")
    if jobs and not (jobs.isascii() and jobs.isdecimal() and len(jobs) < 9 and int(jobs) > 0):
        raise BadInput("`jobs` must be a whole number from 1")
    directory = os.path.abspath(text("WORKING_DIRECTORY", "."))
    if not os.path.isdir(directory):
        raise BadInput("`working-directory` names no directory; was the repository checked out?")
    return Inputs(
        select=_selection(text("SELECT", "all"), text("TIER")),
        shard=shard,
        falsify=_one_of(("off", "tell", "require"), text("FALSIFY", "off"), "falsify"),
        junit=os.path.abspath(junit) if (junit := text("JUNIT")) else "",
        sandbox=_one_of(("off", "auto", "full"), text("SANDBOX", "off"), "sandbox"),
        jobs=jobs,
        directory=directory,
        fork_code=_one_of(("true", "false"), text("ALLOW_UNSAFE_FORK_CODE", "false"), "allow-unsafe-fork-code")
        == "true",
    )


def _selection(select: str, tier: str) -> str:
    """Both in one text. Each is read by itself first, so that neither can end the other's parentheses."""
    _parse(select, "select")
    if not tier:
        return select
    if any(char not in "0123456789.-" for char in tier):
        raise BadInput("`tier` must be such as 2, 1-3, ..3 or 2..")
    _parse(f"tier:{tier}", "tier")
    return f"({select}) and tier:{tier}"


def _parse(text: str, name: str) -> None:
    try:
        parse(text)
    except BadSelection as bad:
        message = f"`{name}`: {bad}"
        raise BadInput(message) from bad


def _one_of(words: Sequence[str], given: str, name: str) -> str:
    if given not in words:
        message = f"`{name}` must be one of {', '.join(words)}"
        raise BadInput(message)
    return given
