"""Tells from names and texts which of the files that runner.walk found are boxes, and what they are."""

from __future__ import annotations

import os
import re

from runner.errors import BadMetadata, UserError
from runner.metadata import Defaults, find_block, read_box, toml_fields
from runner.model import BoxId
from runner.walk import TIER_DIRECTORY, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from runner.fields import Fields
    from runner.model import Box
    from runner.walk import Found

LARGEST_READ = 1024 * 1024  # bytes of a program that are looked at for its block and its test functions
SIDECAR = ".box.toml"

_BOX = re.compile(r"([0-9]{1,9})_([\w-]+)(\.[\w.-]+)?")
_NO_BOX = re.compile(r"[_.].*|__init__\.py|conftest\.py|README.*|.*(~|\.orig|\.rej|\.bak|\.pyc)", re.IGNORECASE)
# What a hand meant as a tier: `Tier-2`, `teir-2`, `tier_2`.
_NEARLY_TIER = re.compile(r"tier|[tier]{3,6}[-_. ]?[0-9]+$", re.IGNORECASE)
_TESTS = re.compile(r"^(?:async[ \t]+)?def test|^class Test", re.MULTILINE)


def read(
    tree: str,
    found: list[Found],
    roots: Mapping[str, str],
    defaults: Defaults,
    *,
    python_scan: bool,
    known: Collection[BoxId] = (),
) -> tuple[list[Box], tuple[list[UserError], list[UserError]]]:
    """The boxes among what `walk` found, and what is wrong: first what must be mended, then what does not matter.

    What a `known` box says about itself does not matter: it is a box with the defaults when that cannot be read.

    Mistakes are: a file looks like a box and is none, leaves the tree through a link, or its metadata is wrong.
    """
    real = os.path.realpath(tree)
    boxes: list[Box] = []
    wrong: list[UserError] = []
    passed_over: list[UserError] = []
    sidecars = {item.path for item in found if _holds(wrong, _is_sidecar, real, item)}
    for root in roots.values():
        _holds(wrong, _stays_inside, real, join(root, "boxes"))
    for item in found:
        if not _holds(wrong, _is_box, real, item):
            continue
        sidecar = item.path + SIDECAR
        try:
            beside = sidecar if sidecar in sidecars else ""
            boxes.append(_read_one(tree, item, roots, defaults, beside, python_scan=python_scan))
        except UserError as mistake:
            if id_of(item) in known:
                boxes.append(_read_one(tree, item, roots, defaults, None, python_scan=python_scan))
                passed_over.append(mistake)
            else:
                wrong.append(mistake)
        sidecars.discard(sidecar)
    for orphan in sorted(sidecars):
        program = orphan.removesuffix(SIDECAR)
        hint = f"it belongs to {os.path.basename(program)}"
        wrong.append(BadMetadata("there is no box beside it", file=orphan, hint=hint))
    return boxes, (wrong, passed_over)


def _holds(wrong: list[UserError], question: Callable[..., bool | None], *about: object) -> bool:
    """The answer; no where a mistake is in the way, which is kept."""
    try:
        return bool(question(*about))
    except UserError as mistake:
        wrong.append(mistake)
        return False


def id_of(item: Found) -> BoxId | None:
    """The box that a file is by its name."""
    name = _BOX.fullmatch(item.name)
    return BoxId(item.suite, int(name[1])) if name else None


