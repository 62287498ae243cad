"""Foreign text made harmless: what a box printed, a title that a contributor chose, a path of a pull request.

Everything that Interlock shows goes through one of these. The result can be put into Markdown without a mention, a
tag, an image, a link, a broken table, a forged marker or a hidden direction change. Sizes are UTF-8 bytes, since bytes
never undercount characters and GitHub's limits are not exact about which they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

BUDGET = 60_000
"""Bytes that a comment or a field of a check may have. GitHub refuses more than 65 535 characters."""

_JOINER = "\u200d"
# An operating system command must be closed on its own line, or else an open one would hide all that follows.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_NEWLINES = re.compile(r"\r\n?|[\u2028\u2029\x85\x0b\x0c]")
# Controls, bidirectional marks and overrides, interlinear marks, tags (invisible letters), byte order marks, and what
# has no width or no ink: two names that look alike would be two. Joiners stay: people and emoji write with them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_MARKDOWN = re.compile(r"[\\`*_\[\]~!$]")
# GitHub links these after Markdown was rendered, so no escape helps: @name, @org/team, #12 (which after "fixes" closes
# an issue), GH-12, http://, www., and what may be a commit's SHA.
_AUTOLINKS = re.compile(r"(?<=@)|(?<=#)(?=\d)|(?<=gh-)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_SHA = re.compile(r"\b[0-9a-f]{7,}\b", re.IGNORECASE)
_SHORTER_THAN_A_SHA = re.compile(r"[0-9a-f]{1,6}", re.IGNORECASE)


def size(text: str) -> int:
    """Bytes of `text` as UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def clean(text: str) -> str:
    """`text` without terminal sequences, control characters and direction marks; line ends become newlines."""
    text = _NEWLINES.sub("\n", _ANSI.sub("", text))
    return _SURROGATES.sub("\ufffd", _HIDDEN.sub("", text))


def cut(text: str, limit: int) -> str:
    """The beginning of `text` in at most `limit` bytes, with an ellipsis where something was left out."""
    if size(text) <= limit:
        return text
    room = max(limit - len("…".encode()), 0)
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + ("…" if limit >= 3 else "")


def tail(text: str, *, lines: int, limit: int) -> str:
    """The last `lines` lines of `text` in at most `limit` bytes, whole lines if possible, without trailing blanks."""
    kept = text.rstrip().split("\n")[-lines:]
    while len(kept) > 1 and size("\n".join(kept)) > limit:
        del kept[0]
    return cut("\n".join(kept), limit)


def one_line(text: str, limit: int = 200) -> str:
    """`text` cleaned, on one line, for a field that is shown as it is (a check's title, an annotation's title)."""
    return cut(_SPACES.sub(" ", clean(text)).strip(), limit)


def plain(text: str, limit: int = 200) -> str:
    """Inline Markdown that shows `text` as it is, on one line. Not for the beginning of a line."""
    unlinked = _SHA.sub(_in_pieces, _AUTOLINKS.sub(_JOINER, one_line(text, limit)))
    escaped = _MARKDOWN.sub(r"\\\g<0>", unlinked.replace("&", "&amp;"))
    return escaped.replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")


def code(text: str, limit: int = 200, *, table: bool = False) -> str:
    """A code span that shows `text` on one line; in a table no span may hold a pipe, so such text becomes `plain`."""
    line = _unforged(one_line(text, limit))
    if not line or (table and "|" in line):
        return plain(line, limit)
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, *, info: str = "text") -> str:
    """A code block that shows `text`, under a fence that nothing inside can close."""
    body = _unforged(clean(text))
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{info}\n{body}\n{fence}"


def within(head: str, sections: Iterable[str], *, limit: int, left_out: str, joint: str = "\n\n") -> str:
    """`head` and as many whole sections as fit into `limit` bytes, in order.

    Args:
        head: always there; cut if it alone is too long.
        sections: Markdown blocks, the most important first.
        limit: bytes.
        left_out: a format with `{n}`, the number of sections that did not fit; it takes their place.
        joint: what stands between two blocks; a blank line, or a line end for the items of a list.
    """
    blocks = [block for block in (cut(head, limit), *sections) if block]
    if size(joint.join(blocks)) <= limit:
        return joint.join(blocks)
    room = limit - size(left_out) - size(joint) - 6  # the number may have as many digits.
    fitting = 0
    used = -size(joint)
    for block in blocks:
        used += size(joint) + size(block)
        if used > room:
            break
        fitting += 1
    said = joint.join([*blocks[:fitting], left_out.format(n=len(blocks) - fitting)])
    return said if size(said) <= limit else cut(blocks[0], limit)


def _in_pieces(sha: re.Match[str]) -> str:
    return _JOINER.join(_SHORTER_THAN_A_SHA.findall(sha[0]))


def _unforged(text: str) -> str:
    """A comment opener in foreign text is broken, so that nothing printed can look like one of our markers."""
    return text.replace("<!--", f"<!{_JOINER}--")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
