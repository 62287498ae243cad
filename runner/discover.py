"""Finds all boxes of a repository: files in `boxes/tier-N`, entries of interlock.yml, suites of a monorepo.

What must be so for a file to be a box: docs/reference/configuration.md.
"""

from __future__ import annotations

import os

from runner import __version__
from runner.errors import BadMetadata, DuplicateNumber
from runner.model import Box, Suite
from runner.plan import check_after, check_also
from runner.suite_cache import TICK, Remembered, load, plain, store
from runner.walk import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.config import Config
    from runner.model import BoxId
    from runner.walk import Found

CONFIG = ".github/interlock.yml"
MISNAMED = ".github/interlock.yaml"


def discover(root: str, *, base: str = "", cache_dir: str = "", python_scan: bool = True) -> Suite:
    """Find and validate all boxes of a repository.

    With `base`, configuration and metadata are those of `base`, and the programs are those of `root`: a box of `base`
    whose file is missing in `root` stays, with the kind `missing`; a box that only `root` has keeps its own metadata
    without network, secrets, env and requests. Identity is (suite, number), so a renamed file is still the same box.

    Args:
        root: the repository.
        base: another tree of it, whose word counts; "" for none.
        cache_dir: where the parsed suite is kept; "" to keep none. One directory for each repository.
        python_scan: whether a .py with tests is a pytest box; without, every file is just started.

    Returns:
        The suite; without any box if the repository has none.

    Raises:
        UserError: something in the repository must be mended; says where.
    """
    trees = [os.path.abspath(root)] + ([os.path.abspath(base)] if base else [])
    key = "\n".join([__version__, str(python_scan), *trees])
    path = os.path.join(cache_dir, "suite-base.json" if base else "suite.json")
    known = load(path, key) if cache_dir else None
    if known is None or not _still_true(known, trees):
        known = _discover(trees, python_scan=python_scan)
        if cache_dir:
            store(path, key, known)
    return Suite(
        root=trees[0],
        boxes=known.boxes,
        roots=known.trees[0],
        setups=known.setups,
        settings=known.settings,
        config_hash=known.config_hash,
    )


def _still_true(known: Remembered, trees: list[str]) -> bool:
    """Whether every file that was read is untouched.

    A file that changed in the same tick of the clock in which it was read would look untouched, so what was stored
    that soon after a change is not believed (git calls such an index entry racy).
    """
    looks = _Looks(trees)
    looks.at_boxes(trees, known.trees)
    return looks.text == known.prints and looks.latest + TICK < known.written


class _Looks:
    """What the files look like without opening them: a text that differs as soon as one of them was touched.

    Taken before the files are read, so that whatever changes meanwhile looks changed to the next run.
    """

    def __init__(self, trees: list[str]) -> None:
        self.latest = 0  # the latest change, in nanoseconds since the epoch.
        self._lines: list[str] = []
        for tree in trees:
            try:
                status = os.stat(f"{tree}/{CONFIG}")
            except OSError:
                self._lines.append(f"no configuration {os.path.lexists(f'{tree}/{MISNAMED}')}")
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


def _discover(trees: list[str], *, python_scan: bool) -> Remembered:
    looks = _Looks(trees)
    configs = [_config(tree) for tree in trees]
    ours = configs[-1]
    roots: list[dict[str, str]] = [{"": ".", **ours.suites} for _ in trees]
    if len(trees) > 1:
        roots[0] = {"": ".", **configs[0].suites, **ours.suites}  # where a suite lives is for the base to say.
    boxes = [
        _boxes(tree, found, config, places, python_scan=python_scan)
        for tree, found, config, places in zip(trees, looks.at_boxes(trees, roots), configs, roots, strict=True)
    ]
    merged = boxes[0] if len(trees) == 1 else _merged(base=boxes[1], head=boxes[0])
    return _remember(merged, ours, roots, looks.text)


def _remember(boxes: list[Box], config: Config, trees: list[dict[str, str]], prints: str) -> Remembered:
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
    )


def _config(tree: str) -> Config:
    from runner.config import Config, load_config

    path = f"{tree}/{CONFIG}"
    real, real_tree = os.path.realpath(path), os.path.realpath(tree)
    if not real.startswith(f"{real_tree}/"):
        raise BadMetadata("a link that leaves the repository", file=CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        if os.path.lexists(f"{tree}/{MISNAMED}"):
            raise BadMetadata("not the name of the configuration", file=MISNAMED, hint=f"name it {CONFIG}") from None
        return Config()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise BadMetadata(message, file=CONFIG) from error
    except UnicodeDecodeError as error:
        raise BadMetadata("cannot be read as UTF-8 text", file=CONFIG) from error
    config = load_config(text, file=CONFIG)
    for name, directory in config.suites.items():
        inside = os.path.realpath(f"{tree}/{directory}").startswith(f"{real_tree}/")
        if not inside or not os.path.isdir(f"{tree}/{directory}"):
            message = f"the directory {directory} of suite '{name}' is not in the repository"
            raise BadMetadata(message, file=CONFIG, line=config.suite_lines[name])
    return config


def _boxes(tree: str, found: list[Found], config: Config, roots: dict[str, str], *, python_scan: bool) -> list[Box]:
    from runner.box_files import read

    files = read(tree, found, roots, config.defaults, python_scan=python_scan)
    return list(_unique([*files, *config.boxes]).values())


def _unique(boxes: Iterable[Box]) -> dict[BoxId, Box]:
    taken: dict[BoxId, Box] = {}
    every = list(boxes)
    for box in every:
        first = taken.setdefault(box.id, box)
        if first is not box:
            free = _next_free({other.id.number for other in every if other.id.suite == box.id.suite}, box.id.number)
            message = f"box {box.id} is already taken by {_place(first)}"
            hint = f"give it a free number; next free: {free}"
            raise DuplicateNumber(message, file=box.source, line=0 if box.file else box.line, hint=hint)
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
    return _changed(box, network=(), secrets=(), env={}, http=())


def _changed(box: Box, **changes: object) -> Box:
    fields: Mapping[str, object] = {name: getattr(box, name) for name in box.__slots__}
    return Box(**{**fields, **changes})  # type: ignore[arg-type]
