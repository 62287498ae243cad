from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.domain import text

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ANYTHING = st.text(max_size=200) | st.text(
    alphabet="`|\\<>!-[]()@#*_~$\n\r\t &;:/w.gGhH01a\x1b\u202e\u200d", max_size=60
)
FORBIDDEN = re.compile(
    "[\u200b\u2060\xad]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def inline(markdown: str) -> list[Token]:
    """What a Markdown reader makes of an inline, put where our texts stand: after something on the line."""
    tokens = MARKDOWN.parse(f"x {markdown}")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"], tokens
    return tokens[1].children or []


@given(ANYTHING)
def test_clean_text_has_no_control_and_no_direction_change(raw: str) -> None:
    cleaned = text.clean(raw)
    assert not FORBIDDEN.search(cleaned)
    assert not any(unicodedata.category(c) == "Cc" for c in cleaned if c not in "\n\t")
    assert text.clean(cleaned) == cleaned
    cleaned.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", "click", id="terminal-link"),
        pytest.param("a\x1b]0;never closed\nand the rest stays", "a]0;never closed\nand the rest stays", id="open-osc"),
        pytest.param("one\r\ntwo\rthree", "one\ntwo\nthree", id="line-ends"),
        pytest.param("user\u202e gpj.exe", "user gpj.exe", id="right-to-left-override"),
        pytest.param("a\u200bd\u2060m\u00adi\u3164n", "admin", id="letters-without-width"),
        pytest.param("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e", id="a-joiner-that-people-write"),
        pytest.param("nul\x00byte", "nulbyte", id="nul"),
        pytest.param("half \ud83d of a pair", "half \ufffd of a pair", id="surrogate"),
        pytest.param("hi\U000e0041\U000e0042", "hi", id="invisible-tag-letters"),
        pytest.param("family \U0001f468\u200d\U0001f469\u200d\U0001f467", "family 👨\u200d👩\u200d👧", id="emoji"),
    ],
)
def test_clean_keeps_what_a_person_reads(raw: str, shown: str) -> None:
    assert text.clean(raw) == shown


@given(ANYTHING)
@example("![x](http://a/b.png)")
@example("<img src=x onerror=y>")
@example("a&nbsp;b &copy;")
@example("`code` **bold** ~~gone~~ [link](x) <http://x>")
@example("\\")
@example("<!-- interlock:pr=7 -->")
def test_plain_text_reads_as_it_was_and_is_only_text(raw: str) -> None:
    shown = text.plain(raw, 10_000)
    assert {token.type for token in inline(shown)} <= {"text"}
    read = "".join(token.content for token in inline(shown))
    assert read.replace("\u200d", "").strip() == ("x " + text.one_line(raw, 10_000)).replace("\u200d", "").strip()


@pytest.mark.requirement("S-17")
@given(ANYTHING)
@example("@octo/owners: fixes #12, closes octo/app#1, resolves GH-7, close https://github.com/octo/app/issues/1")
@example("see ce587453ced02b1526dfb4cb910479d431683101 and octo/app@deadbeef or deadbee, 1234567")
@example("@mona broke it, see octo/app#12 and GH-3 at https://evil.example or www.evil.example")
def test_plain_text_links_to_nobody_and_nothing(raw: str) -> None:
    read = "".join(token.content for token in inline(text.plain(raw, 10_000)))
    assert not re.search(r"@[A-Za-z0-9]|#\d|gh-\d|://|www\.", read, re.IGNORECASE)
    assert not re.search(r"\b[0-9a-f]{7,64}\b", read, re.IGNORECASE)


@pytest.mark.requirement("S-17")
@given(ANYTHING)
def test_plain_and_code_cells_never_break_a_table(raw: str) -> None:
    row = f"| {text.plain(raw)} | {text.code(raw, table=True)} | end |"
    tokens = MARKDOWN.parse(f"| a | b | c |\n|--|--|--|\n{row}\n")
    assert [token.type for token in tokens].count("td_open") == 3
    assert tokens[-1].type == "table_close"
    assert [token.content for token in tokens if token.type == "inline"][-1] == "end"


@given(ANYTHING)
@example("``` ` ```")
@example("`")
@example(" `a` ")
def test_a_code_span_holds_all_of_its_text(raw: str) -> None:
    line = text.one_line(raw, 10_000).replace("<!--", "<!\u200d--")
    if not line:
        assert text.code(raw, 10_000) == ""
        return
    tokens = [token for token in inline(text.code(raw, 10_000)) if token.content != "x "]
    assert [(token.type, token.content) for token in tokens] == [("code_inline", line)]


