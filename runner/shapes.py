r"""What values may look like: one description that configuration is held against and its JSON Schema is made from.

A shape finds every flaw of a value at once, and says where each is. It converts nothing and knows no meaning: that a
selection names boxes, that an expression compiles, that two keys fit each other is asked where values are read.
`runner.config_schema` turns shapes into JSON Schema, so patterns are written in the common part of both dialects: no
`\s`, `\d`, `\w` (they differ), no anchors (a pattern covers the whole text).
"""

from __future__ import annotations

import re

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    Path = tuple[str | int, ...]

LONGEST_TIME = 7 * 24 * 3600.0  # seconds
LARGEST_SIZE = 2**63 - 1  # bytes

NOT_BLANK = r"[ \t\r\n]*[^\x00 \t\r\n][^\x00]*"
SPACES = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What is white space or control to anybody, for the inside of a class."""
TIME = r"[ \t]*(?=[0-9.]*[1-9])([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*(ms|s|m|h)[ \t]*"
SIZE = r"[ \t]*(?=[0-9]*[1-9])([0-9]{1,9})[ \t]*(B|KiB|MiB|GiB)[ \t]*"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SHARE = r"[ \t]*(?=[0-9.]*[1-9])(100|[1-9]?[0-9](?:\.[0-9]{1,6})?)[ \t]*%[ \t]*"
SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Flaw(Value):
    """One thing that does not fit. `path` leads to it from the document's root; `hint` is the way out, or empty."""

    __slots__ = ("hint", "message", "path")

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        self.path = path
        self.message = message
        self.hint = hint


class Shape(Value):
    """The root of the shapes. `about` is one line for people, shown by editors; it may be empty."""

    __slots__ = ("about",)

    about: str

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """Everything in `value`, which stands at `path`, that does not fit."""
        raise NotImplementedError

    def fits(self, value: object) -> bool:
        """Whether there is no flaw."""
        return next(self.flaws(value, ("",)), None) is None


class Anything(Shape):
    """Whatever can be written down, also nothing at all."""

    __slots__ = ()

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """None, ever."""
        del value, path
        yield from ()


class Text(Shape):
    """Text of `least` to `most` characters (0: as many as there are) that `pattern` covers; `""` covers everything.

    `sentence` says what else it must be; `{key}` and `{value}` stand for what was written.
    """

    __slots__ = ("hint", "least", "most", "pattern", "sentence")

    def __init__(
        self,
        about: str = "",
        *,
        pattern: str = NOT_BLANK,
        least: int = 0,
        most: int = 0,
        sentence: str = "'{key}' must be text",
        hint: str = "",
    ) -> None:
        self.about = about
        self.pattern = pattern
        self.least = least
        self.most = most
        self.sentence = sentence
        self.hint = hint

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no text, or not such a text."""
        key = _key(path)
        if not isinstance(value, str):
            yield Flaw(path, f"'{key}' must be text", "quote it" if isinstance(value, int | float) else "")
        elif not self._fits(value):
            blank = not value.strip() and self.pattern
            said = "'{key}' must be text" if blank else self.sentence
            yield Flaw(path, said.format(key=key, value=_short(value, 100)), self.hint)

    def _fits(self, value: str) -> bool:
        if len(value) < self.least or (self.most and len(value) > self.most):
            return False
        return not self.pattern or re.fullmatch(self.pattern, value) is not None


class Date(Shape):
    """A day, `2026-03-31`; TOML has days of its own, YAML 1.2 writes them as text."""

    __slots__ = ()

    PATTERN = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no day."""
        if not re.fullmatch(self.PATTERN, str(value)):
            yield Flaw(path, f"'{_key(path)}' must be a date", "write 2026-03-31")


