"""Settings: environment first, then what systemd hands over, then interlock.toml, then what setup wrote, then defaults.

Read once at start; every mistake is named.

Reference: docs/reference/settings.md (a test keeps that page and this module in step).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from bot.ops.credentials import credentials_dir

PREFIX = "INTERLOCK_"
FILE = "interlock.toml"
_SQLITE = "sqlite+aiosqlite:///"
_LOCAL_KINDS = ("process", "command")


class BadSettings(Exception):
    """The settings cannot be used. The message has a line for each mistake, naming the setting.

    Attributes:
        way_out: what helps where there are none at all; "" where some are there.
    """

    def __init__(self, mistakes: str, way_out: str = "") -> None:
        super().__init__(mistakes)
        self.way_out = way_out


class Settings(BaseModel):
    """What the bot was told. Names are those of the environment without `INTERLOCK_`, in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Annotated[Path, Field(description="where databases, mirrors and run records live")]
    database_url: Annotated[str, Field(description="SQLAlchemy address of the bot's own tables, SQLite")] = ""
    public_url: Annotated[str, Field(description="address under which people and GitHub reach the bot")] = ""
    link_days: Annotated[int, Field(description="days for which the link of a check opens its run", ge=1)] = 90
    redis_url: Annotated[str, Field(description="reserved for scaling out; not used by this version")] = ""
    github_api_url: Annotated[str, Field(description="address of GitHub's REST API")] = "https://api.github.com"
    github_url: Annotated[str, Field(description="address of GitHub's pages and git")] = ""
    github_writes_a_minute: Annotated[int, Field(description="content writes GitHub allows an installation", ge=1)] = 80
    github_writes_an_hour: Annotated[int, Field(description="the same for an hour", ge=1)] = 500
    github_app_id: Annotated[int, Field(description="the App's id", gt=0)]
    github_private_key: Annotated[SecretStr, Field(description="the App's private key, PEM (or …_FILE)")]
    webhook_secret: Annotated[SecretStr, Field(description="the webhook's secret; comma-separated while rotating")]
    log: Annotated[Literal["pretty", "json"], Field(description="form of the log lines")] = "json"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="least level")] = "info"
    max_runs: Annotated[int, Field(description="runs that execute at the same time", ge=1)] = os.cpu_count() or 1
    sandbox: Annotated[Literal["auto", "full", "off"], Field(description="isolation of boxes")] = "auto"
    sandbox_image: Annotated[str, Field(description="container image for machines that isolate by containers")] = ""
    secrets_dir: Annotated[Path | None, Field(description="where secrets for boxes lie")] = None
    falsify_seconds: Annotated[float, Field(description="how long proving the boxes of one run may take", gt=0)] = 600.0
    deploy_targets: Annotated[str, Field(description="kinds of targets that run releases on this machine")] = ""
    deploy_user: Annotated[str, Field(description="user of this machine that releases run as")] = ""
    deploy_writes: Annotated[str, Field(description="directories that releases may write besides their own")] = ""
    deploy_unconfined: Annotated[
        Literal["yes", "no"], Field(description="whether releases may see all that the bot sees")
    ] = "no"
    drain_seconds: Annotated[float, Field(description="how long a stop waits for running runs", ge=0, le=40)] = 25.0

    _read: tuple[Path, ...] = PrivateAttr(default=())

    @field_validator("webhook_secret")
    @classmethod
    def _has_a_secret(cls, value: SecretStr) -> SecretStr:
        if not [part for part in value.get_secret_value().split(",") if part.strip()]:
            message = "is empty: without it anybody could send webhooks"
            raise ValueError(message)
        return value

    @field_validator("github_private_key")
    @classmethod
    def _is_pem(cls, value: SecretStr) -> SecretStr:
        if "PRIVATE KEY-----" not in value.get_secret_value():
            message = "is not a PEM private key; GitHub gave you one as a .pem file when you generated it"
            raise ValueError(message)
        return value

    @field_validator("deploy_targets")
    @classmethod
    def _are_kinds(cls, value: str) -> str:
        if unknown := sorted({part.strip() for part in value.split(",")} - {"", *_LOCAL_KINDS}):
            message = f"{', '.join(unknown)} runs nothing on this machine; kinds that do: {', '.join(_LOCAL_KINDS)}"
            raise ValueError(message)
        return value

    @field_validator("secrets_dir")
    @classmethod
    def _is_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            message = f"{value} is not a directory"
            raise ValueError(message)
        return value

    @field_validator("database_url")
    @classmethod
    def _is_sqlite(cls, value: str) -> str:
        if value and not value.startswith(_SQLITE):
            message = f"must begin with {_SQLITE}; this version keeps its tables in SQLite alone"
            raise ValueError(message)
        return value

    @field_validator("github_api_url", "public_url", "github_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"http", "https"}:
            message = "must begin with http:// or https://"
            raise ValueError(message)
        if value and not has_a_place(value):
            message = "must name a host, and a port from 1 to 65535 if any"
            raise ValueError(message)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _plain_http_only_on_loopback(self) -> Settings:
        parts = urlsplit(self.github_api_url)
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            message = "github_api_url: a token would travel unencrypted; use https"
            raise ValueError(message)
        return self

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """Every secret that may have signed a delivery; two while one replaces the other."""
        return tuple(part.strip() for part in self.webhook_secret.get_secret_value().split(",") if part.strip())

    @property
    def own_files(self) -> tuple[Path, ...]:
        """Files that are the bot's alone, wherever they lie: those that it was told by, and its tables."""
        database = self.database_url.removeprefix(_SQLITE).partition("?")[0]
        return (*self._read, *(Path(f"{database}{end}") for end in ("", "-wal", "-shm") if database))

    @property
    def deploy_writable(self) -> tuple[str, ...]:
        """Directories that releases may write besides their own, where they run as the bot's user."""
        return tuple(filter(None, self.deploy_writes.split(os.pathsep)))

    @property
    def target_kinds(self) -> tuple[str, ...]:
        """Kinds of targets that may run code of releases on this machine."""
        return tuple(part.strip() for part in self.deploy_targets.split(",") if part.strip())

    @property
    def app_database(self) -> str:
        """SQLAlchemy's address of the bot's tables."""
        return self.database_url or f"{_SQLITE}{self.data_dir / 'app.sqlite'}"

    @property
    def engine_database(self) -> str:
        """SQLAlchemy's address of the engine's tables."""
        return f"sqlite:///{self.data_dir / 'engine.sqlite'}"


def has_a_place(url: str) -> bool:
    """Whether an address says where to connect to."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def load_settings(environ: Mapping[str, str], *, cwd: Path) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings.

    Returns:
        The settings, and warnings about names that mean nothing here.

    Raises:
        BadSettings: something is missing, malformed or misspelt.
    """
    given, mistakes, warnings = _from_environment(environ)
    own, misspelt = _from_file(cwd / FILE)
    mistakes += misspelt
    data_dir = Path(given.get("data_dir") or own.get("data_dir") or default_data_dir(environ))
    written, misspelt = _from_file(credentials_dir(data_dir) / FILE)
    mistakes += misspelt
    values = _laid_over(written, own, _from_systemd(environ), given)
    named = (values.get(f"{name}_file") for name in sorted(_FROM_FILE))
    read = [*([cwd / FILE] if own else []), *(Path(str(file)) for file in named if file is not None)]
    mistakes += _read_files(values)
    values.setdefault("data_dir", str(data_dir))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        mistakes += [_sentence(item) for item in error.errors(include_url=False, include_input=False)]
    if mistakes:
        raise BadSettings("\n".join(mistakes), _way_out(mistakes, data_dir))
    settings._read = tuple(read)  # noqa: SLF001 - it is ours.
    return settings, tuple(warnings)


def where(environ: Mapping[str, str], *, cwd: Path) -> tuple[Path, str]:
    """The data directory, and SQLAlchemy's address of the bot's tables: what can be read whatever else is missing.

    Raises:
        BadSettings: a file of settings is malformed.
    """
    given, _, _ = _from_environment(environ)
    own, _ = _from_file(cwd / FILE)
    data_dir = Path(given.get("data_dir") or own.get("data_dir") or default_data_dir(environ))
    written, _ = _from_file(credentials_dir(data_dir) / FILE)
    database = _laid_over(written, own, given).get("database_url")
    return data_dir, str(database or f"{_SQLITE}{data_dir / 'app.sqlite'}")


def _way_out(mistakes: Sequence[str], data_dir: Path) -> str:
    place = credentials_dir(data_dir) / FILE
    if not all(" is not set" in mistake for mistake in mistakes) or place.exists():
        return ""
    return f"let `interlock setup` write them: there is no {place} yet; INTERLOCK_DATA_DIR names another data directory"


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`/var/lib/interlock` as root, else the user's state directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/interlock")
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    return Path(state) / "interlock"


_UNREAD = "-----PRIVATE KEY-----"
"""Stands for what could not be read, which is one mistake: that it is missing or malformed is not a second one."""

_FROM_FILE = frozenset({"github_private_key", "webhook_secret"})
_KNOWN = sorted({*Settings.model_fields, *(f"{name}_file" for name in _FROM_FILE)})


def _laid_over(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all layers, a later one over those before it; either spelling of a secret covers both."""
    values: dict[str, Any] = {}
    for layer in layers:
        for name in _FROM_FILE:
            if layer.keys() & {name, f"{name}_file"}:
                values = {key: value for key, value in values.items() if key not in {name, f"{name}_file"}}
        values.update(layer)
    return values


def _from_systemd(environ: Mapping[str, str]) -> dict[str, Any]:
    """The secrets that the unit loads: `LoadCredential=webhook_secret:…` is a file of that name, for the service alone.

    Source: systemd.exec(5), "Credentials".
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return {}
    return {f"{name}_file": file for name in sorted(_FROM_FILE) if os.path.lexists(file := Path(directory, name))}


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str], list[str]]:
    """The values by key, what is misspelt, and what means nothing here."""
    values: dict[str, Any] = {}
    misspelt: list[str] = []
    foreign: list[str] = []
    for name in sorted(environ):
        key = name.removeprefix(PREFIX).lower()
        if not name.startswith(PREFIX):
            continue
        if key in _KNOWN:
            values[key] = environ[name]
        elif near := get_close_matches(key, _KNOWN, n=1, cutoff=0.75):
            misspelt.append(f"{name} is not a setting (did you mean {PREFIX}{near[0].upper()}?)")
        else:
            foreign.append(f"{name} is not a setting and is ignored")
    return values, misspelt, foreign


