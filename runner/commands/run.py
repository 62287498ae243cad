"""`runner run`: composes discovery, selection, plan, executor, schedule and reports."""

from __future__ import annotations

import os
import sys
from time import gmtime, strftime, time

from runner.clock import steady
from runner.commands import isolating
from runner.commands.ground import SHARD, Ground, cpus, history_file, selected, shard_of
from runner.commands.means import OPTIONS as MEANS_OPTIONS
from runner.commands.means import Means
from runner.errors import FULL, SetupFailed
from runner.events import BoxFinished, Warned, read
from runner.executor import Job
from runner.options import Option, refuse
from runner.plan import plan
from runner.schedule import Policy
from runner.schedule import run as run_plan
from runner.secret_values import secret_values
from runner.select import select
from runner.state import run_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.events import Event
    from runner.isolation import Egress
    from runner.model import Box, BoxId, Plan, Suite
    from runner.options import Given
    from runner.report.reporter import Reporter
    from runner.secret_values import SecretValues

USAGE = """usage: runner run [SELECTION] [options]

Run boxes: all of them, or those that the selection names, such as 21, 21-41, tier:4, tag:smoke, failed,
changed:origin/main, api/21; `,` or a space means or, `not` > `and` > `or`."""
OPTIONS = (
    Option("-j", "--jobs", value="N", number=True, least=1, help="boxes at once; the default is the number of CPUs"),
    Option("--jsonl", value="FILE", help="write the event stream (- is standard output)"),
    Option("--junit", value="FILE", help="write JUnit XML"),
    Option("--format", choices=("auto", "plain", "github"), help="how to report here"),
    Option("--since", value="REF", help="only boxes that a change since REF concerns; like changed:REF"),
    SHARD,
    Option("--retries", value="N", number=True, help="repeat red boxes up to N times, whatever they say themselves"),
    Option("--flaky", choices=("pass", "fail"), help="what a pass on retry counts as; `fail` when CI=true"),
    Option("--fail-fast", choices=("tier", "box", "never"), help="what a red box stops; the next tier if not given"),
    Option("--no-gate", value="SELECTION", help="boxes that run and are listed but do not gate, as in quarantine"),
    Option("--done", value="FILE", many=True, help="JSONL of boxes that have their verdict: not run, but counted"),
    Option("--history", value="FILE", help="where durations and last verdicts are kept"),
    Option("--logs", value="DIR", help="where logs and artifacts go"),
    Option("--run-id", value="ID", help="names the run for the boxes"),
    isolating.TARGET,
    *MEANS_OPTIONS,
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    level = isolating.level_of(given)
    shard = shard_of(given)
    ground = Ground(root, base=given.text("base"), default=given.text("default_config"), history=history_file(given))
    boxes = selected(ground, given.words, since=given.text("since"), shard=shard)
    the_plan = plan(boxes, ground.history.durations())
    run_id = _run_id(given)
    secrets = secret_values(
        given.text("secrets"), trust=given.text("trust"), boxes=ground.suite.boxes, environ=os.environ
    )
    target = isolating.target_of(given, level)
    egress = isolating.egress_for(given, boxes, ground.suite.settings, target=target)
    clock = steady()
    logs = _logs(given, ground, run_id)
    reports = _Reports(given, done=given.all("done"), clock=clock, root=root)
    policy = _policy(given, run_id=run_id, sandbox=level, boxes=ground.suite.boxes)
    try:
        with Means(given, level, ground, secrets, boxes=the_plan.boxes, run_id=run_id) as means:
            run = _Run(
                ground.suite,
                the_plan,
                means,
                secrets=secrets,
                egress=egress,
                target=target,
                logs=logs,
                clock=clock,
            )
            code = run.run(reports, policy, done=_done(given.all("done")))
        if shard is None:  # what balances shards must be the same for the next one.
            ground.remember(run.finished)
    finally:
        reports.close()
    return code


def _logs(given: Given, ground: Ground, run_id: str) -> str:
    """The directory of logs and artifacts; our own may be "", nowhere, while one that was asked for is refused now."""
    place = given.text("logs")
    if not place:
        place = run_directory(ground.state, run_id) if ground.state else ""
        return os.path.abspath(place) if place else ""
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        refuse(f"{place} cannot be written: {error.strerror}")
    return os.path.abspath(place)


class _Run:
    def __init__(
        self,
        suite: Suite,
        the_plan: Plan,
        means: Means,
        *,
        secrets: SecretValues,
        egress: Mapping[BoxId, Egress],
        target: str,
        logs: str,
        clock: Callable[[], float],
    ) -> None:
        self.finished: list[BoxFinished] = []
        self._suite = suite
        self._plan = the_plan
        self._means = means
        self._secrets = secrets
        self._egress = egress
        self._target = target
        self._logs = logs
        self._clock = clock
        self._setup_dirs: dict[str, str] = {}

    def run(self, reports: Callable[[Event], None], policy: Policy, *, done: dict[BoxId, BoxFinished]) -> int:
        def emit(event: Event) -> None:
            if isinstance(event, BoxFinished):
                self.finished.append(event)
            reports(event)

        def prepare() -> bool:
            due = [box for box in self._plan.boxes if box.id not in done]
            denied = {box.id: self._egress[box.id] for box in due if box.id in self._egress}
            withheld = (*self._secrets.withheld(due), *isolating.withheld(denied, policy))
            for sentence in (*self._suite.notes, *withheld):
                emit(Warned(message=sentence, at=time()))
            names = {box.id.suite for box in due}
            try:
                self._setup_dirs = self._means.set_up(names, emit, self._clock)
            except SetupFailed:
                return False
            return True

        return run_plan(
            self._plan,
            executor=self._means.executor,
            job_of=self._job,
            emit=emit,
            policy=policy,
            clock=self._clock,
            done=done,
            prepare=prepare,
            stop=self._means.stop,
        ).exit_code

    def _job(self, box: Box, attempt: int) -> Job:
        name = f"{box.id.suite.replace('/', '_')}-{box.id.number}" if box.id.suite else str(box.id.number)
        place = f"{self._logs}/{name}.{attempt}" if self._logs else ""
        setup = self._setup_dirs.get(box.id.suite)
        return Job(
            box=box,
            attempt=attempt,
            root=self._suite.root,
            cwd=self._suite.roots.get(box.id.suite, "."),
            env={
                **({"SETUP_DIR": setup} if setup else {}),
                **({isolating.TARGET_URL: self._target} if self._target else {}),
            },
            binds={setup: False} if setup else {},
            hosts=self._egress[box.id].hosts if box.id in self._egress else (),
            secrets=self._secrets.of(box),
            log=f"{place}.log" if place else "",
            artifacts=f"{place}.artifacts" if place else "",
        )


class _Reports:
    """All reports of a run. A reader that has gone away is dropped; the record must not be."""

    def __init__(self, given: Given, *, done: tuple[str, ...], clock: Callable[[], float], root: str) -> None:
        self._readers: list[Reporter] = []
        self._record: Reporter | None = None
        self._lost: OSError | None = None
        path = given.text("jsonl")
        place = path
        try:
            if path:
                from runner.report.jsonl import Jsonl

                # A run that is resumed continues the record that it reads.
                self._record = Jsonl(path, keep=os.path.realpath(path) in map(os.path.realpath, done))
            place = given.text("junit")
            if place:
                from runner.report.junit import Junit
                from runner.whole_file import check_writable

                check_writable(place)  # refused now rather than after the run
                self._readers.append(Junit(place))
        except OSError as error:
            if error.errno in FULL:
                raise
            refuse(f"{place} cannot be written: {error.strerror}")
        self._readers.append(_human(given.text("format", "auto"), to_stderr=path == "-", clock=clock, root=root))

    def __call__(self, event: Event) -> None:
        if self._record is not None:
            self._record(event)
        for reader in list(self._readers):
            try:
                reader(event)
            except BrokenPipeError:
                self._readers.remove(reader)
            except OSError as error:
                self._readers.remove(reader)
                self._lost = self._lost or error

    def close(self) -> None:
        """Let go of all of them.

        Raises:
            OSError: one of them could not be written; the others are complete.
        """
        for reader in [*self._readers, *([self._record] if self._record else [])]:
            try:
                reader.close()
            except BrokenPipeError:
                continue
            except OSError as error:
                self._lost = self._lost or error
        if self._lost:
            raise self._lost


def _human(form: str, *, to_stderr: bool, clock: Callable[[], float], root: str) -> Reporter:
    out = sys.stderr if to_stderr else sys.stdout
    if form == "auto":
        form = "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "live" if out.isatty() else "plain"
    if form == "github":
        from runner.report.github import Github, place_of

        summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
        return Github(out, summary_path=summary, place=place_of(root, os.environ))
    if form == "live":
        from rich.console import Console

        from runner.report.live import Live

        return Live(Console(file=out, highlight=False, soft_wrap=False), clock=clock)
    from runner.report.plain import Plain

    return Plain(out)


def _policy(given: Given, *, run_id: str, sandbox: str, boxes: Sequence[Box]) -> Policy:
    let_pass = select(given.text("no_gate"), boxes) if "no_gate" in given else ()
    in_ci = os.environ.get("CI") == "true" or "trust" in given
    return Policy(
        run_id=run_id,
        jobs=given.number("jobs", cpus()),
        today=strftime("%Y-%m-%d", gmtime(time())),
        flaky_fails=given.text("flaky", "fail" if in_ci else "pass") == "fail",
        retries=given.number("retries", 0) if "retries" in given else None,
        fail_fast=given.text("fail_fast", "tier"),
        sandbox=sandbox,
        trust=given.text("trust"),
        excused=[box.id for box in let_pass],
    )


def _run_id(given: Given) -> str:
    run_id = given.text("run_id") or f"{strftime('%Y%m%dT%H%M%SZ', gmtime(time()))}-{os.getpid()}"
    if not all(char.isalnum() or char in "-_." for char in run_id) or run_id.startswith("."):
        refuse("--run-id may hold letters, digits, `-`, `_` and `.`, and begins with none of the last")
    return run_id


def _done(paths: tuple[str, ...]) -> dict[BoxId, BoxFinished]:
    """The verdicts in files of earlier runs; the last one of a box counts."""
    found: dict[BoxId, BoxFinished] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                found.update({event.box: event for event in read(stream) if isinstance(event, BoxFinished)})
        except OSError as error:
            refuse(f"--done {path} cannot be read: {error.strerror}")
    return found
