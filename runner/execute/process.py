"""Runs boxes as processes: one thread, one poll, at most as many at once as the caller starts.

A box has ended when its main process has, never when its pipes close: what it left running is ended then, named, and
the pipes are emptied of what was written before. After this process has signalled a box, the box cannot pass.
"""

from __future__ import annotations

import os
import select
import signal
from time import monotonic

from runner.attendant import Provision
from runner.execute.anteroom import Anteroom, wish_of
from runner.execute.attempt import attempt_of
from runner.execute.command import CANNOT_EXECUTE, NOT_FOUND, Unstartable, command_of
from runner.execute.environment import Places, environment_of, inherited, isolated
from runner.execute.files import remove_tree
from runner.execute.launch import Command, Ending, Unlaunchable
from runner.execute.live import Limits, Live
from runner.execute.signals import Wakeup
from runner.execute.table import NAME_LENGTH
from runner.execute.tree import Probes, Trees, probe
from runner.executor import Finished, Slow
from runner.model import Attempt, Verdict
from runner.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.attendant import Attendant
    from runner.execute.guard import Guard
    from runner.execute.launch import Cell, Launcher
    from runner.executor import Job

GRACE = 2.0
TARGET_URL = "TARGET_URL"
_READ = 65536
# A pipe holds at most this much that was written before the main process ended (fs.pipe-max-size).
_PIPE = 1 << 20
_NO_PIDFD_SLICE = 0.02
_DEFAULT_SIGNALS = [
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
]


