"""Selection text: which boxes somebody means. One grammar for the CLI, comments, buttons, the Action and REST.

Pure: boxes and what earlier runs said come in as arguments. Reference: docs/reference/selection.md.

    either := both (("or" | "," | nothing) both)*        a space between two words means `or`
    both   := no ("and" no)*
    no     := "not" no | "(" either ")" | word
    word   := N | N-M | SUITE/N | SUITE/N-M | SUITE/all | all | failed | tag:NAME | changed:REF
            | tier:N | tier:N-M | tier:..N | tier:N..    (also in two words: `tier 4`)
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from runner.errors import BadSelection, NothingSelected
from runner.later import later
from runner.selection import All, And, Changed, Failed, Not, Numbers, Or, Selection, Tag, Tiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from runner.model import Box, BoxId
    from runner.selection import Expression, Word

LONGEST = 10_000  # characters; a comment may be 65 536 long, and no selection is.
DEEPEST = 50  # nested parentheses and `not`s; keeps every walk over the tree far from the recursion limit.

_TOKEN = later(r"[(),]|[^\s(),]+")
_NUMBERS = later(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_UP_TO = later(r"\.\.([0-9]{1,9})")
_FROM = later(r"([0-9]{1,9})\.\.")
_SUITE = later(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXAMPLES = {"all": "all", "failed": "failed", "and": "and", "or": "or", "not": "not"}
_EXAMPLES |= {"tier": "tier:4", "tag": "tag:smoke", "changed": "changed:origin/main"}


def parse(text: str) -> Selection:
    """Read a selection text.

    Raises:
        BadSelection: it cannot be read. Nothing else is ever raised, whatever the text.
    """
    if len(text) > LONGEST:
        message = f"a selection has at most {LONGEST} characters, this one has {len(text)}"
        raise BadSelection(message, text=text)
    return _Parser(text).selection()


class _Parser:
    """Recursive descent over the tokens; its depth is bounded by DEEPEST."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
        self._next = 0
        self._depth = 0

    def selection(self) -> Selection:
        if not self._tokens:
            raise self._refusal("the selection is empty", hint="`all` selects every box")
        expression = self._either()
        if self._next < len(self._tokens):
            raise self._refusal("`)` without its `(`")
        return Selection(expression, self._text)

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._peek() not in {"", ")"}:
            if self._peek() in {"or", ","}:
                self._next += 1
            parts.append(self._both())
        return _joined(Or, parts)

    def _both(self) -> Expression:
        parts = [self._no()]
        while self._peek() == "and":
            self._next += 1
            parts.append(self._no())
        return _joined(And, parts)

    def _no(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            message = f"more than {DEEPEST} parentheses and `not`s inside each other"
            raise self._refusal(message)
        try:
            return self._unary()
        finally:
            self._depth -= 1

    def _unary(self) -> Expression:
        piece = self._peek()
        if piece == "not":
            self._next += 1
            return Not(self._no())
        if piece == "(":
            opened = self._next
            self._next += 1
            inner = self._either()
            if self._peek() != ")":
                self._next = opened
                raise self._refusal("`(` without its `)`")
            self._next += 1
            return inner
        if piece in {"", ",", ")", "and", "or"}:
            message = f"a box is missing before `{piece}`" if piece else "a box is missing at the end"
            raise self._refusal(message)
        return self._word()

    def _word(self) -> Word:
        token, at = self._tokens[self._next]
        self._next += 1
        key, colon, value = token.partition(":")
        match key.lower(), colon:
            case "all", "":
                return All("", at)
            case "failed", "":
                return Failed(at)
            case "tier", _:
                return self._tiers(value if colon else self._second_word(), at)
            case "tag", ":" if value:
                return Tag(value, at)
            case "changed", ":" if value:
                return Changed(value, at)
            case _:
                return self._numbers(token, at)

    def _second_word(self) -> str:
        if self._peek() in {"", ",", "(", ")"}:
            return ""
        self._next += 1
        return self._tokens[self._next - 1][0]

    def _tiers(self, value: str, at: int) -> Tiers:
        if match := _NUMBERS.fullmatch(value):
            first, last = self._range(match, at)
            return Tiers(first, last, at)
        if match := _UP_TO.fullmatch(value):
            return Tiers(None, int(match[1]), at)
        if match := _FROM.fullmatch(value):
            return Tiers(int(match[1]), None, at)
        said = f"`{_short(value)}` is not a tier" if value else "`tier` needs a number"
        raise self._refusal(said, at, "tier:4, tier:1-3, tier:..3 or tier:2..")

    def _numbers(self, token: str, at: int) -> Word:
        suite, slash, rest = token.rpartition("/")
        if not slash or _SUITE.fullmatch(suite):
            if slash and rest.lower() == "all":
                return All(suite, at)
            if match := _NUMBERS.fullmatch(rest):
                first, last = self._range(match, at)
                return Numbers(suite, first, last, at)
        message = f"cannot read `{_short(token)}`"
        raise self._refusal(message, at, _spelling(token))

    def _range(self, match: re.Match[str], at: int) -> tuple[int, int]:
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            message = f"the range {match[0]} ends before it begins"
            raise self._refusal(message, at, f"{last}-{first}")
        return first, last

    def _peek(self) -> str:
        """The next token with keywords in lower case, "" at the end."""
        if self._next >= len(self._tokens):
            return ""
        token = self._tokens[self._next][0]
        return token.lower() if token.lower() in {"and", "or", "not"} else token

    def _refusal(self, message: str, at: int = -1, hint: str = "") -> BadSelection:
        """The refusal of the text at `at`, by default at the next token."""
        if at < 0:
            at = self._tokens[self._next][1] if self._next < len(self._tokens) else len(self._text)
        return BadSelection(message, text=self._text, at=at, hint=hint)


def _joined(kind: type[And | Or], parts: Sequence[Expression]) -> Expression:
    """One expression of `parts`; `a or (b or c)` is `a or b or c`, so that every tree has one spelling."""
    if len(parts) == 1:
        return parts[0]
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And | Or) and type(part) is kind else (part,))
    return kind(flat)


