"""Check runs: made once for each head and name, then kept up to date. What they say is decided in bot.domain.checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot.domain.checks import Annotation, Check
from bot.github.addresses import repository_path, segment
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import GitHubUnavailable, NotFound, Unprocessable
from bot.github.pacer import Write

ANNOTATIONS_AT_ONCE = 50
"""GitHub takes no more in one request. Source: https://docs.github.com/en/rest/checks/runs"""

_LOOKS = 3


async def completed_at(gh: Installation, repo: str, check_run_id: int) -> datetime | None:
    """When a check run was completed, by GitHub's clock; None while it is not.

    Raises:
        NotFound: it is gone.
    """
    said = (await gh.get(f"{repository_path(repo)}/check-runs/{check_run_id}")).json
    moment = said.get("completed_at") if isinstance(said, dict) else None
    return datetime.fromisoformat(moment) if isinstance(moment, str) else None


async def ensure_check(
    gh: Installation,
    repo: str,
    *,
    name: str,
    head_sha: str,
    external_id: str,
    check: Check,
    details_url: str = "",
    started_at: datetime | None = None,
    lane: Lane = Lane.CHECKS,
) -> int:
    """The id of our check run of this name and external id on a head; made from `check` if there is none yet.

    A repeat finds what an earlier call made, also when that call never heard GitHub's answer. Annotations are left to
    `update_check`, which counts them.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        name: the check's name.
        head_sha: a full SHA of the repository.
        external_id: ours, unique for what is reported (a run): another run of the same head gets another check run.
        check: what it says at first.
        details_url: where its "Details" lead.
        started_at: aware; when the work began. GitHub takes the moment of creation otherwise.
        lane: how urgent it is.

    Raises:
        Unprocessable: GitHub does not know the head.
    """
    looks = 0
    while True:
        looks += 1
        if found := await _find(gh, repo, name=name, head_sha=head_sha, external_id=external_id):
            return found
        try:
            return await create_check(
                gh,
                repo,
                name=name,
                head_sha=head_sha,
                external_id=external_id,
                check=check,
                details_url=details_url,
                started_at=started_at,
                lane=lane,
            )
        except GitHubUnavailable as lost:
            if not lost.maybe_done or looks == _LOOKS:
                raise


async def create_check(
    gh: Installation,
    repo: str,
    *,
    name: str,
    head_sha: str,
    external_id: str,
    check: Check,
    details_url: str = "",
    started_at: datetime | None = None,
    lane: Lane = Lane.CHECKS,
) -> int:
    """Make a check run that says all of `check` but its annotations, and return its id.

    For whoever knows that it was never asked for before: a repeat makes a second one, which `ensure_check` does not.

    Raises:
        GitHubUnavailable: when it is `maybe_done`, the check run may be there all the same.
        Unprocessable: GitHub does not know the head.
    """
    body = {"name": name, "head_sha": head_sha, "external_id": external_id}
    body |= {"details_url": details_url} if details_url else {}
    body |= _state(check, started_at, gh.app.now()) | {"output": _output(check, ())}
    return int((await gh.post(f"{repository_path(repo)}/check-runs", body, write=Write(lane=lane))).json["id"])


async def update_check(
    gh: Installation,
    repo: str,
    check_run_id: int,
    check: Check,
    *,
    sent_annotations: int,
    started_at: datetime | None = None,
    lane: Lane = Lane.CHECKS,
) -> int:
    """Make a check run say `check`; returns how many of its annotations GitHub has now.

    GitHub appends annotations, so each is sent once: those after the first `sent_annotations`, or after as many as
    GitHub says it has when that is more (an answer was lost, or the count was not kept). Hence `check.annotations` may
    only grow between calls. The state changes with the last batch, so nobody reads a completed check that is still
    filling up.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        check_run_id: from `ensure_check`.
        check: what it should say.
        sent_annotations: what the last call returned; 0 at first.
        started_at: aware; when the work began, if GitHub is to know it better than before.
        lane: how urgent it is.

    Raises:
        Overtaken: something newer is said of the same check run, or it was progress and had no turn.
    """
    path = f"{repository_path(repo)}/check-runs/{check_run_id}"
    state = _state(check, started_at, gh.app.now())
    sent, looks = sent_annotations, 0
    while sent < len(check.annotations):
        sent = max(sent, await _annotations_there(gh, path))
        batch = check.annotations[sent : sent + ANNOTATIONS_AT_ONCE]
        is_last = sent + len(batch) >= len(check.annotations)
        try:
            said = {"output": _output(check, batch)} | (state if is_last else {})
            # It adds something, so nothing newer can take its place.
            await gh.patch(path, said, idempotent=not batch, write=Write(lane=lane))
        except GitHubUnavailable as lost:
            looks += 1
            if not lost.maybe_done or looks == _LOOKS:
                raise
            continue
        sent += len(batch)
        if is_last:
            return max(sent, sent_annotations)
    write = Write(lane=lane, target=path, final=check.status == "completed")
    await gh.patch(path, state | {"output": _output(check, ())}, write=write)
    return sent


def timestamp(moment: datetime) -> str:
    """As GitHub writes time: UTC, seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def is_shown(gh: Installation, repo: str, *, name: str, head_sha: str) -> bool:
    """Whether our App has a check run of this name on a head. A head that GitHub does not know shows none."""
    path = f"{repository_path(repo)}/commits/{segment(head_sha)}/check-runs"
    query: dict[str, str | int] = {"check_name": name, "app_id": gh.app.app_id}
    try:
        return [run async for run in gh.paginate(path, query, key="check_runs", again=True)] != []
    except (NotFound, Unprocessable):
        return False


async def _find(gh: Installation, repo: str, *, name: str, head_sha: str, external_id: str) -> int | None:
    """The newest of ours; another App may use the same name and the same external id."""
    path = f"{repository_path(repo)}/commits/{segment(head_sha)}/check-runs"
    query: dict[str, str | int] = {"check_name": name, "app_id": gh.app.app_id, "filter": "all"}
    found = [
        int(run["id"])
        async for run in gh.paginate(path, query, key="check_runs")
        if run.get("external_id") == external_id
        and run.get("name") == name
        and (run.get("app") or {}).get("id") == gh.app.app_id
    ]
    return max(found, default=None)


async def _annotations_there(gh: Installation, path: str) -> int:
    return int((await gh.get(path)).json["output"]["annotations_count"])


def _state(check: Check, started_at: datetime | None, now: datetime) -> dict[str, Any]:
    buttons = [{"label": b.label, "description": b.description, "identifier": b.identifier} for b in check.buttons]
    state: dict[str, Any] = {"status": check.status, "actions": buttons}
    if started_at:
        state["started_at"] = timestamp(started_at)
    if check.conclusion:
        state |= {"conclusion": check.conclusion, "completed_at": timestamp(now)}
    return state


def _output(check: Check, annotations: Sequence[Annotation]) -> dict[str, Any]:
    output: dict[str, Any] = {"title": check.title, "summary": check.summary}
    if check.text:
        output["text"] = check.text
    if annotations:
        output["annotations"] = [_annotation(annotation) for annotation in annotations]
    return output


def _annotation(annotation: Annotation) -> dict[str, Any]:
    sent = {
        "path": annotation.path,
        "start_line": annotation.start_line,
        "end_line": annotation.end_line,
        "annotation_level": annotation.level,
        "message": annotation.message,
        "title": annotation.title,
        "raw_details": annotation.raw_details,
    }
    return {key: value for key, value in sent.items() if value != ""}
