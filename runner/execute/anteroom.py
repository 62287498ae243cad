"""Where jobs wait for what they need from outside before they start: services, hosts, faults."""

from __future__ import annotations

from runner.attendant import Provision, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.attendant import Attendant
    from runner.execute.launch import Cell
    from runner.executor import Job

PATIENCE = 60.0
"""Seconds that a job waits for what it needs, before its own time begins."""


class Anteroom:
    """Knows who waits, by the name of the wish. Whoever has entered must `leave`, answered or not.

    Args:
        attendant: gives what is asked for; None has nothing.
    """

    def __init__(self, attendant: Attendant | None) -> None:
        self._attendant = attendant
        self._until: dict[str, float] = {}

    def fileno(self) -> int:
        """Readable when there are answers; -1 as long as nobody has asked."""
        return self._attendant.fileno() if self._attendant else -1

    @property
    def pid(self) -> int:
        """The attendant's process, which is nobody's orphan; -1 when there is none."""
        return self._attendant.pid if self._attendant else -1

    def enter(self, wish: Wish, now: float) -> str:
        """Ask for something. Returns why nobody can give it, and then it waits for nothing; "" otherwise."""
        if self._attendant is None:
            return f"it needs {_words(wish)}, which nothing here can give"
        self._until[wish.id] = now + PATIENCE
        self._attendant.ask(wish)
        return ""

    def answers(self) -> Sequence[tuple[str, Provision]]:
        """Who has been answered since the last call, and how; they wait no more."""
        given = self._attendant.answers() if self._attendant else {}
        return [(name, given[name]) for name in given if self._until.pop(name, None) is not None]

    def overdue(self, now: float) -> Sequence[tuple[str, Provision]]:
        """Who has waited too long, and what to tell them; they wait no more."""
        problem = f"what it needs was not ready within {PATIENCE:g} s"
        late = [name for name, until in self._until.items() if now >= until]
        for name in late:
            del self._until[name]
        return [(name, Provision(problem=problem)) for name in late]

    def due(self) -> float:
        """When the first of them will have waited too long; infinity when nobody waits."""
        return min(self._until.values(), default=float("inf"))

    def leave(self, name: str) -> Sequence[str]:
        """Who had asked is gone. Returns what it was refused meanwhile."""
        self._until.pop(name, None)
        return self._attendant.release(name) if self._attendant else ()

    def close(self) -> None:
        """End what gives."""
        if self._attendant:
            self._attendant.close()


def wish_of(job: Job, cell: Cell | None, *, name: str, directory: str, target: str) -> Wish:
    """What a job needs before it can start.

    Args:
        job: the attempt.
        cell: where it will run; None runs it as it is.
        name: unique among those that wait or run.
        directory: where its sockets may be.
        target: the TARGET_URL that it would get.
    """
    # A box outside of a cell reaches all hosts by itself. A target is asked for when a control stands in front of it.
    return Wish(
        id=name,
        directory=directory,
        needs=job.box.needs,
        hosts=job.hosts if cell is not None else (),
        faults=job.faults,
        target=_target(job, target) if job.faults.get("kind") == "target" else "",
        unix=cell is not None and cell.has_network,
        uid=cell.uid if cell else None,
        gid=cell.gid if cell else None,
    )


def _target(job: Job, target: str) -> str:
    """What a control stands in front of: the box's TARGET_URL, or else what an HTTP box asks first."""
    from runner.http_steps import origins

    return target or next(iter(origins(job.box.http, {**job.box.env, **job.env})), "")


def _words(wish: Wish) -> str:
    """What is wished for, as people call it."""
    faults = ["faults"] if wish.faults else []
    return ", ".join([*wish.needs, *wish.hosts, *faults]) or wish.target
