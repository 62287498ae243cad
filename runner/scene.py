"""What a case asks of the place where a control happens, and what all such places have in common.

There are two: `runner.layers` lays the sabotage over the tree, `runner.copies` sabotages a copy of it.
"""

from __future__ import annotations

import os

from runner.controls import Stale
from runner.executor import Job
from runner.model import Box, Value, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Protocol

    from runner.controls import Applied, Step
    from runner.model import Attempt, Control, Suite
    from runner.proof import Answer

    Runs = Generator[Job, Attempt, None]
else:

    class Protocol:
        """Stands in for `typing.Protocol`, whose import costs more than a box."""


class EditsItself(Exception):
    """The control breaks the box instead of what the box checks."""

    def __init__(self) -> None:
        super().__init__("the control edits the box itself, which shows nothing about what it checks")


class Look(Value):
    """A closer look at a box that stayed green: the answer after it, why, and the seconds that it took."""

    __slots__ = ("answer", "reason", "seconds")

    def __init__(self, answer: Answer, reason: str, seconds: float) -> None:
        self.answer = answer
        self.reason = reason
        self.seconds = seconds


class Grant(Value):
    """What a box's jobs get besides the box's own: variables, paths, hosts, secrets. As in `Job`."""

    __slots__ = ("binds", "env", "hosts", "secrets")

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        binds: Mapping[str, bool] | None = None,
        hosts: tuple[str, ...] = (),
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.env = dict(env or {})
        self.binds = dict(binds or {})
        self.hosts = hosts
        self.secrets = dict(secrets or {})


def nothing(_box: Box) -> Grant:
    """What a box gets when nobody grants it anything."""
    return Grant()


class Scene(Protocol):
    """One control of one box. Its jobs carry the key that it was made with."""

    def is_ready(self) -> bool:
        """Whether `sabotage` may be begun, if only to fail."""

    def wait(self) -> None:
        """Block until it is ready."""

    def sabotage(self) -> Runs:
        """Apply the control; the jobs that this takes are yielded, and their attempts sent back.

        Raises:
            Stale: it does not fit.
            EditsItself: it changes the box and nothing else.
            OSError: there is no place for it.
        """

    def healthy(self, box: Box) -> Job:
        """A run without the control, of any box."""

    def sabotaged(self, box: Box) -> Job:
        """A run under the control, of any box."""

    def look_again(self, reason: str) -> Generator[Job, Attempt, Look]:
        """The box stayed green, for which `reason` is the sentence. Did the sabotage reach what it looks at?

        Raises:
            Stale: the control changed nothing.
        """

    def discard(self) -> None:
        """It is needed no more."""


class Ground(Protocol):
    """Where boxes are falsified."""

    where: str
    """What to add to the reason why a healthy run was not green; "" when it is as in any other run."""

    def scene(self, box: Box, control: Control, key: object) -> Scene:
        """Begin to prepare a control."""

    def baseline(self, box: Box, key: object) -> Job:
        """A healthy run of any box, once `is_ready`."""


class Jobs:
    """Makes jobs: what a box gets in any run, and where its suite is.

    Args:
        suite: the repository's.
        grant: what a box gets besides.
    """

    def __init__(self, suite: Suite, grant: Callable[[Box], Grant] = nothing) -> None:
        self._roots = suite.roots
        self._grant = grant

    def cwd(self, box: Box) -> str:
        """The suite's directory, relative to a tree."""
        return os.path.normpath(self._roots.get(box.id.suite, "."))

    def of(
        self,
        box: Box,
        *,
        root: str,
        key: object,
        env: Mapping[str, str] | None = None,
        layer: str = "",
        keep: str = "",
        faults: Mapping[str, str] | None = None,
    ) -> Job:
        """A run of a box; `env` wins over what it is granted."""
        grant = self._grant(box)
        return Job(
            box=box,
            root=root,
            cwd=self.cwd(box),
            env={**grant.env, **(env or {})},
            key=key,
            layers=(layer,) if layer else (),
            keep=keep,
            faults=faults,
            binds=grant.binds,
            hosts=grant.hosts,
            secrets=grant.secrets,
        )

    def step(self, box: Box, control: Control, step: Step, *, root: str, key: object, keep: str = "") -> Job:
        """The command that finishes a sabotage. It gets what the box gets, but no services, hosts and secrets."""
        command = Box(
            id=box.id,
            tier=box.tier,
            title=f"control of {box.title}",
            kind="command",
            source=control.where,
            run=step.command,
            timeout=box.timeout,
            slow=box.timeout,
            env=box.env,
        )
        grant = self._grant(box)
        env = {**grant.env, **step.env}
        return Job(box=command, root=root, cwd=step.cwd, env=env, binds=grant.binds, key=key, keep=keep)


def check_step(control: Control, attempt: Attempt) -> None:
    """The command that should have finished a sabotage did.

    Raises:
        Stale: it did not; says what it said last.
    """
    if attempt.outcome is not Verdict.PASSED:
        said = attempt.output.strip().splitlines()
        raise Stale(control.where, f"its command did not succeed: {said[-1] if said else attempt.reason}")


def check_not_itself(box: Box, cwd: str, applied: Applied) -> None:
    """A control changes more than the box.

    Raises:
        EditsItself: it does not.
    """
    if box.file and set(applied.edited) == {os.path.normpath(os.path.join(cwd, box.file))}:
        raise EditsItself
