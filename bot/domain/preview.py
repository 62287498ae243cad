"""The check `Interlock / preview`: what a change would configure, in words, before anybody merges it. Pure.

It judges nothing. Its conclusion is `neutral`, which passes everywhere, so no branch may require it; where the new
configuration is broken it is `failure`, because the merge would stop every pull request after it. What it is made from
is a document that a process of the runner wrote about files of a pull request, so every text in it is foreign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.domain.checks import NAME, TITLE_BYTES, Check, mistake_notes, mistakes_list
from bot.domain.configuration import mistake_of
from bot.domain.report import count
from bot.domain.text import BUDGET, code, one_line, plain, within
from runner.errors import UserError

PREVIEW = f"{NAME} / preview"
SHOWN = 100
"""Rows of a table; whoever changes more reads it in the files."""

_NOT_RUN = "Nothing of the change was executed for this. Until it is merged, what the base says is in force."
_BROKEN = (
    "After the merge the configuration cannot be read, and nothing runs any more, on any pull request, until it is "
    "mended. What the base says is in force until then."
)
# The keys of a box that a row tells of, in the order in which it does, and their words.
_KEYS = {
    "title": "title",
    "tier": "tier",
    "kind": "kind",
    "run": "command",
    "timeout": "timeout",
    "slow": "slow after",
    "retries": "retries",
    "flaky": "flaky",
    "quarantine": "quarantine",
    "after": "after",
    "needs": "needs",
    "locks": "locks",
    "network": "network",
    "secrets": "secrets",
    "may_skip": "may skip",
    "min_asserts": "assertions needed",
    "inputs": "inputs",
    "outputs": "outputs",
    "tags": "tags",
    "python": "python",
    "control": "control",
}
_TERMS = (
    "Secrets go to protected branches only; "
    "members' pull requests reach what `trust.network` lists, strangers' nothing."
)
_OF_NEW = ("network", "secrets", "needs", "quarantine")
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_SECONDS = frozenset({"timeout", "slow"})
# What a setting means, where its name does not say it.
_MEANINGS = {
    "trust.bots": "apps whose pull requests run",
    "trust.protected": "further branches whose pushes run",
    "trust.network": "what members' pull requests may reach",
    "trust.egress": "hosts behind a rule's name",
    "limits": "what a box may use",
    "report.comment": "a comment on the pull request",
    "report.annotations": "notes on a check",
    "report.falsify": "proofs that boxes can turn red",
    "checkout.submodules": "submodules that are fetched",
    "checkout.lfs": "files in Git LFS are fetched",
    "environments": "where releases go",
    "setup": "before the boxes",
}

Box = Mapping[str, Any]


def preview(document: Mapping[str, Any]) -> Check | None:
    """The check, or None when the change leaves boxes and configuration as they are.

    Args:
        document: what `runner compare --json --suites` says (schema runner.compare/1).
    """
    before, after = _mapping(document.get("before")), _mapping(document.get("after"))
    if not before or not after:
        return None
    if mistakes := [mistake_of(raw) for raw in _mappings(after.get("errors"))]:
        # What is wrong with the organisation's file is no change of this one's.
        own = [mistake for mistake in mistakes if not mistake.place]
        return _broken(own) if own else None
    rows = _box_rows(before, after, _renumbered(document))
    settings = _setting_rows(before, after)
    if not rows and not settings:
        return None
    return _told(before, after, rows, settings)


def _broken(mistakes: Sequence[UserError]) -> Check:
    first = f"the new configuration is broken: {mistakes[0].message}"
    title = first if len(mistakes) == 1 else f"the new configuration is broken in {len(mistakes)} places"
    return Check(
        name=PREVIEW,
        status="completed",
        conclusion="failure",
        title=one_line(title, TITLE_BYTES),
        summary=mistakes_list(_BROKEN, mistakes, {}),
        annotations=mistake_notes(mistakes),
    )


def _told(before: Box, after: Box, rows: list[_Row], settings: list[str]) -> Check:
    verbs = ("added", "removed", "renumbered", "changed")
    counts = [f"{n} {verb}" for verb in verbs if (n := sum(row.verb == verb for row in rows))]
    boxes = counts and [f"{', '.join(counts)} of {count(len(_boxes(after)), 'box')} after the merge"]
    title = "; ".join([*boxes, *([count(len(settings), "setting") + " changed"] if settings else [])])
    blocks = [_tiers(before, after), _mend(before)]
    blocks += [_table("| box | | |\n|--|--|--|", [row.line for row in rows])] if rows else []
    blocks += [_TERMS] if any(row.asks for row in rows) else []
    blocks += [_table("| setting | before | after |\n|--|--|--|", settings)] if settings else []
    return Check(
        name=PREVIEW,
        status="completed",
        conclusion="neutral",
        title=one_line(title, TITLE_BYTES),
        summary=within(
            _NOT_RUN, filter(None, blocks), limit=BUDGET, left_out="{n} more parts are too long to be shown."
        ),
    )


def _tiers(before: Box, after: Box) -> str:
    was, now = ({box.get("tier") for box in _boxes(side)} for side in (before, after))
    if not was and not before.get("errors"):
        would = f"{count(len(_boxes(after)), 'box')} in {count(len(now), 'tier')} would run"
        return f"There are no boxes yet. After the merge, {would}."
    return (
        f"Tiers: {_listed(sorted(map(str, was)))} before, {_listed(sorted(map(str, now)))} after." if was != now else ""
    )


def _mend(before: Box) -> str:
    return "The base's configuration cannot be read. This change mends it." if before.get("errors") else ""


class _Row:
    """A line of the table of boxes."""

    def __init__(self, label: str, verb: str, says: Iterable[str]) -> None:
        said = [sentence for sentence in says if sentence]
        self.verb = verb
        self.line = f"| {label} | {verb} | {'; '.join(said)} |"
        self.asks = any(sentence.startswith(("network: ", "secrets: ")) for sentence in said)


def _box_rows(before: Box, after: Box, renumbered: Mapping[str, str]) -> list[_Row]:
    """A row for each box that the change adds, changes, renumbers or removes; `renumbered` has new ids by old ones."""
    was = {_id(box): box for box in _boxes(before)}
    now = {_id(box): box for box in _boxes(after)}
    origins = {box_id: box_id for box_id in now if box_id in was and box_id not in renumbered}
    origins |= {new: old for old, new in renumbered.items() if old in was and new in now}
    rows = []
    for box_id, box in now.items():
        if (origin := origins.get(box_id)) is None:
            rows.append(_Row(_label(box), "added", _added(box)))
            continue
        differences = list(_differences(was[origin], box))
        if origin != box_id:
            rows.append(_Row(_label(box), "renumbered", [f"was {code(origin, 80, table=True)}", *differences]))
        elif differences:
            rows.append(_Row(_label(box), "changed", differences))
    kept = set(origins.values())
    return rows + [_Row(_label(box), "removed", []) for box_id, box in was.items() if box_id not in kept]


def _added(box: Box) -> Iterable[str]:
    yield f"tier {plain(str(box.get('tier')), 10)}"
    yield f"timeout {_value('timeout', box.get('timeout'))}"
    for key in _OF_NEW:
        if box.get(key):
            yield f"{_KEYS[key]}: {_value(key, box.get(key))}"
    yield "" if box.get("control") else "no control: nothing proves that it can fail"


def _differences(old: Box, new: Box) -> Iterable[str]:
    for key, word in _KEYS.items():
        was, now = old.get(key), new.get(key)
        if key == "control":
            was, now = _control(was), _control(now)
        if was != now:
            yield f"{word}: {_value(key, was)} → {_value(key, now)}"


def _control(raw: object) -> object:
    """What of a control a person compares; where it stands in a file is no difference."""
    return {key: value for key, value in raw.items() if key != "where"} if isinstance(raw, dict) else raw


def _setting_rows(before: Box, after: Box) -> list[str]:
    if before.get("errors"):
        return []
    was, now = (dict(_flat(_all_settings(side), "")) for side in (before, after))
    rows = []
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            meaning = next((text for key, text in _MEANINGS.items() if name == key or name.startswith(f"{key}.")), "")
            label = code(name, 100, table=True) + (f" ({meaning})" if meaning else "")
            rows.append(f"| {label} | {_value(name, was.get(name))} | {_value(name, now.get(name))} |")
    return rows


def _all_settings(side: Box) -> Mapping[str, Any]:
    setups = {
        f"setup{f' of {name}' if name else ''}": {
            key: setup.get(key) for key in ("run", "inputs", "network", "timeout")
        }
        for name, setup in _mapping(side.get("setups")).items()
        if isinstance(setup, dict)
    }
    return {**setups, **_mapping(side.get("settings"))}


def _flat(settings: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, object]]:
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _value(key: str, value: object) -> str:
    if value is None or value in ("", [], {}):
        return "as usual" if key.startswith("limits.") else "nothing"
    match value:
        case bool() | int() | float():
            said = _number(key, value)
        case list():
            said = _listed([_bare(item) for item in value])
        case dict():
            said = plain(", ".join(f"{name} {_bare(inner)}" for name, inner in value.items() if inner), 300)
        case _:
            said = code(str(value), 120, table=True)
    return said


def _number(key: str, value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.startswith("limits.") and isinstance(value, int) and not key.endswith(".processes"):
        return size_in_words(value)
    return f"{value:g} s" if key.rpartition(".")[2] in _SECONDS else plain(str(value), 40)


def _bare(value: object) -> str:
    return ", ".join(_bare(item) for item in value.values() if item) if isinstance(value, dict) else str(value)


def size_in_words(size: int) -> str:
    """`4 GiB`, in the largest unit that needs no fraction."""
    unit = next((unit for unit in _UNITS if size % unit[0] == 0), (1, "bytes"))
    return f"{size // unit[0]} {unit[1]}"


def _listed(items: Sequence[str], most: int = 20) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(code(item, 80, table=True) for item in items[:most]) + more if items else "none"


def _table(head: str, rows: Sequence[str]) -> str:
    more = [f"| and {len(rows) - SHOWN} more | | |"] if len(rows) > SHOWN else []
    return "\n".join([head, *rows[:SHOWN], *more])


def _label(box: Box) -> str:
    return f"{plain(_id(box), 80)} {plain(str(box.get('title', '')), 100)}".strip()


def _id(box: Box) -> str:
    suite, number = box.get("suite"), box.get("box")
    return f"{suite}/{number}" if suite else str(number)


def _renumbered(document: Mapping[str, Any]) -> dict[str, str]:
    changes = [raw for raw in _mappings(document.get("changes")) if raw.get("kind") == "renumbered" and raw.get("now")]
    return {str(raw.get("box")): str(raw.get("now")) for raw in changes}


def _boxes(side: Box) -> list[Box]:
    return _mappings(side.get("boxes"))


def _mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _mappings(raw: object) -> list[Mapping[str, Any]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []
