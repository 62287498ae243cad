"""What somebody asked for, one frozen value for each verb, as its reader in `registry` made it.

Nothing in here is free text but reasons (`because`, and `Deploy.break_glass`), which are only ever shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.commands.authority import Need


@dataclass(frozen=True, slots=True)
class Run:
    """Run the boxes that `selection` names; it was read without a mistake, but may name boxes that do not exist.

    Here and below `at` is the commit that the person had in mind, in lower case, or "" for the head of now.
    """

    selection: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Rerun:
    """Run again what `selection` names; without one, what is red and what it held back."""

    selection: str = "failed"
    at: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End what runs for this pull request."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Let the boxes that `selection` names not gate on this head. `because` is shown to whoever reads the verdict."""

    selection: str
    because: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Tell how the runs of the head stand."""


@dataclass(frozen=True, slots=True)
class Why:
    """Tell what holds this pull request, or (`box` is an id) how one box does, and who can change it."""

    box: str = ""


@dataclass(frozen=True, slots=True)
class Explain:
    """Tell all that is known of one box; `box` is its id."""

    box: str


@dataclass(frozen=True, slots=True)
class Falsify:
    """Prove now that the boxes that `selection` names can turn red."""

    selection: str = "all"
    at: str = ""


@dataclass(frozen=True, slots=True)
class OkToTest:
    """Let the boxes of exactly this commit of a stranger run; `sha` is what was typed, in lower case."""

    sha: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Hold every pull request into `branch` ("" for every branch) until a moment (aware), or until it is lifted."""

    branch: str
    until: datetime | None
    because: str


@dataclass(frozen=True, slots=True)
class Unfreeze:
    """Lift the freeze of `branch`; "" for the one of every branch."""

    branch: str = ""


@dataclass(frozen=True, slots=True)
class Help:
    """Explain `topic`, a key of `registry.TOPICS`; "" asks for the overview."""

    topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """Put a commit into an environment.

    Here and below `environment` has the form of a name; whether there is one of this name is found out later.

    Attributes:
        at: the commit that the person had in mind, in lower case; "" for what there is now.
        dry_run: only tell what would be done.
        expect: the hash of a plan that a dry run has told; only that is carried out. "" for whatever is planned then.
        break_glass: why it is to pass a freeze; "" for not passing one.
    """

    environment: str
    at: str = ""
    dry_run: bool = False
    expect: str = ""
    break_glass: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Say yes to what waits for an environment; `break_glass`: also to its passing a freeze."""

    environment: str
    at: str = ""
    break_glass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Say no to what waits for an environment."""

    environment: str
    because: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Promote:
    """Let a release that is held, or a canary, go on."""

    environment: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Bring an environment back to its last good release."""

    environment: str
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockUp:
    """Keep others out of an environment; `seconds` None for as long as its configuration says."""

    environment: str
    seconds: float | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Unlock:
    """Let others into an environment again."""

    environment: str


AboutEnvironment = Deploy | Approve | Reject | Promote | RollBack | LockUp | Unlock
Asked = (
    Run
    | Rerun
    | Cancel
    | Skip
    | Status
    | Why
    | Explain
    | Falsify
    | OkToTest
    | Freeze
    | Unfreeze
    | AboutEnvironment
    | Help
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that was meant for us and cannot be done. Both sentences are Markdown of our own without a full stop.

    `text` is the line as it is shown; `column` is where in it the trouble begins, counted from 1, 0 for all of it.
    `need` is what the verb would have needed: who may not have it carried out is not taught how to write it, either.
    """

    text: str
    because: str
    hint: str
    column: int = 0
    need: Need = Need.NOTHING


Parsed = Asked | Mistake
