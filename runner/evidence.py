"""Reads what a box left behind: its $BOX_REPORT and its $BOX_JUNIT. Bytes in, values out; no I/O.

The bytes are the box's own and may be anything. What is malformed is said in the summary, never raised.
"""

from __future__ import annotations

import json
import re

from runner.later import later
from runner.model import Failure, Metric, Value
from runner.text import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_FAILURES = 200  # kept with their text; all are counted.
MOST_ITEMS = 1000  # metrics, attachments: more make the report malformed.
LONGEST_ID = 300  # characters
LONGEST_MESSAGE = 4096  # characters


class Attachment(Value):
    """A file that the box wants shown, relative to $BOX_ARTIFACTS."""

    __slots__ = ("path", "title")

    def __init__(self, *, path: str, title: str = "") -> None:
        self.path = path
        self.title = title


class ReportSummary(Value):
    """What $BOX_REPORT said. `asserts` counts assertions, `red` those that did not hold, `malformed` is "" or why."""

    __slots__ = ("asserts", "attachments", "failures", "malformed", "metrics", "red")

    def __init__(
        self,
        *,
        asserts: int = 0,
        red: int = 0,
        failures: Sequence[Failure] = (),
        metrics: Sequence[Metric] = (),
        attachments: Sequence[Attachment] = (),
        malformed: str = "",
    ) -> None:
        self.asserts = asserts
        self.red = red
        self.failures = tuple(failures)
        self.metrics = tuple(metrics)
        self.attachments = tuple(attachments)
        self.malformed = malformed


class JunitSummary(Value):
    """What $BOX_JUNIT said. `asserts` counts executed cases, `red` failures and errors, `malformed` is "" or why."""

    __slots__ = ("asserts", "failures", "malformed", "red", "skipped")

    def __init__(
        self,
        *,
        asserts: int = 0,
        red: int = 0,
        skipped: int = 0,
        failures: Sequence[Failure] = (),
        malformed: str = "",
    ) -> None:
        self.asserts = asserts
        self.red = red
        self.skipped = skipped
        self.failures = tuple(failures)
        self.malformed = malformed


class _Malformed(Exception):
    """A line or a document is not what it must be; the text says why."""


def read_report(data: bytes, redact: Callable[[str], str] = str) -> ReportSummary:
    """Read the JSON lines of a report file. Lines after a malformed one are read all the same.

    Args:
        data: the file.
        redact: takes secrets out of a text, before it is cut.
    """
    reader = _ReportReader(redact)
    malformed = ""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            reader.take(line)
        except _Malformed as bad:
            malformed = malformed or f"report line {number}: {bad}"
    return ReportSummary(
        asserts=reader.asserts,
        red=reader.red,
        failures=reader.failures,
        metrics=reader.metrics,
        attachments=reader.attachments,
        malformed=malformed,
    )


