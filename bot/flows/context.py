"""What every flow works with: the adapters, made once by `bot.app`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from bot.deploy.confine import Allowance
from bot.deploy.files import DeployFiles
from bot.domain.commands.asked import Parsed
from bot.domain.commands.registry import parse
from bot.domain.deploy.deployment import Deployment
from bot.domain.run_states import OPEN
from bot.domain.stopping import Cancelled, Stop, to_text
from bot.domain.tally import Tally
from bot.engine import Engine
from bot.flows.listed import Listed
from bot.flows.nudges import Nudges
from bot.flows.run_files import RunFiles
from bot.github.app import GitHubApp, Installation
from bot.github.supplies import Supplies
from bot.github.workspace import Workspaces
from bot.ops.clock import Clock
from bot.ops.links import RunLinks
from bot.ops.operator_key import OperatorKey
from bot.ops.sandbox import Sandbox
from bot.store.accounts import Accounts, AccountState
from bot.store.approvals import Approvals
from bot.store.audit import Audit
from bot.store.deliveries import Inbox
from bot.store.deployments import Deployments
from bot.store.excuses import Excuses
from bot.store.freezes import Freezes
from bot.store.leases import Leases
from bot.store.locks import Locks
from bot.store.marks import Marks
from bot.store.permits import Permits
from bot.store.protections import Protections
from bot.store.records import Records
from bot.store.releases import Releases
from bot.store.runs import Run, RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The adapters.

    Attributes:
        instance: tells this data directory's processes from those of every other bot on the machine.
        seats: one for each run that may execute at the same time.
        proving: one for each run whose boxes may be proved at the same time.
        glances: one for each stranger's change that may be looked at, without executing it, at the same time.
        reading: held while a comment is read for commands.
        operator: by which whoever sits at the machine proves it.
        sandbox: what isolation boxes get on this machine.
        secrets_dir: where the owner keeps secrets for boxes; None for no secrets.
        allowance: what releases may do on this machine.
        falsify_seconds: how long proving one run's boxes may take.
        oddities: what was new to us in deliveries, since the start.
        stops: of the runs that execute or are proved here, by run id; set to make one look at its row.
        nudges: what shall be looked at soon.
        looking: held while the gates of an environment, by repository and name, are evaluated.
        commenting: held while the comment about a pull request's deployments, by repository and number, is written.
    """

    github: GitHubApp
    inbox: Inbox
    runs: RunStore
    permits: Permits
    excuses: Excuses
    freezes: Freezes
    audit: Audit
    accounts: Accounts
    marks: Marks
    deployments: Deployments
    releases: Releases
    approvals: Approvals
    locks: Locks
    leases: Leases
    protections: Protections
    records: Records
    engine: Engine
    clock: Clock
    links: RunLinks
    operator: OperatorKey
    workspaces: Workspaces
    supplies: Supplies
    data_dir: Path
    instance: str
    seats: asyncio.Semaphore
    proving: asyncio.Semaphore
    sandbox: Sandbox
    secrets_dir: Path | None
    allowance: Allowance
    falsify_seconds: float
    listed: Listed
    glances: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    oddities: Tally = field(default_factory=Tally)
    stops: dict[str, asyncio.Event] = field(default_factory=dict)
    nudges: Nudges = field(default_factory=Nudges)
    looking: dict[tuple[int, str], asyncio.Lock] = field(default_factory=dict)
    commenting: dict[tuple[int, int], asyncio.Lock] = field(default_factory=dict)

    def installation(self, run: Run) -> Installation:
        """The installation that speaks for a run's repository."""
        return self.github.installation(run.installation_id)

    async def commands_of(self, body: str) -> tuple[Parsed, ...]:
        """The commands of a comment. Whoever can comment can write one that takes seconds to read as Markdown.

        So it is read in a thread, since webhooks are not to wait for that, and no other at the same time.
        """
        if "/" not in body:
            return ()
        async with self.reading:
            return await asyncio.to_thread(parse, body)

    async def deployment(self, deployment_id: str) -> Deployment:
        """A deployment whose row was made before anybody spoke of it."""
        deployment = await self.deployments.get(deployment_id)
        assert deployment is not None, deployment_id
        return deployment

    async def run(self, run_id: str) -> Run:
        """The run of a flow; its row was made before the flow was started."""
        run = await self.runs.get(run_id)
        assert run is not None, run_id
        return run

    def files(self, run: Run) -> RunFiles:
        """Where a run lives on disk."""
        return RunFiles(directory=self.data_dir / "runs" / str(run.number))

    def deploy_files(self, deployment: Deployment) -> DeployFiles:
        """Where a deployment lives on disk."""
        return DeployFiles(self.data_dir / "deployments" / str(deployment.number))

    def place(self, repo_id: int, environment: str) -> Path:
        """What a target keeps of an environment between deployments: its slots, its router, its fencing token."""
        return self.data_dir / "environments" / str(repo_id) / environment

    def cache(self, repo_id: int, trust: str) -> Path:
        """Where the runner keeps a repository's parsed suites.

        Here and below, what one trust level wrote is never read by another: a box might have written it.
        """
        return self.data_dir / "cache" / str(repo_id) / trust

    def setups(self, repo_id: int, trust: str) -> Path:
        """Where the runner keeps what a repository's setups have made."""
        return self.data_dir / "setups" / str(repo_id) / trust

    def answers(self, repo_id: int, trust: str) -> Path:
        """Where the runner keeps what was proved of a repository's boxes."""
        return self.data_dir / "answers" / str(repo_id) / trust

    async def place_of(self, repo_id: int) -> tuple[str, int] | None:
        """What a repository is called now, and the installation that speaks for it; None if we never heard of it."""
        if (known := await self.accounts.repository(repo_id)) is not None:
            return known.name, known.installation_id
        run = await self.runs.newest_in(repo_id)
        return (run.repo, run.installation_id) if run else None

    def history(self, repo_id: int, trust: str) -> Path:
        """How long a repository's boxes took, and how they ended last."""
        return self.data_dir / "history" / str(repo_id) / f"{trust}.json"

    def kept_of(self, repo_id: int) -> tuple[Path, ...]:
        """Every directory in which something of a repository is kept beyond its runs, but its mirror."""
        return tuple(self.data_dir / kind / str(repo_id) for kind in ("cache", "setups", "answers", "history"))

    async def welcome(self, run: Run) -> bool:
        """Whether we may still speak to GitHub about a run's repository, as far as GitHub has told."""
        account = await self.accounts.installation(run.installation_id)
        repo = await self.accounts.repository(run.repo_id)
        return all(known is None or known.state is AccountState.ACTIVE for known in (account, repo))

    async def stop(self, run_id: str, why: Stop) -> None:
        """Make a run stop: durably, and at once if it executes here."""
        await self.runs.ask_to_stop(run_id, to_text(why))
        if (executing := self.stops.get(run_id)) is not None:
            executing.set()

    async def hush(self, newer: Run) -> None:
        """Give up proving what an older head of the pull request of `newer` had; its verdict stands."""
        for run_id, executing in list(self.stops.items()):
            run = await self.runs.get(run_id)
            if run is None or (run.repo_id, run.pr) != (newer.repo_id, newer.pr):
                continue
            if run.state not in OPEN and run.number < newer.number and run.head_sha != newer.head_sha:
                executing.set()

    async def cancel(self, repo_id: int, pr: int, *, by: str) -> None:
        """Stop every run of a pull request; `by` completes "cancelled by"."""
        for run in await self.runs.open_of(repo_id, pr):
            await self.stop(run.id, Cancelled(by))
