"""What is known of a run besides its boxes' verdicts: what the change weakens, and whether the boxes can turn red.

Both come from documents that a process of the runner wrote about files of a pull request, so whatever has not the
expected form is passed over, and every text is foreign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.domain.report import count
from bot.domain.text import code, plain, size

Falsify = Literal["off", "tell", "require"]
"""What becomes of the proofs: nobody asks for them, they are told, or the run is red without them."""

PROVEN = "proven"
NO_CONTROL = "no_control"
UNANSWERED = "unanswered"
WORST_FIRST = ("blind", "wrong_reason", "overreach", "stale", "unproven", UNANSWERED, NO_CONTROL)
WORDS = {
    "blind": "stays green under its own sabotage",
    "wrong_reason": "turns red, but not for the reason that it names",
    "overreach": "its sabotage breaks other boxes as well",
    "stale": "its sabotage does not fit the code any more",
    "unproven": "neither run proves anything",
    UNANSWERED: "was not looked at",
    NO_CONTROL: "has no control, so nothing is known of it",
}
SHOWN = 100
SHOWN_BYTES = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakening:
    """One thing that the change removes, renumbers or weakens.

    `box` is its id before the change, "" for the suite's settings. `says` is a sentence in lower case. `file` and
    `line` are where to look; `gone` if the change has no such place any more. `unknown` if `says` is why nobody could
    find out; no permit covers that.
    """

    box: str
    says: str
    file: str
    line: int
    gone: bool
    unknown: bool = False

    @property
    def key(self) -> str:
        """What a permit remembers it by; says nothing about another head."""
        return hashlib.sha256(f"{self.box}\n{self.says}".encode("utf-8", "replace")).hexdigest()[:32]


NOT_LOOKED = Weakening(box="", says="what this change weakens is not known", file="", line=0, gone=True, unknown=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What falsification answered for one box; `answer` is the runner's word, or `unanswered`."""

    box: str
    title: str
    answer: str
    reason: str
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The answers for every box that was asked about. `cut_off` says why some have none; "" if all have."""

    boxes: tuple[Proof, ...]
    cut_off: str = ""

    @property
    def proven(self) -> int:
        """How many have shown that they can turn red."""
        return sum(proof.answer == PROVEN for proof in self.boxes)

    @property
    def missing(self) -> tuple[Proof, ...]:
        """The others, the worst first."""
        rank = {answer: place for place, answer in enumerate(WORST_FIRST)}
        short = [proof for proof in self.boxes if proof.answer != PROVEN]
        return tuple(sorted(short, key=lambda proof: rank.get(proof.answer, len(rank))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrutiny:
    """All of it.

    Attributes:
        falsify: what becomes of the proofs.
        weakened: None as long as nobody looked.
        proofs: None as long as nobody looked.
        accepted: keys of the weakenings that somebody with write permission has let pass, where that is needed (T2);
            None where it is not.
        line: the comment that accepts the others.
    """

    falsify: Falsify = "off"
    weakened: tuple[Weakening, ...] | None = None
    proofs: Proofs | None = None
    accepted: frozenset[str] | None = None
    line: str = ""

    @property
    def unaccepted(self) -> tuple[Weakening, ...]:
        """What must be accepted before anything is green. What nobody has looked for counts as found."""
        if self.accepted is None:
            return ()
        if self.weakened is None:
            return (NOT_LOOKED,)
        return tuple(each for each in self.weakened if each.unknown or each.key not in self.accepted)

    @property
    def waits(self) -> bool:
        """Proofs are required and not there yet, so nothing may be green."""
        return self.falsify == "require" and self.proofs is None

    @property
    def short(self) -> int:
        """How many proofs are missing where they are required."""
        return len(self.proofs.missing) if self.falsify == "require" and self.proofs else 0


NOTHING_KNOWN = Scrutiny()


def unproved(known: Scrutiny) -> str:
    """What to add to the sentence about a green run while proofs are required; "" when there is nothing to add."""
    if known.waits:
        return "; whether they can turn red is being proved"
    if known.short:
        return f", but {count(known.short, 'box')} {'has' if known.short == 1 else 'have'} no proof of turning red"
    return ""


def weakenings(document: Mapping[str, Any]) -> tuple[Weakening, ...]:
    """What `runner compare --json` says (schema runner.compare/1)."""
    return tuple(
        Weakening(
            box=_text(raw.get("box")),
            says=_text(raw.get("says")),
            file=_text(raw.get("file")),
            line=_number(raw.get("line")),
            gone=raw.get("gone") is True,
            unknown=raw.get("unknown") is True,
        )
        for raw in _objects(document.get("changes"))
        if _text(raw.get("says"))
    )


def proofs(document: Mapping[str, Any], asked: Mapping[str, str], *, cut_off: str = "") -> Proofs:
    """What `runner falsify --json` says (schema runner.falsify/1).

    Args:
        document: as it was written; empty when it was not.
        asked: the titles of the boxes that it was asked about, by id; those without an answer count as such.
        cut_off: why it may have ended early.
    """
    answered = {proof.box: proof for proof in map(_proof, _objects(document.get("boxes")))}
    nothing = {"answer": UNANSWERED, "reason": cut_off, "reused": False}
    boxes = tuple(answered.get(box) or Proof(box=box, title=title, **nothing) for box, title in asked.items())  # type: ignore[arg-type]
    return Proofs(boxes=boxes, cut_off=cut_off if any(p.answer == UNANSWERED for p in boxes) else "")


def without_control(asked: Mapping[str, str]) -> Proofs:
    """The answers for boxes of which none has a control; `asked` as above."""
    nothing = {"answer": NO_CONTROL, "reason": "", "reused": False}
    return Proofs(boxes=tuple(Proof(box=box, title=title, **nothing) for box, title in asked.items()))  # type: ignore[arg-type]


def _proof(raw: Mapping[str, Any]) -> Proof:
    suite, number = _text(raw.get("suite")), raw.get("box")
    return Proof(
        box=f"{suite}/{number}" if suite else str(number),
        title=_text(raw.get("title")),
        answer=_text(raw.get("answer")),
        reason=_text(raw.get("reason")),
        reused=raw.get("cached") is True,
    )


def weakened_headline(found: Sequence[Weakening]) -> str:
    """`This change weakens 2 boxes`, as plain text; "" when it weakens nothing."""
    if not found:
        return ""
    boxes = len({each.box for each in found if each.box})
    parts = [count(boxes, "box")] if boxes else []
    if any(not each.box for each in found):
        parts.append("what the whole repository asks of them" if boxes else "what the repository asks of its boxes")
    return f"This change removes or weakens {' and '.join(parts)}"


def weakened_list(found: Sequence[Weakening]) -> str:
    """A section of Markdown with a line for each; empty when nothing is weakened."""
    if not found:
        return ""
    shown = named(found)
    lines = [f"**{weakened_headline(found)}**", "", *map(_item, shown)]
    if len(found) > len(shown):
        lines.append(f"- and {len(found) - len(shown)} more")
    return "\n".join(lines)


def named(found: Sequence[Weakening]) -> Sequence[Weakening]:
    """Those that the list names, the first ones; there is room for so many."""
    room = SHOWN_BYTES
    for nth, each in enumerate(found[:SHOWN]):
        room -= size(_item(each)) + 1
        if room < 0:
            return found[:nth]
    return found[:SHOWN]


def _item(each: Weakening) -> str:
    place = f" ({code(f'{each.file}:{each.line}' if each.line else each.file, 200)})" if each.file else ""
    return f"- {plain(each.says, 400)}{'' if each.gone else place}"


def proofs_sentence(known: Proofs) -> str:
    """`14 boxes, 14 proved capable of failing (11 reused)`, as Markdown."""
    reused = sum(proof.reused for proof in known.boxes)
    said = f"{count(len(known.boxes), 'box')}, {known.proven} proved capable of failing"
    return said + (f" ({reused} reused)" if reused else "")


def proofs_section(known: Proofs) -> str:
    """The sentence, and a table of the boxes without a proof, the worst first, as Markdown."""
    blocks = [f"**{proofs_sentence(known)}**"]
    if known.cut_off:
        blocks.append(f"⚠ {plain(known.cut_off, 500)}.")
    short = [proof for proof in known.missing if proof.answer != NO_CONTROL]
    if short:
        rows = ["| box | answer | |", "|--|--|--|", *map(_row, short[:SHOWN])]
        if len(short) > SHOWN:
            rows.append(f"| and {count(len(short) - SHOWN, 'more box')} | | |")
        blocks.append("\n".join(rows))
    if bare := [code(proof.box, 80) for proof in known.missing if proof.answer == NO_CONTROL]:
        more = f" and {len(bare) - SHOWN} more" if len(bare) > SHOWN else ""
        blocks.append(f"Without a control, so nobody knows whether they can fail: {', '.join(bare[:SHOWN])}{more}")
    return "\n\n".join(blocks)


def _row(proof: Proof) -> str:
    label = f"{plain(proof.box, 80)} {plain(proof.title, 100)}".strip()
    why = plain(proof.reason or WORDS.get(proof.answer, ""), 300)
    return f"| {label} | {plain(proof.answer.replace('_', ' '), 40)} | {why} |"


def _objects(raw: object) -> list[Mapping[str, Any]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _number(raw: object) -> int:
    return raw if type(raw) is int and 0 <= raw < 1 << 31 else 0
