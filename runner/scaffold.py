"""`runner new`: writes a box that works, with a control that `runner falsify` proves at once. Overwrites nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import unicodedata

from runner.discover import discover
from runner.errors import UserError
from runner.model import Value
from runner.report.text import clean, one_line
from runner.verdict import EXIT_CONFIGURATION, EXIT_GREEN, EXIT_USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import TextIO

USAGE = """\
usage: runner new [--tier N] [--sh | --python | --pytest] [--subject FILE] [--suite NAME] "Title"

Writes the next free box with a control. With --subject the box checks a line of that file, else a sample beside it.
"""
EXTENSIONS = {"sh": ".sh", "python": ".py", "pytest": ".py"}


class Refused(Exception):
    """The command line asks for something that cannot be done."""

    def __init__(self, what: str, name: str = "") -> None:
        super().__init__(f"{what} {name}".strip())


class Wish(Value):
    """What the command line asks for. `subject` is relative to the suite's directory, "" for a sample."""

    __slots__ = ("language", "subject", "suite", "tier", "title")

    def __init__(self, *, title: str, tier: int = 1, language: str = "sh", subject: str = "", suite: str = "") -> None:
        self.title = title
        self.tier = tier
        self.language = language
        self.subject = subject
        self.suite = suite


class Sabotage(Value):
    """What the sample box checks: `part` of the file `subject`, which its control replaces by `instead`."""

    __slots__ = ("instead", "part", "subject")

    def __init__(self, subject: str, part: str, instead: str) -> None:
        self.subject = subject
        self.part = part
        self.instead = instead


