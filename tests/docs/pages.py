"""Reads Markdown pages: their runnable blocks, their links and their headings. Shared by the tests beside it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
SHELLS = frozenset({"sh", "console", "bash", "shell"})


def pages() -> list[Path]:
    """Every page that people read, in a stable order."""
    tops = [path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md") if path.exists()]
    return [*tops, *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


class BadMarker(ValueError):
    """A shell block whose opening line does not say what a test does with it, or says it wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One shell block. `not_run` is the reason for not running it, or empty."""

    where: str
    language: str
    text: str
    here: bool = False
    exit_code: int = 0
    not_run: str = ""

    def steps(self) -> list[tuple[str, str | None]]:
        """Commands and what each must print; None where nothing is said about that."""
        if self.language != "console":
            return [(self.text, None)]
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        if parts[0].strip():
            msg = f"{self.where}: a console block begins with `$ `"
            raise BadMarker(msg)
        steps = [re.match(r"((?:.*\\\n)*.*)\n?((?:.|\n)*)", part) for part in parts[1:]]
        return [(step[1], step[2]) for step in steps if step]


def blocks(text: str, page: str) -> Iterator[Block]:
    """The shell blocks of a page, in order.

    Raises:
        BadMarker: at the first block without a valid marker (CONTRIBUTING.md, "Documentation").
    """
    for token in MarkdownIt("commonmark").parse(text):
        language, _, marker = token.info.strip().partition(" ")
        if token.type == "fence" and language in SHELLS:
            line = token.map[0] + 1 if token.map else 0
            yield _block(f"{page}:{line}", language, marker.strip(), token.content)


def _block(where: str, language: str, marker: str, text: str) -> Block:
    if marker.startswith("not-run:"):
        reason = marker.removeprefix("not-run:").strip()
        if reason:
            return Block(where=where, language=language, text=text, not_run=reason)
    found = re.fullmatch(r"run( here)?(?: exit=(\d+))?", marker)
    if not found or language not in {"sh", "console"}:
        msg = f"{where}: ```{language} {marker} (say `sh run`, `console run` or `not-run: reason`; see CONTRIBUTING.md)"
        raise BadMarker(msg)
    return Block(where=where, language=language, text=text, here=bool(found[1]), exit_code=int(found[2] or 0))


def links(text: str) -> list[str]:
    """Targets of links and images that point into the repository."""
    tokens = [child for token in MarkdownIt("commonmark").parse(text) for child in token.children or ()]
    targets = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens]
    return [target for target in targets if target and not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to a page's headings."""
    tokens: list[Token] = MarkdownIt("commonmark").enable("table").parse(text)
    found: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            plain = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            repeats = sum(1 for anchor in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", anchor))
            found.add(f"{slug}-{repeats}" if repeats else slug)
    return found


def matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what a page shows, where `…` stands for any text."""
    pattern = "(?s:.*)".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE).strip()) is not None
