"""The demo's story: each step does something, waits for what must follow, and returns what it saw as evidence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.commands.demo_github import CheckRun
from bot.commands.demo_outcome import DidNotHappen, Seen
from bot.commands.demo_release import LONG, SHORT, SLOW_FILE, ask_for_a_yes, bad, live, merge, switch
from bot.commands.demo_stage import REPOSITORY, Stage

OVERALL = "Interlock"
BRANCH = "remember-redirects"
SOURCE = "shorty/web.py"
GOOD, BAD = "self._answer(302,", "self._answer(301,"
SLOW_BOX = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the story.

    Attributes:
        name: for machines; it does not change.
        title: what happens.
        why: a sentence for a newcomer.
        play: does it, and returns the evidence.
        within: seconds after which it did not happen.
    """

    name: str
    title: str
    why: str
    play: Callable[[Stage], Awaitable[Seen]]
    within: float


async def stand_in(stage: Stage) -> Seen:
    """GitHub, on loopback."""
    if shutil.which("git") is None:
        raise DidNotHappen("git is not installed, and everything here is about a git repository; install it first")
    ready = await stage.start_hub()
    facts = {"url": stage.hub_url, "app_id": ready["app_id"], "installation_id": ready["installation_id"]}
    return Seen((f"{stage.hub_url} answers like api.github.com, and serves git",), facts)


async def bot(stage: Stage) -> Seen:
    """The bot, set up as the App of that GitHub."""
    child = await stage.start_bot()
    return Seen((f"{stage.bot_url} is ready (process {child.pid})",), {"url": stage.bot_url, "pid": child.pid})


async def repository(stage: Stage) -> Seen:
    """A first push, whose checks are green."""
    sha = await stage.checkout.begin()
    checks = await stage.concluded(sha)
    _expect(checks, {OVERALL: "success", "Interlock / tier 1": "success", "Interlock / tier 2": "success"})
    return Seen(
        (f"pushed {sha[:7]} to {REPOSITORY}, branch main", *_lines(checks.values())),
        {"sha": sha, "checks": _conclusions(checks)},
    )


async def bug(stage: Stage) -> Seen:
    """A pull request with a plausible mistake, caught on its line."""
    await stage.checkout.branch(BRANCH)
    stage.branch = BRANCH
    line = stage.checkout.edit(SOURCE, GOOD, BAD)
    sha = await stage.checkout.push(BRANCH, "Let browsers remember redirects")
    stage.pull_request, stage.pull_request_url = await stage.github.open_pull_request(
        head=BRANCH, base="main", title="Let browsers remember redirects", body="A 301 saves everybody a request."
    )
    checks = await stage.concluded(sha)
    _expect(checks, {OVERALL: "failure", "Interlock / tier 1": "success", "Interlock / tier 2": "failure"})
    if checks["Interlock / tier 3"].conclusion == "success":
        raise DidNotHappen("tier 3 is green although tier 2 is red")
    notes = await stage.github.annotations(checks["Interlock / tier 2"].id)
    if [(note.path, note.line) for note in notes] != [(SOURCE, line)]:
        message = f"expected one annotation at {SOURCE}:{line}, found {[f'{n.path}:{n.line}' for n in notes]}"
        raise DidNotHappen(message)
    comments = await stage.commented(sha)
    if len(comments) != 1 or "❌" not in comments[0].body:
        message = f"expected one comment that says what is red, found {len(comments)}"
        raise DidNotHappen(message)
    stage.comment_id = comments[0].id
    stage.runs["the red run"] = checks[OVERALL].details_url
    return Seen(
        (
            *_lines(checks.values()),
            f"annotation at {notes[0].path}:{notes[0].line}: {notes[0].message}",
            f"comment: {_headline(comments[0].body)}",
        ),
        {
            "sha": sha,
            "pull_request": stage.pull_request,
            "checks": _conclusions(checks),
            "annotation": {"path": notes[0].path, "line": notes[0].line, "message": notes[0].message},
            "comment": {"id": comments[0].id, "headline": _headline(comments[0].body)},
        },
    )