def _from_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The values by key, and what is unknown. Nobody else writes this file, so an unknown name is always a mistake.

    Raises:
        BadSettings: it is not TOML.
    """
    try:
        if not path.exists():
            return {}, []
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise BadSettings(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: {error}"
        raise BadSettings(message) from error
    mistakes = []
    for name in raw.keys() - set(_KNOWN):
        near = get_close_matches(name, _KNOWN, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        mistakes.append(f"{path}: {name} is not a setting{hint}")
    known = {name: raw[name] for name in raw if name in _KNOWN}
    for name in known.keys() & {f"{name}_file" for name in _FROM_FILE}:
        # Beside the file that names it, so that the two can be moved together.
        known[name] = path.parent / str(known[name])
    return known, sorted(mistakes)


def _read_files(values: dict[str, Any]) -> list[str]:
    """Replace each `…_file` by the file's text. A file keeps a secret out of `ps` and out of process environments."""
    mistakes = []
    for name in sorted(_FROM_FILE):
        path = values.pop(f"{name}_file", None)
        if path is None:
            continue
        if name in values:
            mistakes.append(f"{PREFIX}{name.upper()} and {PREFIX}{name.upper()}_FILE are both set: keep one")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            values[name] = _UNREAD
            mistakes.append(f"{PREFIX}{name.upper()}_FILE: cannot read {path}: {error.strerror}")
        except UnicodeDecodeError:
            values[name] = _UNREAD
            mistakes.append(f"{PREFIX}{name.upper()}_FILE: {path} is not text")
    return mistakes


def _sentence(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    name = f"{PREFIX}{place.upper()}" if place else ""
    limits = item.get("ctx", {})
    match item["type"]:
        case "missing":
            text = "is not set" + (f" (nor {name}_FILE)" if place in _FROM_FILE else "")
        case "int_parsing" | "int_type" | "int_from_float":
            text = "must be a whole number"
        case "float_parsing" | "float_type":
            text = "must be a number"
        case "literal_error":
            text = f"must be one of {limits['expected']}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            text = "must be " + str(item["msg"]).removeprefix("Input should be ")
        case _:
            text = str(item["msg"]).removeprefix("Value error, ")
    return f"{name} {text}".strip()
