"""Pages and REST of deployments. Everything here is read from the store and the deployment's files."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.picture import STANDALONE_CSS, picture
from bot.domain.deploy.record import canonical
from bot.flows.context import Context
from bot.flows.deploying.recording import record_now
from bot.ops.links import deployment_path
from bot.web.deploy_page import DeploymentPage, DeploymentRow, render_deployment, render_deployments
from bot.web.html import html
from bot.web.local import is_local, require_local

_NUMBER = re.compile(r"[0-9]{1,15}")
_OF_THE_PICTURE = base64.b64encode(hashlib.sha256(STANDALONE_CSS.encode()).digest()).decode()


class DeployPages:
    """`/deployments`, `/deployments/N`, its picture, and `/api/v1/deployments`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def routes(self) -> list[Route]:
        """All routes of this module."""
        return [
            Route("/deployments", self.index),
            Route("/deployments/{number}.svg", self.picture),
            Route("/deployments/{number}", self.deployment),
            Route("/api/v1/deployments", self.api_deployments),
            Route("/api/v1/deployments/{number}", self.api_deployment),
        ]

    async def index(self, request: Request) -> Response:
        """The newest deployments; only for who sits at the machine."""
        _require_local(request)
        rows = [_row(deployment) for deployment in await self._ctx.deployments.newest()]
        return html(lambda nonce: render_deployments(rows, nonce=nonce))

    async def deployment(self, request: Request) -> Response:
        """The page of one; `?fragment=1` gives what changes while it lives."""
        deployment = await self._find(request)
        record = await record_now(self._ctx, deployment)
        proof = _proof(request)
        page = DeploymentPage(
            record=record,
            now=self._ctx.clock.now().timestamp(),
            web_url=f"{self._ctx.github.web_url}/{deployment.repo}",
            index_url="/deployments" if is_local(request) else "",
            json_url=f"/api/v1{deployment_path(deployment.number)}{proof}",
            svg_url=f"{deployment_path(deployment.number)}.svg{proof}" if record["watch"]["samples"] else "",
        )
        fragment = request.query_params.get("fragment") == "1"
        return html(lambda nonce: render_deployment(page, nonce=nonce, fragment=fragment))

    async def picture(self, request: Request) -> Response:
        """What its watch has seen, as SVG."""
        deployment = await self._find(request)
        drawn = picture(await record_now(self._ctx, deployment), standalone=True)
        if not drawn:
            raise HTTPException(404, "its watch has seen nothing")
        headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_OF_THE_PICTURE}'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(drawn, media_type="image/svg+xml", headers=headers)

    async def api_deployments(self, request: Request) -> Response:
        """The newest as JSON."""
        _require_local(request)
        found = [self._brief(deployment) for deployment in await self._ctx.deployments.newest()]
        return JSONResponse({"schema": "interlock.deployments/1", "deployments": found})

    async def api_deployment(self, request: Request) -> Response:
        """Its record. Of one that has ended it is, byte for byte, what is kept."""
        deployment = await self._find(request)
        return Response(canonical(await record_now(self._ctx, deployment)), media_type="application/json")

    def _brief(self, deployment: Deployment) -> dict[str, object]:
        return {
            "number": deployment.number,
            "repo": deployment.repo,
            "environment": deployment.environment,
            "kind": deployment.kind,
            "state": str(deployment.state),
            "because": deployment.because,
            "sha": deployment.sha,
            "ref": deployment.ref,
            "pr": deployment.pr,
            "artifact": deployment.artifact,
            "requested_by": deployment.requested_by,
            "plan_hash": deployment.plan_hash,
            "created_at": deployment.created_at.isoformat(),
            "finished_at": _moment(deployment.finished_at),
            "url": self._ctx.links.deployment_url(deployment.number),
        }

    async def _find(self, request: Request) -> Deployment:
        digits = request.path_params["number"]
        if not _NUMBER.fullmatch(digits):  # more than a database, or Python, takes for a number
            raise HTTPException(404, "there is no such deployment")
        number = int(digits)
        if not self._ctx.links.allows_deployment(number, request.query_params.get("t", "")):
            _require_local(request)
        deployment = await self._ctx.deployments.numbered(number)
        if deployment is None:
            raise HTTPException(404, f"there is no deployment {number}")
        if not is_local(request) and self._ctx.links.lapsed(deployment.created_at, self._ctx.clock.now()):
            raise HTTPException(403, f"links to a deployment end {self._ctx.links.days} days after it began")
        return deployment


def _require_local(request: Request) -> None:
    require_local(request, "this page needs the signed link that the deployment on GitHub carries")


def _proof(request: Request) -> str:
    """What opened this page, so that what it leads to opens as well."""
    token = request.query_params.get("t", "")
    return f"?t={quote(token)}" if token else ""


def _row(deployment: Deployment) -> DeploymentRow:
    ended = deployment.finished_at
    return DeploymentRow(
        number=deployment.number,
        url=deployment_path(deployment.number),
        repo=deployment.repo,
        environment=deployment.environment,
        kind=deployment.kind,
        state=deployment.state,
        sha=deployment.sha,
        because=deployment.because,
        at=deployment.created_at.timestamp(),
        seconds=(ended - deployment.created_at).total_seconds() if ended else None,
    )


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
