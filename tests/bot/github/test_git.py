from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github import git
from bot.github.errors import CommitNotFound, GitFailed, GitHubUnavailable, NotFound
from bot.github.git import Conflict, Entry, Merged, Mirror, sha_of
from tests.bot.github.repositories import Repository

NOWHERE = "f" * 40


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


@pytest.fixture
def mirror(tmp_path: Path, origin: Repository) -> Mirror:
    return Mirror(tmp_path / "mirror", origin.url)


async def test_a_fetched_commit_can_be_read_and_listed(origin: Repository, mirror: Mirror) -> None:
    sha = origin.commit({"README.md": "hello\n", "src/app.py": "x = 1\n", "src/run.sh": "#!/bin/sh\n"})
    await mirror.fetch([sha])
    assert await mirror.read(sha, "src/app.py") == b"x = 1\n"
    assert await mirror.read(sha, "src/none.py") is None
    assert await mirror.read(sha, "src") is None
    assert [entry.name for entry in await mirror.list(sha)] == ["README.md", "src"]
    assert [entry.name for entry in await mirror.list(sha, "src")] == ["app.py", "run.sh"]
    assert await mirror.list(sha, "nowhere") == ()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "--help", "*", ":(glob)**"])
async def test_a_path_is_only_ever_a_path_in_the_tree(origin: Repository, mirror: Mirror, path: str) -> None:
    sha = origin.commit({"a/x": "inside\n"})
    await mirror.fetch([sha])
    assert await mirror.read(sha, path) is None


async def test_a_symlink_is_listed_as_one_and_not_followed(origin: Repository, mirror: Mirror) -> None:
    origin.write({"real.txt": "text"})
    (origin.path / "link.txt").symlink_to("real.txt")
    sha = origin.commit({})
    await mirror.fetch([sha])
    kinds = {entry.name: entry.kind for entry in await mirror.list(sha)}
    assert kinds == {"link.txt": "symlink", "real.txt": "file"}
    assert await mirror.read(sha, "link.txt") is None


async def test_a_commit_that_is_here_costs_no_network(origin: Repository, mirror: Mirror) -> None:
    sha = origin.commit({"a": "1"})
    await mirror.fetch([sha])
    offline = Mirror(mirror.path, "http://127.0.0.1:9/unreachable.git")
    await offline.fetch([sha])
    assert await offline.read(sha, "a") == b"1"


async def test_a_commit_without_a_branch_is_fetched_by_its_sha(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a": "1"})
    orphan = origin.commit({"a": "2"}, on="gone")
    origin.checkout("main")
    origin.git("branch", "-D", "gone")
    await mirror.fetch([orphan])
    assert await mirror.read(orphan, "a") == b"2"


async def test_an_unknown_commit_is_named(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a": "1"})
    with pytest.raises(CommitNotFound, match=f"commit {NOWHERE} is not in the repository"):
        await mirror.fetch([NOWHERE])
    with pytest.raises(CommitNotFound):
        await mirror.read(NOWHERE, "a")
    with pytest.raises(CommitNotFound):
        await mirror.merge(NOWHERE, NOWHERE)


async def test_a_dead_host_is_unavailable_and_safe_to_repeat(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", "http://127.0.0.1:9/octo/app.git")
    with pytest.raises(GitHubUnavailable) as caught:
        await mirror.fetch([NOWHERE])
    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("--upload-pack=touch x", id="an-option"),
        pytest.param("main", id="a-branch"),
        pytest.param("HEAD", id="a-symbolic-name"),
        pytest.param("a" * 39, id="too-short"),
        pytest.param("a" * 41, id="too-long"),
        pytest.param("A" * 40, id="upper-case"),
        pytest.param("a" * 40 + "\n", id="a-trailing-newline"),
        pytest.param("+" + "a" * 40, id="a-forced-refspec"),
        pytest.param("a" * 40 + ":refs/heads/x", id="a-refspec"),
    ],
)
async def test_nothing_but_a_full_sha_reaches_git(mirror: Mirror, name: str) -> None:
    for attempt in (mirror.fetch([name]), mirror.read(name, "a"), mirror.merge(name, name), mirror.forget([name])):
        with pytest.raises(ValueError, match="not a full commit SHA"):
            await attempt
    with pytest.raises(ValueError, match="not a full commit SHA"):
        await mirror.export(name, mirror.path.parent / "out")


@given(st.text())
def test_only_forty_lower_hex_digits_are_a_sha(text: str) -> None:
    if len(text) == 40 and set(text) <= set("0123456789abcdef"):
        assert sha_of(text) == text
    else:
        with pytest.raises(ValueError, match="not a full commit SHA"):
            sha_of(text)


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c touch% x", "ssh://host/x", "git://host/x", "--upload-pack=x", "https://user:secret@host/x", "/x"],
)
def test_other_ways_to_fetch_are_refused_and_passwords_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="not an address to fetch from") as caught:
        Mirror(tmp_path / "mirror", url)
    assert "secret" not in str(caught.value)


