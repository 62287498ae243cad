"""What a change takes away from a suite: boxes that vanish, are renumbered, or prove less than before. Pure.

Two suites in, sentences out. Whether a program still checks anything is not asked here: falsification answers that.
"""

from __future__ import annotations

import os
import re
from collections import Counter

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from runner.model import Box, BoxId, Control, Expect, Suite

    # The digest of a file of a suite's repository by its path from the root; "" when it cannot be read.
    Digest = Callable[[Suite, str], str]
    # What two boxes have in common when they are the same one; empty if that is unknown.
    Trait = tuple[str, ...]

CONFIGURATION = ".github/interlock.yml"
MUCH_LONGER = 2  # times the timeout that it had
_SHOWN = 80  # characters of a text that somebody else wrote
_NUMBER = re.compile(r"[0-9]+_")
_FALSIFY = ("off", "tell", "require")


class Change(Value):
    """One thing that was weakened. `kind` is stable, `says` a sentence for people.

    `box` is the id that it had in the base, "" for the suite's settings, and `now` the one that it has in the head, ""
    if that is the same or none; `file` and `line` are where to look: in the head, or for what the head no longer has
    (`gone`) in the base.
    """

    __slots__ = ("box", "file", "gone", "kind", "line", "now", "says")

    def __init__(
        self, box: str, kind: str, says: str, *, file: str, line: int, gone: bool = False, now: str = ""
    ) -> None:
        self.box = box
        self.now = now
        self.kind = kind
        self.says = says
        self.file = file
        self.line = line
        self.gone = gone


def compare(base: Suite, head: Suite, *, digest: Digest = lambda _suite, _path: "") -> tuple[Change, ...]:
    """What `head` weakens of `base`, box by box in the base's order, settings last.

    Args:
        base: the suite as it counts today.
        head: the suite that shall replace it; may be hostile.
        digest: tells whether two programs or patches are the same.
    """
    changes: list[Change] = []
    successors = _successors(base, head, digest)
    for box in base.boxes:
        successor = successors.get(box.id)
        if successor is None:
            changes.append(_of(box, box, "removed", f"box {box.id} ({_cut(box.title)}) was removed", gone=True))
            continue
        changes += _moved(box, successor, base, head, digest)
        changes += _weakened(box, successor)
        changes += _control(box, successor, _patches(box, successor, base, head, digest))
        changes += _gained(box, successor)
    taken = {successor.id for successor in successors.values()}
    for box in head.boxes:
        if box.id not in taken:
            changes += _gained(None, box)
    return (*changes, *_setups(base, head), *_settings(base.settings, head.settings))


def _successors(base: Suite, head: Suite, digest: Digest) -> dict[BoxId, Box]:
    """Which box of the head each box of the base has become.

    A number whose program stayed (by name or content) is the same box. Else a box of another number with that program
    is it: renumbered. Else the number decides: the box got another program.
    """
    numbered = {box.id: box for box in head.boxes}
    found = {
        box.id: numbered[box.id]
        for box in base.boxes
        if box.id in numbered and _same_program(box, numbered[box.id], base, head, digest)
    }
    taken = {box.id for box in found.values()}
    left = [box for box in base.boxes if box.id not in found]
    free = [box for box in head.boxes if box.id not in taken]

    def by_content(suite: Suite, box: Box) -> Trait:
        return _content(suite, box, digest)

    for trait in (by_content, _name):
        found.update(_paired({box.id: trait(base, box) for box in left}, [(trait(head, box), box) for box in free]))
        taken = {box.id for box in found.values()}
        left = [box for box in left if box.id not in found]
        free = [box for box in free if box.id not in taken]
    by_number = {box.id: box for box in free}
    return {**found, **{box.id: by_number[box.id] for box in left if box.id in by_number}}


def _paired(left: Mapping[BoxId, Trait], free: Sequence[tuple[Trait, Box]]) -> dict[BoxId, Box]:
    """Those that share a trait which nobody else on either side has."""
    before = Counter(left.values())
    after = Counter(trait for trait, _ in free)
    alone = {trait: box for trait, box in free if trait and after[trait] == 1}
    return {old: alone[trait] for old, trait in left.items() if trait in alone and before[trait] == 1}