def select(
    text: str,
    boxes: Iterable[Box],
    *,
    failed: Collection[BoxId] = (),
    changed: Callable[[str], Collection[BoxId]] | None = None,
) -> tuple[Box, ...]:
    """The boxes that `text` names, in the order of `boxes`.

    Args:
        text: a selection text.
        boxes: all boxes of the suite; ids are unique.
        failed: the boxes whose last verdict was red; ids that no longer exist are passed over.
        changed: given a ref, the boxes that a change since then may have touched; None where nobody can tell.

    Raises:
        BadSelection: the text cannot be read, or names a number, a range, a tier, a tag or a suite that matches no
            box, be it under `not`. What `changed` raises passes through.
        NothingSelected: every word is known, and together they name no box.
    """
    return _Chooser(parse(text), tuple(boxes), failed, changed).chosen()


class _Chooser:
    """Evaluates a selection over positions in `boxes`: sets of ints are far cheaper than sets of ids."""

    def __init__(
        self,
        selection: Selection,
        boxes: tuple[Box, ...],
        failed: Collection[BoxId],
        changed: Callable[[str], Collection[BoxId]] | None,
    ) -> None:
        self._selection = selection
        self._boxes = boxes
        self._failed = failed
        self._changed = changed
        self._suites: dict[str, list[tuple[int, int]]] = {}
        for position, box in enumerate(boxes):
            self._suites.setdefault(box.id.suite, []).append((box.id.number, position))
        for numbered in self._suites.values():
            numbered.sort()

    def chosen(self) -> tuple[Box, ...]:
        picked = self._positions(self._selection.expression)
        if not picked:
            message = f"`{_short(str(self._selection))}` selects no box"
            if isinstance(self._selection.expression, Failed):
                message = "no box was red in the last run"
            raise NothingSelected(message)
        return tuple(self._boxes[position] for position in sorted(picked))

    def _positions(self, part: Expression) -> set[int]:  # noqa: PLR0911 - one answer a word.
        match part:
            case Not():
                return set(range(len(self._boxes))) - self._positions(part.part)
            case And():
                return set.intersection(*[self._positions(inner) for inner in part.parts])
            case Or():
                return set[int]().union(*[self._positions(inner) for inner in part.parts])
            case Numbers():
                return self._numbered(part)
            case All():
                return {position for _, position in self._suite(part.suite, part)} if part.suite else self._every()
            case Tiers():
                return self._known({i for i, box in enumerate(self._boxes) if part.has(box.tier)}, part, self._tiers())
            case Tag():
                return self._known(
                    {i for i, box in enumerate(self._boxes) if part.name in box.tags}, part, self._tags()
                )
            case Failed():
                return self._ids(self._failed)
            case Changed():
                if self._changed is None:
                    raise self._refusal("`changed:` needs a git work tree, and there is none here", part)
                return self._ids(self._changed(part.ref))
        raise AssertionError(part)  # every kind of word is above

    def _every(self) -> set[int]:
        return set(range(len(self._boxes)))

    def _ids(self, ids: Collection[BoxId]) -> set[int]:
        wanted = set(ids)
        return {position for position, box in enumerate(self._boxes) if box.id in wanted}

    def _suite(self, suite: str, word: Word) -> list[tuple[int, int]]:
        if suite and suite not in self._suites:
            message = f"no suite `{_short(suite)}`"
            raise self._refusal(message, word, _nearest(suite, [name for name in self._suites if name]))
        return self._suites.get(suite, [])

    def _numbered(self, word: Numbers) -> set[int]:
        numbered = self._suite(word.suite, word)
        low = bisect_left(numbered, (word.first, -1))
        high = bisect_right(numbered, (word.last, len(self._boxes)))
        if low < high:
            return {position for _, position in numbered[low:high]}
        if word.first != word.last:
            message = f"no box in the range {word}"
            raise self._refusal(message, word, self._extent(numbered))
        message = f"no box {word}"
        raise self._refusal(message, word, self._near_number(word))

    def _near_number(self, word: Numbers) -> str:
        for suite, numbered in self._suites.items():
            if not word.suite and suite and any(number == word.first for number, _ in numbered):
                return f"did you mean {suite}/{word.first}?"
        numbers = [number for number, _ in self._suites.get(word.suite, [])]
        if not numbers:
            return "there are no boxes"
        nearest = min(numbers, key=lambda number: (abs(number - word.first), number))
        return f"nearest: {Numbers(word.suite, nearest, nearest)}"

    def _extent(self, numbered: list[tuple[int, int]]) -> str:
        return f"numbers go from {numbered[0][0]} to {numbered[-1][0]}" if numbered else "there are no boxes"

    def _known(self, found: set[int], word: Word, known: list[str]) -> set[int]:
        if found:
            return found
        kind = "tag" if isinstance(word, Tag) else "tier"
        name = word.name if isinstance(word, Tag) else str(word).partition(":")[2]
        message = f"no box has {kind} {_short(name)}"
        raise self._refusal(message, word, _nearest(name, known))

    def _tiers(self) -> list[str]:
        return [str(tier) for tier in sorted({box.tier for box in self._boxes})]

    def _tags(self) -> list[str]:
        return sorted({tag for box in self._boxes for tag in box.tags})

    def _refusal(self, message: str, word: Word, hint: str = "") -> BadSelection:
        return BadSelection(message, text=self._selection.text, at=word.at, hint=hint)


def _nearest(word: str, known: Sequence[str]) -> str:
    """A hint: the closest known spelling, or what there is."""
    from difflib import get_close_matches

    if close := get_close_matches(word[:100], known, n=1):
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(known[:8])}{', …' if len(known) > 8 else ''}" if known else "there are none"


def _spelling(token: str) -> str:
    from difflib import get_close_matches

    if re.fullmatch(r"[0-9-]+", token):
        return "a range is 21-41"
    close = get_close_matches(token.lower().partition(":")[0][:100], _EXAMPLES, n=1)
    if close:
        return f"did you mean `{_EXAMPLES[close[0]]}`?"
    return "a number, 21-41, tier:4, tag:smoke, failed, changed:REF or all"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