async def test_a_head_is_merged_into_its_base_as_github_would(origin: Repository, mirror: Mirror) -> None:
    fork_point = origin.commit({"a": "1\n", "b": "1\n"})
    head = origin.commit({"a": "2\n"}, on="topic")
    origin.checkout("main")
    base = origin.commit({"b": "2\n"})
    await mirror.fetch([base, head])
    merged = await mirror.merge(base, head)
    assert isinstance(merged, Merged)
    assert await mirror.read(merged.commit, "a") == b"2\n"
    assert await mirror.read(merged.tree, "b") == b"2\n"
    assert fork_point not in (base, head)
    origin.git("merge", "--quiet", "--no-ff", "-m", "by hand", "topic")
    assert merged.tree == origin.git("rev-parse", "HEAD^{tree}")


async def test_the_merge_commit_depends_on_its_parents_alone(origin: Repository, tmp_path: Path) -> None:
    origin.commit({"a": "1\n", "b": "1\n"})
    head = origin.commit({"a": "2\n"}, on="topic")
    origin.checkout("main")
    base = origin.commit({"b": "2\n"})
    merges = []
    for name in ("here", "there"):
        mirror = Mirror(tmp_path / name, origin.url)
        await mirror.fetch([base, head])
        merges += [await mirror.merge(base, head), await mirror.merge(base, head)]
    assert len(set(merges)) == 1
    assert await mirror.merge(head, base) not in merges


async def test_a_commit_is_contained_in_itself_and_in_what_came_after(origin: Repository, mirror: Mirror) -> None:
    first = origin.commit({"a": "1"})
    second = origin.commit({"a": "2"})
    await mirror.fetch([first, second])
    assert await mirror.contains(second, first)
    assert await mirror.contains(first, first)
    assert not await mirror.contains(first, second)
    with pytest.raises(CommitNotFound):
        await mirror.contains(first, NOWHERE)


async def test_a_branch_stood_where_it_was_pushed_and_not_at_what_was_merged_into_it(
    origin: Repository, mirror: Mirror
) -> None:
    first = origin.commit({"a": "1"})
    topic = origin.commit({"b": "1"}, on="topic")
    origin.checkout("main")
    second = origin.commit({"a": "2"})
    origin.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
    tip = origin.git("rev-parse", "HEAD").strip()
    await mirror.fetch([tip, topic])
    stood = {sha: await mirror.is_on_line(tip, sha) for sha in (first, second, tip, topic)}
    assert stood == {first: True, second: True, tip: True, topic: False}
    assert not await mirror.is_on_line(first, second)


