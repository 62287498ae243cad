from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.discover import discover
from runner.metadata import parse_block
from runner.scaffold import Refused, Sabotage, Wish, box_text, main, next_number, slug, wish_of
from tests.runner.falsifying import falsify


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "README.md").write_text('# Hello\n\nIt\'s "quoted" & $HOME \\ `x`.\n')
    return root


def new(root: Path, *args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = main(str(root), args, out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def answers(root: Path) -> list[tuple[int, str, str]]:
    suite = discover(str(root))
    # The interpreter of this test has pytest; which one a box would find otherwise is the machine's affair.
    env = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    return [
        (box["box"], box["answer"], box["reason"])
        for box in falsify(root, suite.boxes, roots=suite.roots, env=env).boxes
    ]


@pytest.mark.parametrize("language", ["--sh", "--python", "--pytest"])
@pytest.mark.parametrize("subject", [[], ["--subject", "README.md"]], ids=["sample", "own-file"])
def test_a_new_box_is_proven_at_once(repo: Path, language: str, subject: list[str]) -> None:
    code, _, err = new(repo, language, *subject, "Greets by name")
    assert (code, err) == (0, "")
    proven = answers(repo)
    assert [answer for _, answer, _ in proven] == ["proven"], proven


def test_it_says_what_it_wrote_and_what_to_do_next(repo: Path) -> None:
    code, out, _ = new(repo, "--tier", "2", "Grüßt", "by name!")
    assert (code, out) == snapshot(
        (
            0,
            """\
wrote boxes/tier-2/01_grusst_by_name.sh
wrote boxes/tier-2/_01_sample.sh

runner run 1       runs it
runner falsify 1   proves that it can fail
""",
        )
    )


def test_a_new_box_reads_like_one_written_by_hand(repo: Path) -> None:
    new(repo, "Greets by name")
    assert (repo / "boxes/tier-1/01_greets_by_name.sh").read_text() == snapshot("""\
#!/bin/sh
# /// box
# title = "Greets by name"
#
# [control]
# expect = "greets-by-name"
# edit = { file = "boxes/tier-1/_01_sample.sh", find = "hello, ", replace = "goodbye, " }
# ///
# The control breaks what this box checks, and `expect` names the assertion that must notice.

. "$BOX_LIB"

is greets-by-name "$(sh boxes/tier-1/_01_sample.sh world)" "hello, world"
""")


def test_nothing_is_overwritten(repo: Path) -> None:
    (repo / "boxes/tier-1").mkdir(parents=True)
    precious = repo / "boxes/tier-1/_01_sample.sh"
    precious.write_text("mine")
    code, _, err = new(repo, "A")
    assert (code, err.splitlines()[0]) == (2, "runner new: already there: _01_sample.sh")
    assert precious.read_text() == "mine"
    assert not (repo / "boxes/tier-1/01_a.sh").exists()


def test_the_same_title_twice_makes_two_boxes(repo: Path) -> None:
    assert [new(repo, "A")[0], new(repo, "A")[0]] == [0, 0]
    assert sorted(box.id.number for box in discover(str(repo)).boxes) == [1, 2]


@pytest.mark.parametrize(
    ("taken", "in_tier", "number"),
    [
        pytest.param(set(), set(), 1, id="first"),
        pytest.param({1, 2, 21}, {1, 2}, 3, id="after-the-tier"),
        pytest.param({1, 2, 3}, {1, 2}, 4, id="the-next-tier-is-in-the-way"),
        pytest.param({1, 2, 21}, set(), 22, id="a-new-tier"),
    ],
)
def test_the_next_number_is_free(taken: set[int], in_tier: set[int], number: int) -> None:
    assert next_number(taken, in_tier) == number


def test_a_tier_directory_with_a_name_is_used(repo: Path) -> None:
    (repo / "boxes/tier-4-resilience").mkdir(parents=True)
    new(repo, "--tier", "4", "Locks")
    assert (repo / "boxes/tier-4-resilience/01_locks.sh").exists()


def test_a_suite_of_a_monorepo_gets_its_own(repo: Path) -> None:
    (repo / ".github").mkdir()
    (repo / ".github/interlock.yml").write_text("suites: {api: services/api}\n")
    (repo / "services/api").mkdir(parents=True)
    code, out, _ = new(repo, "--suite", "api", "Answers")
    assert code == 0
    assert "runner run api/1 " in out
    assert (repo / "services/api/boxes/tier-1/01_answers.sh").exists()
    assert [answer for _, answer, _ in answers(repo)] == ["proven"]


def test_a_title_without_latin_letters_still_makes_a_box(repo: Path) -> None:
    assert new(repo, "日本語")[0] == 0
    assert (repo / "boxes/tier-1/01_box.sh").exists()
    assert [answer for _, answer, _ in answers(repo)] == ["proven"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        pytest.param([], "a title is missing", id="nothing"),
        pytest.param(["!!!"], "a title is missing", id="no-word"),
        pytest.param(["--tier", "x", "A"], "a tier is a number from 0 to 999, not x", id="bad-tier"),
        pytest.param(["--tier"], "a value is missing after --tier", id="no-value"),
        pytest.param(["--bash", "A"], "there is no option --bash", id="unknown-option"),
        pytest.param(["--suite", "api", "A"], "there is no suite api", id="unknown-suite"),
        pytest.param(["--subject", "../x", "A"], "not a file of this suite: ../x", id="outside"),
        pytest.param(["--subject", "no.md", "A"], "cannot be read as text: no.md", id="no-subject"),
        pytest.param(["--subject", "twice.md", "A"], "no line stands exactly once in twice.md", id="no-unique-line"),
    ],
)
def test_a_bad_wish_is_refused_and_writes_nothing(repo: Path, args: list[str], why: str) -> None:
    (repo / "twice.md").write_text("same\nsame\n")
    code, out, err = new(repo, *args)
    assert (code, out, err.splitlines()[0]) == (2, "", f"runner new: {why}")
    assert not (repo / "boxes").exists()


def test_boxes_that_cannot_be_read_are_exit_3(repo: Path) -> None:
    (repo / ".github").mkdir()
    (repo / ".github/interlock.yml").write_text("boxen: {}\n")
    code, _, err = new(repo, "A")
    assert code == 3
    assert err.startswith(".github/interlock.yml:1: ")


@given(st.text())
def test_a_slug_is_a_plain_file_name(title: str) -> None:
    assert set(slug(title)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert len(slug(title)) <= 60


@given(st.lists(st.text()))
def test_no_command_line_breaks_it(args: list[str]) -> None:
    try:
        wish = wish_of(args)
    except Refused:
        return
    assert wish.title.strip()


TEXT = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\x7f"), min_size=1)


@settings(max_examples=30)
@given(TEXT, TEXT, st.sampled_from(["sh", "python", "pytest"]))
def test_any_title_and_any_line_make_a_valid_box(title: str, line: str, language: str) -> None:
    text = box_text(Wish(title=title, language=language), Sabotage("a b.txt", line, "(gone)"))
    fields = parse_block(text, "boxes/tier-1/01_x")
    assert fields is not None
    assert fields.text("title") == title
    if language == "sh":
        assert subprocess.run(["sh", "-n"], input=text.encode(), check=False).returncode == 0
    else:
        compile(text, "box", "exec")