class Flag(Shape):
    """True or false; `yes`, `no`, `on` and `off` are words in YAML 1.2."""

    __slots__ = ()

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is neither."""
        if not isinstance(value, bool):
            word = isinstance(value, str) and value.lower() in {"yes", "no", "on", "off", "y", "n", "true", "false"}
            meant = str(str(value).lower() in {"yes", "on", "y", "true"}).lower()
            yield Flaw(path, f"'{_key(path)}' must be true or false", f"write {meant}, unquoted" if word else "")


class Count(Shape):
    """A whole number from `low` to `high`."""

    __slots__ = ("high", "low")

    def __init__(self, about: str = "", *, low: int = 0, high: int = 1_000_000) -> None:
        self.about = about
        self.low = low
        self.high = high

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no such number."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            hint = "write it without quotes" if isinstance(value, str) and value.strip().isdecimal() else ""
            yield Flaw(path, f"'{_key(path)}' must be a whole number from {self.low} to {self.high}", hint)


class Choice(Shape):
    """One of a few words."""

    __slots__ = ("words",)

    def __init__(self, about: str = "", *, words: Collection[str]) -> None:
        self.about = about
        self.words = tuple(words)

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is none of them."""
        if not isinstance(value, str) or value not in self.words:
            said = f"'{_key(path)}' must be one of {', '.join(self.words)}"
            yield Flaw(path, said, close(value, self.words) if isinstance(value, str) else "")


class Duration(Shape):
    """`5m`, `30s`, `800ms`, `1h`, or a number of seconds; more than nothing and at most a week."""

    __slots__ = ()

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no such time."""
        if not 0 < seconds(value) <= LONGEST_TIME:
            said = f"'{_key(path)}' is not a duration from 1ms to 168h"
            yield Flaw(path, said, "write 5m, 30s, 800ms or 1h")


class Size(Shape):
    """`4GiB`, `512MiB`, or a whole number of bytes."""

    __slots__ = ()

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no such size."""
        if not 0 < size(value) <= LARGEST_SIZE:
            yield Flaw(path, f"'{_key(path)}' is not a size", "write 4GiB, 512MiB or a number of bytes")


class Number(Shape):
    """A number from `low` to `high`, with or without a fraction."""

    __slots__ = ("high", "low")

    def __init__(self, about: str = "", *, low: float, high: float) -> None:
        self.about = about
        self.low = low
        self.high = high

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no such number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            yield Flaw(path, f"'{_key(path)}' must be a number from {self.low:g} to {self.high:g}")


class Share(Shape):
    """A part of a whole: `5%`, `0.1%`, or a number such as 0.05; more than nothing and at most all."""

    __slots__ = ()

    def __init__(self, about: str = "") -> None:
        self.about = about

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no such part."""
        if not 0 < share(value) <= 1:
            yield Flaw(path, f"'{_key(path)}' is not a share", "write 5%, 0.1%, or a number such as 0.05")


class List(Shape):
    """A list whose items all have one shape. `what` names an item; `hint` shows how the whole is written."""

    __slots__ = ("hint", "least", "of", "unique", "what")

    def __init__(
        self, about: str = "", *, of: Shape, what: str = "", unique: bool = True, least: int = 0, hint: str = ""
    ) -> None:
        self.about = about
        self.of = of
        self.what = what
        self.unique = unique
        self.least = least
        self.hint = hint

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no list, and what is wrong with its items."""
        key = _key(path)
        if not isinstance(value, list):
            hint = f"write [{_short(value, 40)}]" if isinstance(value, str) and not self.hint else self.hint
            yield Flaw(path, f"'{key}' must be a list", hint)
            return
        if len(value) < self.least:
            yield Flaw(path, f"'{key}' names none, so nothing would do")
        for index, item in enumerate(value):
            yield from self._item(item, (*path, _Place(index)), key)
        if self.unique and len({repr(item) for item in value}) < len(value):
            yield Flaw(path, f"'{key}' says something twice")

    def _item(self, item: object, path: Path, key: str) -> Iterator[Flaw]:
        if not self.what:
            yield from self.of.flaws(item, path)
        elif not self.of.fits(item):
            hint = self.hint or ("quote it" if isinstance(item, int | float) else "")
            yield Flaw(path, f"'{_short(item, 60)}' in '{key}' is not a {self.what}", hint)


