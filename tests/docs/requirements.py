"""Which test holds which security requirement, read from the tests' markers: `python -m tests.docs.requirements`.

Prints the table of docs/explanation/security-requirements.md, or with `--write` puts it there.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "explanation" / "security-requirements.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"

REQUIREMENTS = {
    "S-1": "A deployment is of the commit that was meant when it was asked for; after a push nothing is deployed, and "
    "both commits are named.",
    "S-2": "A command may name the commit that it means; if that is not the head, nothing happens and both are named. "
    "For a stranger's head only all 40 digits will do.",
    "S-3": "An approval is of one commit, one artifact and one configuration; when one of them changes, it is void.",
    "S-4": "When the head moves, what ran is filed under the old commit alone, and no later stage begins.",
    "S-5": "Dates and names in a commit decide nothing: whoever makes it chooses them.",
    "S-6": "Green for one base is not green for another that shares the head.",
    "S-7": "Nothing of a stranger's pull request runs, and the check says who can allow it.",
    "S-8": "What is allowed is one commit, in a sandbox, without token, secret or network. The next push is new.",
    "S-9": "A token that code could reach reads one repository, or is not there.",
    "S-10": "The Action refuses a fork's code under an event that has the repository's rights.",
    "S-11": "A pull request of somebody who may only read is a stranger's, also between branches of this repository.",
    "S-12": "What an untrusted run wrote is never read by a trusted one: caches, setups, answers, trees.",
    "S-13": "Configuration, policy and the boxes' metadata come from the base, and the check says which were in force.",
    "S-14": "A configuration that cannot be read closes the gate on the base, and is only reported on a head.",
    "S-15": "What a head may override is a list of what it may, never one of what it may not.",
    "S-16": "Arguments of commands become typed values or are refused; no text of theirs reaches a shell, path or log "
    "format.",
    "S-17": "Whatever is echoed mentions nobody, closes no issue, makes no link, image, table or marker.",
    "S-18": "A command in code, a quotation, HTML, a link or a mail's history is not a command.",
    "S-19": "Bots give no commands, and a name that looks like one gives nobody rights.",
    "S-20": "An edited comment is never carried out; an edit by somebody else takes back what the comment allowed.",
    "S-21": "Without a secret nothing starts; the signature is checked over the raw bytes before they are parsed; two "
    "secrets hold while one is replaced.",
    "S-22": "The same delivery, or the same fact under another id, has one effect, also after a restart.",
    "S-23": "A delivery is a hint: before anything privileged, GitHub is asked how things are now.",
    "S-24": "Lost, doubled and reordered deliveries end in the same state.",
    "S-25": "A delivery counts for our App, and for repositories of the installation that it names.",
    "S-26": "Tokens are made for one repository and the least rights, kept for less than an hour, and given back.",
    "S-27": "No token, key or secret appears in a log, an error, a comment, a check or an audit row.",
    "S-28": "Secrets come from files or the environment, and are in no database, output or crash report.",
    "S-29": "An answer to GitHub's question goes to our own GitHub and the run that asked, whatever address it names.",
    "S-30": "Rights are those that the commenter has at that moment; when GitHub cannot say, there are none.",
    "S-31": "Nobody approves their own change or request, unless the default branch's configuration allows it.",
    "S-32": "Who protects a branch is told to require the check of this App, not one of the same name.",
    "S-33": "What goes to production was good in the environment before it, with the same commit and artifact.",
    "S-37": "While locks, approvals or the database cannot be read, nothing is deployed.",
    "S-38": "What cannot be kept is refused with 503, so that GitHub knows that it was not taken in.",
}
"""Those that this version must hold; numbers are never given twice."""

LATER = {
    "agents": ("S-34", "S-35", "S-36"),
}


def held(tests: Path = ROOT / "tests", *, mark: str = "requirement") -> dict[str, list[str]]:
    """Requirement → the tests that carry its number by this marker, as `file::name`, in order."""
    found: dict[str, list[str]] = {}
    for file in sorted(tests.rglob("test_*.py")):
        for number, name in _marked(_parsed(file), mark):
            place = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
            found.setdefault(number, []).append(f"{place}::{name}")
    return found


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text("utf-8"))
    except SystemError:  # its count of recursions is off now and then: https://github.com/python/cpython/issues/106905.
        return ast.parse(file.read_text("utf-8"))


def _marked(tree: ast.Module, mark: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ((number, node.name) for call in node.decorator_list for number in _numbers(call, mark))
        elif isinstance(node, ast.Assign) and any(_is_name(target, "pytestmark") for target in node.targets):
            yield from ((number, "*") for call in ast.walk(node.value) for number in _numbers(call, mark))
        elif isinstance(node, ast.Call) and _attribute(node.func) == "param":
            marks = [word.value for word in node.keywords if word.arg == "marks"]
            names = [word.value for word in node.keywords if word.arg == "id"]
            name = names[0].value if names and isinstance(names[0], ast.Constant) else "a case"
            calls = [call for each in marks for call in ast.walk(each)]
            yield from ((number, str(name)) for call in calls for number in _numbers(call, mark))


def _numbers(node: ast.AST, mark: str) -> Iterator[str]:
    if isinstance(node, ast.Call) and _attribute(node.func) == mark:
        yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))


def _attribute(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def table() -> str:
    """The table as Markdown."""
    tests = held()
    rows = ["| | what holds | held by |", "|--|--|--|"]
    for number, says in REQUIREMENTS.items():
        by = "<br>".join(f"`{short(test)}`" for test in tests.get(number, []))
        rows.append(f"| {number} | {says} | {by} |")
    return "\n".join(rows)


def short(test: str) -> str:
    """A test as the table names it."""
    file, _, name = test.partition("::")
    return f"{re.sub('^tests/', '', file)}: {name}"


def page() -> str:
    """The page with the table of now."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(table())  # noqa: T201 - that is what it is asked for.
