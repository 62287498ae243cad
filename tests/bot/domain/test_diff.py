from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.diff import NO_LINES, changed_lines

DIFF = b"""\
diff --git a/calc.py b/calc.py
index 1..2 100644
--- a/calc.py
+++ b/calc.py
@@ -3 +3 @@ def add(a, b):
-    return a + b
+    return a - b
@@ -9,0 +10,2 @@
+x
+++ b/forged.py
diff --git a/gone.py b/gone.py
--- a/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-a
-b
diff --git "a/tab\\there" "b/tab\\there"
--- "a/tab\\there"
+++ "b/tab\\there"
@@ -0,0 +1 @@
+x
"""


def test_lines_that_were_added_or_altered_are_the_changes() -> None:
    found = changed_lines(DIFF)
    assert [line for line in range(1, 15) if found.has("calc.py", line)] == [3, 10, 11]


def test_a_line_of_a_file_does_not_pass_for_a_line_of_the_diff() -> None:
    assert set(changed_lines(DIFF).by_path) == {"calc.py"}


def test_an_altered_line_is_skipped_with_what_it_was() -> None:
    diff = b"--- a/calc.py\n+++ b/calc.py\n@@ -3 +3 @@\n-x\n+++ b/forged.py\n@@ -9,0 +9 @@\n+y\n"
    assert changed_lines(diff).by_path == {"calc.py": ((3, 1), (9, 1))}


def test_a_name_with_a_space_is_read_without_the_tab_that_ends_it() -> None:
    assert changed_lines(b"--- a/a b.py\t\n+++ b/a b.py\t\n@@ -0,0 +1 @@\n+x\n").has("a b.py", 1)


def test_nothing_is_changed_where_nothing_is_known() -> None:
    assert not NO_LINES.has("calc.py", 3)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(diff: bytes) -> None:
    changed_lines(diff)
    changed_lines(DIFF + diff)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_what_git_says_is_read_as_it_is_meant(old: list[str], new: list[str]) -> None:
    """The lines that are not marked as changed stand in the old file too, in the same order."""
    found = changed_lines(_diff(old, new))
    kept = [line for number, line in enumerate(new, 1) if not found.has("f", number)]
    rest = iter(old)
    assert all(line in rest for line in kept)


def _diff(old: list[str], new: list[str]) -> bytes:
    git = shutil.which("git")
    assert git
    with tempfile.TemporaryDirectory() as name:
        for side, lines in (("a", old), ("b", new)):
            Path(name, side).mkdir()
            Path(name, side, "f").write_text("".join(f"{line}\n" for line in lines))
        words = [git, "diff", "--no-index", "-U0", "--text", "--no-prefix", "a/f", "b/f"]
        return subprocess.run(words, cwd=name, capture_output=True, check=False).stdout
