"""What every command starts from: the repository's suite, what is remembered about it, and a selection of its boxes."""

from __future__ import annotations

import os

from runner.discover import discover
from runner.errors import NothingSelected
from runner.history import History
from runner.options import Option, refuse
from runner.select import parse, select
from runner.state import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from runner.events import BoxFinished
    from runner.model import Box, BoxId
    from runner.options import Given
    from runner.shards import Shard


BASE = Option("--base", value="DIR|COMMIT", help="read configuration and boxes' metadata there, their bodies here")
SHARD = Option("--shard", value="I/N", help="only the Ith of N parts, which are about equally long")
DEFAULT = Option("--default-config", value="FILE", help="the configuration of a tree that has none of its own")


class Ground:
    """A repository as a command finds it.

    Args:
        root: the repository, absolute.
        base: where configuration and metadata are read, when not there: a directory, or a commit.
        default: the configuration file of a tree that has none of its own.
        history: the file of durations and last verdicts; "" is the state directory's own.

    Raises:
        UserError: its boxes are not declared as they must be.
        UsageMistake: there is no such base, or no such file.
    """

    def __init__(self, root: str, *, base: str = "", default: str = "", history: str = "") -> None:
        check_places("", default)
        self.root = root
        self.state = state_directory(root, os.environ)
        self.suite = discover(root, base=_base(root, base, self.state), default=default, cache_dir=self.state)
        self._history_file = history or (os.path.join(self.state, "history.json") if self.state else "")
        self.history = History.load(self._history_file)

    def changed(self, ref: str) -> Collection[BoxId]:
        """The boxes that a change since a git reference concerns."""
        from runner.changed import changed_boxes

        return changed_boxes(self.suite, ref)

    def remember(self, finished: Iterable[BoxFinished]) -> None:
        """Add verdicts to the history; a place that cannot be written forgets them."""
        for event in finished:
            self.history.record(event)
        if self._history_file:
            self.history.save()


def _base(root: str, base: str, state: str) -> str:
    if not base or os.path.isdir(base):
        return os.path.abspath(base) if base else ""
    from runner.base_tree import base_directory

    return base_directory(root, base, state)


def check_places(base: str, default: str) -> None:
    """Refuse a base's directory, or what `DEFAULT` names, if it is not there.

    Raises:
        UsageMistake: it is not.
    """
    if base and not os.path.isdir(base):
        refuse(f"--base: there is no directory {base}")
    if default and not os.path.isfile(default):
        refuse(f"--default-config: there is no file {default}")


def shard_of(given: Given) -> Shard | None:
    """The part of the selection that is asked for; None for all of it.

    Raises:
        UsageMistake: it cannot be read.
    """
    if "shard" not in given:
        return None
    from runner.shards import read_shard

    text = given.text("shard")
    return read_shard(text) or refuse(f"--shard must be such as 2/5, not {text!r}")


def history_file(given: Given) -> str:
    """The file of durations and last verdicts that a command line means; "" is the state directory's own.

    Shards must agree on their parts, so nothing that only this machine remembers counts for one of them.
    """
    return given.text("history") or (os.devnull if "shard" in given else "")


def selected(ground: Ground, words: Sequence[str], *, since: str = "", shard: Shard | None = None) -> tuple[Box, ...]:
    """The boxes that a command line names; all when it names none. A shard of them may be empty.

    Raises:
        BadSelection: it cannot be read, or names what is not there.
        NothingSelected: it names no box.
    """
    text = " ".join(words).strip() or "all"
    if text == "all" and not ground.suite.boxes:
        raise NothingSelected(none_there(ground.root))
    if since:
        parse(text)  # what is wrong with it is told in its own terms
        text = f"({text}) and changed:{since}"
    boxes = select(text, ground.suite.boxes, failed=ground.history.failed(), changed=ground.changed)
    if shard is None:
        return boxes
    from runner.shards import part

    return part(boxes, ground.history.durations(), shard)


def none_there(root: str) -> str:
    """What to tell whoever looks for boxes where there are none."""
    above = os.path.dirname(root)
    while above != os.path.dirname(above):
        if os.path.isdir(f"{above}/boxes"):
            return f"no boxes in {root} (there are some above: runner -C {above} ...)"
        above = os.path.dirname(above)
    return f'no boxes in {root} (a box is a file boxes/tier-N/NUMBER_name; `runner new "Title"` writes the first one)'


def cpus() -> int:
    """How many boxes run at once when nobody says so: the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