class Table(Shape):
    """A mapping with known keys.

    `needed` must be there, and exactly one of `one_of`, if there are any; `sentence` says so. With `more`, other keys
    may say anything. With `or_nothing`, a key without a value counts as one that is not there.
    """

    __slots__ = ("keys", "more", "needed", "one_of", "or_nothing", "sentence")

    def __init__(
        self,
        keys: Mapping[str, Shape],
        *,
        about: str = "",
        needed: Collection[str] = (),
        one_of: Collection[str] = (),
        sentence: str = "",
        more: bool = False,
        or_nothing: bool = False,
    ) -> None:
        self.about = about
        self.keys = dict(keys)
        self.needed = tuple(needed)
        self.one_of = tuple(one_of)
        self.sentence = sentence
        self.more = more
        self.or_nothing = or_nothing

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no mapping, lacks or misspells keys, and what is wrong with their values."""
        if not isinstance(value, dict):
            yield Flaw(path, f"'{_key(path)}' must be a mapping")
            return
        for key, inner in value.items():
            shape = self.keys.get(str(key)) if isinstance(key, str) else None
            if shape is not None:
                yield from _inner(shape, inner, (*path, key), or_nothing=self.or_nothing)
            elif not self.more:
                yield Flaw((*path, key), f"unknown key '{_short(key, 60)}'", nearest(str(key), self.keys))
        for key in self.needed:
            if key not in value:
                yield Flaw(path, f"'{key}' is missing")
        kinds = [key for key in self.one_of if key in value]
        if self.one_of and len(kinds) != 1:
            said = f"it has {' and '.join(kinds)}" if kinds else f"one of {', '.join(self.one_of)}"
            yield Flaw(path, self.sentence, said)


class ByKind(Shape):
    """A mapping with a key that says which of several tables it is.

    `key` is that key's name; `kinds` maps its words to the tables of the other keys. `what` is said of the key.
    """

    __slots__ = ("key", "kinds", "what")

    def __init__(self, key: str, kinds: Mapping[str, Table], *, what: str = "", about: str = "") -> None:
        self.about = about
        self.key = key
        self.kinds = dict(kinds)
        self.what = what

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no mapping, that its kind is unknown, and what is wrong with the keys of that kind."""
        if not isinstance(value, dict):
            yield Flaw(path, f"'{_key(path)}' must be a mapping")
        elif self.key not in value:
            yield Flaw(path, f"'{self.key}' is missing", f"one of {', '.join(self.kinds)}")
        elif not (choice := Choice(words=self.kinds)).fits(value[self.key]):
            yield from _inner(choice, value[self.key], (*path, self.key), or_nothing=False)
        else:
            yield from self.table(value[self.key]).flaws(value, path)

    def table(self, kind: str) -> Table:
        """The whole table of a kind, with the key that says so."""
        table = self.kinds[kind]
        return Table(
            {self.key: Choice(self.what, words=(kind,)), **table.keys},
            about=table.about,
            needed=(self.key, *table.needed),
            one_of=table.one_of,
            sentence=table.sentence,
            more=table.more,
        )


class Named(Shape):
    """A mapping whose keys are names that somebody chose.

    `names` is the pattern of a name, "" lets any pass; `sentence` says what it must be, with `{name}` and `{key}`.
    `only` is how many entries there must be; 0 for any number.
    """

    __slots__ = ("hint", "names", "of", "only", "sentence")

    def __init__(
        self,
        *,
        of: Shape,
        names: str = "",
        about: str = "",
        sentence: str = "'{name}' in '{key}' is not a name",
        hint: str = "",
        only: int = 0,
    ) -> None:
        self.about = about
        self.of = of
        self.names = names
        self.sentence = sentence
        self.hint = hint
        self.only = only

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """That it is no mapping, and what is wrong with its names and values."""
        if not isinstance(value, dict):
            yield Flaw(path, f"'{_key(path)}' must be a mapping")
            return
        for name, inner in value.items():
            if self.names and not re.fullmatch(self.names, str(name)):
                said = self.sentence.format(name=_short(name, 60), key=_key(path))
                yield Flaw((*path, name), said, self.hint)
            else:
                yield from _inner(self.of, inner, (*path, name), or_nothing=False)
        if self.only and len(value) != self.only:
            yield Flaw(path, f"'{_key(path)}' must have exactly {self.only} key{'s' if self.only > 1 else ''}")