def _is_box(real_tree: str, item: Found) -> bool:
    """Whether it is a box; what only looks like one is refused, so that no box is lost by a slip of its name."""
    looks = _BOX.fullmatch(item.name)
    if not item.tier_dir:
        if item.is_dir and _NEARLY_TIER.match(item.name) and not TIER_DIRECTORY.fullmatch(item.name):
            raise BadMetadata("not the name of a tier directory", file=item.path, hint="name it tier-4 or tier-4-slug")
        if item.is_dir and item.link:
            _stays_inside(real_tree, item.path)
        if looks and item.is_file and not _NO_BOX.fullmatch(item.name):
            raise BadMetadata("a box outside of a tier directory", file=item.path, hint="move it to boxes/tier-N")
        return False
    if _NO_BOX.fullmatch(item.name) or (item.is_dir and not looks) or item.name.endswith(SIDECAR):
        return False
    if item.link:
        _stays_inside(real_tree, item.path)
    if not looks:
        hint = "name it NUMBER_SLUG.EXT of letters, digits, - and _; or put _ before it"
        raise BadMetadata("not the name of a box", file=item.path, hint=hint)
    if not item.is_file:
        link = item.link and not os.path.exists(f"{real_tree}/{item.path}")
        hint = f"its link to {item.link} leads nowhere" if link else "begin its name with _ if it is no box"
        raise BadMetadata("a box must be a regular file", file=item.path, hint=hint)
    return True


def _is_sidecar(real_tree: str, item: Found) -> bool:
    """Whether it is metadata of a box. What cannot be that box's own is refused before anything of it is read."""
    if not item.tier_dir or not item.name.endswith(SIDECAR):
        return False
    if item.link:
        _stays_inside(real_tree, item.path)
    if not item.is_file:
        raise BadMetadata("a box's metadata must be a regular file", file=item.path)
    return True


def _stays_inside(real_tree: str, path: str) -> None:
    real = os.path.realpath(f"{real_tree}/{path}")
    if real != real_tree and not real.startswith(f"{real_tree}/"):
        raise BadMetadata("a link that leaves the repository", file=path, hint="boxes are files of the repository")


def _read_one(
    tree: str, item: Found, roots: Mapping[str, str], defaults: Defaults, sidecar: str | None, *, python_scan: bool
) -> Box:
    """`sidecar` is where its metadata is, "" for its own text, None for none that counts."""
    name = _BOX.fullmatch(item.name)
    tier = TIER_DIRECTORY.fullmatch(item.tier_dir)
    assert name is not None
    assert tier is not None
    text = _text(f"{tree}/{item.path}", item.path)
    root = roots[item.suite]
    nothing = toml_fields("", file=item.path)
    return read_box(
        nothing if sidecar is None else _fields(tree, item.path, sidecar, text),
        id=BoxId(item.suite, int(name[1])),
        defaults=defaults,
        source=item.path,
        title=re.sub(r"[_-]+", " ", name[2]).strip(),
        tier=int(tier[1]),
        kind="pytest" if python_scan and item.name.endswith(".py") and has_tests(text) else "file",
        file=item.path if root == "." else item.path.removeprefix(f"{root}/"),
    )


def _fields(tree: str, path: str, sidecar: str, text: str) -> Fields:
    block = find_block(text, file=path)
    if block and sidecar:
        hint = f"keep one: the block, or {os.path.basename(sidecar)}"
        raise BadMetadata("metadata in two places", file=path, line=block.first_line - 1, hint=hint)
    if block:
        return toml_fields(block.text, file=path, first_line=block.first_line)
    return toml_fields(_text(f"{tree}/{sidecar}", sidecar) if sidecar else "", file=sidecar or path)


def _text(path: str, name: str) -> str:
    """The beginning of a file as text; a binary has none."""
    try:
        with open(path, "rb") as file:
            start = file.read(LARGEST_READ)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise BadMetadata(message, file=name) from error
    return "" if b"\0" in start[:1024] else start.decode("utf-8", "replace")


def has_tests(text: str) -> bool:
    """Whether a Python program has test functions or classes at its top level. It is not imported.

    A line that only looks like one may stand inside a string (a box that writes a sample test), so a program with
    triple quotes is parsed; one that does not parse is pytest's to complain about.
    """
    if not _TESTS.search(text):
        return False
    if '"""' not in text and "'''" not in text:
        return True
    import ast

    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(
        (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"))
        or (isinstance(node, ast.ClassDef) and node.name.startswith("Test"))
        for node in body
    )
