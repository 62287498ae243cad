"""JUnit XML: one testsuite per tier. Written when the run ends, whichever way it ends.

How verdicts map, so that no reader of the file takes for green what was not: failed -> failure; flaky that counts as
red -> failure; a skip that the box declares -> skipped; a skip that it does not declare, and timed_out, errored,
vacuous, blocked, cancelled, and a planned box without a verdict -> error. A quarantined box keeps its failure and
carries the property `quarantined`.
"""

from __future__ import annotations

from runner.events import BoxFinished, RunFinished, RunStarted
from runner.model import Verdict
from runner.report.text import clean, failure_line, one_line, word
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.events import Event, PlannedBox
    from runner.model import BoxId

OUTPUT_CHARS = {"green": 16 * 1024, "red": 64 * 1024}
"""How much of a box's output the file keeps (its end), by whether the box is green."""

_ESCAPE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
_ESCAPE_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_NOT_XML = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
"""What `clean` leaves and XML 1.0 forbids."""


class Junit:
    """Collects boxes and writes `path` once, replacing it atomically.

    A box is turned into text when it finishes, so a long run keeps capped strings and not every output.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._planned: dict[BoxId, PlannedBox] = {}
        self._tiers: dict[int, _Tier] = {}
        self._run_id = ""
        self._sandbox = ""
        self._seconds = 0.0
        self._written = False

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, RunStarted):
            self._run_id = event.run_id
            self._sandbox = event.sandbox
            self._planned = {planned.box: planned for planned in event.boxes if not planned.done}
        elif isinstance(event, BoxFinished):
            self._planned.pop(event.box, None)
            self._tier(event.tier).add(_case(event), event.seconds, _kind(event))
        elif isinstance(event, RunFinished):
            self._seconds = event.seconds
            self.close()

    def close(self) -> None:
        """Write the file. Boxes without a verdict are errors in it."""
        if self._written:
            return
        self._written = True
        for planned in self._planned.values():
            self._tier(planned.tier).add(_case_without_verdict(planned), 0.0, "error")
        write_whole(self._path, self._document())

    def _tier(self, number: int) -> _Tier:
        return self._tiers.setdefault(number, _Tier())

    def _document(self) -> Iterable[str]:
        tiers = [self._tiers[number] for number in sorted(self._tiers)]
        seconds = self._seconds or sum(tier.seconds for tier in tiers)
        yield '<?xml version="1.0" encoding="UTF-8"?>\n'
        yield f'<testsuites name="interlock {attribute(self._run_id)}" {_counts(tiers)} time="{seconds:.3f}">\n'
        for number in sorted(self._tiers):
            tier = self._tiers[number]
            yield f'  <testsuite name="tier {number}" {_counts([tier])} time="{tier.seconds:.3f}">\n'
            yield f'    <properties><property name="sandbox" value="{attribute(self._sandbox)}"/></properties>\n'
            yield from tier.cases
            yield "  </testsuite>\n"
        yield "</testsuites>\n"


class _Tier:
    def __init__(self) -> None:
        self.cases: list[str] = []
        self.seconds = 0.0
        self.counts = {"failure": 0, "error": 0, "skipped": 0}

    def add(self, case: str, seconds: float, kind: str) -> None:
        self.cases.append(case)
        self.seconds += seconds
        if kind:
            self.counts[kind] += 1


def attribute(value: str) -> str:
    """Text as it may stand between double quotes in XML 1.0."""
    return clean(value).translate(_NOT_XML).translate(_ESCAPE)


def content(value: str) -> str:
    """Text as it may stand between tags in XML 1.0."""
    return clean(value).translate(_NOT_XML).translate(_ESCAPE_TEXT)


def _counts(tiers: list[_Tier]) -> str:
    tests = sum(len(tier.cases) for tier in tiers)
    sums = {kind: sum(tier.counts[kind] for tier in tiers) for kind in ("failure", "error", "skipped")}
    return f'tests="{tests}" failures="{sums["failure"]}" errors="{sums["error"]}" skipped="{sums["skipped"]}"'


def _kind(event: BoxFinished) -> str:
    if event.verdict is Verdict.SKIPPED and event.green:
        return "skipped"
    if event.green:
        return ""
    return "failure" if event.verdict in {Verdict.FAILED, Verdict.FLAKY} else "error"


def _case(event: BoxFinished) -> str:
    parts = [_open_case(str(event.box), event.tier, event.title, event.source, event.seconds), _properties(event)]
    kind = _kind(event)
    if kind == "skipped":
        parts.append(f'      <skipped message="{attribute(event.reason)}"/>\n')
    elif kind:
        details = "\n".join(failure_line(failure) for failure in event.failures)
        parts.append(
            f'      <{kind} type="{event.verdict.value}" message="{attribute(_message(event))}">'
            f"{content(details)}</{kind}>\n"
        )
    if event.output:
        kept = OUTPUT_CHARS["red" if kind else "green"]
        cut = f"({len(event.output) - kept} earlier characters left out)\n" if len(event.output) > kept else ""
        parts.append(f"      <system-out>{content(cut + event.output[-kept:])}</system-out>\n")
    return "".join([*parts, "    </testcase>\n"])


def _message(event: BoxFinished) -> str:
    if event.verdict is Verdict.BLOCKED and event.blocked_by:
        return f"blocked by {event.blocked_by}"
    if event.verdict is Verdict.SKIPPED:
        return f"skipped, which this box does not declare: {one_line(event.reason)}"
    return one_line(event.reason) or word(event.verdict)


def _case_without_verdict(planned: PlannedBox) -> str:
    opened = _open_case(str(planned.box), planned.tier, planned.title, planned.source, 0.0)
    return f'{opened}      <error type="unfinished" message="the run ended without a verdict"/>\n    </testcase>\n'


def _open_case(box: str, tier: int, title: str, source: str, seconds: float) -> str:
    name = attribute(f"{box} {one_line(title)}")
    place = f' file="{attribute(source)}"' if source else ""
    return f'    <testcase name="{name}" classname="tier-{tier}"{place} time="{seconds:.3f}">\n'


def _properties(event: BoxFinished) -> str:
    pairs = {
        "box": str(event.box),
        "verdict": event.verdict.value,
        "attempts": str(event.attempts),
        "assertions": str(event.asserts),
        "exit_code": "" if event.exit_code is None else str(event.exit_code),
        "quarantined": "" if event.gating else "true",
        "leaked": one_line(", ".join(event.leaked)),
        "refused": one_line(", ".join(event.refused)),
        "repro": event.repro if not event.green else "",
    }
    pairs |= {f"metric:{metric.name}": f"{metric.value:g} {metric.unit}".strip() for metric in event.metrics}
    lines = [
        f'        <property name="{attribute(name)}" value="{attribute(value)}"/>\n'
        for name, value in pairs.items()
        if value
    ]
    return "".join(["      <properties>\n", *lines, "      </properties>\n"])
