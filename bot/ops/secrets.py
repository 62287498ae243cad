"""Secrets for boxes, as the owner of the machine has laid them down: one directory a repository, one file a secret.

A directory is named by GitHub's number of the repository, since names can be given up and taken over; what follows a
`-` in its name is for people (`186853002-octo-app`).
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from runner.redact import why_not

SIZE = 16 * 1024
"""Bytes that one secret may have."""

ALL = 48 * 1024
"""Bytes that the secrets of one repository may have together, so that they fit into a pipe."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class SecretsUnusable(Exception):
    """A repository's secrets cannot be given to anybody. The message names the file and the way out, no value."""


def read_secrets(directory: Path | None, repo_id: int) -> Mapping[str, str]:
    """The secrets of one repository by name; none when there is no directory for it.

    Raises:
        SecretsUnusable: two directories claim the repository, a file is open to others, or one is no text.
    """
    if directory is None:
        return {}
    own = re.compile(rf"{repo_id}(?:-.*)?")
    with os.scandir(directory) as entries:
        found = sorted(entry.path for entry in entries if own.fullmatch(entry.name) and entry.is_dir())
    if len(found) > 1:
        message = f"{found[0]} and {found[1]} are both for repository {repo_id}: keep one"
        raise SecretsUnusable(message)
    secrets = _read_all(Path(found[0])) if found else {}
    if len(json.dumps(secrets)) > ALL:
        message = f"{found[0]} holds more than {ALL // 1024} KiB"
        raise SecretsUnusable(message)
    return secrets


def _read_all(directory: Path) -> dict[str, str]:
    secrets = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if not _NAME.fullmatch(path.name):
            message = f"{path} is not named like a variable"
            raise SecretsUnusable(message)
        secrets[path.name] = value = read_secret(path)
        if why := why_not(value):
            message = f"{path}: the secret {why}"
            raise SecretsUnusable(message)
    return secrets


def read_secret(path: Path) -> str:
    """The text of a file that nobody but us can read, without its last line's end.

    Raises:
        SecretsUnusable: it is no such file, or is open to others.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - the file must be the one that was looked at.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()}:
                message = f"{path} is not a file of ours"
                raise SecretsUnusable(message)
            if status.st_mode & 0o077:
                message = f"{path} can be read by others: chmod 600"
                raise SecretsUnusable(message)
            raw = file.read(SIZE + 1)
    except OSError as refused:
        message = f"{path} cannot be read: {refused.strerror}"
        raise SecretsUnusable(message) from refused
    if len(raw) > SIZE:
        message = f"{path} is over {SIZE // 1024} KiB"
        raise SecretsUnusable(message)
    try:
        return raw.decode().removesuffix("\n")
    except UnicodeDecodeError:
        message = f"{path} is not text"
        raise SecretsUnusable(message) from None
