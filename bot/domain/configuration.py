"""Which configuration a run is judged by, and what the runner says is wrong with one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.domain.text import code
from runner.errors import UserError

FILE = ".github/interlock.yml"

Origin = Literal["repository", "organisation", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A configuration in force.

    Attributes:
        origin: whose it is; `none` when the repository has boxes and nobody has configured anything.
        repo: `owner/name` of the repository that holds the file.
        sha: the commit at which it was read.
        config_hash: of everything that was read: the file, and what boxes say about themselves; "" unknown.
    """

    origin: Origin
    repo: str
    sha: str
    config_hash: str = ""

    @property
    def sentence(self) -> str:
        """What a check says of it, as Markdown."""
        return self._said(lambda text: code(text, 200))

    @property
    def plainly(self) -> str:
        """The same as plain text."""
        return self._said(str)

    def _said(self, mark: Callable[[str], str]) -> str:
        hashed = f", hash {mark(self.config_hash[:12])}" if self.config_hash else ""
        match self.origin:
            case "repository":
                return f"Configuration: {mark(FILE)} at {mark(self.sha[:7])}{hashed}"
            case "organisation":
                place = f"{mark(FILE)} of {mark(self.repo)} at {mark(self.sha[:7])}"
                return f"Configuration: the organisation's, {place}{hashed}"
        return f"Configuration: none, boxes as they stand at {mark(self.sha[:7])}{hashed}"


def mistake_of(raw: Mapping[str, Any]) -> UserError:
    """A mistake as the runner writes it to JSON; what has not the expected form is left out."""
    text = {key: value for key in ("message", "file", "hint", "place") if isinstance(value := raw.get(key), str)}
    line = raw.get("line")
    mistake = UserError(
        text.get("message", "cannot be read"),
        file=text.get("file", ""),
        line=line if type(line) is int and line >= 0 else 0,
        hint=text.get("hint", ""),
    )
    mistake.place = text.get("place", "")
    return mistake
