"""The pages on which a person registers an App from a manifest, and installs it. A program can press the buttons."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

import jinja2
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.localhub.acts import accounts, registrations
from bot.localhub.acts.registrations import ManifestInvalid

if TYPE_CHECKING:
    from starlette.requests import Request

    from bot.localhub.forge import Forge
    from bot.localhub.records import App, Json

NEW = re.compile(r"(?:/organizations/(?P<org>[^/]+))?/settings/apps/new")
CREATE = re.compile(r"(?:/organizations/(?P<org>[^/]+))?/settings/apps")
INSTALL = re.compile(r"/apps/(?P<slug>[a-z0-9-]+)/installations/new")
NOBODY = "octocat"
"""Who is signed in on a hub without people."""


class Registry:
    """The pages. Whoever looks at one is signed in as the hub's first user, and may do everything."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)

    def owns(self, path: str) -> bool:
        """Whether a path is one of these pages."""
        return any(pattern.fullmatch(path) for pattern in (NEW, CREATE, INSTALL))

    async def respond(self, request: Request) -> Response:
        """Answer one call."""
        path = request.url.path
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if match := INSTALL.fullmatch(path):
            return self._install(request.method, match["slug"], form)
        if request.method != "POST":
            return HTMLResponse(self._render("missing.html"), status_code=404)
        try:
            if match := NEW.fullmatch(path):
                return self._ask(match["org"] or "", form, request.query_params.get("state", ""))
            match = CREATE.fullmatch(path)
            return self._create((match and match["org"]) or "", form)
        except ManifestInvalid as wrong:
            return HTMLResponse(self._render("refused.html", sentence=str(wrong)), status_code=422)

    def _ask(self, org: str, form: Json, state: str) -> Response:
        manifest = _parse(form.get("manifest", ""))
        registrations.check(self._forge, manifest)
        action = f"/organizations/{org}/settings/apps" if org else "/settings/apps"
        values = {"manifest": form["manifest"], "state": state, "name": manifest["name"]}
        return HTMLResponse(self._render("register.html", action=action, owner=org or self._signed_in(), **values))

    def _create(self, org: str, form: Json) -> Response:
        manifest = _parse(form.get("manifest", ""))
        registrations.check(self._forge, {**manifest, "name": form.get("name", "")})
        made = registrations.register(self._forge, manifest, name=form["name"], owner=org or self._signed_in())
        query = urlencode({"code": made.id, "state": form.get("state", "")})
        return RedirectResponse(f"{manifest['redirect_url']}?{query}", status_code=302)

    def _install(self, method: str, slug: str, form: Json) -> Response:
        app = self._forge.state.apps.first(slug=slug)
        if app is None:
            return HTMLResponse(self._render("missing.html"), status_code=404)
        if method != "POST":
            owners = sorted({repo.owner for repo in self._forge.state.repositories} | {app.owner})
            return HTMLResponse(self._render("install.html", app=app, owners=owners))
        row = install(self._forge, app, form.get("account", app.owner))
        return RedirectResponse(f"/settings/installations/{row}", status_code=302)

    def _signed_in(self) -> str:
        people = (user.login for user in self._forge.state.users if user.type == "User" and user.login != "ghost")
        return next(people, NOBODY)

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(**values)


def install(forge: Forge, app: App, account: str) -> int:
    """Install an App on everything that an account owns; once."""
    known = forge.state.installations.first(app_id=app.id, account=account)
    return (known or accounts.install(forge, app, account)).id


def _parse(text: str) -> Json:
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise ManifestInvalid("manifest is not valid JSON")
    return manifest
