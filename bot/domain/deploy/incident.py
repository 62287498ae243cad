"""What the issue of an incident says: a release that was taken back, or could not be, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.record import reasons
from bot.domain.deploy.states import State
from bot.domain.text import BUDGET, code, fenced, one_line, plain, tail, within

LOG_LINES = 40
LOG_BYTES = 8_000

BAD = frozenset({State.ROLLED_BACK, State.ROLLBACK_FAILED})
"""What begins an incident, or belongs to one; a success in the same environment ends it."""


def series(newest_first: Sequence[Deployment]) -> tuple[tuple[Deployment, ...], Deployment | None]:
    """The deployments of an environment that are one incident, oldest first, and the success that ended it.

    The first are none when the newest that ended either way is a success, which is then the second.
    """
    bad: list[Deployment] = []
    for deployment in newest_first:
        if deployment.state is State.SUCCEEDED:
            return tuple(reversed(bad)), None if bad else deployment
        if deployment.state in BAD:
            bad.append(deployment)
    return tuple(reversed(bad)), None


def marker(repo_id: int, environment: str, sign: Callable[[str], str]) -> str:
    """The hidden text by which the open issue of an environment is found again."""
    return f"<!-- interlock:incident {sign(f'incident:{repo_id}:{environment}')} -->"


def title(deployment: Deployment) -> str:
    """The issue's. GitHub shows titles as they are, but for @ and #, which it does not follow there."""
    what = "could not be rolled back from" if deployment.state is State.ROLLBACK_FAILED else "was rolled back from"
    return one_line(f"{deployment.environment} {what} {deployment.short}", 200)


def body(record: Mapping[str, Any], *, page_url: str, picture_url: str) -> str:
    """The evidence against one release: also what the second and third of an incident add to its issue.

    Args:
        record: of the deployment.
        page_url: "" leaves it out.
        picture_url: where everybody can see the picture; "" leaves it out.
    """
    return within(_headline(record), [*_sections(record, page_url, picture_url)], limit=BUDGET, left_out="…")


def recovered(deployment: Deployment) -> str:
    """What is said when it is over."""
    return f"✅ Deployment {deployment.number} of {code(deployment.short)} succeeded; this is over."


def _headline(record: Mapping[str, Any]) -> str:
    sha = code(record["release"]["sha"][:7])
    before = code(record["replaced"]["sha"][:7]) if record["replaced"] else "nothing"
    what = f"went back from {sha} to {before}"
    if record["state"] == State.ROLLBACK_FAILED:
        what = f"should have gone back from {sha} to {before}, and **could not**: somebody has to look now"
    pull = f" of #{record['who']['pr']}" if record["who"]["pr"] else ""
    return f"**{plain(record['environment'])}** {what}. It was deployment {record['number']}{pull}."


def _sections(record: Mapping[str, Any], page_url: str, picture_url: str) -> Iterator[str]:
    for sentence in reasons(record):
        yield f"> {plain(sentence, 1000)}"
    yield from _evidence(record["watch"])
    if picture_url:
        link = f"![What the watch has seen]({picture_url})"
        yield f"[{link}]({page_url})" if page_url else link
    if record["log"].strip():
        printed = fenced(tail(record["log"], lines=LOG_LINES, limit=LOG_BYTES))
        yield f"<details><summary>What the release printed last</summary>\n\n{printed}\n\n</details>"
    if page_url:
        yield f"[The whole story]({page_url})"
    yield "This issue is closed by the next deployment to this environment that succeeds."


def _evidence(watch: Mapping[str, Any]) -> Iterator[str]:
    """Of whom how many answers failed, and what that was worth at the end."""
    if not watch["sources"]:
        return
    rows = ["| source | release | answers | failed | ln(1 + R) |", "|--|--|--:|--:|--|"]
    for each in watch["sources"]:
        seen = each["successes"] + each["failures"]
        worth = _worth(watch, each["source"]) if each["side"] == "new" else ""
        rows.append(f"| {plain(each['source'], 40)} | {each['side']} | {seen} | {each['failures']} | {worth} |")
    yield "\n".join(rows)


def _worth(watch: Mapping[str, Any], source: str) -> str:
    mine = [reading for reading in watch["readings"] if reading["source"] == source]
    return f"{mine[-1]['log_r']:.1f}, bad from {mine[-1]['log_threshold']:.1f} on" if mine else ""
