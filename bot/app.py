"""The composition root: makes every adapter once, ties them to the flows, serves, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.codec import Codec
from bot.deploy.callers import callers_of
from bot.deploy.confine import allowance_of
from bot.domain import buttons, checks, deliveries
from bot.domain.deploy import notice
from bot.engine import Engine
from bot.flows import (
    accounts,
    execute,
    on_command,
    on_commit,
    on_delivery,
    prepare,
    reconcile,
    redeliver,
    republish,
    standing,
)
from bot.flows.commands import order
from bot.flows.context import Context
from bot.flows.deploying import commenting, deploy, incidents, lives, noticing, planning, pushed, telling
from bot.flows.dispatch import Dispatch
from bot.flows.listed import Listed
from bot.github import errors
from bot.github.allowance import Allowance
from bot.github.app import GitHubApp
from bot.github.git_version import GitUnusable, require_git
from bot.github.supplies import Supplies
from bot.github.workspace import Workspaces
from bot.ops import logging as logs
from bot.ops.clock import Clock, SystemClock
from bot.ops.data_lock import AlreadyRunning, DataDirUnusable, hold
from bot.ops.links import KeyUnusable, RunLinks, load_keys
from bot.ops.listener import CannotListen, claim
from bot.ops.operator_key import OperatorKey
from bot.ops.own_secrets import OWN
from bot.ops.sandbox import find_sandbox
from bot.ops.settings import BadSettings, Settings, load_settings
from bot.store.accounts import Accounts
from bot.store.approvals import Approvals
from bot.store.audit import Audit
from bot.store.database import DatabaseUnusable, open_database, open_writer
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
from bot.store.runs import RunStore
from bot.web.api.audit import AuditLog
from bot.web.api.commands import Commands
from bot.web.deploy_pages import DeployPages
from bot.web.health import Health
from bot.web.local import Doorman
from bot.web.pages import Pages
from bot.web.patience import PatientProtocol
from bot.web.probes import Probes
from bot.web.server import Server
from bot.web.webhooks import Webhooks

log = structlog.get_logger()

CODEC = Codec(
    values=(
        buttons.Button,
        checks.Annotation,
        checks.Check,
        deliveries.ReadCommands,
        execute.Executed,
        execute.NothingToRun,
        execute.RunnerBroken,
        execute.Stopped,
        on_command.Answered,
        order.Started,
        planning.Planned,
        planning.Unplanned,
        planning.Unreachable,
        notice.Event,
        notice.Notice,
        noticing.Word,
        prepare.Decline,
        prepare.Pass,
        prepare.Preview,
        prepare.Ready,
        prepare.Refuse,
        prepare.Stale,
        pushed.Pushed,
        republish.Republish,
        standing.Barred,
        standing.Stopping,
        standing.Unsure,
    ),
    errors=(
        errors.BadCredentials,
        errors.CommitNotFound,
        errors.Forbidden,
        errors.GitFailed,
        errors.GitHubUnavailable,
        errors.NotAsked,
        errors.NotFound,
        errors.Overtaken,
        errors.Paced,
        errors.RateLimited,
        errors.UnexpectedAnswer,
        errors.Unprocessable,
    ),
)
"""All that a flow may remember; a value that is missing here fails its first test, not its first crash."""


QUIET = "quiet:"
"""Before the name of whoever GitHub has asked for patience; the value is until when."""


class Bot:
    """Everything that lives as long as the process."""

    def __init__(self, settings: Settings, ctx: Context, dispatch: Dispatch) -> None:
        self.settings = settings
        self.ctx = ctx
        self.dispatch = dispatch
        self.draining = False
        self.app = self._routes()

    def _routes(self) -> ASGIApp:
        def draining() -> bool:
            return self.draining

        webhooks = Webhooks(
            inbox=self.ctx.inbox,
            secrets=self.settings.webhook_secrets,
            app_id=self.settings.github_app_id,
            clock=self.ctx.clock,
            accepted=self.dispatch.accept,
            draining=draining,
        )
        health = Health(Probes(self.ctx).by_name(), draining)
        api = [*Commands(self.ctx).routes(), *AuditLog(self.ctx).routes()]
        others = Starlette(routes=[*health.routes(), *Pages(self.ctx).routes(), *DeployPages(self.ctx).routes(), *api])

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # Deliveries pass by the router and its middleware, which cost a third of what an answer costs in all.
            at_the_door = scope["type"] == "http" and scope["path"] == "/webhooks"
            await (webhooks if at_the_door else others)(scope, receive, send)

        return app

    async def settled(self) -> None:
        """Wait until nothing that was taken in is left to do."""
        while self.dispatch.busy or self.ctx.nudges.busy or await self.ctx.engine.unfinished() or await self._open():
            await self.dispatch.idle()
            await self.ctx.engine.idle()
            await asyncio.sleep(0.01)

    async def _open(self) -> int:
        return await self.ctx.inbox.count_open() + await self.ctx.runs.count_open()

    async def drain(self) -> bool:
        """Let what runs end, for as long as the settings allow; what does not will resume at the next start."""
        self.draining = True
        log.info("drain_started", seconds=self.settings.drain_seconds)
        for pacer in self.ctx.github.pacers().values():
            pacer.close()  # what waits for its turn is parked, and found again at the next start.
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                # Deployments are carried out by processes of their own, which go on without us.
                await self.ctx.engine.idle(apart_from=f"{lives.NAME}:")
        except TimeoutError:
            log.warning("drain_cut_off", flows=len(await self.ctx.engine.unfinished()))
            return False
        log.info("drain_finished")
        return True


@contextlib.asynccontextmanager
async def open_bot(settings: Settings, *, public_url: str = "", clock: Clock | None = None) -> AsyncIterator[Bot]:
    """Open every adapter in order, take up what an earlier process left, and close all in reverse.

    Raises:
        DataDirUnusable: the data directory cannot be made or written.
        AlreadyRunning: another bot uses the data directory.
        DatabaseUnusable: it was written by a newer version, or cannot be opened.
        GitUnusable: git is missing or too old.
    """
    await require_git()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(hold(settings.data_dir))
        database = await open_database(settings.app_database)
        stack.push_async_callback(database.dispose)
        clock = clock or SystemClock()
        marks = Marks(database)

        async def keep_quiet(name: str, until: str) -> None:
            await marks.set(f"{QUIET}{name}", until)

        for number, secret in enumerate(settings.webhook_secrets, 1):
            OWN.learn(f"webhook-secret-{number}", secret)
        github = await stack.enter_async_context(
            GitHubApp(
                settings.github_api_url,
                settings.github_app_id,
                settings.github_private_key.get_secret_value(),
                clock,
                web_url=settings.github_url,
                allowance=lambda: Allowance(settings.github_writes_a_minute, settings.github_writes_an_hour),
                keep_quiet=keep_quiet,
            )
        )
        github.quiet.restore(await marks.below(QUIET))
        sandbox = await asyncio.to_thread(find_sandbox, settings.sandbox, settings.sandbox_image)
        found = sandbox.facts
        tell = log.info if found["full"] else log.warning
        tell("sandbox_found", asked=found["asked"], sandbox=found["level"], better=found["better"])
        inbox = Inbox(open_writer(settings.app_database))
        await inbox.start()
        stack.push_async_callback(inbox.stop)
        engine = Engine(url=settings.engine_database, codec=CODEC)
        key, *older = load_keys(settings.data_dir / "links.key")
        workspaces = Workspaces(settings.data_dir / "mirrors", github)
        ctx = Context(
            github=github,
            inbox=inbox,
            runs=RunStore(database),
            permits=Permits(database),
            excuses=Excuses(database),
            freezes=Freezes(database),
            audit=Audit(database),
            accounts=Accounts(database),
            marks=marks,
            deployments=Deployments(database),
            releases=Releases(database),
            approvals=Approvals(database),
            locks=Locks(database),
            leases=Leases(database),
            protections=Protections(database),
            records=Records(database),
            engine=engine,
            clock=clock,
            workspaces=workspaces,
            supplies=Supplies(github, workspaces),
            links=RunLinks(key, settings.public_url or public_url, older=older, days=settings.link_days),
            operator=OperatorKey(settings.data_dir),
            data_dir=settings.data_dir,
            instance=hashlib.sha256(key).hexdigest()[:12],
            seats=asyncio.Semaphore(settings.max_runs),
            proving=asyncio.Semaphore(1),
            sandbox=sandbox,
            secrets_dir=settings.secrets_dir,
            allowance=allowance_of(settings, path=os.environ.get("PATH", os.defpath)),
            falsify_seconds=settings.falsify_seconds,
            listed=Listed(clock.now),
        )
        await accounts.bar_the_lost(ctx)
        engine.register(on_delivery.NAME, on_delivery.OnDelivery(ctx))
        engine.register(on_commit.NAME, on_commit.OnCommit(ctx))
        engine.register(on_command.NAME, on_command.OnCommand(ctx))
        engine.register(republish.NAME, republish.Republishing(ctx))
        engine.register(redeliver.NAME, redeliver.Redeliver(ctx))
        engine.register(reconcile.NAME, reconcile.Reconcile(ctx))
        engine.register(pushed.NAME, pushed.DeployPushed(ctx))
        engine.register(lives.NAME, deploy.Deploy(ctx))
        engine.register(commenting.NAME, commenting.Commenting(ctx))
        engine.register(telling.NAME, telling.Telling(ctx))
        engine.register(noticing.NAME, noticing.Noticing(ctx))
        engine.register(incidents.NAME, incidents.Incidents(ctx))
        engine.register(incidents.RELEASE, incidents.Releasing(ctx))
        stack.push_async_callback(engine.close)
        await engine.launch()
        dispatch = Dispatch(ctx)
        await dispatch.start()
        stack.push_async_callback(dispatch.stop)
        yield Bot(settings, ctx, dispatch)


async def run(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then drain and close. A second signal skips the drain.

    Raises:
        CannotListen: the address is taken, or not ours.
        AlreadyRunning, DataDirUnusable, DatabaseUnusable: as `open_bot` raises them.
    """
    sockets = claim(host, port)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    at_once = asyncio.Event()

    def on_signal() -> None:
        (at_once if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    port = sockets[0].getsockname()[1]
    async with open_bot(settings, public_url=f"http://{host}:{port}") as bot:
        config = uvicorn.Config(
            Doorman(bot.app, callers_of(bot.ctx.allowance)),
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
            proxy_headers=False,  # who sits at the machine is judged by `bot.web.local`, from what a proxy adds
            server_header=False,
        )
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets))
        await asyncio.wait({serving, asyncio.create_task(asked.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            draining = asyncio.create_task(bot.drain())
            await asyncio.wait({draining, asyncio.create_task(at_once.wait())}, return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            server.should_exit = True
        await serving
    log.info("stopped")


def serve(*, host: str, port: int) -> int:
    """The `interlock serve` command; returns its exit code."""
    try:
        settings, warnings = load_settings(os.environ, cwd=Path.cwd())
    except BadSettings as mistakes:
        way_out = f"\n→ {mistakes.way_out}" if mistakes.way_out else ""
        print(f"interlock cannot start:\n{mistakes}{way_out}", file=sys.stderr)  # noqa: T201 - logs are not set up yet.
        return 3
    logs.configure(form=settings.log, level=settings.log_level)
    # A dump of our memory would hold every secret that we have.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for warning in warnings:
        log.warning("setting_unknown", message=warning)
    try:
        asyncio.run(run(settings, host=host, port=port))
    except (AlreadyRunning, CannotListen, DataDirUnusable, DatabaseUnusable, GitUnusable, KeyUnusable) as obstacle:
        log.error("start_refused", because=str(obstacle))  # noqa: TRY400 - the sentence says it all.
        return 3
    return 0
