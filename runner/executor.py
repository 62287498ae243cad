"""The seam between deciding what runs and running it: one job in, slow marks and finished attempts out.

`runner.schedule` and `runner.falsify` speak to an `Executor` and know no process; `runner.execute.process` starts real
ones, `tests/fakes/executor.py` plays a script.
"""

from __future__ import annotations

from runner.model import Attempt, Box, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol
else:

    class Protocol:
        """Stands in for `typing.Protocol`, whose import costs more than a box."""


class Job(Value):
    """One attempt of one box that shall be made.

    `root` is the absolute path of the tree it runs in (the repository, or a copy of it), `cwd` the suite's directory in
    that tree. `env` is added to the box's environment and wins over the box's own. `log` is the path of the live log,
    `artifacts` the directory that collected artifacts are copied to; "" means that nobody wants them. `key` is the
    caller's, untouched.

    `layers` are directories laid over `root`, the first on top: the box sees their union, at the path of `root`. `keep`
    is an existing directory that takes what the job writes into the tree, as a further layer; "" throws it away. Both
    need an executor whose `layered` is true. `faults` is what a control does to the job's services or target: its spec.
    `hosts` are the `host:port` ends that it may reach, `secrets` variables whose values must not leave, added to its
    environment. `binds` are directories of this machine that it sees at their own paths, wherever it runs: path ->
    whether it may write there; such a directory becomes its user's.
    """

    __slots__ = (
        *("artifacts", "attempt", "binds", "box", "cwd", "env", "faults", "hosts", "keep", "key", "layers", "log"),
        *("root", "secrets"),
    )

    def __init__(
        self,
        *,
        box: Box,
        root: str,
        attempt: int = 1,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        key: object = None,
        log: str = "",
        artifacts: str = "",
        layers: Sequence[str] = (),
        keep: str = "",
        faults: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
        binds: Mapping[str, bool] | None = None,
    ) -> None:
        self.box = box
        self.root = root
        self.attempt = attempt
        self.cwd = cwd
        self.env = dict(env or {})
        self.key = key
        self.log = log
        self.artifacts = artifacts
        self.layers = tuple(layers)
        self.keep = keep
        self.faults = dict(faults or {})
        self.hosts = tuple(hosts)
        self.secrets = dict(secrets or {})
        self.binds = dict(binds or {})


class Finished(Value):
    """A job has ended, one way or another. `started` is in Unix seconds."""

    __slots__ = ("attempt", "job", "started")

    def __init__(self, job: Job, attempt: Attempt, started: float) -> None:
        self.job = job
        self.attempt = attempt
        self.started = started


class Slow(Value):
    """A job passed its box's `slow` time and still runs; comes at most once a job."""

    __slots__ = ("job", "seconds")

    def __init__(self, job: Job, seconds: float) -> None:
        self.job = job
        self.seconds = seconds


class Executor(Protocol):
    """Runs jobs at the same time and tells how they end. Used from one thread."""

    def start(self, job: Job) -> None:
        """Start a job. A box that cannot be started raises nothing: it finishes as errored."""

    def wait(self, timeout: float | None) -> Sequence[Finished | Slow]:
        """What happened since the last call; waits for the first such thing.

        Args:
            timeout: seconds to wait at most; None waits for as long as something runs.

        Returns:
            An empty sequence when the time is over, a signal arrived, or nothing runs.
        """

    def cancel(self, job: Job | None = None) -> None:
        """End a job's processes, or everybody's; `wait` then tells them as cancelled."""

    def close(self) -> None:
        """End what still runs. Afterwards nothing that was started here is alive."""
