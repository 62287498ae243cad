"""What is kept of a job while it runs."""

from __future__ import annotations

from time import monotonic, time

from runner.execute.output import EXCERPT, HEAD, TAIL, Output
from runner.protocol import TapReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.execute.environment import Places
    from runner.execute.launch import Cell
    from runner.executor import Job
    from runner.redact import Redactor


class Limits:
    """Bytes of a box's output that are kept: in the log's head, its tail, and the excerpt for people."""

    __slots__ = ("excerpt", "head", "tail")

    def __init__(self, *, head: int = HEAD, tail: int = TAIL, excerpt: int = EXCERPT) -> None:
        self.head = head
        self.tail = tail
        self.excerpt = excerpt


class Live:
    """A job on its way, from its start to its end: what it runs in, what it said, when its time is over."""

    __slots__ = (
        *("began", "cell", "fds", "job", "kill_at", "output", "pid", "pidfd", "places", "signalled"),
        *("slow_at", "started", "tap", "timeout_at", "wish"),
    )

    def __init__(self, job: Job, places: Places, limits: Limits, redactor: Redactor, cell: Cell | None = None) -> None:
        self.job = job
        self.cell = cell
        self.places = places
        self.output = Output(job.log, head=limits.head, tail=limits.tail, excerpt=limits.excerpt, redactor=redactor)
        self.tap = TapReader(redactor.text)
        self.fds: dict[int, bool] = {}  # pipe -> whether it is standard output
        self.pid = self.pidfd = -1
        self.signalled = ""
        self.wish = ""  # its name in the anteroom, when it needs something from there
        self.begin()
        self.kill_at = float("inf")

    def begin(self) -> None:
        """Its time begins now."""
        job = self.job
        self.began = monotonic()
        self.started = time()
        self.slow_at = self.began + job.box.slow if job.box.slow < job.box.timeout else float("inf")
        self.timeout_at = self.began + job.box.timeout
