"""Takes secrets out of what boxes write: values that somebody declared, and what looks like a token or a key. No I/O.

What is found does not depend on how a stream is cut into pieces: a piece that may be the beginning of a secret waits
for what follows. This protects from slips, not from a box that means to tell: who holds a secret can spell it in ways
that nobody recognises, so secrets are given to trusted code alone (`runner.isolation.may_have_secrets`).
"""

from __future__ import annotations

import re

from runner.errors import UserError
from runner.secret_kinds import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.secret_kinds import Kind

SHORTEST = 4
"""Bytes of a value that can be told from ordinary text."""
LONGEST = 64 * 1024
"""Bytes of a value at most: what a stream may have to hold back is a small multiple of it."""
_SHORTEST_FORM = 8  # bytes of an encoded form, or of one line of several.


_MOST_COMPILED = 64  # combinations of kinds; beyond that all of them at once.

_LONGEST_NEEDLE = max(len(kind.needle) for kind in KINDS)
# What a piece may end with when a needle is cut in two.
_CUT = frozenset(kind.needle[:size] for kind in KINDS for size in range(1, len(kind.needle)))


def _by_hint() -> dict[bytes, list[Kind]]:
    groups: dict[bytes, list[Kind]] = {}
    for kind in KINDS:
        groups.setdefault(kind.hint, []).append(kind)
    return groups


_BY_HINT = tuple(_by_hint().items())


class Redactor:
    """Knows the secrets of a run.

    Args:
        values: declared secrets by name. They are found as they are, in JSON, URLs, markup, hexadecimal and base64, and
            those of several lines also line by line.

    Raises:
        UserError: a value is too short to be told from ordinary text, or too long to be looked for.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._names: dict[bytes, str] = {}
        for name, value in (values or {}).items():
            if why := why_not(value):
                message = f"the secret {name} {why}"
                raise UserError(message)
            for form in _forms(value):
                self._names.setdefault(form, name)
        self._forms = tuple(sorted(self._names, key=len, reverse=True))
        self._compiled: dict[tuple[object, ...], _Patterns] = {}
        marks = {name: f"[secret {name}]".encode() for name in (*self._names.values(), *(kind.id for kind in KINDS))}
        clash = any(form in mark for form in self._forms for mark in marks.values())
        self._marks = dict.fromkeys(marks, b"***") if clash else marks

    def data(self, data: bytes) -> bytes:
        """All of something, redacted."""
        stream = self.stream()
        return stream.feed(data) + stream.flush()

    def text(self, text: str) -> str:
        """All of a text, redacted."""
        data = text.encode("utf-8", "surrogatepass")
        if self.patterns(data) is None:
            return text
        return self.data(data).decode("utf-8", "surrogatepass")

    def cut_text(self, text: str, limit: int) -> str:
        """A text that was cut off if it has `limit` characters or more: then what may begin a secret there goes too."""
        if len(text) < limit:
            return self.text(text)
        told = self.stream().feed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
        return told if len(told) == len(text) else f"{told}…"

    def stream(self, *, same_length: bool = False) -> Stream:
        """A reader of something that comes in pieces.

        Args:
            same_length: secrets become as many asterisks, so that nothing moves and a file keeps its format.
        """
        return Stream(self, same_length=same_length)

    def patterns(self, data: bytes) -> _Patterns | None:
        """What may be in the data, None when nothing is: the patterns of what is not there are never compiled."""
        forms = tuple(form for form in self._forms if form in data)
        kinds = tuple(kind for hint, similar in _BY_HINT if hint in data for kind in similar if kind.needle in data)
        if not forms and not kinds:
            return None
        key = (forms, kinds)
        if key not in self._compiled and len(self._compiled) >= _MOST_COMPILED:
            key = (self._forms, KINDS)
        if key not in self._compiled:
            self._compiled[key] = _Patterns(*key)
        return self._compiled[key]

    def mark(self, match: re.Match[bytes]) -> tuple[int, int, bytes]:
        """What of a match is the secret: where it begins and ends, and what people read instead."""
        group = match.lastgroup or ""
        if group == "value":
            return *match.span(), self._marks[self._names[match[0]]]
        kind = KINDS[int(group.removeprefix("kind"))]
        inner = f"secret{group.removeprefix('kind')}"
        return *match.span(inner if "?P<secret>" in kind.rest else 0), self._marks[kind.id]

    def cut_value(self, data: bytes, start: int) -> int:
        """Where, from `start`, the data may end within a declared value; its length if it does not."""
        found = len(data)
        for form in self._forms:
            first = max(start, len(data) - len(form) + 1)
            for at in _places(data, form[:SHORTEST], first):
                if form.startswith(data[at:]):
                    found = min(found, at)
                    break
        return found


def _places(data: bytes, opening: bytes, start: int) -> Iterator[int]:
    """Where something may begin: wherever its opening stands, and where the data is too short to hold the opening."""
    at = data.find(opening, start)
    while at >= 0:
        yield at
        at = data.find(opening, at + 1)
    yield from range(max(start, len(data) - len(opening) + 1), len(data))


class _Patterns:
    """What is looked for in one piece: whole secrets, and beginnings of one at its end."""

    __slots__ = ("_begun", "_reach", "_whole")

    def __init__(self, forms: tuple[bytes, ...], kinds: tuple[Kind, ...]) -> None:
        named = [(KINDS.index(kind), kind) for kind in kinds]
        whole = [f"(?P<kind{n}>{kind.pattern()})".replace("?P<secret>", f"?P<secret{n}>") for n, kind in named]
        values = b"(?P<value>%s)" % b"|".join(map(re.escape, forms))
        self._whole = re.compile(b"|".join([*([values] if forms else []), *(text.encode() for text in whole)]))
        begun = "|".join(kind.beginning() for kind in kinds)
        self._begun = re.compile(rf"(?:{begun})\Z".encode()) if kinds else None
        self._reach = max((kind.longest for kind in kinds), default=0)

    def find(self, data: bytes, start: int) -> re.Match[bytes] | None:
        """The first secret from `start`."""
        return self._whole.search(data, start)

    def cut_kind(self, data: bytes, start: int) -> int:
        """Where, from `start`, the data may end within a secret whose needle is complete; its length if it does not."""
        begun = self._begun.search(data, max(start, len(data) - self._reach)) if self._begun else None
        return begun.start() if begun else len(data)


class Stream:
    """Redacts what comes in pieces: at every place what is there decides, never how it was cut.

    It holds back at most the longest secret.
    """

    __slots__ = ("_at", "_data", "_redactor", "_same_length")

    def __init__(self, redactor: Redactor, *, same_length: bool = False) -> None:
        self._redactor = redactor
        self._same_length = same_length
        self._data = b""  # what is held back, behind the byte before it
        self._at = 0  # where it begins

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; returns what can be told by now."""
        return self._take(self._data + data if self._data else data, ended=False)

    def flush(self) -> bytes:
        """There is no more; returns the rest."""
        return self._take(self._data, ended=True)

    def _take(self, data: bytes, *, ended: bool) -> bytes:
        patterns = self._redactor.patterns(data)
        at = self._at
        told: list[bytes] = []
        cut = len(data) if ended else self._cut(patterns, data, at)
        while (match := patterns.find(data, at) if patterns else None) and match.start() < cut:
            begin, end, mark = self._redactor.mark(match)
            told += (data[at:begin], b"*" * (end - begin) if self._same_length else mark, data[end : match.end()])
            at = match.end()
            if cut < at:  # what seemed to begin there was part of this one.
                cut = self._cut(patterns, data, at)
        told.append(data[at:cut])
        self._data = data[max(0, cut - 1) :]
        self._at = min(cut, 1)
        return b"".join(told)

    def _cut(self, patterns: _Patterns | None, data: bytes, start: int) -> int:
        """Where what cannot be told yet begins."""
        cut = self._redactor.cut_value(data, start)
        if patterns is not None:
            cut = min(cut, patterns.cut_kind(data, start))
        for size in range(min(_LONGEST_NEEDLE - 1, len(data) - start), 0, -1):
            if data[-size:] in _CUT:
                return min(cut, len(data) - size)
        return cut


