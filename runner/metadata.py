"""The keys of a box: what each may say, and what a box is when they are all read. Text in, `Box` out; no files.

Reference: docs/reference/configuration.md, whose table of keys a test compares with BOX_KEYS.
"""

from __future__ import annotations

import re

from runner.documents import read_toml
from runner.errors import BadMetadata, together
from runner.fault import read_fault, read_target_fault
from runner.fields import Fields
from runner.http_steps import STEPS, read_steps, title_of
from runner.model import Box, BoxId, Control, Expect, Quarantine, Value
from runner.shapes import (
    SPACES,
    Choice,
    Count,
    Date,
    Duration,
    Either,
    Flag,
    List,
    Named,
    Table,
    Text,
    nearest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.shapes import Shape

DEFAULT_TIMEOUT = 60.0  # seconds
MOST_RETRIES = 10
HIGHEST_TIER = 999
CONTROL_KINDS = ("edit", "patch", "env", "run", "fault", "target")

BOX_ID = r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[0-9]{1,9}"
WORD = rf"[^{SPACES},()]+"
# Stays inside the tree by its own text: relative, no `..`, no backslash.
_INSIDE = r"(?!/)(?!(?:[^\n]*/)?\.\.(?:/|$))(?=[^\n]*[^ \t\r\n])[^\\\x00\n]+"
_OURS = "BOX_* and INTERLOCK are the runner's"


def words(about: str, *, what: str = "name", pattern: str = WORD, most: int = 100) -> List:
    """The shape of a list of words, none of them twice."""
    return List(about, of=Text(pattern=pattern, most=most), what=what)


def paths(about: str) -> List:
    """The shape of a list of paths or globs that stay inside the tree."""
    return List(about, of=path())


def path(about: str = "") -> Text:
    """The shape of a path that stays inside the tree."""
    return Text(about, pattern=_INSIDE, most=1000, sentence="'{key}' must be a path inside the tree, not '{value}'")


VARIABLES = Named(
    about="environment variables; whole numbers are taken as their digits",
    names=r"(?!BOX_)(?!INTERLOCK$)[A-Za-z_][A-Za-z0-9_]*",
    sentence="'{name}' in '{key}' cannot be set",
    hint=_OURS,
    of=Either(
        Text(pattern=r"[^\x00]*"),
        Count(low=-(2**63), high=2**63 - 1),
        sentence="'{key}' must be text",
        hint="quote it",
    ),
)
_REFERENCES = Either(Count(high=999_999_999), Text(pattern=BOX_ID))


def _references(about: str) -> List:
    return List(about, of=_REFERENCES, what="box", unique=False, hint='write [7, 8] or ["api/7"]')


CONTROL = Table(
    {
        "edit": Table(
            {
                "file": path("a file of the tree"),
                "find": Text(
                    "text that occurs exactly once in the file",
                    pattern="",
                    least=1,
                    sentence="'{key}' must be text that occurs exactly once in the file",
                ),
                "replace": Text("what it becomes; may be empty", pattern=""),
            },
            about="replaces text in a file",
            needed=("file", "find", "replace"),
        ),
        "patch": Either(path(), Table({"file": path()}, needed=("file",)), about="applies a unified diff"),
        "env": VARIABLES,
        "run": Either(Text(), Table({"command": Text()}, needed=("command",)), about="runs a command first"),
        "fault": Table(
            {"is": Text("down, latency 200ms, killed, ..."), "service": Text("one of the box's needs")},
            about="hurts a service that the box needs",
            needed=("is",),
        ),
        "target": Table(
            {
                "is": Either(
                    Count(low=200, high=599),
                    Text(),
                    about="down, a status such as 503, slow 2s, wrong-body",
                    sentence="'is' must be down, a status such as 503, slow 2s, or wrong-body",
                ),
                "body": Text("what a wrong body says"),
            },
            about="makes $TARGET_URL answer wrongly",
            needed=("is",),
        ),
        "expect": Either(
            Text("the id of the assertion that must turn red"),
            Table({"output": Text("what the output must match")}, needed=("output",)),
            about="what must turn red: the id of an assertion, or {output: REGEX}",
        ),
        "also": _references("other boxes that it is known to break"),
    },
    about="the sabotage that must turn the box red",
    one_of=CONTROL_KINDS,
    sentence="'control' needs exactly one kind of sabotage",
)

# Every key of a box in the order in which the reference lists them. `run` and `http` are for entries only.
_BOX: dict[str, Shape] = {
    "title": Text("one line"),
    "tier": Count("0 to 999; boxes of a later tier wait for those of an earlier one", high=HIGHEST_TIER),
    "run": Text("a command for sh -c"),
    "http": STEPS,
    "tags": words("words for tag: in a selection", what="tag"),
    "timeout": Duration("after it the box is ended with all its processes (60s)"),
    "slow": Duration("after it the run warns (half of timeout)"),
    "retries": Count("how often a failed attempt is repeated (0)", high=MOST_RETRIES),
    "flaky": Choice("what passing on a retry is worth (fail in CI, pass elsewhere)", words=("pass", "fail")),
    "quarantine": Table(
        {"until": Date("up to and including that day, UTC"), "reason": Text("why")},
        about="runs and is listed, does not gate",
        needed=("until", "reason"),
    ),
    "after": _references("boxes of the same or an earlier tier; a red one blocks this box"),
    "needs": words(
        "services of its own, such as postgres or postgres:16",
        what="service, such as postgres or postgres:16",
        pattern="[a-z][a-z0-9-]{0,40}(?::[0-9]{1,4})?",
    ),
    "locks": words("boxes with one in common never run at the same time", what="lock's name"),
    "env": VARIABLES,
    "inputs": paths("globs of what the box depends on; without them it depends on everything"),
    "outputs": paths("globs of what it makes (without effect in this version)"),
    "network": words(
        "hosts that it may reach from a sandbox: names of trust.egress, or host:port", what="rule or host"
    ),
    "secrets": words(
        "names of secrets, which become variables", what="secret's name", pattern="[A-Za-z_][A-Za-z0-9_]{0,99}"
    ),
    "may_skip": Flag("whether a skipped box is green (false)"),
    "min_asserts": Count("with fewer executed assertions the box is vacuous (0)"),
    "python": Text("the interpreter of a Python box"),
    "control": CONTROL,
}
BOX_KEYS = tuple(_BOX)
ENTRY = Table(
    _BOX,
    about="a box without a file of its own",
    needed=("tier",),
    one_of=("run", "http"),
    sentence="a box in this file needs either 'run' or 'http'",
)
BLOCK = Table({key: shape for key, shape in _BOX.items() if key not in {"run", "http"}})
DEFAULTS = Table(
    {key: _BOX[key] for key in ("timeout", "slow", "retries", "flaky", "min_asserts", "python", "env")},
    about="what boxes have when they do not say",
)

_OPENING = re.compile(r"(#|//|--) /// box\s*")
_BOX_ID = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9._-]*)/)?([0-9]{1,9})")


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
    return Defaults(
        timeout=fields.seconds("timeout", DEFAULT_TIMEOUT),
        slow=fields.seconds("slow", 0) or None,
        retries=fields.count("retries"),
        flaky=fields.text("flaky"),
        min_asserts=fields.count("min_asserts"),
        python=fields.text("python"),
        env=fields.variables("env"),
    )


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
        fields: the keys as written; they fit `ENTRY` if the box has no file, else this asks whether they fit `BLOCK`.
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
    if kind and (found := fields.mistakes(BLOCK)):
        raise together(found)
    timeout = fields.seconds("timeout", defaults.timeout)
    run = "" if kind else fields.text("run")
    http = read_steps(fields) if not kind and not run else ()
    needs = _needs(fields)
    secrets = fields.names("secrets")
    if any(name.startswith("BOX_") or name == "INTERLOCK" for name in secrets):
        raise fields.bad("secrets", "'secrets' names what the runner sets itself", _OURS)
    return Box(
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
        tags=fields.names("tags"),
        timeout=timeout,
        slow=_slow(fields, timeout, defaults),
        retries=fields.count("retries", defaults.retries),
        flaky=fields.text("flaky", defaults.flaky),
        quarantine=_quarantine(fields),
        after=_boxes(fields, "after", id),
        needs=needs,
        locks=fields.names("locks"),
        env={**defaults.env, **fields.variables("env")},
        inputs=fields.names("inputs"),
        outputs=fields.names("outputs"),
        network=fields.names("network"),
        secrets=secrets,
        may_skip=fields.flag("may_skip"),
        min_asserts=fields.count("min_asserts", defaults.min_asserts),
        python=fields.text("python", defaults.python),
        control=_control(fields, id, needs),
    )