async def fix(stage: Stage) -> Seen:
    """The next push is green, and the comment is the same one."""
    stage.checkout.edit(SOURCE, BAD, GOOD)
    (stage.checkout.directory / "NOTES.md").write_text("A redirect must stay a 302, or clicks are lost.\n", "utf-8")
    ask_for_a_yes(stage)
    sha = await stage.checkout.push(BRANCH, "Keep redirects temporary, say why, and let ada look at releases")
    checks = await stage.concluded(sha)
    _all_green(checks)
    comment = await _the_same_comment(stage, sha)
    return Seen(
        (*_lines(checks.values()), f"the same comment, updated: {comment}"),
        {"sha": sha, "checks": _conclusions(checks), "comment": {"id": stage.comment_id, "headline": comment}},
    )


async def proof(stage: Stage) -> Seen:
    """Every box is sabotaged, and must turn red for the reason that it names."""
    report = stage.directory / "proofs.json"
    code, printed = await stage.runner("falsify", "--strict", "--json", str(report))
    last = printed.strip().splitlines()[-1] if printed.strip() else ""
    answers = {str(row["box"]): row["answer"] for row in json.loads(report.read_text("utf-8"))["boxes"]}
    if code or not answers or set(answers.values()) != {"proven"}:
        message = f"`runner falsify --strict` ended with exit code {code}: {printed[-1500:]}"
        raise DidNotHappen(message)
    return Seen((last,), {"exit_code": code, "boxes": answers, "said": last})


async def crash(stage: Stage) -> Seen:
    """The bot is killed while a box runs; a new one carries the run on."""
    stage.checkout.edit(SLOW_FILE, SHORT, LONG)
    sha = await stage.checkout.push(BRANCH, "Watch steady traffic for longer")
    before = await _slow_box_runs(stage, sha)
    killed = await stage.kill_bot()
    child = await stage.start_bot()
    checks = await stage.concluded(sha)
    _all_green(checks)
    if [check.name for check in await stage.checks(sha)].count(OVERALL) != 1:
        raise DidNotHappen("the commit has more than one check named Interlock")
    comment = await _the_same_comment(stage, sha)
    record = await stage.run_record(checks[OVERALL].details_url)
    verdicts = {str(row["box"]): row["verdicts"] for row in record["boxes"]}
    again = {box: count for box, count in verdicts.items() if count != 1}
    if again or not before < set(verdicts):
        message = f"boxes without exactly one recorded verdict: {again}; recorded before the kill: {sorted(before)}"
        raise DidNotHappen(message)
    stage.runs["the run that survived kill -9"] = checks[OVERALL].details_url
    return Seen(
        (
            f"process {killed} was killed after {len(before)} of {len(verdicts)} boxes; process {child.pid} took over",
            *_lines(checks.values()),
            "each box has exactly one verdict in the run's record: none that had one ran again",
            f"runner processes that worked on the run, one after the other: {record['runners']}",
            f"still one comment: {comment}",
        ),
        {
            "sha": sha,
            "killed_pid": killed,
            "new_pid": child.pid,
            "finished_before_the_kill": sorted(before, key=int),
            "verdicts_recorded": verdicts,
            "runners": record["runners"],
            "checks": _conclusions(checks),
            "comment": {"id": stage.comment_id, "headline": comment},
        },
    )


async def _slow_box_runs(stage: Stage, sha: str) -> set[str]:
    """Wait until the slow box is running; the boxes that have their verdicts by then."""

    async def link() -> str | None:
        return next((check.details_url for check in await stage.checks(sha) if check.name == OVERALL), None)

    details_url = await stage.until(link)

    async def look() -> set[str] | None:
        boxes = (await stage.run_record(details_url))["boxes"]
        stage.seen["boxes"] = {str(row["box"]): row["verdict"] or row["phase"] for row in boxes}
        phases = {row["box"]: row["phase"] for row in boxes}
        if phases.get(SLOW_BOX) == "finished":
            raise DidNotHappen("the slow box was over before the bot could be killed")
        return {str(row["box"]) for row in boxes if row["verdict"]} if phases.get(SLOW_BOX) == "running" else None

    return await stage.until(look)


