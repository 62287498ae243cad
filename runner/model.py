"""The values that the runner's parts pass to each other. No I/O, no decisions.

Plain slotted classes, not dataclasses: importing dataclasses costs as much as the interpreter's own start
(docs/decisions/0002-the-run-path-imports-little.md). Treat every instance as frozen.
"""

from __future__ import annotations

from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Value:
    """Equality, hash and repr over `__slots__`, for the classes below."""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self).__name__, repr(self._fields())))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({inside})"


class Verdict(StrEnum):
    """What the attempts of one box mean. The table with "is it green" is in docs/reference/box-protocol.md."""

    PASSED = "passed"
    CACHED = "cached"
    FLAKY = "flaky"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ERRORED = "errored"
    VACUOUS = "vacuous"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


class BoxId(Value):
    """A box's identity: its suite ("" is the repository's own) and its number. Prints as `21` or `api/21`."""

    __slots__ = ("number", "suite")

    suite: str
    number: int

    def __init__(self, suite: str, number: int) -> None:
        self.suite = suite
        self.number = number

    def __str__(self) -> str:
        return f"{self.suite}/{self.number}" if self.suite else str(self.number)

    @classmethod
    def read(cls, text: str) -> BoxId:
        """The id that prints so.

        Raises:
            ValueError: none does.
        """
        suite, _, number = text.rpartition("/")
        return cls(suite, int(number))

    # Ids are looked up and compared all the time; the way over `_fields` is several times slower.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoxId) and self.number == other.number and self.suite == other.suite

    def __hash__(self) -> int:
        return hash((self.suite, self.number))

    def __lt__(self, other: BoxId) -> bool:
        return (self.suite, self.number) < (other.suite, other.number)


class Expect(Value):
    """What a control must turn red: an assertion by id, or output that matches a regular expression (one is set)."""

    __slots__ = ("assertion", "output")

    assertion: str
    output: str

    def __init__(self, *, assertion: str = "", output: str = "") -> None:
        self.assertion = assertion
        self.output = output


class Control(Value):
    """A box's sabotage.

    `kind` is `edit`, `patch`, `env`, `run`, `fault` or `target`; `spec` holds that kind's keys as written
    (`edit`: file, find, replace; `patch`: file; `env`: the variables; `run`: command). `where` is `file:line`. `also`
    are other boxes that it is known to break.
    """

    __slots__ = ("also", "expect", "kind", "spec", "where")

    kind: str
    spec: Mapping[str, str]
    expect: Expect | None
    where: str

    def __init__(
        self, *, kind: str, spec: Mapping[str, str], expect: Expect | None, where: str, also: Sequence[BoxId] = ()
    ) -> None:
        self.kind = kind
        self.spec = spec
        self.expect = expect
        self.where = where
        self.also = tuple(also)


class Quarantine(Value):
    """A box that still runs and is listed, but does not gate until `until` (ISO date, inclusive)."""

    __slots__ = ("reason", "until")

    until: str
    reason: str

    def __init__(self, *, until: str, reason: str) -> None:
        self.until = until
        self.reason = reason


class Box(Value):
    """One numbered test, validated.

    `kind` says how it is started: `file` (an executable), `pytest` (a .py with test functions), `command` (`run` of an
    entry), `http` (an entry with `http:`), `missing` (only the base has its file). `file` is relative to the
    suite's root; entries have none. `http` are the steps of that kind (see `runner.http_steps`). Times are seconds.
    `flaky` is "pass", "fail" or "" (decided by where it runs). `python` is the interpreter asked for, or "".
    """

    __slots__ = (
        "after",
        "control",
        "env",
        "file",
        "flaky",
        "http",
        "id",
        "inputs",
        "kind",
        "line",
        "locks",
        "may_skip",
        "min_asserts",
        "needs",
        "network",
        "outputs",
        "python",
        "quarantine",
        "retries",
        "run",
        "secrets",
        "slow",
        "source",
        "tags",
        "tier",
        "timeout",
        "title",
    )

    def __init__(
        self,
        *,
        id: BoxId,  # noqa: A002 - the field is called id everywhere else too.
        tier: int,
        title: str,
        kind: str,
        source: str,
        line: int = 1,
        file: str = "",
        run: str = "",
        http: Sequence[Mapping[str, object]] = (),
        tags: Sequence[str] = (),
        timeout: float = 60.0,
        slow: float = 30.0,
        retries: int = 0,
        flaky: str = "",
        quarantine: Quarantine | None = None,
        after: Sequence[BoxId] = (),
        needs: Sequence[str] = (),
        locks: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        network: Sequence[str] = (),
        secrets: Sequence[str] = (),
        may_skip: bool = False,
        min_asserts: int = 0,
        python: str = "",
        control: Control | None = None,
    ) -> None:
        self.id = id
        self.tier = tier
        self.title = title
        self.kind = kind
        self.source = source  # the file that declares it, relative to the repository's root
        self.line = line  # the line in `source`
        self.file = file
        self.run = run
        self.http = tuple(http)
        self.tags = tuple(tags)
        self.timeout = timeout
        self.slow = slow
        self.retries = retries
        self.flaky = flaky
        self.quarantine = quarantine
        self.after = tuple(after)
        self.needs = tuple(needs)
        self.locks = tuple(locks)
        self.env = dict(env or {})
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.network = tuple(network)
        self.secrets = tuple(secrets)
        self.may_skip = may_skip
        self.min_asserts = min_asserts
        self.python = python
        self.control = control


