"""`runner falsify`: composes selection, executor, ground, answers and reports."""

from __future__ import annotations

import os
import sys
from time import time

from runner.answers import Answers, Keys
from runner.commands import isolating
from runner.commands.ground import SHARD, Ground, cpus, history_file, selected, shard_of
from runner.commands.means import OPTIONS as MEANS_OPTIONS
from runner.commands.means import Means
from runner.contents import Contents
from runner.errors import SetupFailed
from runner.events import SetupFinished, Warned
from runner.execute.environment import inherited, isolated
from runner.falsify import Work
from runner.falsify import main as falsify
from runner.isolation import limits_for
from runner.layers import Layers
from runner.options import Option, refuse
from runner.report.proofs import Ended, Everyone
from runner.report.proofs_json import ProofsJson
from runner.report.text import clean, inert, not_let_to, one_line
from runner.scene import Grant, Jobs
from runner.secret_values import secret_values
from runner.suite_cache import plain_value
from runner.verdict import EXIT_GREEN, EXIT_RED
from runner.whole_file import check_writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.copies import Copies
    from runner.events import Event
    from runner.isolation import Level
    from runner.model import Box
    from runner.options import Given
    from runner.report.proofs import ProofReport
    from runner.secret_values import SecretValues

_SMALL_LAYERS = 256 << 20  # bytes that they may take together.
USAGE = """usage: runner falsify [SELECTION] [options]

Prove that boxes can fail: run each one healthy and under its own sabotage, which must turn it red."""
OPTIONS = (
    Option("-j", "--jobs", value="N", number=True, least=1, help="runs at once; the default is the number of CPUs"),
    Option("--json", value="FILE", help="write the answers, schema runner.falsify/1 (- is standard output)"),
    Option("--junit", value="FILE", help="write JUnit XML, a testcase per box"),
    Option("--format", choices=("auto", "plain", "github"), help="how to report here"),
    Option("--strict", help="a box without a control counts as not proven"),
    Option("--overreach", help="run a box's whole tier under its control: no other box may break"),
    Option("--no-cache", help="prove everything again, also what is as it was"),
    Option("--cache", value="DIR", help="where answers are kept"),
    Option("--since", value="REF", help="only boxes that a change since REF concerns"),
    SHARD,
    Option("--history", value="FILE", help="where durations and last verdicts are kept"),
    Option("--run-id", value="ID", help="names the runs for the boxes"),
    *MEANS_OPTIONS,
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    level = isolating.level_of(given)
    ground = Ground(root, base=given.text("base"), default=given.text("default_config"), history=history_file(given))
    boxes = selected(ground, given.words, since=given.text("since"), shard=shard_of(given))
    secrets = secret_values(
        given.text("secrets"), trust=given.text("trust"), boxes=ground.suite.boxes, environ=os.environ
    )
    report = _reports(given, boxes, level, root=root)
    for sentence in secrets.withheld(boxes):
        report.say(sentence)
    if not boxes:  # a shard may be empty: that others have all there is to do is no fault.
        report.end(Ended([], total=0, seconds=0.0, exit_code=EXIT_GREEN))
        return EXIT_GREEN
    run_id = given.text("run_id") or "falsify"
    with Means(given, level, ground, secrets, boxes=boxes, run_id=run_id, faults=True, views=True) as means:
        try:
            setup_dirs = means.set_up({box.id.suite for box in boxes}, _tell, time)
        except SetupFailed:
            return EXIT_RED
        work = _Falsification(given, level, ground, means, secrets=secrets, setup_dirs=setup_dirs)
        return work.run(boxes, report)


class _Falsification:
    """The boxes' surroundings: what they are granted, where their controls happen, what is known of them."""

    def __init__(
        self,
        given: Given,
        level: Level,
        ground: Ground,
        means: Means,
        *,
        secrets: SecretValues,
        setup_dirs: Mapping[str, str],
    ) -> None:
        self._given = given
        self._level = level
        self._ground = ground
        self._executor = means.executor
        self._stop = means.stop
        self._secrets = secrets
        self._scratch = means.scratch
        self._setup_dirs = setup_dirs
        self._mounted: list[str] = []
        self._trust = given.text("trust")
        self._clean = "clean_env" in given or bool(self._trust)

    def run(self, boxes: Sequence[Box], report: ProofReport) -> int:
        """Falsify them; returns the exit code."""
        cache = self._cache()
        contents = Contents(self._ground.root, index=os.path.join(cache, "contents.json") if cache else "")
        answers = self._answers(contents)
        place = self._place()
        try:
            work = Work(
                place,
                self._executor,
                report,
                jobs=self._given.number("jobs", cpus()),
                answers=answers,
                stop=self._stop,
            )
            every = self._ground.suite.boxes if "overreach" in self._given else None
            return falsify(boxes, work, strict="strict" in self._given, overreach_of=every)
        finally:
            self._executor.close()
            place.close()
            self._unmount()
            if answers:
                answers.close()
                contents.save()

    def _place(self) -> Layers | Copies:
        """Layers where the executor has them, else copies."""
        jobs = Jobs(self._ground.suite, self._grant)
        directory = os.path.join(self._scratch, "controls")
        os.mkdir(directory, 0o711)
        if self._executor.layered:
            return Layers(self._ground.suite, jobs, scratch=directory, memory=self._memory(directory))
        from runner.copies import Copies

        path = "" if self._clean else os.environ.get("PYTHONPATH", "")
        return Copies(self._ground.suite, jobs, scratch=directory, python_path=path)

    def _memory(self, directory: str) -> str:
        """A place in memory, in the mounts that are the runner's own; "" for none."""
        from runner.sandbox import namespace

        if not namespace.is_entered():
            return ""
        place = os.path.join(directory, "small")
        os.mkdir(place)
        try:
            namespace.tmpfs(place, size=_SMALL_LAYERS, mode=0o711)
        except namespace.CannotMount:
            return ""
        self._mounted.append(place)
        return place

    def _unmount(self) -> None:
        if self._mounted:
            from runner.sandbox import namespace

            namespace.detach(self._mounted.pop())

    def _grant(self, box: Box) -> Grant:
        setup = self._setup_dirs.get(box.id.suite)
        return Grant(
            env={"SETUP_DIR": setup} if setup else {},
            binds={setup: False} if setup else {},
            hosts=self._hosts(box),
            secrets=self._secrets.of(box),
        )

    def _hosts(self, box: Box) -> tuple[str, ...]:
        granted = isolating.egress_for(self._given, [box], self._ground.suite.settings).get(box.id)
        return granted.hosts if granted else ()

    def _cache(self) -> str:
        """Where answers are kept; "" for nowhere."""
        if "no_cache" in self._given:
            return ""
        kept = os.path.join(self._ground.state, "answers") if self._ground.state else ""
        return os.path.abspath(self._given.text("cache")) if "cache" in self._given else kept

    def _answers(self, contents: Contents) -> Answers | None:
        directory = self._cache()
        if not directory:
            return None
        every = [plain_value(box) for box in self._ground.suite.boxes]
        conditions = {
            "sandbox": self._level.value,
            "layered": self._executor.layered,
            "clean": self._clean,
            "limits": plain_value(limits_for(self._trust, self._ground.suite.settings)),
            "overreach": every if "overreach" in self._given else [],
        }
        keys = Keys(
            self._ground.suite,
            contents,
            conditions=conditions,
            granted=lambda box: [self._hosts(box), sorted(self._secrets.of(box))],
            environ=isolated() if self._clean else inherited(os.environ),
        )
        return Answers(directory, trust=self._trust, keys=keys)


def _reports(given: Given, boxes: Sequence[Box], level: Level, *, root: str) -> Everyone:
    """All reports; refuses a file that cannot be written now rather than after all the work."""
    json, junit = given.text("json"), given.text("junit")
    for path in (json, junit):
        try:
            if path not in {"", "-"}:
                check_writable(path)
        except OSError as error:
            refuse(f"{path} cannot be written: {error.strerror}")
    reports: list[ProofReport] = [_human(given, boxes, level, to_stderr=json == "-", root=root)]
    if json:
        reports.append(ProofsJson(json, sys.stdout, sandbox=level))
    if junit:
        from runner.report.proofs_junit import ProofsJunit

        reports.append(ProofsJunit(junit, boxes, strict="strict" in given))
    return Everyone(reports)


def _human(given: Given, boxes: Sequence[Box], level: Level, *, to_stderr: bool, root: str) -> ProofReport:
    out = sys.stderr if to_stderr else sys.stdout
    form = given.text("format", "auto")
    if form == "github" or (form == "auto" and os.environ.get("GITHUB_ACTIONS") == "true"):
        from runner.report.github import place_of
        from runner.report.proofs_github import ProofsGithub

        summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
        return ProofsGithub(out, summary_path=summary, strict="strict" in given, place=place_of(root, os.environ))
    from runner.report.proofs_text import ProofsText

    return ProofsText(out, total=len(boxes), sandbox=level.value)


def _tell(event: Event) -> None:
    if isinstance(event, Warned):
        sys.stderr.write(f"runner: {event.message}\n")
    if isinstance(event, SetupFinished) and event.refused:
        sys.stderr.write(f"runner: setup {not_let_to(event.refused)}\n")
    if isinstance(event, SetupFinished) and not event.ok:
        for line in clean(event.output).split("\n"):
            sys.stderr.write(f"{inert(line)}\n")  # where GitHub reads along, it takes no order from a setup
        sys.stderr.write(f"runner: setup failed: {one_line(event.reason)}; no box was falsified\n")