class _ReportReader:
    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.asserts = self.red = 0
        self.failures: list[Failure] = []
        self.metrics: list[Metric] = []
        self.attachments: list[Attachment] = []

    def take(self, line: bytes) -> None:
        try:
            said = json.loads(line.decode(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise _Malformed("not JSON") from error
        if not isinstance(said, dict):
            raise _Malformed("not an object")
        match said.get("type"):
            case "assertion":
                self._assertion(said)
            case "metric":
                self._metric(said)
            case "attachment":
                self._attachment(said)
            case _:
                raise _Malformed("`type` must be assertion, metric or attachment")

    def _assertion(self, said: dict[str, object]) -> None:
        ok = said.get("ok")
        if not isinstance(ok, bool):
            raise _Malformed("`ok` must be true or false")
        failure = Failure(
            id=self._text(said, "id", LONGEST_ID, needed=True),
            message=self._text(said, "message", LONGEST_MESSAGE),
            file=self._text(said, "file", 1000),
            line=_line(said),
        )
        self.asserts += 1
        if not ok:
            self.red += 1
            if len(self.failures) < MOST_FAILURES:
                self.failures.append(failure)

    def _metric(self, said: dict[str, object]) -> None:
        value = said.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise _Malformed("`value` must be a number")
        name = self._text(said, "name", LONGEST_ID, needed=True)
        _room(self.metrics)
        self.metrics.append(Metric(name=name, value=float(value), unit=self._text(said, "unit", 40)))

    def _attachment(self, said: dict[str, object]) -> None:
        path = self._text(said, "path", 1000, needed=True)
        _room(self.attachments)
        self.attachments.append(Attachment(path=path, title=self._text(said, "title", LONGEST_ID)))

    def _text(self, said: dict[str, object], key: str, limit: int, *, needed: bool = False) -> str:
        value = said.get(key, "")
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or (needed and not value):
            message = f"`{key}` must be a string" + (" that is not empty" if needed else "")
            raise _Malformed(message)
        return clean(self._redact(value), limit)


def _no_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are not JSON.


def _room(items: Sequence[object]) -> None:
    if len(items) >= MOST_ITEMS:
        message = f"more than {MOST_ITEMS} of a kind"
        raise _Malformed(message)


def _line(said: dict[str, object]) -> int:
    value = said.get("line")
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise _Malformed("`line` must be a line number")
    return value


def read_junit(data: bytes, redact: Callable[[str], str] = str) -> JunitSummary:
    """Read a JUnit XML file. A document type or an entity declaration is refused: nothing is expanded or fetched.

    Args:
        data: the file.
        redact: takes secrets out of a text, before it is cut.
    """
    from xml.parsers import expat

    reader = _JunitReader(redact)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        return reader.summary(f"JUnit file: {expat.ErrorString(error.code)}, line {error.lineno}")
    except (_Malformed, ValueError, LookupError) as error:  # the latter two: an encoding that Python does not know.
        return reader.summary(f"JUnit file: {error}")
    return reader.summary()


class _JunitReader:
    """Counts test cases as the parser meets them; keeps the text of failures only."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._depth = 0
        self._cases = self._skipped = self._red = 0
        self._claimed = 0  # the most that any suite's `failures` and `errors` attributes add up to.
        self._failures: list[Failure] = []
        self._case: dict[str, str] | None = None
        self._case_red: tuple[str, str] | None = None
        self._case_skipped = False
        self._body: list[str] | None = None

    def summary(self, malformed: str = "") -> JunitSummary:
        red = max(self._red, self._claimed)
        failures = self._failures
        if red > self._red:
            message = f"the file's own count is {self._claimed} red, {self._red} of them are in it"
            failures = [*failures, Failure(message=message)]
        return JunitSummary(
            asserts=self._cases - self._skipped,
            red=red,
            skipped=self._skipped,
            failures=failures,
            malformed=malformed,
        )

    def doctype(self, *_: object) -> None:
        raise _Malformed("a document type is not allowed")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and name not in {"testsuites", "testsuite"}:
            message = f"the root is `{clean(self._redact(name), 40)}`, not testsuites or testsuite"
            raise _Malformed(message)
        self._depth += 1
        if name == "testcase":
            self._case, self._case_red, self._case_skipped = attributes, None, False
        elif name in {"testsuite", "testsuites"}:
            self._claimed = max(self._claimed, _count(attributes, "failures") + _count(attributes, "errors"))
        elif self._case is not None and name in {"failure", "error"}:
            self._case_red = (attributes.get("message", ""), "")
            self._body = []
        elif self._case is not None and name == "skipped":
            self._case_skipped = True

    def text(self, piece: str) -> None:
        if self._body is not None and len(self._body) < 100:
            self._body.append(self._redact(piece)[:LONGEST_MESSAGE])

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in {"failure", "error"} and self._body is not None and self._case_red is not None:
            self._case_red = (self._case_red[0], "".join(self._body))
            self._body = None
        elif name == "testcase" and self._case is not None:
            self._end_case(self._case)
            self._case = None

    def _end_case(self, case: dict[str, str]) -> None:
        self._cases += 1
        if self._case_red is not None:  # before `skipped`: a case that says both is red.
            self._red += 1
            if len(self._failures) < MOST_FAILURES:
                self._failures.append(self._failure(case, *self._case_red))
        elif self._case_skipped:
            self._skipped += 1

    def _failure(self, case: dict[str, str], message: str, body: str) -> Failure:
        names = [case.get("classname", ""), case.get("name", "")]
        line = case.get("line", "")
        return Failure(
            id=clean(self._redact(".".join(name for name in names if name)), LONGEST_ID),
            message=clean(self._redact(message or body.strip()), LONGEST_MESSAGE),
            file=clean(self._redact(case.get("file", "")), 1000),
            line=int(line) if re.fullmatch(r"[0-9]{1,9}", line) else 0,
        )


def _count(attributes: dict[str, str], key: str) -> int:
    value = attributes.get(key, "")
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else 0


_PLACE = later(
    r"""File\ "(?P<python>[^"\n]{1,300})",\ line\ (?P<at>\d{1,7})"""
    r"""|(?<![^\s("'<\[`])(?P<path>[^\s:()"'<>\[\]`]{1,300}):(?P<line>\d{1,7})(?!\d)""",
    re.VERBOSE,
)


