"""The App's credentials on disk: one private directory below the data directory, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

DIRECTORY = "credentials"
SETTINGS = "interlock.toml"
PRIVATE_KEY = "private-key.pem"
WEBHOOK_SECRET = "webhook-secret"  # noqa: S105 - a file's name.
_BEFORE = "credentials.before"


class CredentialsExist(Exception):
    """There are credentials already, and nobody said that they may be replaced. Nothing was changed."""


class CredentialsNotWritten(Exception):
    """They could not be written. What was there before is there still."""


def credentials_dir(data_dir: Path) -> Path:
    """Where the credentials of a bot with this data directory are."""
    return data_dir / DIRECTORY


def require_room(data_dir: Path, *, replace: bool) -> None:
    """Make sure, before a person is sent to GitHub, that what comes back can be written.

    Raises:
        CredentialsExist: there are some, and `replace` is false.
        CredentialsNotWritten: the data directory cannot be made or written.
    """
    place = credentials_dir(data_dir)
    if place.exists() and not replace:
        message = f"{place} holds an App's credentials already; --replace keeps them beside as {_BEFORE}"
        raise CredentialsExist(message)
    try:
        # Boxes run as users of their own below it, so others may pass through; the credentials' directory is private.
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        os.rmdir(tempfile.mkdtemp(prefix=".credentials-", dir=data_dir))  # noqa: PTH106 - its twin is a string too.
    except OSError as refused:
        message = f"cannot write below {data_dir}: {refused.strerror}; choose another place with --data-dir"
        raise CredentialsNotWritten(message) from refused


def write_credentials(
    data_dir: Path, settings: Mapping[str, str | int], *, private_key: str, webhook_secret: str
) -> Path:
    """Write the three files, readable by their owner alone, and put them in place together.

    Older ones are kept beside, as `credentials.before`. Written by root into somebody's data directory, they belong to
    that somebody.

    Args:
        data_dir: the bot's data directory.
        settings: what else goes into `interlock.toml`; the two files are named there.
        private_key: PEM.
        webhook_secret: the secret.

    Returns:
        The directory.

    Raises:
        CredentialsNotWritten: what was there before is there still.
    """
    place, before = credentials_dir(data_dir), data_dir / _BEFORE
    named = {**settings, "github_private_key_file": PRIVATE_KEY, "webhook_secret_file": WEBHOOK_SECRET}
    new: Path | None = None
    try:
        new = Path(tempfile.mkdtemp(prefix=".credentials-", dir=data_dir))
        for name, text in ((PRIVATE_KEY, private_key), (WEBHOOK_SECRET, webhook_secret), (SETTINGS, _toml(named))):
            _write(new / name, text)
        _give_to_owner_of(data_dir, new)
        if place.exists():
            shutil.rmtree(before, ignore_errors=True)
            place.rename(before)
        new.rename(place)
        _sync(data_dir)
    except OSError as refused:
        if new:
            shutil.rmtree(new, ignore_errors=True)
        message = f"{refused.filename or place} could not be written: {refused.strerror}"
        raise CredentialsNotWritten(message) from refused
    return place


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text if text.endswith("\n") else f"{text}\n")
        out.flush()
        os.fsync(out.fileno())


def _give_to_owner_of(data_dir: Path, new: Path) -> None:
    owner = data_dir.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (new, *new.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _toml(settings: Mapping[str, str | int]) -> str:
    lines = [f"{name} = {value if isinstance(value, int) else _quoted(value)}" for name, value in settings.items()]
    return "\n".join(["# Written by `interlock setup`. The environment wins over this file.", *lines])


def _quoted(text: str) -> str:
    """A TOML basic string; what cannot be seen is written as its number."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'
