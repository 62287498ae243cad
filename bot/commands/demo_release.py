"""The demo's second half: the same application, brought to its users and kept well there."""

from __future__ import annotations

from bot.commands.demo_checkout import CONFIG
from bot.commands.demo_github import Comment, Shipped
from bot.commands.demo_load import Load, Tally
from bot.commands.demo_outcome import DidNotHappen, Seen
from bot.commands.demo_stage import APPROVER, Stage

STAGING, PRODUCTION = "staging", "production"
GATE = "      - after: staging\n"
APPROVAL = f'{GATE}      - approvals: {{count: 1, from: ["user:{APPROVER}"]}}\n'
BAD_BRANCH = "less-code"
STORE = "shorty/store.py"
CLOSES = "with closing(self._connect()) as db:\n            rows"
FORGETS = "with self._connect() as db:\n            rows"  # sqlite3 ends the transaction there, and closes nothing.
SLOW_FILE = "boxes/tier-3-users/25_steady_traffic.py"
SHORT, LONG = "SECONDS = 0.3", "SECONDS = 4"
"""How long that box takes: long where the bot is to be killed in the middle of it."""

ENOUGH = 100
"""Answers that visitors get around a switch, at least, before and after it."""


def ask_for_a_yes(stage: Stage) -> None:
    """From now on production asks for somebody else's approval: a change of the configuration, for the working copy."""
    stage.checkout.edit(CONFIG, GATE, APPROVAL)


async def live(stage: Stage) -> Seen:
    """The first push reaches its users: staging, and then production."""
    if left_out := _left_out(stage):
        return left_out
    sha = await stage.checkout.head()
    for environment in (STAGING, PRODUCTION):
        await _succeeded(stage, environment, sha)
    pages = {environment: await stage.page(environment) for environment in (STAGING, PRODUCTION)}
    if set(pages.values()) != {200}:
        message = f"the front pages answer {pages}"
        raise DidNotHappen(message)
    lines = [f"{name} serves {sha[:7]} at 127.0.0.1:{stage.ports[name]}" for name in pages]
    return Seen(tuple(lines), {"sha": sha, "ports": stage.ports, "pages": pages})


async def merge(stage: Stage) -> Seen:
    """The pull request is merged: staging has it, production asks for a yes."""
    if left_out := _left_out(stage):
        return left_out
    stage.checkout.edit(SLOW_FILE, LONG, SHORT)
    await stage.checkout.push(stage.branch, "Watch steady traffic as long as before")
    stage.merged = await stage.github.merge(stage.pull_request)
    await _succeeded(stage, STAGING, stage.merged)
    waiting = await _waiting(stage, stage.pull_request, stage.merged)
    return Seen(
        (
            f"merged as {stage.merged[:7]}; staging has it",
            f"production waits: {_line_with(waiting.body, 'approv')}",
        ),
        {"sha": stage.merged, "comment": waiting.body},
    )


async def switch(stage: Stage) -> Seen:
    """Somebody approves, and users are switched over while they look at pages."""
    if left_out := _left_out(stage):
        return left_out
    async with Load("127.0.0.1", stage.ports[PRODUCTION]) as load:
        await load.seen(ENOUGH)
        await stage.approver.say(stage.pull_request, f"/approve {PRODUCTION}")
        shipped = await _succeeded(stage, PRODUCTION, stage.merged)
        await load.seen(ENOUGH)
        tally = load.tally
    if tally.lost:
        message = f"visitors lost {dict(tally.lost)} of {tally.answered + tally.lost.total()} requests"
        raise DidNotHappen(message)
    return Seen(
        (
            f"@{APPROVER} said yes to exactly {stage.merged[:7]}",
            f"production switched from one slot to the other: {tally.answered} requests, none lost",
            f"then it was watched: {shipped.said[-1][1]}",
        ),
        {"sha": stage.merged, "approved_by": APPROVER, "requests": tally.answered, "lost": 0},
    )


