"""Pages and REST of runs. Everything here is read from the store and the run's files; nothing is changed."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from bot.domain.progress import NOT_EXECUTED, Progress
from bot.domain.report import RunState as Shown
from bot.domain.repro import Repro
from bot.domain.run_states import OPEN, RunState
from bot.flows import holds, record
from bot.flows.context import Context
from bot.store.runs import Run
from bot.web.html import html
from bot.web.local import is_local, require_local
from bot.web.run_json import box_json, run_json
from bot.web.run_page import RunPageModel, RunRow, render_index, render_run
from runner.events import BoxFinished
from runner.model import BoxId

EARLY = frozenset({RunState.REFUSED, RunState.CANCELLED, RunState.SUPERSEDED})
"""States of runs that ended before every box had its verdict."""

_NUMBER = re.compile(r"[0-9]{1,15}")
_LOG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,120}")


class Pages:
    """`/`, `/runs/N`, its logs, and `/api/v1/runs`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def routes(self) -> list[Route]:
        """All routes of this module."""
        return [
            Route("/", self.index),
            Route("/runs/{number}", self.run),
            Route("/runs/{number}/logs/{name}", self.log),
            Route("/api/v1/runs", self.api_runs),
            Route("/api/v1/runs/{number}", self.api_run),
        ]

    async def index(self, request: Request) -> Response:
        """The newest runs; only for who sits at the machine."""
        _require_local(request)
        rows = [
            RunRow(
                run_id=str(run.number),
                url=f"/runs/{run.number}",
                repo=run.repo,
                pr=run.pr,
                head_sha=run.head_sha,
                headline=run.because or str(run.state),
                tone=_tone(run),
                at=run.created_at.timestamp(),
                seconds=(run.finished_at - run.created_at).total_seconds() if run.finished_at else None,
            )
            for run in await self._ctx.runs.recent()
        ]
        return html(lambda nonce: render_index(rows, nonce=nonce))

    async def run(self, request: Request) -> Response:
        """The page of one run; `?fragment=1` gives what changes while it lives."""
        run = await self._find(request)
        web = f"{self._ctx.github.web_url}/{run.repo}"
        model = RunPageModel(
            run_id=str(run.number),
            subject=record.subject(run),
            progress=await self._progress(run),
            state=_shown(run),
            now=self._ctx.clock.now().timestamp(),
            ended=run.because if run.state in EARLY else "",
            pr_url=f"{web}/pull/{run.pr}" if run.pr is not None else "",
            commit_url=f"{web}/commit/{run.head_sha}",
            index_url="/" if is_local(request) else "",
            scrutiny=record.scrutiny(self._ctx.files(run)),
            page_url=_page_url(run.number, request),
            configuration=known.plainly if (known := record.in_force(self._ctx.files(run))) else "",
        )
        fragment = request.query_params.get("fragment") == "1"
        return html(lambda nonce: render_run(model, nonce=nonce, fragment=fragment))

    async def log(self, request: Request) -> Response:
        """The log of one attempt, as text."""
        run = await self._find(request)
        name = request.path_params["name"]
        path = self._ctx.files(run).logs / name
        if not _LOG.fullmatch(name) or not path.is_file() or path.is_symlink():
            raise HTTPException(404, "there is no such log")
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
        return FileResponse(path, media_type="text/plain; charset=utf-8", headers=headers)

    async def api_runs(self, request: Request) -> Response:
        """The newest runs as JSON."""
        _require_local(request)
        runs = [run_json(run, url=self._ctx.links.url(run.number)) for run in await self._ctx.runs.recent()]
        return JSONResponse({"schema": "interlock.runs/1", "runs": runs})

    async def api_run(self, request: Request) -> Response:
        """One run with its boxes as JSON. `runners`: how many processes worked on it, one more for each crash."""
        run = await self._find(request)
        verdicts, state = self._verdicts(run), await self._progress(run)
        repro = Repro.of(record.subject(run), state)
        boxes = [box_json(box, verdicts=verdicts[box.box], repro=repro) for box in state.boxes]
        described = run_json(run, url=self._ctx.links.url(run.number))
        runners = len(self._ctx.files(run).records())
        return JSONResponse({"schema": "interlock.run/1", **described, "runners": runners, "boxes": boxes})

    async def _find(self, request: Request) -> Run:
        digits = request.path_params["number"]
        if not _NUMBER.fullmatch(digits):  # more than a database, or Python, takes for a number
            raise HTTPException(404, "there is no such run")
        number = int(digits)
        is_shown = self._ctx.links.allows(number, request.query_params.get("t", ""))
        if not is_shown:
            _require_local(request)
        run = await self._ctx.runs.by_number(number)
        if run is None:
            raise HTTPException(404, f"there is no run {number}")
        if not is_local(request) and self._ctx.links.lapsed(run.created_at, self._ctx.clock.now()):
            raise HTTPException(403, f"links to a run end {self._ctx.links.days} days after it began")
        return run

    def _verdicts(self, run: Run) -> Counter[BoxId]:
        """How often each box got a verdict by running in this run; more than once only if a crash made it run again."""
        events = self._ctx.files(run).events()
        return Counter(e.box for e in events if isinstance(e, BoxFinished) and e.verdict not in NOT_EXECUTED)

    async def _progress(self, run: Run) -> Progress:
        return await holds.state_of(self._ctx, run)


def _require_local(request: Request) -> None:
    require_local(request, "this page needs the signed link that the check run carries")


def _page_url(number: int, request: Request) -> str:
    """Where this page is, with what opened it, so that what it leads to opens as well."""
    token = request.query_params.get("t", "")
    return f"/runs/{number}" + (f"?t={quote(token)}" if token else "")


def _tone(run: Run) -> str:
    if run.state in OPEN:
        return "live" if run.state is RunState.RUNNING else "idle"
    if run.state is RunState.FINISHED:
        return "good" if run.conclusion == "success" else "bad"
    return "held"


def _shown(run: Run) -> Shown:
    if run.state not in OPEN:
        return Shown.FINISHED
    return Shown.RUNNING if run.state is RunState.RUNNING else Shown.QUEUED
