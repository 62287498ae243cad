from __future__ import annotations

from pathlib import Path

import pytest

from bot.github.git_version import GitUnusable, judge_git, require_git


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("git version 2.38.0\n", id="the-oldest"),
        pytest.param("git version 2.39.5 (Apple Git-154)\n", id="with-a-vendor"),
        pytest.param("git version 3.0.rc1\n", id="the-next"),
    ],
)
def test_a_git_that_merges_without_a_work_tree_is_enough(said: str) -> None:
    judge_git(said)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param("git version 2.34.1\n", r"git 2\.34 cannot merge .*install git 2\.38", id="too-old"),
        pytest.param("hello\n", r"says 'hello'; git 2\.38 or newer is needed", id="not-git"),
    ],
)
def test_any_other_is_refused_with_the_version_that_is_needed(said: str, sentence: str) -> None:
    with pytest.raises(GitUnusable, match=sentence):
        judge_git(said)


async def test_the_installed_git_is_enough_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await require_git()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitUnusable, match="git cannot be started"):
        await require_git()
