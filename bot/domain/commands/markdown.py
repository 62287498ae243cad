"""The lines of a comment that may be commands: those of plain paragraphs that begin with `/`.

Code, quotes, lists, headings, tables, links and HTML are somebody showing something, not asking for it. So is what
stands below the line with which a mail program introduces the mail that it quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Escapes and entities stay tokens of their own without text_join: `\/boxes` is somebody who does not want a command.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("text_join")

_QUOTED_MAIL = re.compile(
    r"\s*(?:(?:On|Am|Le|El|Il|Op|Em|Den|W dniu)\b.{0,300}"
    r"\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał(?:\(a\))?)\b.{0,100}:"
    r"|-{2,}\s*(?:Original Message|Forwarded message)\s*-{2,}.{0,20}"
    r"|From: .{1,300})\s*",
    re.IGNORECASE | re.DOTALL,
)
"""The line above a quoted mail, also when it was wrapped. Mail programs that mark each line with `>` need no help."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a paragraph that begins with `/`; `is_plain` when all of it is text."""

    text: str
    is_plain: bool


def lines(body: str) -> Iterator[Line]:
    """The lines that may be commands, in order. No text makes it raise."""
    tokens = _MARKDOWN.parse(body)
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0 and token.type == "inline":
            rows = _rows(token.children or [])
            may_ask = not _has_html(token)
            for nth, row in enumerate(rows):
                wrapped = row.text + "\n" + rows[nth + 1].text if nth + 1 < len(rows) else row.text
                if _QUOTED_MAIL.fullmatch(row.text) or _QUOTED_MAIL.fullmatch(wrapped):
                    return
                if row.is_command and may_ask:
                    yield Line(row.text.strip(), row.is_plain)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a paragraph: its text, whether it begins with a slash outside of all formatting, and has none."""

    text: str
    is_command: bool
    is_plain: bool


def _has_html(paragraph: Token) -> bool:
    """A tag may span lines, and what stands inside it is not ours to guess."""
    return any(child.type == "html_inline" for child in paragraph.children or [])


def _rows(children: list[Token]) -> list[_Row]:
    rows: list[_Row] = []
    row: list[Token] = []
    depth = 0
    for child in [*children, Token("softbreak", "", 0)]:
        if child.type in {"softbreak", "hardbreak"}:
            rows.append(_row(row, depth))
            row = []
        else:
            row.append(child)
        depth += child.nesting
    return rows


def _row(tokens: list[Token], depth_after: int) -> _Row:
    depth_before = depth_after - sum(token.nesting for token in tokens)
    begins = bool(tokens) and tokens[0].type == "text" and tokens[0].content.lstrip(" \t").startswith("/")
    return _Row(
        text="".join(token.content for token in tokens),
        is_command=begins and not depth_before,
        is_plain=all(token.type in {"text", "text_special"} for token in tokens),
    )
