"""The keys of a box: what each may say, and what a box is when they are all read. Text in, `Box` out; no files.

Reference: docs/reference/configuration.md, whose table of keys a test compares with BOX_KEYS.
"""

from __future__ import annotations

import re

from runner.documents import read_toml
from runner.errors import BadMetadata
from runner.fault import read_fault, read_target_fault
from runner.fields import Fields, nearest
from runner.http_steps import read_steps, title_of
from runner.model import Box, BoxId, Control, Expect, Quarantine, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_TIMEOUT = 60.0  # seconds
MOST_RETRIES = 10
HIGHEST_TIER = 999
CONTROL_KINDS = ("edit", "patch", "env", "run", "fault", "target")

# Every key of a box in the order in which the reference lists them. `run` and `http` are for entries only.
BOX_KEYS = (
    "title", "tier", "run", "http", "tags", "timeout", "slow", "retries", "flaky", "quarantine", "after", "needs",
    "locks", "env", "inputs", "outputs", "network", "secrets", "may_skip", "min_asserts", "python", "control",
)  # fmt: skip

_OPENING = re.compile(r"(#|//|--) /// box\s*")
_BOX_ID = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9._-]*)/)?([0-9]{1,9})")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class Defaults(Value):
    """What a box has when it does not say. Times in seconds; `slow` None is half the timeout."""

    __slots__ = ("env", "flaky", "min_asserts", "python", "retries", "slow", "timeout")

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        slow: float | None = None,
        retries: int = 0,
        flaky: str = "",
        min_asserts: int = 0,
        python: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.timeout = timeout
        self.slow = slow
        self.retries = retries
        self.flaky = flaky
        self.min_asserts = min_asserts
        self.python = python
        self.env = dict(env or {})


def read_defaults(fields: Fields) -> Defaults:
    """Read the section `defaults:`."""
    slow = fields.seconds("slow", 0.001) if "slow" in fields else None
    defaults = Defaults(
        timeout=fields.seconds("timeout", DEFAULT_TIMEOUT),
        slow=slow,
        retries=fields.count("retries", 0, high=MOST_RETRIES),
        flaky=fields.choice("flaky", ("pass", "fail")),
        min_asserts=fields.count("min_asserts", 0),
        python=fields.text("python"),
        env=fields.variables("env"),
    )
    fields.take("slow")
    fields.done()
    return defaults


class Block(Value):
    """A box's metadata as text: where its TOML begins, and the TOML."""

    __slots__ = ("first_line", "text")

    def __init__(self, *, text: str, first_line: int) -> None:
        self.text = text
        self.first_line = first_line


def find_block(text: str, *, file: str) -> Block | None:
    """The first inline block of a program's text: from `# /// box` to `# ///`, also after `//` or `--`.

    Later blocks are not read: a box may well hold a sample box in a string.

    Raises:
        BadMetadata: the block has no end, or a line that is no comment.

    Source: the inline script metadata of PEP 723.
    """
    if "/// box" not in text:
        return None
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if opening := _OPENING.fullmatch(line.rstrip("\r")):
            return Block(text=_inside(lines[number:], opening[1], file, number), first_line=number + 1)
    return None


def _inside(lines: list[str], prefix: str, file: str, opened: int) -> str:
    inside: list[str] = []
    for line in lines:
        bare = line.rstrip()
        if bare == f"{prefix} ///":
            return "\n".join(inside)
        if bare != prefix and not bare.startswith(f"{prefix} "):
            break
        inside.append(bare[len(prefix) + 1 :])
    hint = f"end it with a line `{prefix} ///`"
    raise BadMetadata("the box block is not closed", file=file, line=opened, hint=hint)


def parse_block(text: str, file: str) -> Fields | None:
    """The keys of the inline block of a program's text, None if it has none.

    Raises:
        BadMetadata: the block is not closed or not TOML; says where.
    """
    block = find_block(text, file=file)
    return toml_fields(block.text, file=file, first_line=block.first_line) if block else None


def toml_fields(text: str, *, file: str, first_line: int = 1) -> Fields:
    """The keys of a TOML text, be it a block or a sidecar."""
    values, lines = read_toml(text, file=file, first_line=first_line)
    lines.setdefault((), max(1, first_line - 1))
    keys: dict[str | int, object] = dict(values.items())
    return Fields(keys, file=file, lines=lines)