def why_not(value: str) -> str:
    """Why a value cannot be a secret: the rest of a sentence, "" when it can."""
    size = len(value.encode("utf-8", "surrogateescape"))
    if size < SHORTEST:
        return f"has {size} bytes, and fewer than {SHORTEST} cannot be told from ordinary text"
    if size > LONGEST:
        return f"has {size} bytes, more than the {LONGEST} that can be looked for"
    return "" if value.strip() else "is blank"


def _forms(value: str) -> set[bytes]:
    """What a value looks like in the formats that boxes write, and its lines."""
    forms = _encoded(value)
    lines = value.splitlines() if "\n" in value else []
    for line in lines:
        bare = line.strip()
        if len(bare) >= _SHORTEST_FORM and not bare.startswith("-----"):  # a key's first line is no secret.
            forms |= _encoded(bare)
    return forms


def _encoded(value: str) -> set[bytes]:
    import json
    from binascii import b2a_base64

    raw = value.encode("utf-8", "surrogateescape")
    quoted = "".join(chr(byte) if chr(byte) in _URL_SAFE else f"%{byte:02X}" for byte in raw)
    lower = "".join(chr(byte) if chr(byte) in _URL_SAFE else f"%{byte:02x}" for byte in raw)
    markup = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    texts = [
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        *(quoted, lower, quoted.replace("%20", "+"), quoted.replace("%2F", "/"), lower.replace("%2f", "/")),
        *(markup, markup.replace('"', "&quot;"), markup.replace('"', "&quot;").replace("'", "&#x27;")),
    ]
    forms = {text.encode("utf-8", "surrogateescape") for text in texts}
    long = [raw.hex().encode(), raw.hex().upper().encode()]
    for shift in range(3):  # where the value begins within the three bytes that base64 takes together.
        letters = b2a_base64(b"\0" * shift + raw, newline=False)
        known = letters[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
        long += (known, known.translate(_TO_URL_BASE64))
    return {raw, *forms, *(form for form in long if len(form) >= _SHORTEST_FORM)}


_URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TO_URL_BASE64 = bytes.maketrans(b"+/", b"-_")