async def bad(stage: Stage) -> Seen:
    """A mistake that no test sees is taken back by itself."""
    if left_out := _left_out(stage):
        return left_out
    await stage.checkout.branch_of(BAD_BRANCH, stage.merged)
    stage.checkout.edit(STORE, CLOSES, FORGETS)
    await stage.checkout.push(BAD_BRANCH, "Use one context manager instead of two")
    number, _ = await stage.github.open_pull_request(
        head=BAD_BRANCH, base="main", title="Use one context manager instead of two", body="Less code, same result."
    )
    sha = await stage.github.merge(number)
    await _succeeded(stage, STAGING, sha)
    await _at_gates(stage, sha)
    async with Load("127.0.0.1", stage.ports[PRODUCTION]) as load:
        await stage.approver.say(number, f"/approve {PRODUCTION}")
        shipped = await _ended(stage, PRODUCTION, sha)
        during = load.tally
        await load.seen(ENOUGH)
        after = load.tally.since(during)
    return await _taken_back(stage, number, shipped, during, after)


async def _taken_back(stage: Stage, number: int, shipped: Shipped, during: Tally, after: Tally) -> Seen:
    state, because = shipped.said[-1]
    if state != "failure" or "rolled back" not in because:
        message = f"expected production to be rolled back, GitHub says {state}: {because}"
        raise DidNotHappen(message)
    if after.lost:
        message = f"after the way back visitors still lost {dict(after.lost)}"
        raise DidNotHappen(message)

    async def told() -> Comment | None:
        found = await stage.github.app_comments(number)
        return next((one for one in found if "rolled back" in one.body), None)

    async def opened() -> str | None:
        return next((title for title, state in await stage.github.app_issues() if state == "open"), None)

    comment, incident = await stage.until(told), await stage.until(opened)
    return Seen(
        (
            "every box was green, and so was staging: nobody looked often enough",
            f"production: {because}",
            f"until then visitors had {during.answered} good answers and {during.lost.total()} bad ones",
            f"since then {after.answered} good ones, and none bad",
            f"issue: {incident}",
        ),
        {
            "sha": shipped.sha,
            "because": because,
            "lost_before": during.lost.total(),
            "answered_after": after.answered,
            "lost_after": after.lost.total(),
            "incident": incident,
            "comment": comment.body,
        },
    )


def _left_out(stage: Stage) -> Seen | None:
    """What to say where nothing can be deployed; the rest of the story does not need it."""
    if not stage.no_router:
        return None
    why = f"left out: {stage.no_router}"
    return Seen((why,), {"left_out": why})


async def _succeeded(stage: Stage, environment: str, sha: str) -> Shipped:
    shipped = await _ended(stage, environment, sha)
    if shipped.state != "success":
        message = f"the deployment of {sha[:7]} to {environment} ended otherwise: {shipped.said[-1][1]}"
        raise DidNotHappen(message)
    return shipped


async def _ended(stage: Stage, environment: str, sha: str) -> Shipped:
    """GitHub's word on a deployment, once it has ended."""

    async def look() -> Shipped | None:
        shipped = await stage.shipped(environment, sha)
        over = shipped is not None and shipped.state in {"success", "failure", "error", "inactive"}
        return shipped if over else None

    return await stage.until(look)


async def _at_gates(stage: Stage, sha: str) -> None:
    """Wait until production waits for a yes, as far as GitHub knows."""

    async def look() -> bool | None:
        shipped = await stage.shipped(PRODUCTION, sha)
        return (shipped is not None and shipped.state == "pending") or None

    await stage.until(look)


async def _waiting(stage: Stage, number: int, sha: str) -> Comment:
    """What the pull request says once its deployment to production waits for a yes."""
    await _at_gates(stage, sha)

    async def look() -> Comment | None:
        found = await stage.github.app_comments(number)
        return next((one for one in found if PRODUCTION in one.body and "0 of 1" in one.body), None)

    return await stage.until(look)


def _line_with(body: str, word: str) -> str:
    """The first line of a comment that has a word."""
    return next((line.strip(" |") for line in body.splitlines() if word in line), body.splitlines()[0])