def read_box(
    fields: Fields,
    *,
    id: BoxId,  # noqa: A002 - as Box.
    defaults: Defaults,
    source: str,
    title: str = "",
    tier: int | None = None,
    kind: str = "",
    file: str = "",
) -> Box:
    """Make a box of its keys.

    Args:
        fields: the keys as written.
        id: who it is.
        defaults: what it has when it does not say.
        source: the file to which errors and annotations point.
        title: the title when it does not say.
        tier: what the directory says; None for an entry.
        kind: `file` or `pytest`; empty for an entry, whose keys decide.
        file: the program, relative to the suite's root; empty for an entry.

    Raises:
        BadMetadata: a key is unknown, mistyped or contradicts another one; says where.
    """
    timeout = fields.seconds("timeout", defaults.timeout)
    run = "" if kind else _entry_run(fields)
    http = read_steps(fields) if not kind and not run else ()
    needs = _needs(fields)
    secrets = fields.names("secrets", r"[A-Za-z_][A-Za-z0-9_]{0,99}", "secret's name")
    if any(name.startswith("BOX_") or name == "INTERLOCK" for name in secrets):
        raise fields.bad(
            "secrets", "'secrets' names what the runner sets itself", "BOX_* and INTERLOCK are the runner's"
        )
    box = Box(
        id=id,
        tier=_tier(fields, tier),
        title=" ".join(
            fields.text("title", title or (title_of(http) if http else run.strip().split("\n")[0][:80])).split()
        ),
        kind=kind or ("command" if run else "http"),
        source=source,
        line=fields.line(),
        file=file,
        run=run,
        http=http,
        tags=fields.names("tags", what="tag"),
        timeout=timeout,
        slow=_slow(fields, timeout, defaults),
        retries=fields.count("retries", defaults.retries, high=MOST_RETRIES),
        flaky=fields.choice("flaky", ("pass", "fail"), defaults.flaky),
        quarantine=_quarantine(fields),
        after=_boxes(fields, "after", id),
        needs=needs,
        locks=fields.names("locks", what="lock's name"),
        env={**defaults.env, **fields.variables("env")},
        inputs=fields.paths("inputs"),
        outputs=fields.paths("outputs"),
        network=fields.names("network", what="rule or host"),
        secrets=secrets,
        may_skip=fields.flag("may_skip"),
        min_asserts=fields.count("min_asserts", defaults.min_asserts),
        python=fields.text("python", defaults.python),
        control=_control(fields, id, needs),
    )
    fields.done()
    return box


