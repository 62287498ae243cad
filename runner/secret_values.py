"""The secrets of a run: read once, granted to boxes that name them where the trust level allows, told to nobody else.

Values come from a file (`--secrets`) or, for a local run without a trust level, from the environment of the runner.
"""

from __future__ import annotations

import os
import stat

from runner.errors import UserError
from runner.isolation import may_have_secrets
from runner.redact import Redactor, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.model import Box

_LARGEST = 4 * 1024 * 1024


class SecretValues:
    """What a run knows of its secrets.

    Args:
        values: all of them by name, also those that no box names: none may leave.
        trust: T0, T1, T2, or "" for a local run.
        source: where they are from, as people know it.
        named: what any box of the suite names.
    """

    def __init__(self, values: Mapping[str, str], *, trust: str, source: str, named: Iterable[str]) -> None:
        self._values = dict(values)
        self._names = frozenset((*values, *named))
        self._trust = trust
        self._source = source

    def redactor(self) -> Redactor:
        """What takes all of them out of what boxes write.

        Raises:
            UserError: one cannot be told from ordinary text.
        """
        return Redactor(self._values)

    def of(self, box: Box) -> dict[str, str]:
        """The secrets that a box gets, by variable."""
        if not may_have_secrets(box, self._trust):
            return {}
        return {name: self._values[name] for name in box.secrets if name in self._values}

    def withheld(self, boxes: Iterable[Box]) -> list[str]:
        """What boxes name and do not get, and why: a sentence each."""
        said = []
        for box in boxes:
            missing = [name for name in box.secrets if name not in self.of(box)]
            if not missing:
                continue
            granted = may_have_secrets(box, self._trust)
            why = f"not in {self._source}" if granted else f"trust level {self._trust} gets none"
            said.append(f"box {box.id} starts without {', '.join(missing)}: {why}")
        return said

    def without(self, environ: Mapping[str, str]) -> dict[str, str]:
        """An environment that boxes may inherit: without any variable that a box names as a secret."""
        return {name: value for name, value in environ.items() if name not in self._names}


def secret_values(path: str, *, trust: str, boxes: Iterable[Box], environ: Mapping[str, str]) -> SecretValues:
    """The secrets of a run.

    Args:
        path: of the file, "" for none.
        trust: T0, T1, T2, or "" for a local run.
        boxes: the boxes of the suite; for a local run without a file their secrets are looked up in `environ`.
        environ: of this process.

    Raises:
        UserError: the file is not there, not ours alone, or not understood. No message has a value in it.
    """
    named = dict.fromkeys(name for box in boxes for name in box.secrets)
    if path:
        return SecretValues(read_file(path), trust=trust, source=f"the secrets file {path}", named=named)
    if trust:
        source = "a secrets file, since none is given (--secrets FILE)"
        return SecretValues({}, trust=trust, source=source, named=named)
    values = {name: environ[name] for name in named if environ.get(name)}
    source = "the environment (nor is there a --secrets FILE)"
    return SecretValues(values, trust=trust, source=source, named=named)


def read_file(path: str) -> dict[str, str]:
    """Read a file of secrets: lines of NAME=value (`#` begins a comment line), or one JSON object of strings.

    Raises:
        UserError: see `secret_values`.
    """
    text = _text_of(path)
    values = _json(text, path) if text.lstrip().startswith("{") else _lines(text, path)
    for name, value in values.items():
        if why := why_not(value):
            raise UserError(f"the secret {name} {why}", file=path)  # noqa: EM102 - no value in it.
    return values


def _text_of(path: str) -> str:
    """The file's content, if nobody else can read or write the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        message = f"the secrets file {path} cannot be read: {error.strerror}"
        raise UserError(message) from error
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        os.close(fd)
        message = f"the secrets file {path} is a directory"
        raise UserError(message)
    with open(fd, "rb") as stream:
        # What was read from a pipe is gone, which no file can say of itself: who starts the runner may prefer one.
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            message = f"the secrets file {path} is neither a regular file nor a pipe"
            raise UserError(message)
        if status.st_uid not in {os.geteuid(), 0}:
            message = f"the secrets file {path} belongs to somebody else"
            raise UserError(message, hint=f"chown {os.geteuid()} {path}, after a look at what is in it")
        if status.st_mode & 0o077:
            message = f"the secrets file {path} can be read by others than its owner"
            raise UserError(message, hint=f"chmod 600 {path}")
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        message = f"the secrets file {path} is larger than {_LARGEST} bytes"
        raise UserError(message)
    return data.decode("utf-8", "surrogateescape")


def _json(text: str, path: str) -> dict[str, str]:
    import json

    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        # Without its cause: that quotes what it stumbled over.
        raise UserError("the secrets file begins like JSON and is none", file=path, line=line) from None
    for name, value in values.items():
        if not _is_name(name) or not isinstance(value, str):
            raise UserError("a secrets file in JSON is one object of names and strings", file=path)
    return dict(values)


def _lines(text: str, path: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not _is_name(name):
            hint = "a value of several lines needs a file in JSON"
            raise UserError("not a line NAME=value", file=path, line=number, hint=hint)
        if name in values:
            raise UserError(f"{name} is there twice", file=path, line=number)  # noqa: EM102 - a name, not a value.
        values[name] = value
    return values


def _is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()