class Either(Shape):
    """Any of several shapes. `sentence` is said of what fits none; without one, the likeliest shape has its say."""

    __slots__ = ("hint", "of", "sentence")

    def __init__(self, *of: Shape, about: str = "", sentence: str = "", hint: str = "") -> None:
        self.about = about
        self.of = of
        self.sentence = sentence
        self.hint = hint

    def flaws(self, value: object, path: Path) -> Iterator[Flaw]:
        """What the likeliest of them has to say, if it fits none."""
        if any(shape.fits(value) for shape in self.of):
            return
        likely = [shape for shape in self.of if _alike(value, shape)]
        if self.sentence and not likely:
            yield Flaw(path, self.sentence.format(key=_key(path), value=_short(value, 60)), self.hint)
        else:
            yield from (likely or self.of)[0].flaws(value, path)


def seconds(value: object) -> float:
    """A duration in seconds; 0 for what is none."""
    if isinstance(value, str):
        match = re.fullmatch(TIME, value)
        return float(match[1]) * UNITS[match[2]] if match else 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number may be too large for a float.
        return float(value) if abs(value) <= LONGEST_TIME else LONGEST_TIME + 1
    return 0.0


def size(value: object) -> int:
    """A size in bytes; 0 for what is none."""
    if isinstance(value, str):
        match = re.fullmatch(SIZE, value)
        return int(match[1]) * SIZES[match[2]] if match else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def share(value: object) -> float:
    """A share as a number from 0 to 1; 0 for what is none."""
    if isinstance(value, str):
        match = re.fullmatch(SHARE, value)
        return float(match[1]) / 100 if match else 0.0
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1 else 0.0


def nearest(word: str, known: Collection[str | int]) -> str:
    """A hint: the closest known spelling, or all of them if there are few."""
    words = [str(item) for item in known]
    return close(word, words) or (f"known: {', '.join(words)}" if 0 < len(words) <= 30 else "")


def close(word: str, words: Sequence[str]) -> str:
    """A hint with the closest of some words; empty if none is close."""
    from difflib import get_close_matches

    found = get_close_matches(word[:100], words, n=1)
    return f"did you mean '{found[0]}'?" if found else ""


def _inner(shape: Shape, value: object, path: Path, *, or_nothing: bool) -> Iterator[Flaw]:
    if value is not None or isinstance(shape, Anything):
        yield from shape.flaws(value, path)
    elif not or_nothing:
        yield Flaw(path, f"'{_key(path)}' says nothing", _way_out(shape))


def _way_out(shape: Shape) -> str:
    if isinstance(shape, Table) and (shape.needed or shape.one_of):
        wants = [f"'{key}'" for key in shape.needed]
        wants += [f"one of {', '.join(shape.one_of)}"] if shape.one_of else []
        return f"it needs {' and '.join(wants)}"
    return "give it a value, or take the key away"


def _alike(value: object, shape: Shape) -> bool:
    """Whether a mapping or list is meant as this shape, although it does not fit."""
    return (
        isinstance(shape, Table | Named | ByKind)
        if isinstance(value, dict)
        else isinstance(value, list) and isinstance(shape, List)
    )


class _Place(int):
    """Where something stands in a list, as against a key that happens to be a number."""

    __slots__ = ()


def _key(path: Path) -> str:
    """The name of what stands at a path: its last key, not a place in a list."""
    return next((_short(part, 60) for part in reversed(path) if not isinstance(part, _Place)), "")


def _short(value: object, most: int) -> str:
    return str(value)[:most]