def _same_program(one: Box, other: Box, base: Suite, head: Suite, digest: Digest) -> bool:
    if not one.file and not other.file:
        return True  # both are entries: their number is all the identity that they have.
    if _name(base, one) == _name(head, other):
        return True
    content = _content(base, one, digest)
    return content != () and content == _content(head, other, digest)


def _content(suite: Suite, box: Box, digest: Digest) -> Trait:
    """What the program is, apart from its number; empty if that is unknown."""
    if not box.file:
        return (box.id.suite, "entry", box.run) if box.run else ()
    found = digest(suite, box.source)
    return (box.id.suite, "file", found) if found else ()


def _name(_suite: Suite, box: Box) -> Trait:
    """What the program is called, apart from its number, tier and language; entries go by their title."""
    if not box.file:
        return (box.id.suite, "entry", box.title)
    slug = _NUMBER.sub("", os.path.basename(box.file), count=1).partition(".")[0]
    return (box.id.suite, "file", slug)


def _patches(one: Box, other: Box, base: Suite, head: Suite, digest: Digest) -> bool:
    """Whether the patches of two controls differ."""
    found = []
    for suite, box in ((base, one), (head, other)):
        if box.control is None or box.control.kind != "patch":
            return False
        path = os.path.normpath(os.path.join(suite.roots.get(box.id.suite, "."), box.control.spec["file"]))
        found.append(digest(suite, path))
    return found[0] != found[1]


def _moved(box: Box, now: Box, base: Suite, head: Suite, digest: Digest) -> Iterator[Change]:
    if now.id != box.id:
        yield _of(box, now, "renumbered", f"box {box.id} ({_cut(box.title)}) became box {now.id}")
    elif not _same_program(box, now, base, head, digest):
        yield _of(box, now, "replaced", f"box {box.id} is another program: {_program(now)} instead of {_program(box)}")
    elif not box.file and not now.file and (box.run, box.http) != (now.run, now.http):
        # The configuration is all that an entry is; nobody sees its change in a program of its own.
        did = "makes other requests, or expects other answers" if now.http else "runs another command"
        yield _of(box, now, "entry_changed", f"box {box.id} {did}")
    if now.tier > box.tier:
        yield _of(box, now, "later_tier", f"box {box.id} moved from tier {box.tier} to tier {now.tier}")


def _program(box: Box) -> str:
    return _cut(box.file or "a command")


def _weakened(box: Box, now: Box) -> Iterator[Change]:
    name = f"box {box.id}"
    if now.min_asserts < box.min_asserts:
        says = f"{name} needs {now.min_asserts} assertions instead of {box.min_asserts}"
        yield _of(box, now, "min_asserts_lowered", says)
    if now.may_skip and not box.may_skip:
        yield _of(box, now, "may_skip_added", f"{name} may skip itself now")
    if now.quarantine and (box.quarantine is None or now.quarantine.until > box.quarantine.until):
        says = f"{name} does not gate until {now.quarantine.until}: {_cut(now.quarantine.reason)}"
        yield _of(box, now, "quarantined", says)
    if now.retries > box.retries:
        says = f"{name} is repeated up to {now.retries} times when it is red, {box.retries} before"
        yield _of(box, now, "retries_raised", says)
    if now.flaky == "pass" and box.flaky != "pass":
        yield _of(box, now, "flaky_passes", f"{name} counts as green when only a repetition passed")
    if now.timeout >= MUCH_LONGER * box.timeout:
        yield _of(box, now, "timeout_raised", f"{name} may take {now.timeout:g} s instead of {box.timeout:g} s")
    if lost := [tag for tag in box.tags if tag not in now.tags]:
        yield _of(box, now, "tags_lost", f"{name} lost {_plural('the tag', lost)}")
    if fewer := _narrowed(box.inputs, now.inputs):
        yield _of(box, now, "inputs_narrowed", f"{name} does not count as concerned by a change of {fewer} any more")


def _narrowed(before: Sequence[str], after: Sequence[str]) -> str:
    """The inputs that are no longer declared. Without any, every change concerns a box."""
    if after and not before:
        return "any file"
    return _listed(glob for glob in before if glob not in after) if after else ""