class ProcessExecutor:
    """The executor of real boxes. While it lives, nothing else in this process may start children.

    Args:
        run_id: names the run, for the boxes and for what is left of them.
        scratch: an existing directory, this run's alone, for the boxes' temporary files.
        base_env: what boxes inherit; not used when `isolate_env`.
        isolate_env: boxes get an environment that tells nothing of the caller's.
        limits: of their output.
        grace: seconds between the polite and the final signal after a timeout.
        probes: what of the machine to use; None looks.
        launcher: gives each box a cell of its own to run in; None runs them as they are.
        attendant: gives boxes what they need from outside before they start; None has nothing.
        guard: is told of what is started, for the case that this process is killed.
        redactor: knows the run's secrets; without one only what looks like a secret is taken out of what boxes write.
    """

    def __init__(
        self,
        *,
        run_id: str,
        scratch: str,
        base_env: Mapping[str, str],
        isolate_env: bool = False,
        limits: Limits | None = None,
        grace: float = GRACE,
        probes: Probes | None = None,
        launcher: Launcher | None = None,
        attendant: Attendant | None = None,
        guard: Guard | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.layered = launcher is not None and launcher.layered
        self._launcher = launcher
        self._confined = launcher is not None and launcher.confines
        self._anteroom = Anteroom(attendant)
        self._waiting: dict[str, Live] = {}
        self._guard = guard
        self._redactor = redactor or Redactor()
        self._run_id = run_id
        self._scratch = os.path.abspath(scratch)
        self._base = isolated() if isolate_env else inherited(base_env)
        self._own_home = isolate_env or self._confined
        self._limits = limits or Limits()
        self._grace = grace
        self._probes = probes or probe()
        self._trees = Trees(self._probes)
        if guard:
            self._trees.leave(guard.pid)
        self._live: dict[int, Live] = {}  # by file descriptor: its pipes and its pidfd
        self._running: list[Live] = []
        self._ready: list[Finished | Slow] = []
        self._count = 0
        self._asked = 0
        self._attending = -1
        self._free: list[Places] = []  # directories that are empty again
        self._poll = select.poll()
        self._inherited = _inheritable()
        self._home = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
        self._wakeup = Wakeup(children=not self._probes.pidfd)
        if self._wakeup.fd >= 0:
            self._poll.register(self._wakeup.fd, select.POLLIN)

    def start(self, job: Job) -> None:
        """Start a job; one that cannot be started is finished at once."""
        self._trees.prepare()
        try:
            cell = self._launcher.open(job) if self._launcher else None
        except Unlaunchable as why:
            self._refuse(Live(job, self._some_places(), self._limits, self._redactor), Unstartable(reason=str(why)))
            return
        live = Live(job, cell.places if cell else self._some_places(), self._limits, self._redactor, cell)
        if not self._must_wait(live):
            self._launch(live, Provision())

    def wait(self, timeout: float | None) -> list[Finished | Slow]:
        """What happened; see `runner.executor.Executor`."""
        until = float("inf") if timeout is None else monotonic() + timeout
        while (self._running or self._waiting) and not self._ready:
            interrupted = self._listen(until)
            self._keep_time()
            if interrupted or monotonic() >= until:
                break
        ready, self._ready = self._ready, []
        return ready

    def cancel(self, job: Job | None = None) -> None:
        """End a job's tree, or all; they finish as cancelled."""
        for live in self._running:
            if (job is None or live.job is job) and not live.signalled:
                self._kill(live, "cancel")
        for name, live in list(self._waiting.items()):
            if job is None or live.job is job:
                del self._waiting[name]
                self._refuse(live, Unstartable(reason="cancelled before it started", outcome=Verdict.CANCELLED))

    def close(self) -> None:
        """End what runs, close what is open, remove what was scratch."""
        for live in list(self._running):
            self._kill(live, "cancel")
            self._finish(live)
        self.cancel()
        self._ready.clear()
        self._anteroom.close()
        while self._free:
            remove_tree(self._free.pop().home)
        if self._launcher:
            self._launcher.close()
            self._launcher = None
        self._wakeup.close()
        self._trees.release()
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    def _must_wait(self, live: Live) -> bool:
        """Ask for what the job needs; False when it needs nothing. What nobody can give is its end."""
        job = live.job
        cell = live.cell if self._confined else None
        self._asked += 1
        wish = wish_of(
            job,
            cell,
            name=f"job-{self._asked}",
            directory=cell.sockets if cell else live.places.home,
            target=job.env.get(TARGET_URL) or job.box.env.get(TARGET_URL) or self._base.get(TARGET_URL, ""),
        )
        if not wish:
            return False
        if problem := self._anteroom.enter(wish, monotonic()):
            self._refuse(live, Unstartable(reason=problem))
            return True
        live.wish = wish.id
        self._waiting[wish.id] = live
        self._trees.spare(self._anteroom.pid)
        if (fd := self._anteroom.fileno()) != self._attending:
            self._attending = fd
            self._poll.register(fd, select.POLLIN)
        return True

    def _answer(self, answers: Iterable[tuple[str, Provision]]) -> None:
        """Who waited goes on, or cannot."""
        for name, provision in answers:
            live = self._waiting.pop(name)
            live.begin()
            self._launch(live, provision)

    def _launch(self, live: Live, provision: Provision) -> None:
        if provision.problem:
            self._refuse(live, Unstartable(reason=provision.problem))
            return
        try:
            if live.cell:
                self._spawn_in(live.cell, live, provision)
            else:
                self._spawn_here(live, provision)
        except Unstartable as why:
            self._refuse(live, why)
        except Unlaunchable as why:
            self._refuse(live, Unstartable(reason=str(why)))

    def _spawn_here(self, live: Live, provision: Provision) -> None:
        job = live.job
        directory = os.path.normpath(os.path.join(job.root, job.cwd))
        env = environment_of(job, live.places, self._base, run_id=self._run_id, own_home=self._own_home)
        env.update(provision.env)
        argv = command_of(job.box, directory, env, state_file=live.places.state)
        self._spawn(live, Command(argv, env, cwd=directory))

    def _spawn_in(self, cell: Cell, live: Live, provision: Provision) -> None:
        job = live.job
        directory = os.path.normpath(os.path.join(job.root, job.cwd))
        inside = cell.inside
        env = environment_of(
            job, live.places, self._base, run_id=self._run_id, own_home=self._own_home, library=inside.library
        )
        env.update(provision.env)
        argv = command_of(
            job.box,
            directory,
            env,
            state_file=live.places.state,
            seen=os.path.normpath(os.path.join(cell.tree, job.cwd)),
            bootstrap=inside.bootstrap,
        )
        try:
            self._spawn(live, cell.command(argv, env, directory, provision.sockets))
        finally:
            cell.spawned()

    def _some_places(self) -> Places:
        return self._free.pop() if self._free else self._new_places()

    def _new_places(self) -> Places:
        self._count += 1
        places = Places(f"{self._scratch}/{self._count}")
        places.make()
        return places

    def _give_back(self, live: Live) -> str:
        """Free what a job ran in. Returns why what was to be kept of it is lost; "" when nothing is."""
        places = live.places
        if live.cell:
            try:
                live.cell.close()
            except OSError as error:
                return f"what it wrote could not be kept: {error.strerror}"
        elif places.renew():
            self._free.append(places)
        else:
            remove_tree(places.home)
        return ""

    def _spawn(self, live: Live, command: Command) -> None:
        argv = command.argv
        out, err = os.pipe(), os.pipe()
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int] | tuple[int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out[1], 1),
            (os.POSIX_SPAWN_DUP2, err[1], 2),
            *((os.POSIX_SPAWN_CLOSE, fd) for fd in self._inherited),
            *((os.POSIX_SPAWN_DUP2, fd, fd) for fd in command.fds),  # which lets it be inherited
        ]
        # A spawn has no working directory of its own: it starts where we are.
        try:
            os.chdir(command.cwd)
            live.pid = os.posix_spawn(
                argv[0],
                argv,
                command.env,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=_DEFAULT_SIGNALS,
            )
        except OSError as error:
            os.close(out[0])
            os.close(err[0])
            raise Unstartable(
                reason=f"{os.path.basename(argv[0])} could not be started: {error.strerror}",
                exit_code=NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_EXECUTE,
            ) from error
        finally:
            os.fchdir(self._home)
            os.close(out[1])
            os.close(err[1])
        self._trees.add(live.pid, f"BOX_TMP={live.places.tmp}")
        if self._guard:
            self._guard.tell(live.pid)
        self._running.append(live)
        for fd, is_stdout in ((out[0], True), (err[0], False)):
            os.set_blocking(fd, False)
            live.fds[fd] = is_stdout
            self._register(fd, live)
        if self._probes.pidfd:
            live.pidfd = os.pidfd_open(live.pid)
            self._register(live.pidfd, live)

    def _register(self, fd: int, live: Live) -> None:
        self._live[fd] = live
        self._poll.register(fd, select.POLLIN)

    def _drop(self, fd: int, live: Live) -> None:
        self._poll.unregister(fd)
        os.close(fd)
        del self._live[fd]
        live.fds.pop(fd, None)

    def _listen(self, until: float) -> bool:
        """One poll: take in output and ends. Returns whether a signal arrived that was not a child's end."""
        ends: list[Live] = []
        interrupted = False
        for fd, _ in self._poll.poll(self._patience(until)):
            live = self._live.get(fd)
            if fd == self._attending:
                self._answer(self._anteroom.answers())
            elif live is None:
                interrupted = self._wakeup.drain()
            elif fd == live.pidfd:
                ends.append(live)
            else:
                self._read(fd, live)
        if not self._probes.pidfd:
            ends = [live for live in self._running if _is_over(live.pid)]
        for live in ends:
            self._finish(live)
        return interrupted

    def _patience(self, until: float) -> int | None:
        """Milliseconds until something is due; None when nothing is."""
        until = min(until, self._anteroom.due())
        for live in self._running:
            until = min(until, live.kill_at if live.signalled else live.timeout_at, live.slow_at)
        if not self._probes.pidfd and self._wakeup.fd < 0:
            until = min(until, monotonic() + _NO_PIDFD_SLICE)
        return None if until == float("inf") else max(0, int((until - monotonic()) * 1000) + 1)

    def _read(self, fd: int, live: Live) -> bool:
        """Take in what a pipe holds, one buffer of it. Returns False when there is nothing more to come now."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._drop(fd, live)
            return False
        live.output.write(data, fd)
        if live.fds[fd]:
            live.tap.feed(data)
        return True

    def _keep_time(self) -> None:
        now = monotonic()
        self._answer(self._anteroom.overdue(now))
        for live in self._running:
            if now >= live.slow_at:
                live.slow_at = float("inf")
                self._ready.append(Slow(live.job, now - live.began))
            if now >= live.timeout_at and not live.signalled:
                self._time_out(live, now)
            elif now >= live.kill_at:
                live.kill_at = float("inf")
                self._end(live)

    def _time_out(self, live: Live, now: float) -> None:
        spared = live.cell.is_machinery if live.cell else None
        dump = self._trees.dump(live.pid, spared)
        shown = "\n".join(self._redactor.cut_text(line, NAME_LENGTH) for line in dump.splitlines())
        live.output.note(f"\n[timed out after {live.job.box.timeout:g} s; it was doing this:]\n{shown}")
        live.signalled = "timeout"
        live.kill_at = now + self._grace
        live.slow_at = float("inf")
        # Continued as well: a stopped process takes no other signal.
        self._trees.signal(live.pid, signal.SIGTERM, signal.SIGCONT, spared=spared)

    def _kill(self, live: Live, why: str) -> None:
        live.signalled = live.signalled or why
        live.slow_at = live.kill_at = float("inf")
        self._end(live)

    def _end(self, live: Live) -> None:
        if live.cell and self._confined:
            live.cell.kill(live.pid)
        if not live.cell or not live.cell.contained:
            self._trees.end(live.pid)

    def _finish(self, live: Live) -> None:
        """The main process has ended: collect it, end its tree, empty its pipes, judge."""
        _, status, usage = os.wait4(live.pid, 0)
        seconds = monotonic() - live.began
        leaked = [] if live.cell and live.cell.contained else self._trees.end_leftovers(live.pid)
        for fd in list(live.fds):
            taken = 0
            while taken < _PIPE and self._read(fd, live):
                taken += _READ
            if fd in live.fds:
                self._drop(fd, live)
        if live.pidfd >= 0:
            self._drop(live.pidfd, live)
        self._trees.forget(live.pid)
        if self._guard:
            self._guard.tell_over(live.pid)
        self._running.remove(live)
        exit_code = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        if live.cell and self._confined:
            ending = live.cell.ended(exit_code, live.output.text())
        else:
            ending = Ending(exit_code=exit_code, cpu=cpu, rss_kb=usage.ru_maxrss, leaked=leaked)
        if ending.unstarted and not live.signalled:
            self._refuse(live, Unstartable(reason=ending.problem, exit_code=ending.exit_code))
            return
        live.output.close()
        refused = self._take_leave(live)
        attempt = attempt_of(
            live.job,
            live.places,
            exit_code=ending.exit_code,
            signalled=live.signalled,
            problem=ending.problem,
            tap=live.tap.close(),
            output=live.output,
            seconds=seconds,
            cpu=ending.cpu,
            rss_kb=ending.rss_kb,
            leaked=[] if live.signalled else leaked or ending.leaked,
            refused=refused,
            redactor=self._redactor,
        )
        if problem := self._give_back(live):
            attempt = Attempt(outcome=Verdict.ERRORED, reason=problem, output=attempt.output, log=attempt.log)
        self._ready.append(Finished(live.job, attempt, live.started))

    def _take_leave(self, live: Live) -> Sequence[str]:
        """Give back what the job was given; returns what it was refused."""
        return self._anteroom.leave(live.wish) if live.wish else ()

    def _refuse(self, live: Live, why: Unstartable) -> None:
        live.output.note(why.reason)
        live.output.close()
        self._take_leave(live)
        self._give_back(live)
        attempt = Attempt(
            outcome=why.outcome,
            reason=self._redactor.text(why.reason),
            exit_code=why.exit_code,
            output=live.output.text(),
            output_bytes=live.output.total,
            log=live.output.log,
        )
        self._ready.append(Finished(live.job, attempt, live.started))


def _is_over(pid: int) -> bool:
    """Whether our child has ended; it stays to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _inheritable() -> tuple[int, ...]:
    """File descriptors that this process was given and would pass on: a make's job server, a bats' fd 3."""
    found = []
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            continue  # The listing's own descriptor.
    return tuple(found)
