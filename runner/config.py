"""The sections of .github/interlock.yml. Text in, validated values out; runner.discover reads the file.

Reference: docs/reference/configuration.md.
"""

from __future__ import annotations

from runner.documents import read_yaml
from runner.errors import BadMetadata, BadSelection
from runner.fields import Fields
from runner.metadata import Defaults, read_box, read_box_id, read_defaults
from runner.model import Setup, Value
from runner.select import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.model import Box

FILE = ".github/interlock.yml"
SECTIONS = ("setup", "boxes", "suites", "defaults", "limits", "trust", "environments", "report")
DEFAULT_SETUP_TIMEOUT = 600.0  # seconds

_SUITE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_END = r"(?:(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]{0,250}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_TARGETS = ("process", "command", "compose", "pm2", "ecs")
_STRATEGIES = ("recreate", "rolling", "blue_green", "canary")
_FALSIFY = ("off", "tell", "require")


class Config(Value):
    """A whole configuration. `suites` maps a name to its directory; `settings` is for layers above the runner."""

    __slots__ = ("boxes", "defaults", "settings", "setup", "suite_lines", "suites")

    def __init__(
        self,
        *,
        setup: Setup | None = None,
        boxes: Sequence[Box] = (),
        suites: Mapping[str, str] | None = None,
        suite_lines: Mapping[str, int] | None = None,
        defaults: Defaults | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.setup = setup
        self.boxes = tuple(boxes)
        self.suites = dict(suites or {})
        self.suite_lines = dict(suite_lines or {})
        self.defaults = defaults or Defaults()
        self.settings = dict(settings or {})

    @property
    def bots(self) -> frozenset[int]:
        """Ids of the accounts below `trust: bots`."""
        trust = self.settings.get("trust")
        return frozenset(trust["bots"]) if isinstance(trust, dict) else frozenset()

    @property
    def protected(self) -> frozenset[str]:
        """Names of the branches below `trust: protected`."""
        trust = self.settings.get("trust")
        return frozenset(trust["protected"]) if isinstance(trust, dict) else frozenset()


def load_config(text: str, *, file: str = FILE) -> Config:
    """Read and validate a configuration. Empty text is the empty configuration.

    Raises:
        BadMetadata: it is not YAML, or a section is not as documented; says where.
    """
    document, lines = read_yaml(text, file=file)
    if document is None:
        return Config()
    if not isinstance(document, dict):
        raise BadMetadata("the file must be a mapping", file=file, line=1, hint="begin with `boxes:`")
    top = Fields(document, file=file, lines=lines)
    sections = {name: top.inner(name) for name in SECTIONS}
    top.done()
    defaults = read_defaults(sections["defaults"]) if sections["defaults"] else Defaults()
    suites = _suites(sections["suites"])
    return Config(
        setup=_setup(sections["setup"]),
        boxes=_boxes(sections["boxes"], suites, defaults),
        suites=suites,
        suite_lines={name: sections["suites"].line(name) for name in suites} if sections["suites"] else {},
        defaults=defaults,
        settings={name: _SETTINGS[name](section) for name in _SETTINGS if (section := sections[name])},
    )


def _setup(fields: Fields | None) -> Setup | None:
    if fields is None:
        return None
    setup = Setup(
        run=fields.text("run", needed=True),
        inputs=fields.paths("inputs"),
        network=fields.names("network"),
        timeout=fields.seconds("timeout", DEFAULT_SETUP_TIMEOUT),
        source=fields.file,
        line=fields.line(),
    )
    fields.done()
    return setup


def _suites(fields: Fields | None) -> dict[str, str]:
    if fields is None:
        return {}
    suites: dict[str, str] = {}
    for key in fields.keys():  # noqa: SIM118 - not a dict; this marks them as known.
        name = _name(fields, key, "suite")
        directory = fields.path(name, needed=True).strip("/").removeprefix("./")
        if directory in {"", "."} or directory in suites.values():
            raise fields.bad(name, f"the directory of suite '{name}' must be one of its own")
        suites[name] = directory
    return suites


def _boxes(fields: Fields | None, suites: Mapping[str, str], defaults: Defaults) -> list[Box]:
    boxes: list[Box] = []
    for key in fields.keys() if fields else ():
        assert fields is not None
        box_id = read_box_id(key)
        if box_id is None or (box_id.suite and box_id.suite not in suites):
            raise fields.bad(key, f"'{str(key)[:60]}' is not the number of a box", "a number, or suite/number")
        entry = fields.inner(key)
        if entry is None:
            raise fields.bad(key, f"box {box_id} says nothing", "it needs 'tier' and 'run'")
        boxes.append(read_box(entry, id=box_id, defaults=defaults, source=entry.file))
    return boxes


def _limits(fields: Fields) -> dict[str, object]:
    """Sizes in bytes; the keys of a trust level override those beside it."""
    limits: dict[str, object] = _limit(fields)
    for level in ("T0", "T1", "T2"):
        inner = fields.inner(level)
        if inner:
            limits[level] = _limit(inner)
            inner.done()
    fields.done()
    return limits


def _limit(fields: Fields) -> dict[str, object]:
    sizes = ("memory", "workspace", "tmp")
    limits: dict[str, object] = {key: fields.size(key) for key in sizes if fields.knows(key)}
    if fields.knows("processes"):
        limits["processes"] = fields.count("processes", 0, low=1)
    return limits


def _trust(fields: Fields) -> dict[str, object]:
    bots = fields.take("bots")
    if bots is not None and not (isinstance(bots, list) and all(type(bot) is int and bot > 0 for bot in bots)):
        raise fields.bad("bots", "'bots' must be a list of account ids", "ids cannot be taken over, names can")
    trust: dict[str, object] = {"bots": bots or [], "protected": list(fields.names("protected", what="branch"))}
    trust["network"] = list(fields.names("network", what="rule or host"))
    egress = fields.inner("egress")
    trust["egress"] = (
        {
            str(name): list(egress.names(_name(egress, name, "rule"), _END, "host or host:port"))
            for name in egress.keys()  # noqa: SIM118 - not a dict; this marks them as known.
        }
        if egress
        else {}
    )
    fields.done()
    return trust


def _report(fields: Fields) -> dict[str, object]:
    report: dict[str, object] = {
        "comment": fields.flag("comment", default=True),
        "annotations": fields.count("annotations", 50, high=50),
        "falsify": fields.choice("falsify", _FALSIFY, "tell"),
    }
    fields.done()
    return report


def _environments(fields: Fields) -> dict[str, object]:
    return {_name(fields, key, "environment"): _environment(fields, key) for key in fields.keys()}  # noqa: SIM118


def _environment(fields: Fields, key: str | int) -> dict[str, object]:
    """One environment: its shape here, its meaning where it is deployed."""
    inner = fields.inner(key)
    if inner is None:
        raise fields.bad(key, f"environment '{key}' says nothing", "it needs 'target'")
    environment = {
        "when": _free(inner, "when", dict),
        "target": _free(inner, "target", dict),
        "strategy": inner.choice("strategy", _STRATEGIES, "recreate"),
        "gates": _gates(inner),
        "smoke": _selection(inner, "smoke", inner.text("smoke")),
        "watch": _free(inner, "watch", dict),
    }
    target = inner.inner("target")
    if target is None:
        raise inner.bad("", "'target' is missing")
    if not target.choice("kind", _TARGETS):
        raise target.bad("", "'kind' is missing", f"one of {', '.join(_TARGETS)}")
    inner.done()
    return {name: value for name, value in environment.items() if value is not None}


def _gates(fields: Fields) -> list[object] | None:
    gates = _free(fields, "gates", list)
    for gate in gates if isinstance(gates, list) else ():
        if not isinstance(gate, str) and not (isinstance(gate, dict) and len(gate) == 1):
            raise fields.bad("gates", "a gate is a word or a mapping with one key")
        if isinstance(gate, dict) and "boxes" in gate:
            _selection(fields, "gates", str(gate["boxes"]))
    return gates if isinstance(gates, list) else None


def _selection(fields: Fields, key: str, text: str) -> str | None:
    if not text:
        return None
    try:
        parse(text)
    except BadSelection as error:
        raise fields.bad(key, f"'{key}': {error.message}", error.hint) from error
    return text


def _free(fields: Fields, key: str, kind: type) -> object:
    value = fields.take(key)
    if value is not None and not isinstance(value, kind):
        raise fields.bad(key, f"'{key}' must be a {'list' if kind is list else 'mapping'}")
    return value


def _name(fields: Fields, key: str | int, what: str) -> str:
    import re

    if not isinstance(key, str) or not re.fullmatch(_SUITE, key) or (what == "suite" and key.isdigit()):
        raise fields.bad(key, f"'{str(key)[:60]}' is not a {what}'s name", "letters, digits, dot, dash, underscore")
    return key


_SETTINGS: dict[str, Callable[[Fields], dict[str, object]]] = {
    "limits": _limits,
    "trust": _trust,
    "environments": _environments,
    "report": _report,
}