async def test_a_conflict_names_the_files_in_the_way(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a b.txt": "1\n", "ü.txt": "1\n", "fine": "1\n"})
    head = origin.commit({"a b.txt": "2\n", "ü.txt": "2\n"}, on="topic")
    origin.checkout("main")
    base = origin.commit({"a b.txt": "3\n", "ü.txt": "3\n"})
    await mirror.fetch([base, head])
    assert await mirror.merge(base, head) == Conflict(("a b.txt", "ü.txt"))


async def test_unrelated_histories_are_a_conflict_without_files(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a": "1\n"})
    origin.git("checkout", "--quiet", "--orphan", "other")
    head = origin.commit({"b": "1\n"})
    await mirror.fetch([base, head])
    assert await mirror.merge(base, head) == Conflict(())


async def test_an_export_is_the_tree_and_nothing_else(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    origin.write({"run.sh": "#!/bin/sh\n", "dir/data.bin": b"\x00\xff\r\n"})
    (origin.path / "run.sh").chmod(0o755)
    (origin.path / "link").symlink_to("dir/data.bin")
    (origin.path / "outside").symlink_to("/etc/hostname")
    sha = origin.commit({})
    await mirror.fetch([sha])
    out = tmp_path / "deep" / "out"
    await mirror.export(sha, out)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "dir", "dir/data.bin", "link", "outside", "run.sh",
    ]  # fmt: skip
    assert (out / "dir/data.bin").read_bytes() == b"\x00\xff\r\n"
    assert (out / "outside").readlink() == Path("/etc/hostname")
    assert stat.S_IMODE((out / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((out / "dir/data.bin").stat().st_mode) == 0o644


async def test_an_export_into_a_used_directory_is_refused(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    sha = origin.commit({"a": "1"})
    await mirror.fetch([sha])
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine").write_text("precious")
    with pytest.raises(GitFailed, match="not empty"):
        await mirror.export(sha, tmp_path / "used")
    assert (tmp_path / "used/mine").read_text() == "precious"


async def test_a_tree_that_would_fill_the_disk_is_refused_before_it_is_written(
    origin: Repository, mirror: Mirror, tmp_path: Path
) -> None:
    origin.write({"0": "spam"})
    origin.git("add", "0")
    tree = origin.git("write-tree")
    for _ in range(12):  # 12 trees of 10 entries stand for 10**12 files.
        lines = "".join(f"040000 tree {tree}\t{name}\n" for name in range(10))
        tree = origin.git("mktree", stdin=lines.encode())
    bomb = origin.git("commit-tree", tree, "-m", "boom")
    await mirror.fetch([bomb])
    with pytest.raises(GitFailed, match="cannot be measured"):
        await mirror.export(bomb, tmp_path / "out", max_files=10_000)
    small = origin.commit({"big": "x" * 5000})
    await mirror.fetch([small])
    with pytest.raises(GitFailed, match="larger than 1000 bytes"):
        await mirror.export(small, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "out").exists()


async def test_kept_commits_survive_compaction_and_forgotten_ones_are_let_go(
    origin: Repository, mirror: Mirror
) -> None:
    kept = origin.commit({"a": "1"})
    gone = origin.commit({"a": "2"}, on="topic")
    await mirror.fetch([kept, gone])
    assert await mirror.kept() == tuple(sorted((kept, gone)))
    await mirror.forget([gone])
    await mirror.compact()
    assert await mirror.read(kept, "a") == b"1"
    assert await mirror.kept() == (kept,)


async def test_entries_say_what_they_are(origin: Repository, mirror: Mirror) -> None:
    origin.write({"run": "x"})
    (origin.path / "run").chmod(0o755)
    origin.git("add", "run")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{NOWHERE},vendored")
    sha = origin.commit_staged()
    await mirror.fetch([sha])
    executable, submodule = await mirror.list(sha)
    assert executable == Entry(name="run", kind="executable", oid=executable.oid, size=1)
    assert submodule == Entry(name="vendored", kind="submodule", oid=NOWHERE)


def test_a_missing_commit_is_a_kind_of_not_found() -> None:
    assert issubclass(CommitNotFound, NotFound)


async def test_what_a_killed_git_left_behind_does_not_block_a_commit(origin: Repository, mirror: Mirror) -> None:
    first = origin.commit({"a": "1"})
    await mirror.fetch([first])
    second = origin.commit({"a": "2"})
    left = [
        mirror.path / name for name in (f"refs/interlock/{second}.lock", "packed-refs.lock", "objects/pack/tmp_pack_x")
    ]
    for path in left:
        path.touch()
    restarted = Mirror(mirror.path, origin.url)
    await restarted.fetch([second])
    assert await restarted.read(second, "a") == b"2"
    assert not any(path.exists() for path in left)


def orphan_with_lock(mirror: Path) -> subprocess.Popen[bytes]:
    """A process that inherited the lock from a bot that is gone."""
    holder = os.open(mirror / "interlock.flock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        return subprocess.Popen(["sleep", "1000"], pass_fds=[holder])
    finally:
        os.close(holder)


async def test_a_mirror_whose_creation_was_cut_short_is_finished(origin: Repository, mirror: Mirror) -> None:
    sha = origin.commit({"a": "1"})
    mirror.path.mkdir()
    (mirror.path / "HEAD").write_text("ref: refs/heads/main\n")
    (mirror.path / "config.lock").touch()
    await mirror.fetch([sha])
    assert await mirror.read(sha, "a") == b"1"


async def test_a_git_that_outlived_its_bot_is_waited_for(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = origin.commit({"a": "1"})
    await mirror.fetch([first])
    second = origin.commit({"a": "2"})
    orphan = orphan_with_lock(mirror.path)
    monkeypatch.setattr(git, "FETCH_SECONDS", 0.2)
    with pytest.raises(GitFailed, match="another git has been at work in mirror"):
        await Mirror(mirror.path, origin.url).fetch([second])
    orphan.kill()
    orphan.wait()
    monkeypatch.undo()
    await Mirror(mirror.path, origin.url).fetch([second])


async def test_git_inherits_the_lock_that_it_works_under(
    origin: Repository, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    script = f'#!/bin/sh\n[ "$1" = fetch ] && readlink /proc/$$/fd/* > {tmp_path}/open\nexec {real} "$@"\n'
    (tmp_path / "bin/git").write_text(script)
    (tmp_path / "bin/git").chmod(0o755)
    sha = origin.commit({"a": "1"})
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    await mirror.fetch([sha])
    assert str(mirror.path / "interlock.flock") in (tmp_path / "open").read_text().splitlines()


async def test_many_may_fetch_and_merge_at_the_same_time(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a": "1\n", "b": "1\n"})
    head = origin.commit({"a": "2\n"}, on="topic")
    origin.checkout("main")
    base = origin.commit({"b": "2\n"})

    async def once() -> Merged | Conflict:
        await mirror.fetch([base, head])
        return await mirror.merge(base, head)

    assert len(set(await asyncio.gather(*(once() for _ in range(4))))) == 1
