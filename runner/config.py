"""The sections of .github/interlock.yml. Text in, validated values out; runner.discover reads the file.

Reference: docs/reference/configuration.md.
"""

from __future__ import annotations

from runner.documents import read_yaml
from runner.environment_shapes import ENVIRONMENT, NAME
from runner.environments import environments
from runner.errors import BadMetadata, UserError, together
from runner.fields import Fields, mistakes
from runner.metadata import BOX_ID, DEFAULTS, ENTRY, Defaults, path, paths, read_box, read_box_id, read_defaults, words
from runner.model import Setup, Value
from runner.shapes import Choice, Count, Duration, Flag, List, Named, Size, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from runner.documents import Path
    from runner.model import Box
    from runner.shapes import Shape

    Section = TypeVar("Section")

FILE = ".github/interlock.yml"
DEFAULT_SETUP_TIMEOUT = 600.0  # seconds
MOST_ANNOTATIONS = 250

_END = r"(?:(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]{0,250}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_LEVELS = ("T0", "T1", "T2")
_SIZES = ("memory", "workspace", "tmp")
_FALSIFY = ("off", "tell", "require")


def _named(what: str, about: str, of: Shape, *, names: str = NAME) -> Named:
    sentence = f"'{{name}}' is not a {what}'s name"
    return Named(of=of, about=about, names=names, sentence=sentence, hint="letters, digits, dot, dash, underscore")


