"""Every command and option is mentioned in its reference page, and the page mentions no option that does not exist."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, SCRIPTS

THERE = [script for script, entry in SCRIPTS.items() if importlib.util.find_spec(entry.partition(":")[0])]


def help_of(script: str, *words: str) -> str:
    module = SCRIPTS[script].partition(":")[0]
    code = f"import sys, {module} as cli; sys.argv[0] = {script!r}; sys.exit(cli.main(sys.argv[1:]))"
    answer = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def commands(text: str) -> list[str]:
    """The commands that a help text lists: indented words, each followed by what it does."""
    return sorted(set(re.findall(r"^ {2,4}([a-z][a-z-]+) {2,}\S", text, re.MULTILINE)))


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


@pytest.mark.parametrize("script", THERE)
def test_the_reference_page_and_the_command_name_the_same_things(script: str) -> None:
    page = (ROOT / "docs" / "reference" / f"cli-{script}.md").read_text("utf-8")
    top = help_of(script)
    names = commands(top)
    assert names
    assert [name for name in names if not re.search(rf"`{script} (?:[^`]* )?{name}\b", page)] == []
    there = options(top).union(*(options(help_of(script, name)) for name in names))
    assert sorted(there - options(page)) == []
    assert sorted(options(page) - there) == []


def test_commands_and_options_are_found_in_a_help_text() -> None:
    text = "usage: x [--version] COMMAND\n\n  run       run boxes\n  list      list them\n\n  -j, --jobs N  how many\n"
    assert commands(text) == ["list", "run"]
    assert options(text) == {"--version", "--jobs"}
