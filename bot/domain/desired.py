"""What a pull request should have, and what is missing: the one rule that deliveries, timers and restarts converge on.

It compares the pull request as GitHub shows it now with the runs that are known. How it came to be so does not matter,
so a delivery that was lost, doubled or late changes nothing in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CLOSING = "closing the pull request"
"""What ends runs when a pull request is closed; completes "cancelled by"."""

LOSING_ACCESS = "losing access to the repository"
"""What ends runs where the App is not welcome any more; as above."""

CLOSED = "the pull request is closed"
"""Why a run was passed over whose pull request was closed before anybody looked."""

NOT_SHOWN = "GitHub does not show it to us any more"
"""Why a run was passed over that GitHub answered 404 to."""

OTHER_REPOSITORY = "another repository has this name now"
"""Why nothing is done for a name that has changed hands since somebody spoke of it."""

MOST_RUNS = 5
"""Runs of one head that nobody asked for; what failed so often is for a person to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request as it stands."""

    is_open: bool
    head_sha: str
    base_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A run of a pull request.

    Attributes:
        head_sha: what it tests.
        base_ref: the branch that it is tested into.
        selection: which boxes; `all` for the whole suite.
        state: as the run's row has it.
        because: why it ended as it did.
        stop_because: why it was to stop; "" when nobody wanted that.
        is_shown: whether its check is on GitHub; None when nobody looked.
    """

    head_sha: str
    base_ref: str
    selection: str
    state: str
    because: str = ""
    stop_because: str = ""
    is_shown: bool | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """The head should have a run. `again` tells it from earlier ones that answered; "" when none did."""

    again: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Runs should end: the pull request is closed."""


@dataclass(frozen=True, slots=True)
class Look:
    """The head has its answer; whether GitHub still shows it is not known."""


@dataclass(frozen=True, slots=True)
class Fine:
    """Nothing is missing; `because` says why."""

    because: str


Wish = Start | Stop | Look | Fine

_OPEN = frozenset({"queued", "running"})
_ANSWERED = frozenset({"finished", "refused"})


def desired(pull: Pull, runs: Sequence[Known]) -> Wish:
    """What to do for a pull request.

    Args:
        pull: as GitHub shows it now.
        runs: its runs, newest first.
    """
    if not pull.is_open:
        return Stop() if any(run.state in _OPEN for run in runs) else Fine("it is closed")
    of_head = [run for run in runs if run.head_sha == pull.head_sha]
    if any(run.state in _OPEN for run in of_head):
        return Fine("its head is being tested")
    whole = [run for run in of_head if run.selection == "all"]
    if len(whole) >= MOST_RUNS:
        return Fine("its head was tested often enough")
    if not whole or whole[0].base_ref != pull.base_ref:
        return Start()
    return _after(whole[0], len(whole))


def _after(newest: Known, runs: int) -> Wish:
    """What the newest whole run of head and base leaves to wish for."""
    if newest.state in _ANSWERED:
        match newest.is_shown:
            case None:
                return Look()
            case True:
                return Fine("its head has an answer")
            case False:
                return Start(again=f"unseen{runs}")
    if newest.state == "superseded" or newest.stop_because in {CLOSING, LOSING_ACCESS}:
        return Start()
    if newest.stop_because:
        return Fine("somebody cancelled it")
    is_late = newest.because == CLOSED or newest.because.startswith(NOT_SHOWN)
    return Start() if is_late else Fine("there was nothing to test")