def read_box_id(text: object) -> BoxId | None:
    """`21` or `api/21`, as a number or as text; None if it is neither."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        return None
    match = _BOX_ID.fullmatch(str(text))
    return BoxId(match[1] or "", int(match[2])) if match else None


def _entry_run(fields: Fields) -> str:
    """The command of an entry, "" if it has `http` instead."""
    if ("run" in fields) == ("http" in fields):
        raise fields.bad("", "a box in this file needs either 'run' or 'http'")
    return fields.text("run")


def _needs(fields: Fields) -> tuple[str, ...]:
    """Services, each with or without the major version that the box insists on."""
    needs = fields.names("needs", r"[a-z][a-z0-9-]{0,40}(:[0-9]{1,4})?", "service, such as postgres or postgres:16")
    if len({need.partition(":")[0] for need in needs}) < len(needs):
        raise fields.bad("needs", "'needs' names a service twice")
    return needs


def _tier(fields: Fields, directory: int | None) -> int:
    if directory is None and "tier" not in fields:
        raise fields.bad("", "'tier' is missing")
    tier = fields.count("tier", directory or 0, high=HIGHEST_TIER)
    if directory is not None and tier != directory:
        hint = f"move the file to boxes/tier-{tier}, or take the key away"
        raise fields.bad("tier", f"the directory says tier {directory}, the block says tier {tier}", hint)
    return tier


def _slow(fields: Fields, timeout: float, defaults: Defaults) -> float:
    """When to warn: what the box says; with a timeout of its own half of that; else what the defaults say."""
    inherited = None if "timeout" in fields else defaults.slow
    slow = fields.seconds("slow", min(inherited or timeout / 2, timeout))
    if slow > timeout:
        raise fields.bad("slow", f"'slow' is {slow:g} s, after the timeout of {timeout:g} s")
    return slow


def _quarantine(fields: Fields) -> Quarantine | None:
    inner = fields.inner("quarantine")
    if inner is None:
        return None
    until = str(inner.take("until") or "")  # TOML has dates of its own, which print as ISO dates.
    if not _DATE.fullmatch(until):
        raise inner.bad("until", "'until' must be a date", "write 2026-03-31")
    quarantine = Quarantine(until=until, reason=inner.text("reason", needed=True))
    inner.done()
    return quarantine


def _boxes(fields: Fields, key: str, own: BoxId) -> tuple[BoxId, ...]:
    value = fields.take(key)
    if value is None:
        return ()
    ids = [read_box_id(item) for item in value] if isinstance(value, list) else [None]
    if None in ids:
        raise fields.bad(key, f"'{key}' must be a list of boxes", 'write [7, 8] or ["api/7"]')
    known = [box_id for box_id in ids if box_id]
    return tuple(dict.fromkeys(_in_suite(item, box_id, own) for item, box_id in zip(_items(value), known, strict=True)))


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _in_suite(written: object, box_id: BoxId, own: BoxId) -> BoxId:
    """A bare number is a box of the same suite."""
    return BoxId(own.suite, box_id.number) if "/" not in str(written) else box_id


def _control(fields: Fields, own: BoxId, needs: tuple[str, ...]) -> Control | None:
    inner = fields.inner("control")
    if inner is None:
        return None
    kinds = [kind for kind in CONTROL_KINDS if kind in inner]
    if len(kinds) != 1:
        said = f"it has {' and '.join(kinds)}" if kinds else f"one of {', '.join(CONTROL_KINDS)}"
        raise inner.bad("", "'control' needs exactly one kind of sabotage", said)
    if kinds == ["fault"]:
        _check_service(inner, [need.partition(":")[0] for need in needs])
    control = Control(
        kind=kinds[0],
        spec=_SPECS[kinds[0]](inner),
        expect=_expect(inner),
        where=inner.where,
        also=_boxes(inner, "also", own),
    )
    for kind in CONTROL_KINDS:
        inner.take(kind)
    inner.done()
    return control


def _check_service(inner: Fields, needs: list[str]) -> None:
    fields = inner.inner("fault")
    service = fields.text("service") if fields else ""
    if not needs:
        raise inner.bad("fault", "'fault' hurts a service, and the box needs none", "write needs: [redis]")
    if service and service not in needs:
        raise inner.bad("fault", f"'fault' hurts {service}, which the box does not need", nearest(service, needs))


def _edit(inner: Fields) -> dict[str, str]:
    edit = inner.inner("edit")
    assert edit is not None
    file = edit.path("file", needed=True)
    find, replace = edit.take("find"), edit.take("replace")
    if not isinstance(find, str) or not find:
        raise edit.bad("find", "'find' must be text that occurs exactly once in the file")
    if not isinstance(replace, str):
        raise edit.bad("replace", "'replace' must be text; it may be empty")
    if find == replace:
        raise edit.bad("replace", "'replace' equals 'find', so nothing would change")
    edit.done()
    return {"file": file, "find": find, "replace": replace}


def _patch(inner: Fields) -> dict[str, str]:
    if isinstance(inner.take("patch"), dict):
        patch = inner.inner("patch")
        assert patch is not None
        file = patch.path("file", needed=True)
        patch.done()
        return {"file": file}
    return {"file": inner.path("patch", needed=True)}


def _env(inner: Fields) -> dict[str, str]:
    variables = inner.variables("env")
    if not variables:
        raise inner.bad("env", "'env' sets no variable, so nothing would change")
    return variables


def _run(inner: Fields) -> dict[str, str]:
    if isinstance(inner.take("run"), dict):
        run = inner.inner("run")
        assert run is not None
        command = run.text("command", needed=True)
        run.done()
        return {"command": command}
    return {"command": inner.text("run", needed=True)}


def _fault(inner: Fields) -> dict[str, str]:
    """What becomes of a service: `is`, and `service` where the box needs several."""
    fields = inner.inner("fault")
    assert fields is not None
    spec = {"is": fields.text("is", needed=True)}
    if "service" in fields:
        spec["service"] = fields.text("service")
    try:
        read_fault(spec["is"])
    except ValueError as why:
        raise fields.bad("is", f"{why}") from why
    fields.done()
    return spec


def _target(inner: Fields) -> dict[str, str]:
    """What becomes of the target's answers; a bare status is a number in YAML."""
    fields = inner.inner("target")
    assert fields is not None
    value = fields.take("is")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise fields.bad("is", "'is' must be down, a status such as 503, slow 2s, or wrong-body")
    spec = {"is": str(value)}
    if "body" in fields:
        spec["body"] = fields.text("body")
    try:
        read_target_fault(spec["is"])
    except ValueError as why:
        raise fields.bad("is", f"{why}") from why
    fields.done()
    return spec


_SPECS: dict[str, Callable[[Fields], dict[str, str]]] = {
    "edit": _edit,
    "patch": _patch,
    "env": _env,
    "run": _run,
    "fault": _fault,
    "target": _target,
}


def _expect(inner: Fields) -> Expect | None:
    if isinstance(inner.take("expect"), dict):
        fields = inner.inner("expect")
        assert fields is not None
        output = fields.text("output", needed=True)
        fields.done()
        try:
            re.compile(output)
        except (re.error, RecursionError, OverflowError) as error:
            raise fields.bad("output", f"'output' is not a regular expression: {error}") from error
        return Expect(output=output)
    assertion = inner.text("expect")
    return Expect(assertion=assertion) if assertion else None
