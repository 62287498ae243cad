"""Finds all boxes of a repository: files in `boxes/tier-N`, entries of interlock.yml, suites of a monorepo.

What must be so for a file to be a box: docs/reference/configuration.md.
"""

from __future__ import annotations

import os

from runner import __version__
from runner.errors import MOST_TOLD, BadMetadata, DuplicateNumber, UserError, together
from runner.model import Box, Suite
from runner.plan import check_after, check_also
from runner.suite_cache import TICK, Remembered, load, plain, store
from runner.walk import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import TypeVar

    from runner.config import Config
    from runner.model import BoxId
    from runner.walk import Found

    Read = TypeVar("Read")

CONFIG = ".github/interlock.yml"
BASE, DEFAULT = "base", "default"  # where a mistake is, if not in the tree at hand.
MISNAMED = ".github/interlock.yaml"
# What counts of a box that only a change has. A list of what is allowed: a key that is added later is not.
IDENTITY = ("id", "tier", "title", "kind", "source", "line", "file", "run")
NEW_BOX_MAY_SAY = (
    *("tags", "timeout", "slow", "retries", "flaky", "quarantine", "after", "needs", "locks", "inputs", "outputs"),
    *("may_skip", "min_asserts", "python", "control"),
)


def discover(root: str, *, base: str = "", default: str = "", cache_dir: str = "", python_scan: bool = True) -> Suite:
    """Find and validate all boxes of a repository.

    With `base`, configuration and metadata are those of `base`, and the programs are those of `root`: a box of `base`
    whose file is missing in `root` stays, with the kind `missing`; a box that only `root` has keeps its own metadata
    without network, secrets, env and requests. Identity is (suite, number), so a renamed file is still the same box.
    A configuration of `root` that is not valid counts for nothing then, and neither do blocks of boxes that `base` has;
    the suite's `notes` say so.

    Args:
        root: the repository.
        base: another tree of it, whose word counts; "" for none.
        default: the configuration file of a tree that has none of its own; "" for none.
        cache_dir: where the parsed suite is kept; "" to keep none. One directory for each repository.
        python_scan: whether a .py with tests is a pytest box; without, every file is just started.

    Returns:
        The suite; without any box if the repository has none.

    Raises:
        UserError: something in the repository must be mended; says where, and carries what else was found.
    """
    trees = [os.path.abspath(root)] + ([os.path.abspath(base)] if base else [])
    key = "\n".join([__version__, str(python_scan), default and os.path.abspath(default), default, *trees])
    path = os.path.join(cache_dir, "suite-base.json" if base else "suite.json")
    known = load(path, key) if cache_dir else None
    if known is None or not _still_true(known, trees, default):
        known = _discover(trees, default, python_scan=python_scan)
        if cache_dir:
            store(path, key, known)
    return Suite(
        root=trees[0],
        boxes=known.boxes,
        roots=known.trees[0],
        setups=known.setups,
        settings=known.settings,
        config_hash=known.config_hash,
        notes=known.notes,
    )


def _still_true(known: Remembered, trees: list[str], default: str) -> bool:
    """Whether every file that was read is untouched.

    A file that changed in the same tick of the clock in which it was read would look untouched, so what was stored
    that soon after a change is not believed (git calls such an index entry racy).
    """
    looks = _Looks(trees, default)
    looks.at_boxes(trees, known.trees)
    return looks.text == known.prints and looks.latest + TICK < known.written


class _Looks:
    """What the files look like without opening them: a text that differs as soon as one of them was touched.

    Taken before the files are read, so that whatever changes meanwhile looks changed to the next run.
    """

    def __init__(self, trees: list[str], default: str) -> None:
        self.latest = 0  # the latest change, in nanoseconds since the epoch.
        self._lines: list[str] = []
        configs = [f"{tree}/{CONFIG}" for tree in trees]
        for path in [*configs, default] if default else configs:
            try:
                status = os.stat(path)
            except OSError:
                misnamed = os.path.join(os.path.dirname(path), os.path.basename(MISNAMED))
                self._lines.append(f"no configuration {os.path.lexists(misnamed)}")
            else:
                self._lines.append(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
                self.latest = max(self.latest, status.st_ctime_ns)

    def at_boxes(self, trees: list[str], roots: list[dict[str, str]]) -> list[list[Found]]:
        """Take in all that may be boxes, and return it for each tree."""
        every: list[list[Found]] = []
        for tree, suites in zip(trees, roots, strict=True):
            self._lines += [f"{suite} {os.path.realpath(f'{tree}/{place}')}" for suite, place in suites.items()]
            found = walk(tree, suites)
            self._lines += [item.print_() for item in found]
            self.latest = max([self.latest, *(item.changed for item in found if not item.is_dir)])
            every.append(found)
        return every

    @property
    def text(self) -> str:
        return "\n".join(self._lines)


def _discover(trees: list[str], default: str, *, python_scan: bool) -> Remembered:
    from runner.config import Config

    looks = _Looks(trees, default)
    notes: list[str] = []
    wrong = _Wrong(BASE if len(trees) > 1 else "")
    ours = wrong.kept(lambda: _config(trees[-1], default)) or Config()
    roots: list[dict[str, str]] = [{"": ".", **ours.suites}]
    if len(trees) > 1:
        theirs = _changes_own(trees[0], default, notes)
        roots.insert(0, {"": ".", **theirs.suites, **ours.suites})  # where a suite lives is for the base to say.
    found = looks.at_boxes(trees, roots)
    boxes = wrong.kept(lambda: _boxes(trees[-1], found[-1], ours, roots[-1], python_scan=python_scan)) or []
    wrong.must_be_none()
    if len(trees) > 1:
        known = frozenset(box.id for box in boxes)
        programs = _boxes(trees[0], found[0], theirs, roots[0], python_scan=python_scan, known=known, notes=notes)
        boxes = _merged(base=boxes, head=programs)
    return _remember(boxes, ours, roots, looks.text, notes)


class _Wrong:
    """What is wrong with one tree, collected; `place` says which one it is, as in `UserError`."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._found: list[UserError] = []

    def kept(self, read: Callable[[], Read]) -> Read | None:
        """What `read` finds; None where there are mistakes, which are kept."""
        try:
            return read()
        except UserError as wrong:
            for mistake in wrong.every:
                mistake.place = mistake.place or self._place
            self._found.append(wrong)
            return None

    def must_be_none(self) -> None:
        """Raises all that was found."""
        if self._found:
            raise together(self._found)


def _changes_own(head: str, default: str, notes: list[str]) -> Config:
    """The configuration of a change: of boxes of its own it is heard, and where it is wrong it says nothing."""
    from runner.config import Config

    try:
        return _config(head, default)
    except UserError as wrong:
        notes.append(f"the configuration of this change counts for nothing, it is not valid: {wrong}")
        return Config()


def _remember(
    boxes: list[Box], config: Config, trees: list[dict[str, str]], prints: str, notes: list[str]
) -> Remembered:
    import hashlib
    import json

    check_after(boxes)
    check_also(boxes)
    in_order = tuple(sorted(boxes, key=lambda box: box.id))
    setups = {"": config.setup} if config.setup else {}
    content = json.dumps([trees[0], plain(in_order, setups, config.settings)], sort_keys=True)
    return Remembered(
        trees=trees,
        prints=prints,
        boxes=in_order,
        setups=setups,
        settings=config.settings,
        config_hash=hashlib.sha256(content.encode()).hexdigest(),
        notes=tuple(notes),
    )


def _config(tree: str, default: str) -> Config:
    """The configuration of a tree, or the default one where it has none; where its suites are is looked up."""
    from runner.config import Config, load_config

    if os.path.lexists(f"{tree}/{CONFIG}") or os.path.lexists(f"{tree}/{MISNAMED}"):
        config = load_config(_text(tree), file=CONFIG)
    elif default:
        wrong = _Wrong(DEFAULT)
        config = wrong.kept(lambda: _load_default(default)) or Config()
        wrong.must_be_none()
    else:
        return Config()
    real_tree, missing = os.path.realpath(tree), []
    for name, directory in config.suites.items():
        inside = os.path.realpath(f"{tree}/{directory}").startswith(f"{real_tree}/")
        if not inside or not os.path.isdir(f"{tree}/{directory}"):
            message = f"the directory {directory} of suite '{name}' is not in the repository"
            missing.append(BadMetadata(message, file=CONFIG, line=config.suite_lines[name]))
    if missing:
        raise together(missing)
    return config


def _text(tree: str) -> str:
    path = f"{tree}/{CONFIG}"
    if not os.path.realpath(path).startswith(f"{os.path.realpath(tree)}/"):
        raise BadMetadata("a link that leaves the repository", file=CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        if os.path.lexists(path):
            raise BadMetadata("a link that leads nowhere", file=CONFIG) from None
        raise BadMetadata("not the name of the configuration", file=MISNAMED, hint=f"name it {CONFIG}") from None
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise BadMetadata(message, file=CONFIG) from error
    except UnicodeDecodeError as error:
        raise BadMetadata("cannot be read as UTF-8 text", file=CONFIG) from error


def _load_default(path: str) -> Config:
    from runner.config import load_config

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        message = "cannot be read as text"
        raise BadMetadata(message, file=path) from error
    return load_config(text, file=path)


def _boxes(
    tree: str,
    found: list[Found],
    config: Config,
    roots: dict[str, str],
    *,
    python_scan: bool,
    known: Collection[BoxId] = (),
    notes: list[str] | None = None,
) -> list[Box]:
    """The boxes of one tree. What `known` boxes say about themselves does not count: someone else knows it."""
    from runner.box_files import read

    boxes, mistakes = read(tree, found, roots, config.defaults, python_scan=python_scan, known=known)
    if notes is not None:
        notes += [f"what a box says about itself counts for nothing, it is not valid: {one}" for one in mistakes[1]]
    if mistakes[0]:
        raise together(mistakes[0])
    return list(_unique([*boxes, *config.boxes]).values())


def _unique(boxes: Iterable[Box]) -> dict[BoxId, Box]:
    taken: dict[BoxId, Box] = {}
    every = list(boxes)
    twice = []
    for box in every:
        first = taken.setdefault(box.id, box)
        if first is not box:
            free = _next_free({other.id.number for other in every if other.id.suite == box.id.suite}, box.id.number)
            message = f"box {box.id} is already taken by {_place(first)}"
            hint = f"give it a free number; next free: {free}"
            twice.append(DuplicateNumber(message, file=box.source, line=0 if box.file else box.line, hint=hint))
        if len(twice) == MOST_TOLD:
            break
    if twice:
        raise together(twice)
    return taken


def _place(box: Box) -> str:
    return box.source if box.file else f"{box.source}:{box.line}"


def _next_free(taken: set[int], number: int) -> int:
    while number in taken:
        number += 1
    return number


def _merged(base: list[Box], head: list[Box]) -> list[Box]:
    """The base's word about each box, the head's programs."""
    programs = {box.id: box for box in head if box.file}
    merged = [_with_program(box, programs.get(box.id)) if box.file else box for box in base]
    known = {box.id for box in base}
    return [*merged, *(_untrusted(box) for box in head if box.id not in known)]


def _with_program(box: Box, program: Box | None) -> Box:
    if program is None:
        return _changed(box, kind="missing")
    return _changed(box, file=program.file, kind=program.kind, source=program.source, line=program.line)


def _untrusted(box: Box) -> Box:
    """A box that only the change has, with what it may say about itself and nothing else."""
    said: Mapping[str, object] = {name: getattr(box, name) for name in (*IDENTITY, *NEW_BOX_MAY_SAY)}
    return Box(**said)  # type: ignore[arg-type]


def _changed(box: Box, **changes: object) -> Box:
    fields: Mapping[str, object] = {name: getattr(box, name) for name in box.__slots__}
    return Box(**{**fields, **changes})  # type: ignore[arg-type]
