"""`LocalHub`: a whole GitHub in one object, and the verbs in which tests, the demo and the seed tell their stories.

The verbs do what a person does on GitHub's pages, with the same events. They are plain functions: when one returns,
the state has changed and the webhooks are queued. Call them on the thread of the loop that the hub was started on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse

from bot.localhub import keys
from bot.localhub.acts import accounts, checks, comments, pulls, pushes, queue
from bot.localhub.admin import PREFIX, Admin
from bot.localhub.clock import Clock, new_secret
from bot.localhub.deploying import Deploying
from bot.localhub.faults import Faults
from bot.localhub.forge import Forge
from bot.localhub.git_http import GitHttp
from bot.localhub.hooks import Hooks
from bot.localhub.lfs_http import LfsHttp
from bot.localhub.limits import Limits
from bot.localhub.pages import Pages
from bot.localhub.register import Registry
from bot.localhub.rest.api import Api
from bot.localhub.server import LoopbackServer
from bot.localhub.state import State
from bot.localhub.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bot.localhub.records import App, CheckRun, Comment, Delivery, Installation, MergeGroup, PullRequest, Repository

APP_SLUG = "interlock"
APP_OWNER = "interlock-dev"


class LocalHub:
    """A GitHub on loopback.

    Args:
        state_dir: where everything is kept over a restart; None keeps nothing beyond this object.
        clock: the hub's time; the machine's by default.
        transport: how webhooks travel (an `httpx.ASGITransport` reaches a receiver without a socket).
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._temporary = None if state_dir else tempfile.TemporaryDirectory(prefix="localhub-")
        self.directory = state_dir or Path(self._temporary.name if self._temporary else ".")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._store = Store(self.directory / "hub.sqlite") if state_dir else None
        self.clock = clock or Clock()
        self.faults = Faults()
        self.limits = Limits()
        self.state = State(self._store)
        self._hooks = Hooks(self.state, self.clock, self.faults, transport)
        self.forge = Forge(self.state, self.directory / "repositories", self.clock, self._hooks)
        self.private_key = keys.kept_key(self.directory) if state_dir else keys.process_key()
        self._api = Api(self.forge, self.faults, self.limits)
        self._git = GitHttp(self.forge, self.faults)
        self._lfs = LfsHttp(self.forge)
        self._pages = Pages(self.forge)
        self._registry = Registry(self.forge)
        self._admin = Admin(self.forge, self.faults)
        self.app: ASGIApp = self._respond
        self._server = LoopbackServer(self._outermost)
        accounts.create_user(self.forge, "ghost")
        self._app_id = self._own_app().id
        self.deploying = Deploying(self.forge, self.app_record)
        """Environments, teams, deployments, and jobs of workflows that wait."""

    def _own_app(self) -> App:
        if known := self.state.apps.first(slug=APP_SLUG):
            return known
        public_key = keys.public_half(self.private_key)
        return accounts.create_app(
            self.forge, APP_SLUG, owner=APP_OWNER, public_key=public_key, webhook_secret=new_secret()
        )

    async def _outermost(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        request = Request(scope, receive)
        if path.startswith(PREFIX):
            await (await self._admin.respond(request))(scope, receive, send)
        elif self.faults.down and (self._git.owns(path) or self._api.owns(path)):
            await HTMLResponse("<html><body>No server is available</body></html>", 503)(scope, receive, send)
        elif self._lfs.owns(path):
            await (await self._lfs.respond(request))(scope, receive, send)
        elif self._git.owns(path):
            await self._git.respond(request, receive, send)
        elif self._api.owns(path):
            await (await self._api.respond(request)).send(send)
        elif self._registry.owns(path):
            await (await self._registry.respond(request))(scope, receive, send)
        else:
            await self._pages.respond(request)(scope, receive, send)

    def is_api(self, path: str) -> bool:
        """Whether a path belongs to the REST API (and not to git, to a page or to the hub itself)."""
        return self._api.owns(path) and not self._git.owns(path)

    # Life.

    async def start(self, port: int = 0) -> str:
        """Serve on 127.0.0.1 and deliver webhooks, both on the running loop, until `stop`.

        Returns:
            The address for clients, without a slash at the end.
        """
        self.forge.url = await self._server.start(port)
        self._hooks.start()
        return self.forge.url

    async def start_deliveries(self, url: str = "http://127.0.0.1") -> None:
        """Deliver webhooks without serving a port: for clients that reach `app` through an ASGI transport."""
        self.forge.url = url
        self._hooks.start()

    async def stop(self) -> None:
        """Stop serving and delivering; with a state directory, a new hub on it goes on where this one stopped."""
        try:
            await self._hooks.stop()
        finally:
            await self._server.stop()
            if self._store:
                self._store.close()
            if self._temporary:
                self._temporary.cleanup()

    # The App.

    @property
    def url(self) -> str:
        """Where the hub answers."""
        return self.forge.url

    @property
    def app_record(self) -> App:
        """Our App, as GitHub knows it."""
        app = self.state.apps.get(self._app_id)
        assert app, "the hub made it"
        return app

    @property
    def app_id(self) -> int:
        """Our App's id."""
        return self._app_id

    @property
    def webhook_secret(self) -> str:
        """What webhooks are signed with."""
        return self.app_record.webhook_secret

    @property
    def webhook_url(self) -> str:
        """Where webhooks go; "" (as at first) means that none are sent."""
        return self.app_record.webhook_url

    @webhook_url.setter
    def webhook_url(self, url: str) -> None:
        self.state.apps.change(self.app_record, webhook_url=url)

    def installation(self, account: str) -> Installation:
        """Our App's installation on an account.

        Raises:
            LookupError: it is not installed there.
        """
        if row := self.state.installations.first(app_id=self._app_id, account=account):
            return row
        message = f"the App is not installed on {account!r}"
        raise LookupError(message)

    def create_app(self, slug: str, *, account: str) -> tuple[App, str]:
        """Register another App and install it on an account (to play a stranger that writes checks).

        Returns:
            The App, and its private key (PEM).
        """
        private_key = keys.new_key()
        app = accounts.create_app(
            self.forge, slug, owner=APP_OWNER, public_key=keys.public_half(private_key), webhook_secret=new_secret()
        )
        accounts.install(self.forge, app, account)
        return app, private_key

    # People and repositories.

    def create_user(self, login: str) -> str:
        """Make an account (or find it), and return its token."""
        return accounts.user_token(self.forge, accounts.create_user(self.forge, login))

    def repository(self, name: str) -> Repository:
        """A repository by `owner/name`.

        Raises:
            LookupError: there is none.
        """
        if row := self.state.repository(name):
            return row
        message = f"no repository {name!r}"
        raise LookupError(message)

    def create_repository(
        self,
        name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        from_dir: Path | None = None,
        default_branch: str = "main",
        private: bool = False,
        collaborators: Mapping[str, str] | None = None,
        install: bool = True,
    ) -> Repository:
        """Make a repository with a first commit of these files, and install our App on its owner.

        Args:
            name: `owner/name`; an unknown owner becomes an organization.
            files: path → content.
            from_dir: a directory whose files are taken too, with their executable bits; `.git` is left out.
            default_branch: the branch of that commit.
            private: hidden from everybody without a role.
            collaborators: login → role (`read`, `triage`, `write`, `maintain`, `admin`); unknown logins are created.
            install: False leaves the App uninstalled, if it is.
        """
        for login in collaborators or {}:
            self.create_user(login)
        repo = accounts.create_repository(
            self.forge, name, private=private, default_branch=default_branch, collaborators=dict(collaborators or {})
        )
        if install and not self.state.installations.first(app_id=self._app_id, account=repo.owner):
            accounts.install(self.forge, self.app_record, repo.owner)
        first, executable = directory_files(from_dir) if from_dir else ({}, [])
        first.update({path: _bytes(text) for path, text in (files or {}).items()})
        if first:
            by = self.forge.person(repo.owner)
            self.forge.git(repo).write(default_branch, first, message="First commit\n", by=by, executable=executable)
            pushes.observe(self.forge, repo, repo.owner)
        return self.repository(name)

    def set_permission(self, repo: str, login: str, role: str) -> None:
        """Give a collaborator another role in a repository, from the next call on."""
        row = self.repository(repo)
        self.state.repositories.change(row, collaborators={**row.collaborators, login: role})

    def fork(self, repo: str, by: str) -> Repository:
        """Copy a repository to an account."""
        parent = self.repository(repo)
        self.create_user(by)
        return accounts.create_repository(
            self.forge,
            f"{by}/{parent.name}",
            private=parent.private,
            default_branch=parent.default_branch,
            parent=parent,
        )

    def commit(self, repo: str, branch: str, files: Mapping[str, str | bytes | None], message: str, author: str) -> str:
        """Commit changes to a branch (None deletes a file) and push them; a new branch starts at the default branch.

        Returns:
            The new commit's SHA.
        """
        row = self.repository(repo)
        git = self.forge.git(row)
        if git.branch(branch) is None and (start := git.branch(row.default_branch)):
            git.update_ref(f"refs/heads/{branch}", start)
        content = {path: None if text is None else _bytes(text) for path, text in files.items()}
        sha = git.write(branch, content, message=message, by=self.forge.person(author))
        pushes.observe(self.forge, row, author)
        return sha

    def move_branch(self, repo: str, branch: str, sha: str, by: str) -> None:
        """Push a commit that is there already to a branch, which is made if it is not there."""
        row = self.repository(repo)
        self.forge.git(row).update_ref(f"refs/heads/{branch}", sha)
        pushes.observe(self.forge, row, by)

    def keep_large_file(self, repo: str, content: bytes) -> str:
        """Put a file into a repository's LFS storage; returns the pointer to commit in its place."""
        return self._lfs.keep(self.repository(repo), content)

    def commit_submodules(self, repo: str, branch: str, links: Mapping[str, str], author: str) -> str:
        """Point submodules (path → SHA) of a branch at commits; returns the new commit's SHA."""
        row = self.repository(repo)
        sha = self.forge.git(row).write(
            branch, {}, message="Move submodules", by=self.forge.person(author), links=links
        )
        pushes.observe(self.forge, row, author)
        return sha

    # Pull requests, comments, checks.

    def open_pull_request(
        self,
        repo: str,
        head: str,
        base: str,
        title: str,
        by: str,
        *,
        head_repo: str | None = None,
        body: str | None = None,
        draft: bool = False,
    ) -> PullRequest:
        """Propose a branch (of `head_repo`, if it is a fork's) to be merged into `base`."""
        return pulls.open_pull(
            self.forge,
            pulls.Proposal(
                repository=self.repository(repo),
                base=base,
                head_repository=self.repository(head_repo or repo),
                head=head,
                title=title,
                body=body,
                by=by,
                draft=draft,
            ),
        )

    def pull_request(self, repo: str, number: int) -> PullRequest:
        """A pull request as it is now.

        Raises:
            LookupError: there is none with this number.
        """
        if row := self.state.pull(self.repository(repo), number):
            return row
        message = f"no pull request {repo}#{number}"
        raise LookupError(message)

    def close_pull_request(self, repo: str, number: int, by: str) -> PullRequest:
        """Close a pull request without merging it."""
        return pushes.close(self.forge, self.pull_request(repo, number), by)

    def merge_pull_request(self, repo: str, number: int, by: str, *, method: str = "merge") -> str:
        """Merge (or `squash`) a pull request.

        Returns:
            The SHA that its base has now.

        Raises:
            ValueError: head and base conflict.
        """
        sha = pulls.merge(self.forge, self.pull_request(repo, number), by, method=method, title=None, message=None)
        if sha is None:
            message = f"{repo}#{number} has conflicts"
            raise ValueError(message)
        return sha

    def enqueue(self, repo: str, number: int, by: str, *, required: Sequence[str] = ("Interlock",)) -> MergeGroup:
        """Press "Merge when ready": a group of the merge queue is made, and merged once its required checks are green.

        Raises:
            ValueError: it conflicts with what it would be merged onto.
        """
        pull = self.pull_request(repo, number)
        return queue.enqueue(self.forge, self.repository(repo), pull, by, required=required)

    def dequeue(self, repo: str, number: int, by: str) -> MergeGroup:
        """Take a pull request out of the merge queue.

        Raises:
            LookupError: it is in none.
        """
        row = self.repository(repo)
        group = self.state.groups.first(repository_id=row.id, number=number, state="open")
        if group is None:
            message = f"{repo}#{number} is in no merge queue"
            raise LookupError(message)
        return queue.remove(self.forge, row, group, by, reason="dequeued")

    def comment(self, repo: str, number: int, body: str, by: str) -> Comment:
        """Write a comment on an issue or pull request."""
        row = self.repository(repo)
        issue = self.state.issue(row, number)
        if issue is None:
            message = f"no issue {repo}#{number}"
            raise LookupError(message)
        return comments.create(self.forge, row, issue, body, by)

    def edit_comment(self, comment: Comment, body: str, by: str) -> Comment:
        """Replace a comment's text."""
        row = self.state.repositories.get(comment.repository_id)
        assert row, "a comment belongs to a repository"
        return comments.edit(self.forge, row, comment, body, by)

    def delete_comment(self, comment: Comment, by: str) -> None:
        """Delete a comment."""
        row = self.state.repositories.get(comment.repository_id)
        assert row, "a comment belongs to a repository"
        comments.delete(self.forge, row, comment, by)

    def comments(self, repo: str, number: int) -> list[Comment]:
        """The comments on an issue or pull request, oldest first."""
        return self.state.comments.where(repository_id=self.repository(repo).id, number=number)

    def react(self, comment: Comment, content: str, by: str) -> None:
        """React to a comment as somebody; GitHub sends no webhook for it."""
        comments.react(self.forge, "comment", comment.id, content, by)

    def reactions(self, comment: Comment) -> list[str]:
        """What people and bots reacted to a comment with, oldest first."""
        return [row.content for row in self.state.reactions.where(subject="comment", subject_id=comment.id)]

    def check_runs(self, repo: str, sha: str) -> list[CheckRun]:
        """The check runs on a commit, oldest first."""
        return self.state.runs.where(repository_id=self.repository(repo).id, head_sha=sha)

    def rerequest_check_run(self, run: CheckRun, by: str) -> None:
        """Press "Re-run" of one check run."""
        checks.rerequest_run(self.forge, self._repository_of(run), run, by)

    def rerequest_check_suite(self, run: CheckRun, by: str) -> None:
        """Press "Re-run all checks" of the suite that a run is in."""
        suite = self.state.suites.get(run.suite_id)
        assert suite, "a check run belongs to a suite"
        checks.rerequest_suite(self.forge, self._repository_of(run), suite, by)

    def request_action(self, run: CheckRun, identifier: str, by: str) -> None:
        """Press a button of a finished check run.

        Raises:
            LookupError: the run has no such button.
        """
        checks.request_action(self.forge, self._repository_of(run), run, identifier, by)

    def _repository_of(self, run: CheckRun) -> Repository:
        row = self.state.repositories.get(run.repository_id)
        assert row, "a check run belongs to a repository"
        return row

    # Webhooks.

    def deliveries(self) -> list[Delivery]:
        """The finished attempts at deliveries, oldest first."""
        return list(self.state.deliveries)

    def pending_deliveries(self) -> int:
        """How many webhooks wait for their answer."""
        return self._hooks.pending()

    async def settled(self) -> None:
        """Wait until every webhook has had its attempt."""
        await self._hooks.settled()

    def redeliver(self, delivery: Delivery) -> None:
        """Send a webhook again, as the button on GitHub's page does."""
        self._hooks.redeliver(delivery)


def directory_files(directory: Path) -> tuple[dict[str, bytes], list[str]]:
    """The regular files below a directory but `.git`, and which of them are executable."""
    files: dict[str, bytes] = {}
    executable = []
    for file in sorted(directory.rglob("*")):
        name = file.relative_to(directory)
        if file.is_file() and not file.is_symlink() and ".git" not in name.parts:
            files[name.as_posix()] = file.read_bytes()
            if file.stat().st_mode & 0o100:
                executable.append(name.as_posix())
    return files, executable


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
