"""Our own secrets, kept out of whatever leaves the process: log lines, tracebacks, comments, checks, audit rows.

Values that we know are found in every spelling; tokens and keys are found by their shape as well, since GitHub makes
new ones by the hour. What is looked for, and how, is runner.redact's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.redact import Redactor, why_not


class OwnSecrets:
    """What must not be told. It begins with the shapes of tokens and keys, and learns values."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._redactor = Redactor()

    def learn(self, name: str, value: str) -> None:
        """Keep a value back from now on; people read `[secret NAME]` in its place. Too short a value is passed over."""
        if not why_not(value) and self._values.get(name) != value:
            self._values[name] = value
            self._redactor = Redactor(self._values)

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._redactor.text(text)

    def within(self, value: Any) -> Any:
        """A value of JSON's kinds, every text in it without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.within(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.within(item) for item in value]
        return value


OWN = OwnSecrets()
"""The process has one set of secrets, as it has one log."""