def _control(box: Box, now: Box, patches_differ: bool) -> Iterator[Change]:
    if box.control is None:
        return
    if now.control is None:
        yield _of(box, now, "control_removed", f"box {box.id} lost its control: nothing proves that it can fail")
        return
    file, line = _where(now.control, now)
    if patches_differ or (box.control.kind, dict(box.control.spec)) != (now.control.kind, dict(now.control.spec)):
        before, after = _sabotage(box.control), _sabotage(now.control)
        instead = f"{after} instead of {before}" if after != before else f"another {after}"
        yield Change(str(box.id), "control_changed", f"the control of box {box.id} is {instead}", file=file, line=line)
    if box.control.expect and box.control.expect != now.control.expect:
        was = _wanted(box.control.expect)
        if now.control.expect is None:
            says = f"the control of box {box.id} no longer says what must go red ({was})"
            yield Change(str(box.id), "expect_removed", says, file=file, line=line)
        else:
            says = f"the control of box {box.id} expects {_wanted(now.control.expect)} instead of {was}"
            yield Change(str(box.id), "expect_changed", says, file=file, line=line)


def _sabotage(control: Control) -> str:
    return f"{control.kind} of {_cut(control.spec['file'])}" if "file" in control.spec else control.kind


def _wanted(expect: Expect) -> str:
    return _cut(expect.assertion or f"output /{expect.output}/")


def _gained(box: Box | None, now: Box) -> Iterator[Change]:
    """What it may do that it could not; a box without a predecessor could nothing."""
    before = box or now
    name = f"box {before.id}" if box else f"box {now.id}, which is new,"
    for kind, word in (("network", "the network"), ("secrets", "the secret")):
        had = getattr(box, kind) if box else ()
        if more := [item for item in getattr(now, kind) if item not in had]:
            asked = f"{word}: {_listed(more)}" if kind == "network" else _plural(word, more)
            yield _of(before, now, f"{kind}_gained", f"{name} asks for {asked}")


def _setups(base: Suite, head: Suite) -> Iterator[Change]:
    for name, setup in head.setups.items():
        had = base.setups[name].network if name in base.setups else ()
        if more := [rule for rule in setup.network if rule not in had]:
            says = f"the setup asks for the network: {_listed(more)}"
            yield Change("", "network_gained", says, file=setup.source, line=setup.line)


def _settings(base: Mapping[str, object], head: Mapping[str, object]) -> Iterator[Change]:
    """The settings of the whole repository that decide what boxes may do, and what is asked of them."""
    was, now = _section(base, "trust"), _section(head, "trust")
    had, has = _section(was, "egress"), _section(now, "egress")
    for rule in has:
        if rule in had and (more := [host for host in _items(has[rule]) if host not in _items(had[rule])]):
            says = f"the network rule {_cut(rule)} allows {_listed(more)} as well"
            yield Change("", "network_gained", says, file=CONFIGURATION, line=1)
    if more := [name for name in _items(now.get("network")) if name not in _items(was.get("network"))]:
        says = f"pull requests may use the network: {_listed(more)}"
        yield Change("", "network_gained", says, file=CONFIGURATION, line=1)
    before, after = (_section(settings, "report").get("falsify", "tell") for settings in (base, head))
    if before in _FALSIFY and after in _FALSIFY and _FALSIFY.index(after) < _FALSIFY.index(before):
        says = f"report.falsify is {after} instead of {before}"
        yield Change("", "falsify_lowered", says, file=CONFIGURATION, line=1)


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _items(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _of(box: Box, now: Box, kind: str, says: str, *, gone: bool = False) -> Change:
    new_id = str(now.id) if now.id != box.id else ""
    return Change(str(box.id), kind, says, file=now.source, line=now.line, gone=gone, now=new_id)


def _where(control: Control, box: Box) -> tuple[str, int]:
    file, _, line = control.where.rpartition(":")
    return (file, int(line)) if file and line.isdigit() else (box.source, box.line)


def _plural(word: str, items: list[str]) -> str:
    return f"{word}{'s' if len(items) > 1 else ''} {_listed(items)}"


def _listed(items: Iterable[str]) -> str:
    return ", ".join(_cut(item) for item in items)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
