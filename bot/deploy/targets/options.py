"""The keys of the targets that run on this machine, as values. `docs/reference/targets.md` says them to people.

The configuration was held against their shapes when it was read, so what is missing has its default, and nothing is
wrong; what still depends on this machine is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from bot.deploy.target import Slot, Unbuildable
from runner.shapes import seconds

RouterKind = Literal["auto", "haproxy", "caddy"]
VERBS = ("observe", "start", "ready", "route", "drain", "stop", "counts", "logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What both kinds have.

    Attributes:
        env: variables of whatever is run.
        secrets: names of secrets that become variables.
        user: as whom; "" for the operator's choice, which it must be otherwise.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions(Common):
    """`kind: process`.

    Attributes:
        command: serves requests at $PORT.
        build: run once in the files of the release; "" for none.
        health: path that answers 200 when it is ready; "" means that it accepts connections.
        listen: where users come in.
        ports: of the slots; none lets the target find free ones.
        router: what divides the requests.
        start_timeout: seconds until it must be ready.
        stop_timeout: seconds until it is killed.
    """

    command: str
    build: str = ""
    health: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 8000)
    ports: Mapping[Slot, int] = field(default_factory=dict)
    router: RouterKind = "auto"
    start_timeout: float = 30.0
    stop_timeout: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions(Common):
    """`kind: command`.

    Attributes:
        verbs: the commands.
        shares: whether `route` can divide the requests in any way, not only give them all to one slot.
        timeout: seconds for each command but `start`.
        start_timeout: seconds for `start`, and then until it must be ready.
    """

    verbs: Mapping[str, str]
    shares: bool = False
    timeout: float = 60.0
    start_timeout: float = 300.0


def process_options(raw: Mapping[str, Any]) -> ProcessOptions:
    """Options of `kind: process`."""
    slots = raw.get("slots") or {}
    return ProcessOptions(
        **_common(raw),
        command=str(raw["command"]),
        build=str(raw.get("build", "")),
        health=str(raw.get("health", "")),
        listen=_address(str(raw.get("listen", "127.0.0.1:8000"))),
        ports={slot: int(slots[slot]) for slot in ("blue", "green") if slot in slots},
        router=cast("RouterKind", raw.get("router", "auto")),
        start_timeout=_seconds(raw, "start_timeout", 30.0),
        stop_timeout=_seconds(raw, "stop_timeout", 10.0),
    )


def command_options(raw: Mapping[str, Any]) -> CommandOptions:
    """Options of `kind: command`."""
    return CommandOptions(
        **_common(raw),
        verbs={verb: str(raw[verb]) for verb in VERBS if raw.get(verb)},
        shares=bool(raw.get("shares", False)),
        timeout=_seconds(raw, "timeout", 60.0),
        start_timeout=_seconds(raw, "start_timeout", 300.0),
    )


def variables(options: Common, secrets: Mapping[str, str]) -> dict[str, str]:
    """What the configuration declares.

    Raises:
        Unbuildable: a secret that it names is not there.
    """
    if missing := [name for name in options.secrets if name not in secrets]:
        message = f"no secret named {', '.join(missing)} lies in INTERLOCK_SECRETS_DIR for this repository"
        raise Unbuildable(message)
    return {**options.env, **{name: secrets[name] for name in options.secrets}}


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "env": {name: str(value) for name, value in (raw.get("env") or {}).items()},
        "secrets": tuple(raw.get("secrets") or ()),
        "user": str(raw.get("user", "")),
    }


def _seconds(raw: Mapping[str, Any], key: str, default: float) -> float:
    return seconds(raw[key]) if key in raw else default


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or not 0 < int(port) < 65536:
        message = f"listen: {text} is no host:port"
        raise Unbuildable(message)
    return host, int(port)
