"""`interlock config explain`: what a configuration comes to, each value with its origin, and what boxes may do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bot.commands.config_findings import check_networks
from runner.commands.list_boxes import described
from runner.config import FILE, in_force
from runner.discover import discover
from runner.documents import read_yaml
from runner.isolation import Limits, egress_of, limits_for, may_have_secrets
from runner.model import Box, Suite
from runner.report.text import one_line

if TYPE_CHECKING:
    from runner.documents import Lines

SCHEMA = "interlock.config/1"
LEVELS = {
    "T0": "protected branches",
    "T1": "pull requests of members",
    "T2": "pull requests of strangers, once allowed",
}
USUAL = "default"
_BOX_DEFAULTS = {"timeout": "60s", "slow": "half of timeout", "retries": 0, "flaky": "fail in CI, pass elsewhere"}
_BOX_DEFAULTS |= {"min_asserts": 0, "python": "found", "env": {}}
_LIMIT_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

Row = tuple[str, object, str]


def explain(root: Path, default: str, *, as_json: bool) -> str:
    """The whole configuration of a repository.

    Args:
        root: the repository.
        default: the organisation's file; "" for none.
        as_json: as one document instead of text.

    Raises:
        UserError: it is not valid; carries everything that is wrong.
    """
    suite = discover(str(root), default=default)
    check_networks(suite)
    file, label = _file(root, default)
    document, lines = read_yaml(file.read_text(encoding="utf-8"), file=label) if file else (None, {})
    said = _Origins(document if isinstance(document, dict) else {}, lines, label)
    rows = list(_rows(suite, said))
    if as_json:
        return json.dumps(_document(suite, label, rows), indent=2) + "\n"
    width = max(len(name) for name, _, _ in rows)  # names are made of letters, digits, dot, dash and underscore.
    shown = [f"{name:<{width}}  {one_line(_value(name, value)):<24}  {origin}" for name, value, origin in rows]
    head = f"configuration: {label or 'none; boxes as they stand'}, hash {suite.config_hash[:12]}"
    return "\n".join([head, "", *shown, "", *_boxes(suite)]) + "\n"


def _file(root: Path, default: str) -> tuple[Path | None, str]:
    own = root / FILE
    if own.exists():
        return own, FILE
    return (Path(default), default) if default else (None, "")


class _Origins:
    """Says of each value where it was written."""

    def __init__(self, document: Mapping[str, object], lines: Lines, label: str) -> None:
        self._document = document
        self._lines = lines
        self._label = label

    def section(self, name: str) -> Mapping[str, object]:
        """A section as written; empty if it is not there."""
        section = self._document.get(name)
        return section if isinstance(section, dict) else {}

    def of(self, *paths: tuple[str, ...]) -> str:
        """The place of the first of some paths that was written."""
        written = [path for path in paths if path in self._lines]
        return f"{self._label}:{self._lines[written[0]]}" if written else USUAL


def _rows(suite: Suite, said: _Origins) -> Iterator[Row]:
    for name, setup in suite.setups.items():
        for key in ("run", "inputs", "network", "timeout"):
            yield f"setup{f' of {name}' if name else ''}.{key}", getattr(setup, key), said.of(("setup", key))
    for name, root in suite.roots.items():
        if name:
            yield f"suites.{name}", root, said.of(("suites", name))
    for key, usual in _BOX_DEFAULTS.items():
        yield f"defaults.{key}", said.section("defaults").get(key, usual), said.of(("defaults", key))
    for level in LEVELS:
        limits = limits_for(level, suite.settings)
        for key in Limits.__slots__:
            places = [("limits", level, key)] + ([("limits", key)] if level != "T2" or _own(said, level) else [])
            yield f"limits.{level}.{key}", getattr(limits, key), said.of(*places)
    settings = in_force(suite.settings)
    for section in ("trust", "checkout", "report", "environments"):
        for path, value in _flat(settings[section], (section,)):
            yield ".".join(path), value, said.of(path)


def _own(said: _Origins, level: str) -> bool:
    return isinstance(said.section("limits").get(level), dict)


def _flat(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """The leaves of a section; what is empty is one, and so is a list."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    else:
        yield path, value


def _boxes(suite: Suite) -> Iterator[str]:
    boxes = sorted(suite.boxes, key=lambda box: (box.tier, box.id))
    if not boxes:
        yield "no boxes"
    width = max((len(str(box.id)) for box in boxes), default=0)
    for tier, group in groupby(boxes, key=lambda box: box.tier):
        yield f"tier {tier}"
        for box in group:
            control = f"control: {box.control.kind}" if box.control else "no control"
            place = one_line(f"{box.source}:{box.line}")
            yield f"  {box.id!s:>{width}}  {one_line(box.title)}  ({place}, at most {box.timeout:g} s, {control})"
            yield from (
                f"  {'':>{width}}    {level}: {what}" for level, what in consequences(box, suite.settings).items()
            )
    yield ""
    yield "Boxes without a line for a level reach nothing and get no secret at any."
    yield from (f"{level}: {who}" for level, who in LEVELS.items())


def consequences(box: Box, settings: Mapping[str, object]) -> dict[str, str]:
    """What a box may at each trust level, in words; empty if it asks for nothing."""
    if not box.network and not box.secrets:
        return {}
    return {level: "; ".join(_at(level, box, settings)) for level in LEVELS}


def _at(level: str, box: Box, settings: Mapping[str, object]) -> Iterator[str]:
    egress = egress_of(box.network, level, settings)
    if egress.hosts:
        yield f"reaches {', '.join(egress.hosts)}"
    if egress.refused:
        why = "" if level == "T2" else " (not in trust.network)"
        yield f"does not reach {', '.join(egress.refused)}{why}"
    if box.secrets:
        yield f"{'gets' if may_have_secrets(box, level) else 'does not get'} {', '.join(box.secrets)}"


def _document(suite: Suite, label: str, rows: Sequence[Row]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "file": label,
        "config_hash": suite.config_hash,
        "settings": [{"name": name, "value": value, "from": origin} for name, value, origin in rows],
        "boxes": [described(box) | {"levels": consequences(box, suite.settings)} for box in suite.boxes],
    }


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and name.startswith("limits.") and not name.endswith(".processes"):
        size, unit = next(((size, unit) for size, unit in _LIMIT_UNITS if value % size == 0), (1, "B"))
        return f"{value // size}{unit}"
    if isinstance(value, list | tuple):
        return _item(list(value))
    return f"{value:g}s" if isinstance(value, float) else str(value)


def _item(value: object) -> str:
    """What stands in a list, as the file would write it."""
    match value:
        case dict():
            return f"{{{', '.join(f'{key}: {_item(inner)}' for key, inner in value.items())}}}"
        case list():
            return f"[{', '.join(map(_item, value))}]"
        case float():
            return f"{value:g}"
    return str(value)
