"""TOML and YAML text as plain values, with the line of every key. No schema here: see runner.metadata, runner.config.

Slow (both loaders are imported on first use), and needed only when the parsed-suite cache is stale.
"""

from __future__ import annotations

import re

from runner.errors import BadMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str | int, ...]
    Lines = dict[Path, int]

LARGEST = 4 * 1024 * 1024  # characters of a document
DEEPEST = 64  # values inside one another; the loader's time grows with the square of it
MOST_NODES = 200_000  # values of a document with its aliases written out

_TOML_AT = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")
_TOML_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\n]*"))*)\s*=""")
_TOML_TABLE = re.compile(r"\s*\[\[?([^\[\]\n]+)\]")


def read_toml(text: str, *, file: str, first_line: int = 1) -> tuple[dict[str, Any], Lines]:
    """Parse TOML whose first line is line `first_line` of `file`.

    Raises:
        BadMetadata: it is not TOML; says where.
    """
    if not text.strip():
        return {}, {}
    import tomllib

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_AT.search(str(error))
        line = first_line + (int(at[1]) - 1 if at and at[1] else text.count("\n"))
        message = _TOML_AT.sub("", str(error))
        raise BadMetadata(f"not TOML: {_lower(message)}", file=file, line=line) from error  # noqa: EM102 - built above.
    except RecursionError as error:
        raise BadMetadata("not TOML: nested too deeply", file=file, line=first_line) from error
    return values, _toml_lines(text, first_line)


def _toml_lines(text: str, first_line: int) -> Lines:
    """Where each key stands. tomllib does not tell, so this looks for what reads like a key; the first one wins."""
    lines: Lines = {}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), start=first_line):
        if header := _TOML_TABLE.match(line):
            table = _toml_path(header[1])
            lines.setdefault(table, number)
        elif key := _TOML_KEY.match(line):
            path = (*table, *_toml_path(key[1]))
            for depth in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:depth], number)
    return lines


def _toml_path(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def read_yaml(text: str, *, file: str) -> tuple[object, Lines]:
    """Parse one YAML 1.2 document into dicts, lists, strings, numbers, booleans and None.

    Raises:
        BadMetadata: it is not YAML, has a key twice, uses tags, or is too large once its aliases are written out.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > LARGEST:
        message = f"larger than {LARGEST} characters"
        raise BadMetadata(message, file=file)
    if re.match(r"\s*%", text):
        raise BadMetadata("a `%` directive is not read", file=file, line=1, hint="this file is YAML 1.2")
    loader = YAML(typ="rt", pure=True)
    loader.version = (1, 2)
    loader.max_depth = DEEPEST
    try:
        root = loader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be read"
        if problem.startswith("but "):  # the second half of a sentence
            problem = f"{error.context} {problem}"
        line = mark.line + 1 if mark else 0
        if problem.startswith("maximum depth"):
            message = f"more than {DEEPEST} values inside one another"
            raise BadMetadata(message, file=file, line=line) from error
        message, hint = f"not YAML: {_lower(problem)}", _way_out(text, line, problem)
        raise BadMetadata(message, file=file, line=line, hint=hint) from error
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position if isinstance(position, int) else 0) + 1
        raise BadMetadata("not YAML: a character that is not allowed", file=file, line=line) from error
    except (RecursionError, ValueError, AssertionError) as error:  # ruamel's own way to say some of it.
        raise BadMetadata("not YAML", file=file, line=1) from error
    reader = _YamlReader(file)
    try:
        value = None if root is None else reader.value(root, ())
    except RecursionError as error:
        raise BadMetadata("nested too deeply", file=file, line=1) from error
    return value, reader.lines


class _YamlReader:
    """Turns a node tree into plain values; more wary than a general loader, and it remembers lines."""

    def __init__(self, file: str) -> None:
        self.lines: Lines = {}
        self._file = file
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: Any, path: Path) -> object:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise self._bad(node, "more values than can be read")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._open:
            raise self._bad(node, "an alias inside its own anchor")
        self._open.add(id(node))
        try:
            kind = type(node).__name__
            if kind == "MappingNode":
                return self._mapping(node, path)
            if kind == "SequenceNode":
                self._untagged(node, "seq")
                return [self.value(item, (*path, place)) for place, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any, path: Path) -> dict[str | int, object]:
        self._untagged(node, "map")
        values: dict[str | int, object] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if type(key_node).__name__ == "ScalarNode" else None
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise self._bad(key_node, "a key must be a word or a whole number")
            if key in values:
                first = self.lines[*path, key]
                raise self._bad(key_node, f"duplicate key `{key}`", f"first in line {first}")
            self.lines[*path, key] = key_node.start_mark.line + 1
            values[key] = self.value(value_node, (*path, key))
        return values

    def _untagged(self, node: Any, kind: str) -> None:
        if str(node.tag) != f"tag:yaml.org,2002:{kind}":
            raise self._bad(node, "tags are not read here")

    def _scalar(self, node: Any) -> object:
        text = str(node.value)
        match str(node.tag).removeprefix("tag:yaml.org,2002:"):
            case "str" | "timestamp" | "value":  # a date stays as written.
                return text
            case "merge":
                raise self._bad(node, "`<<` merges nothing in YAML 1.2", "use 'defaults', or repeat the keys")
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._whole(text, node)
            case "float":
                return self._decimal(text, node)
        raise self._bad(node, "tags are not read here")

    def _whole(self, text: str, node: Any) -> int:
        try:
            base = {"0x": 16, "0o": 8}.get(text[:2], 10)
            return int(text[2:] if base != 10 else text, base)
        except ValueError:
            raise self._bad(node, f"`{text[:40]}` is not a whole number", "quote it if it is text") from None

    def _decimal(self, text: str, node: Any) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not abs(number) < float("inf"):
            raise self._bad(node, f"`{text[:40]}` is not a number", "quote it if it is text")
        return number

    def _bad(self, node: Any, message: str, hint: str = "") -> BadMetadata:
        return BadMetadata(message, file=self._file, line=node.start_mark.line + 1, hint=hint)


def _way_out(text: str, line: int, problem: str) -> str:
    """What people most often meant where YAML ends."""
    lines = text.split("\n")
    there = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in there[: len(there) - len(there.lstrip())]:
        return "indent with spaces, not with tabs"
    if "<stream end>" in problem:
        return "a bracket or a quote is not closed"
    if "mapping values are not allowed" in problem:
        return "quote text that has a colon and a space in it, and look at the indentation"
    return ""


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