def main(root: str, args: Sequence[str], *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Write a new box under `root`.

    Args:
        root: the repository.
        args: what follows `runner new`.
        out: where the way on is told.
        err: where a refusal is told.

    Returns:
        The exit code: 0 written, 2 a bad command line, 3 the repository's boxes cannot be read.
    """
    out = out or sys.stdout
    err = err or sys.stderr
    if "-h" in args or "--help" in args:
        out.write(USAGE)
        return EXIT_GREEN
    try:
        number, files = write(root, wish_of(args))
    except Refused as refusal:
        err.write(f"runner new: {refusal}\n{USAGE}")
        return EXIT_USAGE
    except UserError as problem:
        err.write(f"{problem}\n")
        return EXIT_CONFIGURATION
    for file in files:
        out.write(f"wrote {file}\n")
    out.write(f"\nrunner run {number}       runs it\nrunner falsify {number}   proves that it can fail\n")
    return EXIT_GREEN


def wish_of(args: Sequence[str]) -> Wish:
    """Read the command line.

    Raises:
        Refused: it cannot be read.
    """
    values = {"--tier": "1", "--subject": "", "--suite": ""}
    titles: list[str] = []
    language = "sh"
    rest = iter(args)
    for arg in rest:
        name, equals, value = arg.partition("=")
        if name in values:
            values[name] = value if equals else next(rest, "")
            if not values[name]:
                raise Refused("a value is missing after", name)
        elif arg.removeprefix("--") in EXTENSIONS:
            language = arg.removeprefix("--")
        elif arg.startswith("-"):
            raise Refused("there is no option", arg)
        else:
            titles.append(arg)
    title = one_line(" ".join(titles))
    if not any(character.isalnum() for character in title):
        raise Refused("a title is missing")
    if not re.fullmatch(r"[0-9]{1,3}", values["--tier"]):
        raise Refused("a tier is a number from 0 to 999, not", values["--tier"])
    return Wish(
        title=title, tier=int(values["--tier"]), language=language, subject=values["--subject"], suite=values["--suite"]
    )


def write(root: str, wish: Wish) -> tuple[str, list[str]]:
    """Write the box and, unless it has a subject, its sample. Nothing is overwritten.

    Returns:
        The box as it is selected, and the files relative to `root`.

    Raises:
        Refused: there is no such suite or subject, or a file of that name is there already.
        UserError: the repository's boxes cannot be read.
    """
    suite = discover(root)
    if wish.suite not in suite.roots:
        raise Refused("there is no suite", wish.suite)
    home = os.path.normpath(suite.roots[wish.suite])
    boxes = [box for box in suite.boxes if box.id.suite == wish.suite]
    number = next_number({box.id.number for box in boxes}, {box.id.number for box in boxes if box.tier == wish.tier})
    tier = _tier_directory(os.path.join(root, home), wish.tier)
    sample = f"{tier}/_{number:02d}_sample.sh"
    if wish.subject:
        sabotage = sabotage_of(os.path.join(root, home), wish.subject)
    else:
        sabotage = Sabotage(sample, "hello, ", "goodbye, ")
    file = f"{tier}/{number:02d}_{slug(wish.title) or 'box'}{EXTENSIONS[wish.language]}"
    written = [os.path.normpath(os.path.join(home, file))]
    if not wish.subject:
        written.append(os.path.normpath(os.path.join(home, sample)))
        _create(os.path.join(root, written[1]), SAMPLE, 0o644)
    mode = 0o644 if wish.language == "pytest" else 0o755
    _create(os.path.join(root, written[0]), box_text(wish, sabotage), mode)
    return f"{wish.suite}/{number}" if wish.suite else str(number), written


def slug(title: str) -> str:
    """A title as a part of a file name: lower-case ASCII words."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return "_".join(re.findall(r"[a-z0-9]+", plain))[:60].strip("_")


def next_number(taken: Collection[int], in_tier: Collection[int]) -> int:
    """The first free number after the tier's last box, or after the suite's last one when the tier is new."""
    number = max(in_tier or taken, default=0) + 1
    while number in taken:
        number += 1
    return number


def sabotage_of(directory: str, subject: str) -> Sabotage:
    """The first line of the subject that stands in it exactly once, to be checked and sabotaged.

    Raises:
        Refused: there is no such text file in the directory, or no such line.
    """
    path = os.path.realpath(os.path.join(directory, subject))
    if not path.startswith(os.path.realpath(directory) + os.sep):
        raise Refused("not a file of this suite:", subject)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused("cannot be read as text:", subject) from problem
    for line in text.split("\n"):
        part = line.strip()
        if len(part) >= 3 and len(part) <= 200 and clean(part) == part and text.count(part) == 1:
            return Sabotage(os.path.normpath(subject), part, "(the control took this line away)")
    raise Refused("no line stands exactly once in", subject)


SAMPLE = """\
# A sample to be checked: remove it together with its box.
echo "hello, $1"
"""


def box_text(wish: Wish, sabotage: Sabotage) -> str:
    """The box as a file."""
    is_sample = sabotage.part == "hello, "
    id_ = "greets-by-name" if is_sample else "says-what-it-should"
    if wish.language == "pytest":
        id_ = "test_" + id_.replace("-", "_")
    block = f"""\
# /// box
# title = {_toml(wish.title)}
#
# [control]
# expect = {_toml(id_)}
# edit = {{ file = {_toml(sabotage.subject)}, find = {_toml(sabotage.part)}, replace = {_toml(sabotage.instead)} }}
# ///
# The control breaks what this box checks, and `expect` names the assertion that must notice.
"""
    if wish.language == "sh":
        return f"#!/bin/sh\n{block}\n{_shell(id_, sabotage, is_sample=is_sample)}"
    if wish.language == "python":
        return f"#!/usr/bin/env python3\n{block}\n{_python(id_, sabotage, is_sample=is_sample)}"
    return f"{block}\n{_pytest(id_, sabotage, is_sample=is_sample)}"


def _shell(id_: str, sabotage: Sabotage, *, is_sample: bool) -> str:
    subject = shlex.quote(sabotage.subject)
    if is_sample:
        return f'. "$BOX_LIB"\n\nis {id_} "$(sh {subject} world)" "hello, world"\n'
    return f'. "$BOX_LIB"\n\nok {id_} grep -qF -e {shlex.quote(sabotage.part)} -- {subject}\n'


_LOAD = """\
spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
box = importlib.util.module_from_spec(spec)
spec.loader.exec_module(box)
"""


def _python(id_: str, sabotage: Sabotage, *, is_sample: bool) -> str:
    if is_sample:
        imports = "import importlib.util\nimport os\nimport subprocess\n"
        check = f'greeting = {_output_of(sabotage)}\nbox.equal("{id_}", greeting, "hello, world\\n")\n'
    else:
        imports = "import importlib.util\nimport os\nfrom pathlib import Path\n"
        reading = f'Path({sabotage.subject!r}).read_text(encoding="utf-8")'
        check = f'box.contains("{id_}", {reading}, {sabotage.part!r})\n'
    return f"{imports}\n{_LOAD}\n{check}"


def _pytest(id_: str, sabotage: Sabotage, *, is_sample: bool) -> str:
    if is_sample:
        return f"""\
import subprocess


def {id_}():
    greeting = {_output_of(sabotage)}
    assert greeting == "hello, world\\n"
"""
    return f"""\
from pathlib import Path


def {id_}():
    assert {sabotage.part!r} in Path({sabotage.subject!r}).read_text(encoding="utf-8")
"""


def _output_of(sabotage: Sabotage) -> str:
    return f'subprocess.run(["sh", {sabotage.subject!r}, "world"], capture_output=True, text=True, check=True).stdout'


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _tier_directory(directory: str, tier: int) -> str:
    """The tier's directory, whose name may go on after the number; the plain one when there is none yet."""
    try:
        names = sorted(os.listdir(os.path.join(directory, "boxes")))
    except OSError:
        names = []
    for name in names:
        if re.fullmatch(rf"tier-0*{tier}(-.*)?", name):
            return f"boxes/{name}"
    return f"boxes/tier-{tier}"


def _create(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
    except FileExistsError as there:
        raise Refused("already there:", os.path.basename(path)) from there