_SETUP = Table(
    {
        "run": Text("a command that fills $SETUP_DIR"),
        "inputs": paths("globs; the result is kept until one of these files changes"),
        "network": words("hosts that it may reach: names of trust.egress, or host:port"),
        "timeout": Duration("after it the setup has failed (10m)"),
    },
    about="one command before the boxes",
    needed=("run",),
)
_LIMIT: dict[str, Shape] = {
    "memory": Size("4GiB, 512MiB or bytes"),
    "workspace": Size("how much the tree may grow"),
    "tmp": Size("of /tmp"),
    "processes": Count("at the same time", low=1),
}
_LIMITS = Table(
    {**_LIMIT, **{level: Table(_LIMIT, about=f"the same at trust level {level}") for level in _LEVELS}},
    about="what a box may use in a sandbox",
)
_TRUST = Table(
    {
        "bots": List(
            "ids of the accounts of apps whose pull requests run",
            of=Count(low=1, high=2**63 - 1),
            what="numeric id",
            unique=False,
            hint="ids cannot be taken over, names can",
        ),
        "protected": words("further branches whose pushes run", what="branch"),
        "network": words("egress rules and hosts allowed to pull requests of members", what="rule or host"),
        "egress": _named(
            "rule", "egress rules: a name and its hosts", words("", what="host or host:port", pattern=_END, most=300)
        ),
    },
    about="who may have code run, and what that code may reach",
)
_CHECKOUT = Table(
    {
        "submodules": paths("paths of the submodules that are fetched"),
        "lfs": Flag("whether files in Git LFS are fetched (false)"),
    },
    about="what is fetched besides the commit itself",
)
_REPORT = Table(
    {
        "comment": Flag("whether the pull request gets its comment (true)"),
        "annotations": Count("at most so many on a check run (250)", high=MOST_ANNOTATIONS),
        "falsify": Choice("what becomes of the proof that boxes can turn red (tell)", words=_FALSIFY),
    },
    about="what is told",
)
CONFIG = Table(
    {
        "setup": _SETUP,
        "boxes": Named(
            of=ENTRY,
            about="boxes without files of their own, by number or suite/number",
            names=BOX_ID,
            sentence="'{name}' is not the number of a box",
            hint="a number, or suite/number",
        ),
        "suites": _named("suite", "more directories with boxes/ of their own", path(), names=rf"(?![0-9]+$){NAME}"),
        "defaults": DEFAULTS,
        "limits": _LIMITS,
        "trust": _TRUST,
        "checkout": _CHECKOUT,
        "environments": _named("environment", "where releases go", ENVIRONMENT),
        "report": _REPORT,
    },
    about="Boxes and how they are run",
    or_nothing=True,
)
SECTIONS = tuple(CONFIG.keys)


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
        UserError: it is not YAML, or not as documented; says where, and carries everything else that was found.
    """
    document, lines = read_yaml(text, file=file)
    if document is None:
        return Config()
    if not isinstance(document, dict):
        raise BadMetadata("the file must be a mapping", file=file, line=1, hint="begin with `boxes:`")
    flaws = list(mistakes(CONFIG, document, file=file, lines=lines))
    reading = _Reading(Fields(document, file=file, lines=lines), [path for path, _ in flaws])
    config = reading.config()
    if found := [*(mistake for _, mistake in flaws), *reading.mistakes]:
        raise together(found)
    return config


class _Reading:
    """Takes a document apart: what fits its shape is read, and what is wrong with its meaning is collected.

    Args:
        top: the document.
        flawed: paths to what does not fit.
    """

    def __init__(self, top: Fields, flawed: Sequence[Path]) -> None:
        self.mistakes: list[UserError] = []
        self._top = top
        self._flawed = {flaw[:depth] for flaw in flawed for depth in (1, 2)}

    def config(self) -> Config:
        """What can be read."""
        suites = self._read("suites", _suites) or {}
        suite_fields = self._top.inner("suites")
        return Config(
            setup=self._read("setup", _setup),
            boxes=list(self._boxes(suites)),
            suites=suites,
            suite_lines={name: suite_fields.line(name) for name in suites} if suite_fields else {},
            defaults=self._read("defaults", read_defaults),
            settings={name: read for name in _SETTINGS if (read := self._read(name, _SETTINGS[name])) is not None},
        )

    def _read(self, name: str, read: Callable[[Fields], Section]) -> Section | None:
        fields = self._top.inner(name)
        if fields is None or (name,) in self._flawed:
            return None
        try:
            return read(fields)
        except UserError as mistake:
            self.mistakes.append(mistake)
            return None

    def _boxes(self, suites: Mapping[str, str]) -> Iterator[Box]:
        fields = self._top.inner("boxes")
        defaults = self._read("defaults", read_defaults) or Defaults()
        for key in fields.keys() if fields else ():
            entry, box_id = fields.inner(key) if fields else None, read_box_id(key)
            if fields is None or entry is None or box_id is None or ("boxes", key) in self._flawed:
                continue
            try:
                if box_id.suite and box_id.suite not in suites and ("suites",) not in self._flawed:
                    known = ", ".join(suites) or "none"
                    raise fields.bad(key, f"there is no suite '{box_id.suite}'", f"suites: {known}")
                yield read_box(entry, id=box_id, defaults=defaults, source=entry.file)
            except UserError as mistake:
                self.mistakes.append(mistake)


def _setup(fields: Fields) -> Setup:
    return Setup(
        run=fields.text("run"),
        inputs=fields.names("inputs"),
        network=fields.names("network"),
        timeout=fields.seconds("timeout", DEFAULT_SETUP_TIMEOUT),
        source=fields.file,
        line=fields.line(),
    )


def _suites(fields: Fields) -> dict[str, str]:
    suites: dict[str, str] = {}
    for name in map(str, fields.keys()):
        directory = fields.text(name).strip("/").removeprefix("./")
        if directory in {"", "."} or directory in suites.values():
            raise fields.bad(name, f"the directory of suite '{name}' must be one of its own")
        suites[name] = directory
    return suites


def _limits(fields: Fields) -> dict[str, object]:
    """Sizes in bytes; the keys of a trust level override those beside it."""
    levels = {level: _limit(inner) for level in _LEVELS if (inner := fields.inner(level))}
    return {**_limit(fields), **levels}


def _limit(fields: Fields) -> dict[str, object]:
    limits: dict[str, object] = {key: fields.size(key) for key in _SIZES if key in fields}
    if "processes" in fields:
        limits["processes"] = fields.count("processes")
    return limits


def _trust(fields: Fields) -> dict[str, object]:
    egress = fields.inner("egress")
    return {
        "bots": fields.take("bots") or [],
        "protected": list(fields.names("protected")),
        "network": list(fields.names("network")),
        "egress": {str(name): list(egress.names(name)) for name in egress.keys()} if egress else {},  # noqa: SIM118
    }


def _checkout(fields: Fields) -> dict[str, object]:
    return {"submodules": list(fields.names("submodules")), "lfs": fields.flag("lfs")}


def _report(fields: Fields) -> dict[str, object]:
    return {
        "comment": fields.flag("comment", default=True),
        "annotations": fields.count("annotations", MOST_ANNOTATIONS),
        "falsify": fields.text("falsify", "tell"),
    }


def in_force(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings with what counts where nothing is said; limits are the sandbox's to fill in."""
    nothing = Fields({}, file="", lines={})
    usual = {name: read(nothing) for name, read in _SETTINGS.items()}
    return {name: settings.get(name, usual[name]) for name in usual}


_SETTINGS: dict[str, Callable[[Fields], dict[str, object]]] = {
    "limits": _limits,
    "trust": _trust,
    "checkout": _checkout,
    "environments": environments,
    "report": _report,
}