def read_box_id(text: object) -> BoxId | None:
    """`21` or `api/21`, as a number or as text; None if it is neither."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        return None
    match = _BOX_ID.fullmatch(str(text))
    return BoxId(match[1] or "", int(match[2])) if match else None


def _needs(fields: Fields) -> tuple[str, ...]:
    """Services, each with or without the major version that the box insists on."""
    needs = fields.names("needs")
    if len({need.partition(":")[0] for need in needs}) < len(needs):
        raise fields.bad("needs", "'needs' names a service twice")
    return needs


def _tier(fields: Fields, directory: int | None) -> int:
    tier = fields.count("tier", directory or 0)
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
    # TOML has dates of its own, which print as ISO dates.
    return Quarantine(until=inner.text("until"), reason=inner.text("reason")) if inner else None


def _boxes(fields: Fields, key: str, own: BoxId) -> tuple[BoxId, ...]:
    written = fields.names(key)
    known = [(item, box_id) for item in written if (box_id := read_box_id(item))]
    return tuple(dict.fromkeys(_in_suite(item, box_id, own) for item, box_id in known))


def _in_suite(written: object, box_id: BoxId, own: BoxId) -> BoxId:
    """A bare number is a box of the same suite."""
    return BoxId(own.suite, box_id.number) if "/" not in str(written) else box_id


def _control(fields: Fields, own: BoxId, needs: tuple[str, ...]) -> Control | None:
    inner = fields.inner("control")
    if inner is None:
        return None
    kind = next(kind for kind in CONTROL_KINDS if kind in inner)
    if kind == "fault":
        _check_service(inner, [need.partition(":")[0] for need in needs])
    return Control(
        kind=kind, spec=_SPECS[kind](inner), expect=_expect(inner), where=inner.where, also=_boxes(inner, "also", own)
    )


def _check_service(inner: Fields, needs: list[str]) -> None:
    fields = inner.inner("fault")
    service = fields.text("service") if fields else ""
    if not needs:
        raise inner.bad("fault", "'fault' hurts a service, and the box needs none", "write needs: [redis]")
    if service and service not in needs:
        raise inner.bad("fault", f"'fault' hurts {service[:60]}, which the box does not need", nearest(service, needs))


def _edit(inner: Fields) -> dict[str, str]:
    edit = inner.inner("edit")
    assert edit is not None
    spec = {key: edit.text(key) for key in ("file", "find", "replace")}
    if spec["find"] == spec["replace"]:
        raise edit.bad("replace", "'replace' equals 'find', so nothing would change")
    return spec


def _patch(inner: Fields) -> dict[str, str]:
    patch = inner.inner("patch")
    return {"file": patch.text("file") if patch else inner.text("patch")}


def _env(inner: Fields) -> dict[str, str]:
    variables = inner.variables("env")
    if not variables:
        raise inner.bad("env", "'env' sets no variable, so nothing would change")
    return variables


def _run(inner: Fields) -> dict[str, str]:
    run = inner.inner("run")
    return {"command": run.text("command") if run else inner.text("run")}


def _fault(inner: Fields) -> dict[str, str]:
    """What becomes of a service: `is`, and `service` where the box needs several."""
    fields = inner.inner("fault")
    assert fields is not None
    spec = {key: fields.text(key) for key in ("is", "service") if key in fields}
    try:
        read_fault(spec["is"])
    except ValueError as why:
        raise fields.bad("is", f"{why}") from why
    return spec


def _target(inner: Fields) -> dict[str, str]:
    """What becomes of the target's answers; a bare status is a number in YAML."""
    fields = inner.inner("target")
    assert fields is not None
    spec = {key: fields.text(key) for key in ("is", "body") if key in fields}
    try:
        read_target_fault(spec["is"])
    except ValueError as why:
        raise fields.bad("is", f"{why}") from why
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
    fields = inner.inner("expect")
    if fields is None:
        assertion = inner.text("expect")
        return Expect(assertion=assertion) if assertion else None
    output = fields.text("output")
    try:
        re.compile(output)
    except (re.error, RecursionError, OverflowError) as error:
        raise fields.bad("output", f"'output' is not a regular expression: {error}") from error
    return Expect(output=output)