class Setup(Value):
    """`setup:` of interlock.yml: one command before the boxes, its inputs and egress rule. `timeout` is in seconds."""

    __slots__ = ("inputs", "line", "network", "run", "source", "timeout")

    def __init__(
        self,
        *,
        run: str,
        inputs: Sequence[str] = (),
        network: Sequence[str] = (),
        timeout: float = 600.0,
        source: str = "",
        line: int = 0,
    ) -> None:
        self.run = run
        self.inputs = tuple(inputs)
        self.network = tuple(network)
        self.timeout = timeout
        self.source = source
        self.line = line


class Suite(Value):
    """All boxes of a repository.

    `root` is the absolute path of the repository; `roots` maps a suite's name to its directory relative to `root`
    ("" -> "."). `setups` likewise. `settings` keeps the sections that other layers read (limits, trust, environments,
    report) as plain validated values. `config_hash` is the digest of everything that was read to make this value.
    `notes` are sentences about what was read and does not count.
    """

    __slots__ = ("boxes", "config_hash", "notes", "root", "roots", "settings", "setups")

    def __init__(
        self,
        *,
        root: str,
        boxes: Sequence[Box],
        roots: Mapping[str, str] | None = None,
        setups: Mapping[str, Setup] | None = None,
        settings: Mapping[str, object] | None = None,
        config_hash: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.boxes = tuple(boxes)
        self.roots = dict(roots or {"": "."})
        self.setups = dict(setups or {})
        self.settings = dict(settings or {})
        self.config_hash = config_hash
        self.notes = tuple(notes)


class Plan(Value):
    """What will run and in what order: tiers ascending, longest first within a tier."""

    __slots__ = ("tiers",)

    tiers: tuple[tuple[Box, ...], ...]

    def __init__(self, tiers: Sequence[Sequence[Box]]) -> None:
        self.tiers = tuple(tuple(tier) for tier in tiers)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every planned box, in order."""
        return tuple(box for tier in self.tiers for box in tier)


class Failure(Value):
    """One assertion that did not hold. `file` is relative to the repository's root; `line` is 1-based, 0 if unknown."""

    __slots__ = ("file", "id", "line", "message")

    def __init__(self, *, id: str = "", message: str = "", file: str = "", line: int = 0) -> None:  # noqa: A002 - as Box.
        self.id = id
        self.message = message
        self.file = file
        self.line = line


class Metric(Value):
    """A number that a box reported, with its unit."""

    __slots__ = ("name", "unit", "value")

    def __init__(self, *, name: str, value: float, unit: str = "") -> None:
        self.name = name
        self.value = value
        self.unit = unit


class Attempt(Value):
    """One execution of one box.

    `outcome` is one of passed, failed, timed_out, errored, vacuous, skipped, cancelled. `reason` is one sentence that
    says why, in lower case, empty for a plain pass. Times are seconds. `output` is what a person reads: the head and
    tail of stdout and stderr as text, cleaned of control characters. `leaked` names processes that were still alive,
    `refused` hosts that it asked for and was not let to.
    """

    __slots__ = (
        "artifacts",
        "asserts",
        "cpu",
        "exit_code",
        "failures",
        "leaked",
        "log",
        "metrics",
        "outcome",
        "output",
        "output_bytes",
        "reason",
        "refused",
        "rss_kb",
        "seconds",
    )

    def __init__(
        self,
        *,
        outcome: Verdict,
        reason: str = "",
        exit_code: int | None = None,
        seconds: float = 0.0,
        cpu: float = 0.0,
        rss_kb: int = 0,
        asserts: int = 0,
        failures: Sequence[Failure] = (),
        metrics: Sequence[Metric] = (),
        artifacts: Sequence[str] = (),
        output: str = "",
        output_bytes: int = 0,
        log: str = "",
        leaked: Sequence[str] = (),
        refused: Sequence[str] = (),
    ) -> None:
        self.outcome = outcome
        self.reason = reason
        self.exit_code = exit_code  # negative: the signal; None: it was never started
        self.seconds = seconds
        self.cpu = cpu
        self.rss_kb = rss_kb
        self.asserts = asserts  # assertions that were executed, red ones included
        self.failures = tuple(failures)
        self.metrics = tuple(metrics)
        self.artifacts = tuple(artifacts)
        self.output = output
        self.output_bytes = output_bytes
        self.log = log
        self.leaked = tuple(leaked)
        self.refused = tuple(refused)
