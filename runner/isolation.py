"""Which isolation a run gets, and what its trust level grants a box. Pure: what was asked and found in, a decision out.

The ladder, best rung first: bubblewrap, a container engine, Landlock with seccomp, nothing. `runner.sandbox.probe`
finds out which rungs this machine has; nothing here looks at the machine.
"""

from __future__ import annotations

from enum import StrEnum

from runner.errors import UserError
from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model import Box

GIB = 1 << 30
MIB = 1 << 20


class Level(StrEnum):
    """A rung of the ladder, as it is printed, recorded and shown on the check run."""

    BUBBLEWRAP = "bubblewrap"
    CONTAINER = "container"
    LANDLOCK = "landlock"
    OFF = "off"

    @property
    def full(self) -> bool:
        """Whether code of strangers (T2) may run on it."""
        return self in {Level.BUBBLEWRAP, Level.CONTAINER}


class Rung(Value):
    """What probing found out about one level: `why` it does not work ("" when it does), and the command to get it."""

    __slots__ = ("fix", "level", "why")

    def __init__(self, level: Level, *, why: str = "", fix: str = "") -> None:
        self.level = level
        self.why = why
        self.fix = fix

    @property
    def works(self) -> bool:
        """Whether boxes can be run on it here."""
        return not self.why


class Limits(Value):
    """What one box may use: bytes of memory, of growth of its tree and of /tmp; processes; bytes of one file."""

    __slots__ = ("memory", "processes", "tmp", "workspace")

    def __init__(self, *, memory: int, processes: int, workspace: int, tmp: int) -> None:
        self.memory = memory
        self.processes = processes
        self.workspace = workspace
        self.tmp = tmp


_TRUSTED = Limits(memory=4 * GIB, processes=1024, workspace=2 * GIB, tmp=GIB)
_STRANGER = Limits(memory=GIB, processes=256, workspace=256 * MIB, tmp=256 * MIB)


def choose(asked: str, trust: str, rungs: Sequence[Rung]) -> Level:
    """The level that a run gets.

    Args:
        asked: `off`, `auto` (the best that works, nothing if none does), `full`, or "": off without a trust level, as
            the bot would with one (T2 full, the others auto).
        trust: T0, T1, T2, or "" for a local run.
        rungs: what the machine offers, best first.

    Raises:
        UserError: what was asked, or what the trust level demands, does not work here. Nothing may be run.
    """
    wanted = asked or {"": "off", "T2": "full"}.get(trust, "auto")
    if trust == "T2" and wanted == "off":
        raise UserError("trust level T2 never runs without a sandbox", hint="leave --sandbox away, or say full")
    if wanted == "off":
        return Level.OFF
    best = next((rung.level for rung in rungs if rung.works), Level.OFF)
    if best.full or (wanted == "auto" and trust != "T2"):
        return best
    lacking = "; ".join(f"{rung.level}: {rung.why}" for rung in rungs if rung.level.full and not rung.works)
    fix = next((rung.fix for rung in rungs if rung.level.full and rung.fix), "")
    demand = "trust level T2 runs only in a full sandbox" if trust == "T2" else "--sandbox full"
    message = f"{demand}, and this machine has none ({lacking})"
    raise UserError(message, hint=fix or "`runner doctor` says what it lacks")


def limits_for(trust: str, settings: Mapping[str, object]) -> Limits:
    """The limits of a box: the configuration's `limits`, those below the trust level first, else the level's own."""
    usual = _STRANGER if trust == "T2" else _TRUSTED
    section = settings.get("limits")
    common = section if isinstance(section, dict) else {}
    own = common.get(trust)
    merged = {**common, **(own if isinstance(own, dict) else {})}
    if trust == "T2" and not isinstance(own, dict):
        merged = {}  # what members get is not given to strangers by accident.
    given = {name: merged[name] for name in Limits.__slots__ if isinstance(merged.get(name), int)}
    return Limits(**{name: given.get(name, getattr(usual, name)) for name in Limits.__slots__})


class Egress(Value):
    """The hosts that something may reach, as `host:port`; `refused` names the rules that its trust level denies it."""

    __slots__ = ("hosts", "refused")

    def __init__(self, hosts: Sequence[str] = (), refused: Sequence[str] = ()) -> None:
        self.hosts = tuple(hosts)
        self.refused = tuple(refused)


def egress_of(names: Sequence[str], trust: str, settings: Mapping[str, object], *, setup: bool = False) -> Egress:
    """What `network: [...]` of a box or a setup comes to.

    A name is a rule of `trust.egress`, or a host with or without its port (443). T0 and local runs get what they
    declare; T1 what `trust.network` lists too, and a setup (which the base declares) what it declares; T2 nothing.

    Args:
        names: as declared.
        trust: T0, T1, T2, or "" for a local run.
        settings: of the suite.
        setup: whether it is the setup phase that asks.

    Raises:
        UserError: a name is neither a rule nor a host.
    """
    section = settings.get("trust")
    rules = section if isinstance(section, dict) else {}
    egress = rules.get("egress", {})
    allowed = set(rules.get("network", ()))
    hosts: dict[str, None] = {}
    refused: list[str] = []
    for name in names:
        ends = egress.get(name) or ((name,) if "." in name or ":" in name else ())
        if not ends:
            message = f"network: {name!r} is neither a rule of trust.egress nor a host"
            raise UserError(message, hint=f"write trust: {{egress: {{{name}: [host.example:443]}}}}, or host:port")
        if trust == "T2" or (trust == "T1" and not setup and name not in allowed):
            refused.append(name)
            continue
        hosts.update((end if ":" in end else f"{end}:443", None) for end in ends)
    return Egress(tuple(hosts), tuple(refused))


def may_have_secrets(box: Box, trust: str) -> bool:
    """Whether a box gets the secrets that it names: on the default branch and in local runs only."""
    return bool(box.secrets) and trust in {"", "T0"}
