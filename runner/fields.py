"""Takes validated values out of one mapping of a document; whatever is wrong is said with file and line."""

from __future__ import annotations

import re

from runner.errors import BadMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from runner.documents import Lines, Path

LONGEST_TIME = 7 * 24 * 3600.0  # seconds

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d{1,9})\s*(B|KiB|MiB|GiB)")
_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fields:
    """One mapping. Ask for every key that may be there, then call `done`: what was not asked for is unknown.

    Args:
        values: the mapping.
        file: its document, relative to the repository's root.
        lines: the line of each path in the document.
        path: where the mapping stands in the document.
    """

    def __init__(self, values: Mapping[str | int, object], *, file: str, lines: Lines, path: Path = ()) -> None:
        self._values = values
        self._file = file
        self._lines = lines
        self._path = path
        self._known: list[str | int] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def knows(self, key: str) -> bool:
        """Whether `key` is there; known from here on, and named to whoever misspells it."""
        self._known.append(key)
        return key in self._values

    def bad(self, key: str | int, message: str, hint: str = "") -> BadMetadata:
        """An error at `key`; "" is the mapping itself."""
        return BadMetadata(message, file=self._file, line=self.line(key), hint=hint)

    def line(self, key: str | int = "") -> int:
        """The line of `key`, or of the nearest thing around it."""
        path = (*self._path, key) if key != "" else self._path
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    @property
    def where(self) -> str:
        """`file:line` of the mapping."""
        return f"{self._file}:{self.line()}"

    @property
    def file(self) -> str:
        """The document."""
        return self._file

    def done(self) -> None:
        """Refuse any key that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                raise self.bad(key, f"unknown key '{str(key)[:60]}'", nearest(str(key), self._known))

    def keys(self) -> list[str | int]:
        """All keys as written, and all of them known from here on."""
        self._known += self._values
        return list(self._values)

    def take(self, key: str | int) -> object:
        """The value as it is, None if missing."""
        self._known.append(key)
        return self._values.get(key)

    def text(self, key: str, default: str = "", *, needed: bool = False) -> str:
        """A string that is not empty, or `default` if it is missing."""
        value = self.take(key)
        if value is None:
            if needed:
                raise self.bad("", f"'{key}' is missing")
            return default
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise self.bad(key, f"'{key}' must be text", "quote it" if isinstance(value, int | float) else "")
        return value

    def texts(self, key: str) -> list[str]:
        """A string, or a list of them; none if it is missing."""
        value = self.take(key)
        if not isinstance(value, list):
            return [self.text(key)] if value is not None else []
        if not all(isinstance(item, str) and item for item in value):
            raise self.bad(key, f"'{key}' must be text, or a list of texts")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(key, f"'{key}' must be true or false")
        return value

    def count(self, key: str, default: int, *, low: int = 0, high: int = 1_000_000) -> int:
        """A whole number from `low` to `high`."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.bad(key, f"'{key}' must be a whole number from {low} to {high}")
        return value

    def choice(self, key: str, choices: Collection[str], default: str = "") -> str:
        """One of `choices`."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            raise self.bad(key, f"'{key}' must be one of {', '.join(choices)}")
        return value

    def seconds(self, key: str, default: float) -> float:
        """A duration: `5m`, `30s`, `800ms`, `1h`; a bare number is seconds. Positive, at most a week."""
        value = self.take(key)
        if value is None:
            return default
        seconds = 0.0
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value) if abs(value) <= LONGEST_TIME else LONGEST_TIME + 1
        elif isinstance(value, str) and (match := _TIME.fullmatch(value.strip())):
            seconds = float(match[1]) * _UNITS[match[2]]
        if not 0 < seconds <= LONGEST_TIME:
            raise self.bad(key, f"'{key}' is not a duration from 1ms to 168h", "write 5m, 30s, 800ms or 1h")
        return seconds

    def size(self, key: str) -> int | None:
        """A number of bytes: `4GiB`, `512MiB`, or a whole number; None if missing."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
            value = int(match[1]) * _SIZES[match[2]]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
            raise self.bad(key, f"'{key}' is not a size", "write 4GiB, 512MiB or a number of bytes")
        return value

    def names(self, key: str, pattern: str = r"[^\s,()]{1,100}", what: str = "name") -> tuple[str, ...]:
        """A list of strings that each match `pattern`, without repetition."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.bad(key, f"'{key}' must be a list", f"write [{value}]" if isinstance(value, str) else "")
        for item in value:
            if not isinstance(item, str) or not re.fullmatch(pattern, item):
                raise self.bad(key, f"'{str(item)[:60]}' in '{key}' is not a {what}")
        if len(set(value)) < len(value):
            raise self.bad(key, f"'{key}' says something twice")
        return tuple(value)

    def paths(self, key: str) -> tuple[str, ...]:
        """A list of paths or globs that stay inside the tree."""
        names = self.names(key, r"[^\0\n]{1,1000}", "path")
        for name in names:
            self.inside(name, key)
        return names

    def path(self, key: str, *, needed: bool = False) -> str:
        """A relative path that stays inside the tree."""
        value = self.text(key, needed=needed)
        return self.inside(value, key) if value else ""

    def inside(self, path: str, key: str) -> str:
        """`path`, if it cannot leave the tree by its own text."""
        if path.startswith("/") or ".." in path.split("/") or "\\" in path:
            raise self.bad(key, f"'{key}' must be a path inside the tree, not '{path[:100]}'")
        return path

    def variables(self, key: str) -> dict[str, str]:
        """Environment variables. Whole numbers are taken as their digits; true, false and fractions must be quoted."""
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.bad(key, f"'{key}' must be a mapping of names to text")
        found: dict[str, str] = {}
        for name, text in value.items():
            if not _VARIABLE.fullmatch(str(name)) or str(name).startswith("BOX_") or name == "INTERLOCK":
                raise self.bad(
                    key, f"'{str(name)[:60]}' in '{key}' cannot be set", "BOX_* and INTERLOCK are the runner's"
                )
            if isinstance(text, bool) or not isinstance(text, str | int) or "\0" in str(text):
                raise self.bad(key, f"'{name}' in '{key}' must be text", "quote it")
            found[str(name)] = str(text)
        return found

    def inner(self, key: str | int) -> Fields | None:
        """The mapping under `key`, None if it is missing."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.bad(key, f"'{key}' must be a mapping")
        return Fields(value, file=self._file, lines=self._lines, path=(*self._path, key))

    def inners(self, key: str) -> list[Fields]:
        """The mappings under `key`: one, or a list of them; none if it is missing."""
        value = self.take(key)
        if not isinstance(value, list):
            inner = self.inner(key)
            return [] if inner is None else [inner]
        found = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.bad(key, f"'{key}' must be a mapping or a list of mappings")
            found.append(Fields(item, file=self._file, lines=self._lines, path=(*self._path, key, index)))
        return found


def nearest(word: str, known: Collection[str | int]) -> str:
    """A hint: the closest known spelling, or all of them if there are few."""
    from difflib import get_close_matches

    words = [str(item) for item in known]
    if close := get_close_matches(word[:100], words, n=1):
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= 30 else ""