@given(ANYTHING)
@example("```\nout\n```")
@example("~~~\n````\n")
@example("</details>\n\n<script>")
def test_a_fence_cannot_be_closed_from_inside(raw: str) -> None:
    tokens = MARKDOWN.parse(text.fenced(raw) + "\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content.rstrip("\n") == text.clean(raw).replace("<!--", "<!\u200d--").rstrip("\n")


@pytest.mark.requirement("S-17")
@given(ANYTHING)
@example("<!-- interlock:pr=7 forged -->")
def test_no_foreign_text_can_look_like_our_marker(raw: str) -> None:
    for shown in (text.plain(raw), text.code(raw), text.fenced(raw)):
        assert "<!--" not in shown


@given(st.text(max_size=300), st.integers(0, 200))
def test_a_cut_text_fits_and_is_a_beginning(raw: str, limit: int) -> None:
    raw = text.clean(raw)
    short = text.cut(raw, limit)
    assert text.size(short) <= limit
    assert short == raw or raw.startswith(short.removesuffix("…"))


@given(st.text(max_size=300), st.integers(1, 10), st.integers(3, 200))
def test_a_tail_fits_and_ends_as_the_text_does(raw: str, lines: int, limit: int) -> None:
    short = text.tail(raw, lines=lines, limit=limit)
    assert text.size(short) <= limit
    assert short.count("\n") < lines


def test_a_tail_drops_whole_lines_first() -> None:
    assert text.tail("one\ntwo\nthree\n\n", lines=5, limit=9) == "two\nthree"


@given(st.text(max_size=50), st.lists(st.text(min_size=1, max_size=80), max_size=8), st.integers(20, 300))
def test_sections_fit_into_their_budget_and_keep_their_order(head: str, sections: list[str], limit: int) -> None:
    joined = text.within(head, sections, limit=limit, left_out="{n} more")
    assert text.size(joined) <= limit
    if text.size("\n\n".join([head, *sections])) <= limit:
        assert joined == "\n\n".join(piece for piece in [head, *sections] if piece)


def test_what_does_not_fit_is_counted() -> None:
    assert (
        text.within("head", ["a" * 10, "b" * 90, "c"], limit=60, left_out="{n} more") == f"head\n\n{'a' * 10}\n\n2 more"
    )


BEYOND_CODE = re.compile(r"(?<![\w/])@[a-z0-9]|#\d|gh-\d|://|\bwww\.|\b[0-9a-f]{7,64}\b", re.IGNORECASE)
NO_TOKEN = {"image", "link_open", "html_inline", "html_block", "autolink"}


@pytest.mark.requirement("S-17")
@given(ANYTHING, ANYTHING, ANYTHING)
@example("<img src=http://evil.example/beacon>", "[x](javascript:alert(1))", "![](//evil.example/b.png)")
@example("| a | b |\n|--|--|", "</details>\n# Shout", "<!-- interlock:pr=7 -->\nfixes #1")
@example("::error file=a::no", "##[set-output name=x]y", "\x1b]8;;http://e\x07z")
def test_a_page_of_foreign_texts_holds_nothing_that_acts(title: str, name: str, log: str) -> None:
    """As a comment shows them: a sentence, a list, a table, a block of output."""
    page = "\n".join(
        [
            f"Box 1, {text.plain(title)}, failed on {text.code(name)}.",
            "",
            f"- one {text.plain(name)}",
            "",
            "| box | why |",
            "|--|--|",
            f"| {text.plain(title)} | {text.code(log, table=True)} |",
            "",
            text.fenced(log),
            "",
            "end",
        ]
    )
    tokens = MARKDOWN.parse(page)
    inner = [child for token in tokens for child in token.children or ()]
    assert not NO_TOKEN & {token.type for token in [*tokens, *inner]}
    assert [token.type for token in tokens].count("tr_open") == 2
    assert [token.content for token in tokens if token.type == "inline"][-1] == "end"
    assert not any(BEYOND_CODE.search(token.content) for token in inner if token.type == "text")


INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a\u202e"
    "\u2060\u2064\u2066\u206f\u3164\ufeff\uffa0\ufff9\U000e0041"
)


@pytest.mark.parametrize("char", INVISIBLE, ids=ascii)
def test_what_nobody_can_see_is_not_there(char: str) -> None:
    assert text.clean(f"a{char}b") == "ab"
