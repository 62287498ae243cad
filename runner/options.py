"""Reads command lines by a table. argparse costs 8 ms, which is more than the rest of a short run."""

from __future__ import annotations

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

HELP_COLUMN = 30


class UsageMistake(Exception):
    """The command line cannot be understood; the text says why, in lower case."""


class Option(Value):
    """One option. `names` are its spellings, the long one last; `value` is what follows it, "" for a switch.

    `choices` are the words allowed, none for any; `number` asks for a whole number from `least`; `many` may be given
    more than once, otherwise the last one counts.
    """

    __slots__ = ("choices", "help", "least", "many", "names", "number", "value")

    def __init__(
        self,
        *names: str,
        help: str,  # noqa: A002 - what it is called everywhere.
        value: str = "",
        choices: Sequence[str] = (),
        number: bool = False,
        least: int = 0,
        many: bool = False,
    ) -> None:
        self.names = names
        self.help = help
        self.value = value or "|".join(choices)
        self.choices = tuple(choices)
        self.number = number
        self.least = least
        self.many = many

    @property
    def key(self) -> str:
        """Its name in `Given`."""
        return self.names[-1].lstrip("-").replace("-", "_")


class Given:
    """What a command line said: words, and options by key."""

    __slots__ = ("_said", "words")

    def __init__(self, words: Sequence[str], said: dict[str, list[str]]) -> None:
        self.words = tuple(words)
        self._said = said

    def __contains__(self, key: str) -> bool:
        return key in self._said

    def text(self, key: str, default: str = "") -> str:
        """The last value of an option."""
        return self._said[key][-1] if key in self._said else default

    def number(self, key: str, default: int) -> int:
        """The last value of a number option."""
        return int(self._said[key][-1]) if key in self._said else default

    def all(self, key: str) -> tuple[str, ...]:
        """Every value of an option, in order."""
        return tuple(self._said.get(key, ()))


def read(argv: Sequence[str], options: Iterable[Option], *, stop_at_word: bool = False) -> tuple[Given, list[str]]:
    """Read a command line.

    Args:
        argv: its words.
        options: what is known.
        stop_at_word: leave the first word that is no option, and all behind it, for another reader.

    Returns:
        What was said, and what was left.

    Raises:
        UsageMistake: an unknown option, a missing or wrong value.
    """
    known = {name: option for option in options for name in option.names}
    words: list[str] = []
    said: dict[str, list[str]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word == "-" or not word.startswith("-"):
            if stop_at_word:
                return Given(words, said), [word, *rest]
            words.append(word)
            continue
        option, value = _split(word, known)
        if option.value and value is None:
            if not rest:
                refuse(f"{word} needs a value: {option.value}")
            value = rest.pop(0)
        elif not option.value and value is not None:
            refuse(f"{option.names[-1]} takes no value")
        said.setdefault(option.key, []).append(_checked(option, value or ""))
    return Given(words, said), []


def _split(word: str, known: dict[str, Option]) -> tuple[Option, str | None]:
    """An option and the value that is written with it: `--jobs=4`, `-j4`."""
    name, equals, value = word.partition("=")
    if name in known:
        return known[name], value if equals else None
    short = known.get(word[:2])
    if short is not None and not word.startswith("--"):
        return short, word[2:]
    return refuse(f"unknown option {name}{nearest(name, known)}")


def _checked(option: Option, value: str) -> str:
    name = option.names[-1]
    if option.value and not value:  # `--base "$BASE"` must not mean no base, only because the variable is empty.
        refuse(f"{name} needs a value that is not empty: {option.value}")
    if option.choices and value not in option.choices:
        refuse(f"{name} must be one of {', '.join(option.choices)}, not {value!r}")
    if option.number and not (value.isascii() and value.isdecimal() and int(value) >= option.least):
        refuse(f"{name} must be a whole number from {option.least}, not {value!r}")
    return value


def nearest(name: str, known: Iterable[str]) -> str:
    """A question after the known word that was probably meant; "" when none is close."""
    import difflib  # only a mistake pays for it

    close = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def refuse(message: str) -> NoReturn:
    """Raise UsageMistake."""
    raise UsageMistake(message)


def help_lines(options: Iterable[Option]) -> list[str]:
    """The options as help text, one or two lines each."""
    lines = []
    for option in options:
        left = "  " + ", ".join(option.names) + (f" {option.value}" if option.value else "")
        if len(left) < HELP_COLUMN - 1:
            lines.append(f"{left:<{HELP_COLUMN}}{option.help}")
        else:
            lines += [left, " " * HELP_COLUMN + option.help]
    return lines