_COLUMN = later(r"^(?::\d{1,7})?[:,\s-]*")  # `:12: words`, `: words`, ` - words`
_EXCEPTION = later(r"^\S.*$", re.MULTILINE)  # frames and their source lines are indented


def find_location(text: str, exists: Callable[[str], bool]) -> tuple[str, int]:
    """The first `path:line` (or Python's `File "path", line N`) in a message whose path exists; ("", 0) if none does.

    Args:
        text: a failing message; only its first 64 KiB are looked at.
        exists: whether a path, as written, names a file that the reader can open.
    """
    for match in _PLACE.finditer(text[: 64 * 1024]):
        path = (match["python"] or match["path"]).removeprefix("./")
        if exists(path):
            return path, int(match["at"] or match["line"])
    return "", 0


def find_failure(text: str, exists: Callable[[str], bool]) -> Failure | None:
    """What a box that only exited red says in its output: the first place that exists, and the words that go with it.

    For `path:line: words` that is the rest of the line. For a Python traceback it is the innermost frame whose file
    exists, and the exception's own line; the outer frames only say how the program got there.

    Args:
        text: the box's output; only its first 64 KiB are looked at.
        exists: whether a path, as written, names a file that the reader can open.
    """
    text = text[: 64 * 1024]
    for match in _PLACE.finditer(text):
        path = (match["python"] or match["path"]).removeprefix("./")
        if not exists(path):
            continue
        if match["python"]:
            return _innermost(text, match, exists)
        words = text[match.end() :].partition("\n")[0]
        return Failure(message=_COLUMN.sub("", words).strip(), file=path, line=int(match["line"]))
    return None


def _innermost(text: str, outermost: re.Match[str], exists: Callable[[str], bool]) -> Failure:
    """The frame of a traceback that is nearest to the exception; `outermost` is its first one that exists."""
    end = _EXCEPTION.search(text, outermost.end())
    frames = _PLACE.finditer(text, outermost.end(), end.start() if end else len(text))
    known = [frame for frame in frames if frame["python"] and exists(frame["python"].removeprefix("./"))]
    frame = [outermost, *known][-1]
    return Failure(
        message=end.group().strip() if end else "", file=frame["python"].removeprefix("./"), line=int(frame["at"])
    )


def locate(failures: Iterable[Failure], exists: Callable[[str], bool]) -> tuple[Failure, ...]:
    """The same failures; one without a file gets the first place that its message names and that exists."""
    return tuple(_located(failure, exists) for failure in failures)


def _located(failure: Failure, exists: Callable[[str], bool]) -> Failure:
    if failure.file:
        return failure
    file, line = find_location(f"{failure.id}\n{failure.message}", exists)
    return Failure(id=failure.id, message=failure.message, file=file, line=line) if file else failure