async def _the_same_comment(stage: Stage, sha: str) -> str:
    """The headline of the pull request's one comment, which must be green and not a new one."""
    comments = await stage.commented(sha)
    if [comment.id for comment in comments] != [stage.comment_id] or "✅" not in comments[0].body:
        message = f"expected comment {stage.comment_id} to be green, found {[c.id for c in comments]}: {stage.comment}"
        raise DidNotHappen(message)
    return _headline(comments[0].body)


def _expect(checks: dict[str, CheckRun], wanted: dict[str, str]) -> None:
    for name, conclusion in wanted.items():
        found = checks[name].conclusion if name in checks else "missing"
        if found != conclusion:
            message = f"expected the check '{name}' to be {conclusion}, it is {found}"
            raise DidNotHappen(message)


def _all_green(checks: dict[str, CheckRun]) -> None:
    _expect(checks, dict.fromkeys((OVERALL, *(f"Interlock / tier {n}" for n in (1, 2, 3))), "success"))


def _conclusions(checks: dict[str, CheckRun]) -> dict[str, str]:
    return {name: check.conclusion for name, check in checks.items()}


def _lines(checks: Sequence[CheckRun] | Any) -> list[str]:
    signs = {"success": "✓", "neutral": "·"}
    return [f"{signs.get(check.conclusion, '✗')} {check.name}: {check.title}" for check in checks]


def _headline(body: str) -> str:
    """The sentence of a comment: its first line that is shown, without the marks of Markdown."""
    shown = next(line for line in body.splitlines() if line.strip() and not line.startswith("<!--"))
    return re.sub(r"\*\*", "", shown)


STORY: tuple[Step, ...] = (
    Step(
        name="stand_in",
        title="Start a GitHub on this machine",
        why="No account and no network are needed: a stand-in speaks GitHub's REST API, webhooks and git.",
        play=stand_in,
        within=30,
    ),
    Step(
        name="bot",
        title="Start the bot",
        why="Interlock is one process with SQLite. It is told the App's id and key, and where GitHub is.",
        play=bot,
        within=30,
    ),
    Step(
        name="repository",
        title="Push a small web application with its boxes",
        why="Boxes are numbered tests in tiers. A push to main runs them all, and a tier waits for the one before.",
        play=repository,
        within=40,
    ),
    Step(
        name="live",
        title="Bring it to its first users",
        why="What is green goes to staging, is watched there, and goes to production: real processes, a real router.",
        play=live,
        within=90,
    ),
    Step(
        name="bug",
        title="Open a pull request with a mistake in it",
        why="It looks like an improvement, yet a permanent redirect hides all later clicks from the counter.",
        play=bug,
        within=40,
    ),
    Step(
        name="fix",
        title="Push the fix",
        why="The checks turn green, and the one comment is edited: a pull request does not fill up with messages.",
        play=fix,
        within=40,
    ),
    Step(
        name="proof",
        title="Prove that every box can fail",
        why="A test that cannot fail protects nothing. Each box names a sabotage, and must turn red under it.",
        play=proof,
        within=60,
    ),
    Step(
        name="crash",
        title="Kill the bot in the middle of a run",
        why="Machines fail. A new bot reads the run's record and carries on where the old one was.",
        play=crash,
        within=60,
    ),
    Step(
        name="merge",
        title="Merge it",
        why="Staging gets it by itself. Production now asks for somebody else's yes to exactly this commit.",
        play=merge,
        within=120,
    ),
    Step(
        name="switch",
        title="Approve it, and switch users over while they are there",
        why="Visitors who keep their connections and never ask twice count what a switch loses.",
        play=switch,
        within=90,
    ),
    Step(
        name="bad_release",
        title="Release a mistake that no test has seen",
        why="After the switch answers are counted. When too many fail, users are sent back, and nobody is asked.",
        play=bad,
        within=150,
    ),
)
