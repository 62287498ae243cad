"""Check suites and runs: requested by pushes, reported by Apps, asked for again by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.bare import ZERO
from bot.localhub.records import CheckRun, CheckSuite
from bot.localhub.views import checks, people, repositories

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import App, Json, Repository


def request_suites(forge: Forge, repo: Repository, *, head_sha: str, branch: str, before: str, by: str) -> None:
    """Open a suite on a pushed commit for every installed App that may write checks, and tell each of its own."""
    for installation in forge.state.installed(repo):
        app = forge.state.app_of(installation)
        if installation.permissions.get("checks") != "write":
            continue
        known = forge.state.suites.first(repository_id=repo.id, app_id=app.id, head_sha=head_sha)
        if known is None:
            suite = open_suite(forge, repo, app, head_sha, branch=branch, before=None if before == ZERO else before)
            _emit_suite(forge, repo, suite, "requested", by)


def open_suite(
    forge: Forge, repo: Repository, app: App, head_sha: str, *, branch: str | None = None, before: str | None = None
) -> CheckSuite:
    """Make an empty suite."""
    now = forge.clock.stamp()
    return forge.state.suites.put(
        CheckSuite(
            id=forge.state.suites.new_id(),
            repository_id=repo.id,
            app_id=app.id,
            head_sha=head_sha,
            head_branch=branch,
            before=before,
            after=head_sha,
            created_at=now,
            updated_at=now,
        )
    )


def create_run(forge: Forge, repo: Repository, app: App, head_sha: str, facts: Json) -> CheckRun:
    """Add a run to the App's suite of a commit; `facts` are fields of `CheckRun` that the App reported."""
    suite = forge.state.suites.first(repository_id=repo.id, app_id=app.id, head_sha=head_sha)
    if suite is None:
        heads = forge.git(repo).refs()
        branch = next((ref[11:] for ref, sha in heads.items() if sha == head_sha and ref[:11] == "refs/heads/"), None)
        suite = open_suite(forge, repo, app, head_sha, branch=branch)
    fields = {"status": "queued", "conclusion": None, "started_at": forge.clock.stamp(), "completed_at": None}
    run = CheckRun(
        id=forge.state.runs.new_id(),
        suite_id=suite.id,
        repository_id=repo.id,
        head_sha=head_sha,
        **{**fields, **_finished(forge, facts)},
    )
    forge.state.runs.put(run)
    _touch(forge, suite)
    _emit_run(forge, repo, run, "created", bot_login(app))
    if run.status == "completed":
        _completed(forge, repo, run, app)
    return run


def update_run(forge: Forge, repo: Repository, run: CheckRun, app: App, facts: Json) -> CheckRun:
    """Change a run; annotations are appended to those that are there, as GitHub does."""
    changes = _finished(forge, facts)
    if "annotations" in changes:
        changes["annotations"] = [*run.annotations, *changes["annotations"]]
    if changes.get("status", "completed") != "completed":
        changes.update(conclusion=None, completed_at=None)
    changed = forge.state.runs.change(run, **changes)
    if suite := forge.state.suites.get(run.suite_id):
        _touch(forge, suite)
    if changed.status == "completed" and run.status != "completed":
        _completed(forge, repo, changed, app)
    return changed


def _finished(forge: Forge, facts: Json) -> Json:
    """A conclusion completes a run, and a completed run has a time of completion."""
    facts = dict(facts)
    if facts.get("conclusion"):
        facts["status"] = "completed"
    if facts.get("status") == "completed":
        facts["completed_at"] = facts.get("completed_at") or forge.clock.stamp()
    return facts


def _touch(forge: Forge, suite: CheckSuite) -> None:
    forge.state.suites.change(suite, updated_at=forge.clock.stamp())


def _completed(forge: Forge, repo: Repository, run: CheckRun, app: App) -> None:
    _emit_run(forge, repo, run, "completed", bot_login(app))
    suite = forge.state.suites.get(run.suite_id)
    if suite and checks.suite_verdict(forge, suite)[0] == "completed":
        _emit_suite(forge, repo, suite, "completed", bot_login(app))


def rerequest_run(forge: Forge, repo: Repository, run: CheckRun, by: str) -> None:
    """Somebody pressed "Re-run": only the App that owns the run hears of it, and its suite is dated anew."""
    if suite := forge.state.suites.get(run.suite_id):
        _touch(forge, suite)
    _emit_run(forge, repo, run, "rerequested", by, owner_only=True)


def rerequest_suite(forge: Forge, repo: Repository, suite: CheckSuite, by: str) -> None:
    """Somebody pressed "Re-run all checks"."""
    _touch(forge, suite)
    _emit_suite(forge, repo, forge.state.suites.get(suite.id) or suite, "rerequested", by)


def request_action(forge: Forge, repo: Repository, run: CheckRun, identifier: str, by: str) -> None:
    """Somebody pressed a button of a finished run.

    Raises:
        LookupError: the run has no button with this identifier.
    """
    if not any(action["identifier"] == identifier for action in run.actions):
        message = f"check run {run.id} has no action {identifier!r}"
        raise LookupError(message)
    more = {"requested_action": {"identifier": identifier}}
    _emit_run(forge, repo, run, "requested_action", by, owner_only=True, **more)


def bot_login(app: App) -> str:
    """The account that an App acts as."""
    return f"{app.slug}[bot]"


def _emit_run(
    forge: Forge, repo: Repository, run: CheckRun, action: str, by: str, *, owner_only: bool = False, **more: Json
) -> None:
    def payload() -> Json:
        return {"action": action, "check_run": checks.run_event(forge, repo, run), **more, **_where(forge, repo, by)}

    suite = forge.state.suites.get(run.suite_id)
    forge.emit("check_run", payload, repo=repo, app_id=suite.app_id if suite and owner_only else 0)


def _emit_suite(forge: Forge, repo: Repository, suite: CheckSuite, action: str, by: str) -> None:
    def payload() -> Json:
        return {"action": action, "check_suite": checks.suite_event(forge, repo, suite), **_where(forge, repo, by)}

    forge.emit("check_suite", payload, repo=repo, app_id=0 if action == "completed" else suite.app_id)


def _where(forge: Forge, repo: Repository, by: str) -> Json:
    return {"repository": repositories.repository(forge, repo), "sender": people.by_login(forge, by)}
