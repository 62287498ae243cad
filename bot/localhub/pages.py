"""Pages to look at: repositories, pull requests with checks and comments, and what was deployed, as on GitHub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from bot.localhub.views import pulls
from bot.localhub.views.checks import suite_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from bot.localhub.forge import Forge
    from bot.localhub.records import CheckRun, Environment, Json, PullRequest, Repository

PULL = re.compile(r"/(?P<name>[^/]+/[^/]+)/pull/(?P<number>[0-9]{1,9})(?:/.*)?")
DEPLOYMENTS = re.compile(r"/(?P<name>[^/]+/[^/]+)/deployments(?:/.*)?")
REPOSITORY = re.compile(r"/(?P<name>[^/]+/[^/]+)/?")


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_FOLD = re.compile(r"&lt;(/?(?:details|summary))&gt;")


def render_markdown(text: str | None) -> Markup:
    """Markdown as GitHub shows it, as far as our own texts need: comments hide, folds fold, other HTML is text."""
    html = _MARKDOWN.render(_COMMENT.sub("", text or ""))
    return Markup(_FOLD.sub(r"<\1>", html))  # noqa: S704 - markdown-it escaped everything; the fold's tags are bare.


class Pages:
    """The hub's HTML, read-only."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        # Raw HTML is shown as text: what a bot wrote must not run in the page of the person who looks at it.
        self._templates.filters["markdown"] = render_markdown
        self._templates.filters["mark"] = mark

    def respond(self, request: Request) -> Response:
        """The page at a path, or a 404 that leads home."""
        path = request.url.path
        if request.method not in {"GET", "HEAD"}:
            return HTMLResponse(self._render("missing.html"), status_code=405)
        if path == "/":
            return HTMLResponse(self._render("home.html", repositories=list(self._forge.state.repositories)))
        if match := PULL.fullmatch(path):
            repo = self._forge.state.repository(match["name"])
            pull = self._forge.state.pull(repo, int(match["number"])) if repo else None
            if repo and pull:
                return HTMLResponse(self._pull(repo, pull))
        elif (match := DEPLOYMENTS.fullmatch(path)) and (repo := self._forge.state.repository(match["name"])):
            return HTMLResponse(self._render("deployments.html", repo=repo, environments=self._environments(repo)))
        elif (match := REPOSITORY.fullmatch(path)) and (repo := self._forge.state.repository(match["name"])):
            rows = self._forge.state.pulls.where(repository_id=repo.id)[::-1]
            return HTMLResponse(self._render("repository.html", repo=repo, pulls=rows))
        return HTMLResponse(self._render("missing.html"), status_code=404)

    def _pull(self, repo: Repository, pull: PullRequest) -> str:
        state = self._forge.state
        head = state.repositories.get(pull.head_repository_id) or repo
        return self._render(
            "pull.html",
            repo=repo,
            pull=pull,
            head_label=pull.head_ref if head.id == repo.id else f"{head.owner}:{pull.head_ref}",
            checks=self._checks(repo, pull.head_sha),
            comments=state.comments.where(repository_id=repo.id, number=pull.number),
            statuses=list({row.context: row for row in state.statuses.where(sha=pull.head_sha)}.values()),
            files=pulls.changes(self._forge, pull),
            reactions=lambda one: _counted(row.content for row in state.reactions.where(subject_id=one.id)),
            is_bot=lambda login: bool((user := state.user(login)) and user.type == "Bot"),
            avatar=lambda login: f"/_hub/avatars/{user.id}" if (user := state.user(login)) else "",
        )

    def _checks(self, repo: Repository, sha: str) -> list[Json]:
        suites = self._forge.state.suites.where(repository_id=repo.id, head_sha=sha)
        shown = []
        for suite in suites:
            newest = {run.name: run for run in self._forge.state.runs.where(suite_id=suite.id)}
            app = self._forge.state.apps.get(suite.app_id)
            verdict = suite_verdict(self._forge, suite)
            shown.append({"app": app, "verdict": verdict, "runs": list(newest.values())})
        return shown

    def _environments(self, repo: Repository) -> list[Json]:
        found = self._forge.state.environments.where(repository_id=repo.id)
        return [
            {
                "row": row,
                "rules": list(_protection(self._forge, row)),
                "jobs": self._jobs(row),
                "deployments": self._deployments(repo, row),
            }
            for row in found
        ]

    def _deployments(self, repo: Repository, environment: Environment) -> list[Json]:
        """Newest first; current is the newest that succeeded and that nobody has ended."""
        state, shown = self._forge.state, []
        is_replaced = False
        for row in state.deployments.where(repository_id=repo.id, environment=environment.name)[::-1]:
            statuses = state.deployment_statuses.where(deployment_id=row.id)[::-1]
            last = statuses[0].state if statuses else ""
            is_current = last == "success" and not is_replaced
            is_replaced = is_replaced or is_current
            shown.append({"row": row, "statuses": statuses, "state": last, "current": is_current})
        return shown

    def _jobs(self, environment: Environment) -> list[Json]:
        state, shown = self._forge.state, []
        for row in state.pending.where(environment_id=environment.id, state="waiting"):
            named = [(state.apps.get(int(app_id)), answer) for app_id, answer in row.rules.items()]
            rules = [(app.name if app else "an App", answer) for app, answer in named]
            shown.append({"row": row, "run": state.workflow_runs.get(row.run_id), "rules": rules})
        return shown

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(**values)


def _protection(forge: Forge, row: Environment) -> Iterator[str]:
    if row.reviewers:
        yield f"reviewed by {', '.join(row.reviewers)}"
    if row.wait_timer:
        yield f"waits {row.wait_timer} min"
    if row.branch_policy:
        yield f"{row.branch_policy} branches"
    for app_id in row.custom_rules:
        app = forge.state.apps.get(app_id)
        yield f"asks {app.name if app else 'an App'}"


def mark(run: CheckRun) -> str:
    """How a run looks at a glance: `good`, `bad`, `attention`, `grey` or `running`."""
    if run.status != "completed":
        return "running"
    if run.conclusion == "action_required":
        return "attention"
    if run.conclusion in {"neutral", "skipped", "cancelled"}:
        return "grey"
    return "good" if run.conclusion == "success" else "bad"


def _counted(contents: object) -> dict[str, int]:
    counts: dict[str, int] = {}
    for content in contents:  # type: ignore[attr-defined]
        counts[content] = counts.get(content, 0) + 1
    return counts
