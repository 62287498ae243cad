"""Takes values out of one mapping of a document that fits its shape, and says where what is wrong with them stands.

`mistakes` finds everything in a document that does not fit; only a mapping without any is worth being read as `Fields`.
"""

from __future__ import annotations

from runner.errors import BadMetadata
from runner.shapes import seconds, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.documents import Lines, Path
    from runner.shapes import Flaw, Shape


def mistakes(shape: Shape, document: object, *, file: str, lines: Lines) -> Iterator[tuple[Path, BadMetadata]]:
    """Everything in a document that does not fit, with the path to it.

    Args:
        shape: what it should look like.
        document: what was read.
        file: where it was read, relative to the repository's root.
        lines: the line of each path in the document.
    """
    for flaw in shape.flaws(document, ()):
        yield flaw.path, _at(flaw, file, lines)


def _at(flaw: Flaw, file: str, lines: Lines) -> BadMetadata:
    return BadMetadata(flaw.message, file=file, line=line_of(flaw.path, lines), hint=flaw.hint)


def line_of(path: Path, lines: Lines) -> int:
    """The line of a path, or of the nearest thing around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class Fields:
    """One mapping that fits its shape, so values are taken as what they are.

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

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def bad(self, key: str | int, message: str, hint: str = "") -> BadMetadata:
        """An error at `key`; "" is the mapping itself."""
        return BadMetadata(message, file=self._file, line=self.line(key), hint=hint)

    def mistakes(self, shape: Shape) -> list[BadMetadata]:
        """Everything in the mapping that does not fit; read nothing else of it if there is any."""
        return [_at(flaw, self._file, self._lines) for flaw in shape.flaws(self._values, self._path)]

    def line(self, key: str | int = "") -> int:
        """The line of `key`, or of the nearest thing around it."""
        return line_of((*self._path, key) if key != "" else self._path, self._lines)

    @property
    def where(self) -> str:
        """`file:line` of the mapping."""
        return f"{self._file}:{self.line()}"

    @property
    def file(self) -> str:
        """The document."""
        return self._file

    def keys(self) -> list[str | int]:
        """All keys as written."""
        return list(self._values)

    def take(self, key: str | int) -> object:
        """The value as it is, None if missing."""
        return self._values.get(key)

    def text(self, key: str | int, default: str = "") -> str:
        """Text, or `default`."""
        value = self.take(key)
        return default if value is None else str(value)

    def texts(self, key: str) -> list[str]:
        """Text, or a list of texts; none if it is missing."""
        value = self.take(key)
        return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value is not None else []

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.take(key)
        return default if value is None else bool(value)

    def count(self, key: str, default: int = 0) -> int:
        """A whole number."""
        value = self.take(key)
        return value if isinstance(value, int) else default

    def seconds(self, key: str, default: float) -> float:
        """A duration in seconds."""
        value = self.take(key)
        return default if value is None else seconds(value)

    def size(self, key: str) -> int | None:
        """A number of bytes; None if missing."""
        value = self.take(key)
        return None if value is None else size(value)

    def names(self, key: str | int) -> tuple[str, ...]:
        """A list of texts."""
        value = self.take(key)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()

    def variables(self, key: str) -> dict[str, str]:
        """Environment variables; whole numbers are taken as their digits."""
        value = self.take(key)
        return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}

    def inner(self, key: str | int) -> Fields | None:
        """The mapping under `key`, None if there is none."""
        value = self.take(key)
        if not isinstance(value, dict):
            return None
        return Fields(value, file=self._file, lines=self._lines, path=(*self._path, key))

    def inners(self, key: str) -> list[Fields]:
        """The mappings under `key`: one, or a list of them; none if it is missing."""
        value = self.take(key)
        if not isinstance(value, list):
            inner = self.inner(key)
            return [] if inner is None else [inner]
        return [
            Fields(item, file=self._file, lines=self._lines, path=(*self._path, key, index))
            for index, item in enumerate(value)
            if isinstance(item, dict)
        ]
