"""How `interlock deploys` says things: plain lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.record import reasons
from bot.domain.report import duration
from bot.domain.text import clean, one_line

SIGNS = {"pass": "✓", "wait": "…", "deny": "✗"}


def line(deployment: Deployment) -> str:
    """A deployment on one line."""
    at = deployment.created_at.strftime("%Y-%m-%d %H:%M")
    what = f"{deployment.repo} {deployment.environment}" + (" (rollback)" if deployment.kind == "rollback" else "")
    because = f"  {one_line(deployment.because, 120)}" if deployment.because else ""
    return f"{deployment.number:>5}  {at}  {deployment.state:<15}  {deployment.short}  {what}{because}"


def story(record: Mapping[str, Any]) -> str:
    """A record for who reads it."""
    return "\n".join(_lines(record))


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    who, release = record["who"], record["release"]
    what = "rollback" if record["kind"] == "rollback" else "deployment"
    yield f"{what} {record['number']}: {record['repo']} {record['environment']}: {record['state'].replace('_', ' ')}"
    yield from (f"  {one_line(sentence, 600)}" for sentence in reasons(record))
    asked = one_line(who["requested_by"] or "a green push", 100)
    yield f"asked for by {asked}" + (f" on #{who['pr']}" if who["pr"] else "")
    yield f"commit {release['sha']}" + (f" of {one_line(release['ref'])}" if release["ref"] else "")
    yield f"artifact {release['artifact']}, configuration {release['config'][:12]}"
    if record["plan"]:
        yield f"plan {record['plan']['hash']}"
    yield from _states(record)
    yield from _gates(record)
    yield from _watch(record)
    if record["log"].strip():
        yield "the release printed last:"
        yield from (f"  {each}" for each in clean(record["log"]).rstrip().split("\n")[-20:])
    if "hash" in record:
        before = record["previous"]["number"]
        yield f"record {record['hash']}, " + (f"after deployment {before}'s" if before else "the environment's first")


def _states(record: Mapping[str, Any]) -> Iterator[str]:
    yield "states:"
    for stay in record["states"]:
        lasted = "" if stay["seconds"] is None else duration(stay["seconds"])
        because = one_line(stay["because"], 200)
        yield f"  {stay['at'][11:19]}  {stay['state'].replace('_', ' '):<16}{lasted:>9}  {because}".rstrip()


def _gates(record: Mapping[str, Any]) -> Iterator[str]:
    if record["gates"]:
        yield "gates:"
    for gate in record["gates"]:
        way_out = f" ({one_line(gate['way_out'], 200)})" if gate["way_out"] else ""
        yield f"  {SIGNS.get(gate['answer'], '?')} {one_line(gate['gate'])}: {one_line(gate['because'], 300)}{way_out}"
    for each in record["approvals"]:
        void = f", which does not count: {one_line(each['void_because'], 200)}" if each["void_because"] else ""
        yield f"  {one_line(each['by'])} {'approved' if each['approves'] else 'rejected'} {each['sha'][:7]}{void}"


def _watch(record: Mapping[str, Any]) -> Iterator[str]:
    watch = record["watch"]
    if watch["sources"]:
        yield "the watch has seen:"
    for each in watch["sources"]:
        seen = each["successes"] + each["failures"]
        yield f"  {one_line(each['source'])} of the {each['side']} release: {each['failures']} of {seen} answers failed"
    if watch["because"]:
        yield f"  {one_line(watch['because'], 400)}"
