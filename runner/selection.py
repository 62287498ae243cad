"""What a selection text means, as a tree. Values only: runner.select reads text into it and evaluates it.

`str` of any part is its canonical spelling, which reads back as an equal part.
"""

from __future__ import annotations

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Word(Value):
    """A leaf. `at` is its offset in the text; it is no part of equality, which looks at a subclass's own slots only."""

    __slots__ = ("at",)
    keyword = ""

    def __init__(self, at: int = 0) -> None:
        self.at = at


class Numbers(Word):
    """`21`, `21-41`, `api/21-30`: boxes of one suite by number, both ends included."""

    __slots__ = ("first", "last", "suite")

    def __init__(self, suite: str, first: int, last: int, at: int = 0) -> None:
        super().__init__(at)
        self.suite = suite
        self.first = first
        self.last = last

    def __str__(self) -> str:
        numbers = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.suite}/{numbers}" if self.suite else numbers


class All(Word):
    """`all`, or every box of one suite: `api/all`."""

    __slots__ = ("suite",)

    def __init__(self, suite: str = "", at: int = 0) -> None:
        super().__init__(at)
        self.suite = suite

    def __str__(self) -> str:
        return f"{self.suite}/all" if self.suite else "all"


class Tiers(Word):
    """`tier:2`, `tier:1-3`, `tier:..3`, `tier:2..`; an open end is None. All suites."""

    __slots__ = ("first", "last")

    def __init__(self, first: int | None, last: int | None, at: int = 0) -> None:
        super().__init__(at)
        self.first = first
        self.last = last

    def __str__(self) -> str:
        if self.first == self.last:
            return f"tier:{self.first}"
        if self.first is None or self.last is None:
            return f"tier:{'' if self.first is None else self.first}..{'' if self.last is None else self.last}"
        return f"tier:{self.first}-{self.last}"

    def has(self, tier: int) -> bool:
        """Whether `tier` lies inside."""
        return (self.first is None or self.first <= tier) and (self.last is None or tier <= self.last)


class Tag(Word):
    """`tag:smoke`."""

    __slots__ = ("name",)

    def __init__(self, name: str, at: int = 0) -> None:
        super().__init__(at)
        self.name = name

    def __str__(self) -> str:
        return f"tag:{self.name}"


class Failed(Word):
    """`failed`: the boxes whose last verdict was red."""

    __slots__ = ()
    keyword = "failed"

    def __str__(self) -> str:
        return "failed"


class Changed(Word):
    """`changed:REF`: the boxes that a change since REF may have touched."""

    __slots__ = ("ref",)
    keyword = "changed"

    def __init__(self, ref: str, at: int = 0) -> None:
        super().__init__(at)
        self.ref = ref

    def __str__(self) -> str:
        return f"changed:{self.ref}"


class Not(Value):
    """Every box that `part` does not name."""

    __slots__ = ("part",)

    def __init__(self, part: Expression) -> None:
        self.part = part

    def __str__(self) -> str:
        return f"not {_bracketed(self.part)}" if isinstance(self.part, And | Or) else f"not {self.part}"


class And(Value):
    """The boxes that every part names."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[Expression]) -> None:
        self.parts = tuple(parts)

    def __str__(self) -> str:
        return " and ".join(_bracketed(part) if isinstance(part, Or) else str(part) for part in self.parts)


class Or(Value):
    """The boxes that at least one part names."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[Expression]) -> None:
        self.parts = tuple(parts)

    def __str__(self) -> str:
        return " or ".join(str(part) for part in self.parts)


if TYPE_CHECKING:
    Expression = Word | Not | And | Or


def _bracketed(part: Expression) -> str:
    return f"({part})"


class Selection(Value):
    """A selection that could be read. Prints in its canonical spelling, which reads back as an equal selection."""

    __slots__ = ("expression", "text")

    def __init__(self, expression: Expression, text: str = "") -> None:
        self.expression = expression
        self.text = text

    def _fields(self) -> tuple[object, ...]:
        return (self.expression,)

    def __str__(self) -> str:
        return str(self.expression)

    def uses(self, word: str) -> bool:
        """Whether `failed` or `changed` occurs anywhere, so that its facts must be fetched."""
        return any(leaf.keyword == word for leaf in words(self.expression))

    def changed_refs(self) -> tuple[str, ...]:
        """The refs of all `changed:` words, in order, each once."""
        return tuple(dict.fromkeys(leaf.ref for leaf in words(self.expression) if isinstance(leaf, Changed)))


def words(part: Expression) -> Iterator[Word]:
    """The leaves of a tree, from left to right."""
    if isinstance(part, Not):
        yield from words(part.part)
    elif isinstance(part, And | Or):
        for inner in part.parts:
            yield from words(inner)
    else:
        yield part
