"""What a hostile repository, server or name cannot do to the mirror, and where the token does not go."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.github.errors import BadCredentials, CommitNotFound, GitFailed, GitHubProblem, NotFound
from bot.github.git import Conflict, Merged, Mirror
from bot.github.tokens import SecretToken
from tests.bot.github.git_server import GitServer, git_server
from tests.bot.github.repositories import Repository
from tests.bot.github.wire import NOW

SECRET = "ghs_verysecret.token-of_ours"
TOKEN = SecretToken(SECRET, NOW + timedelta(hours=1))
BASIC = base64.b64encode(f"x-access-token:{SECRET}".encode()).decode()


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    (tmp_path / "served").mkdir()
    return Repository(tmp_path / "served" / "app.git")


@pytest.fixture
async def server(origin: Repository) -> AsyncIterator[GitServer]:
    async with git_server(origin.path.parent, SECRET) as server:
        yield server


@pytest.fixture
def mirror(tmp_path: Path, server: GitServer) -> Mirror:
    return Mirror(tmp_path / "mirror", f"{server.url}/app.git")


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git on PATH that notes each command line, and its environment, before it becomes the real one."""
    real, notes = shutil.which("git"), tmp_path / "notes"
    (tmp_path / "bin").mkdir()
    notes.mkdir()
    script = f'#!/bin/sh\ntr "\\0" " " < /proc/$$/cmdline >> {notes}/argv\nenv >> {notes}/env\nexec {real} "$@"\n'
    (tmp_path / "bin/git").write_text(script)
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return notes


def _files_with(directory: Path, *secrets: str) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


async def test_the_token_travels_in_the_environment_and_is_written_nowhere(
    origin: Repository, server: GitServer, mirror: Mirror, witness: Path, tmp_path: Path
) -> None:
    base = origin.commit({"a": "1"})
    head = origin.commit({"b": "1"}, on="topic")
    await mirror.fetch([base, head], token=TOKEN)
    assert isinstance(await mirror.merge(base, head), Merged)
    await mirror.export(head, tmp_path / "out")
    assert set(server.seen) == {f"Basic {BASIC}"}
    argv = (witness / "argv").read_text()
    assert " fetch " in argv
    assert " read-tree " in argv
    assert SECRET not in argv
    assert BASIC not in argv
    assert (witness / "env").read_text().count(BASIC) == 1, "only the fetch may know it"
    assert _files_with(mirror.path, SECRET, BASIC) == []
    assert _files_with(tmp_path / "out", SECRET, BASIC) == []


async def test_a_refused_token_is_bad_credentials_and_not_repeated_in_the_message(
    origin: Repository, server: GitServer, mirror: Mirror
) -> None:
    sha = origin.commit({"a": "1"})
    server.token = "another"
    with pytest.raises(BadCredentials) as caught:
        await mirror.fetch([sha], token=TOKEN)
    assert SECRET not in repr(caught.value)
    assert BASIC not in repr(caught.value)


@pytest.mark.parametrize(
    ("repository", "kind"),
    [pytest.param("app.git", CommitNotFound, id="sha"), pytest.param("none.git", NotFound, id="repo")],
)
async def test_what_the_server_has_not_got_is_named(
    origin: Repository, server: GitServer, tmp_path: Path, repository: str, kind: type[GitHubProblem]
) -> None:
    origin.commit({"a": "1"})
    with pytest.raises(kind):
        await Mirror(tmp_path / "mirror", f"{server.url}/{repository}").fetch(["f" * 40], token=TOKEN)


async def test_the_token_does_not_follow_a_redirect(
    origin: Repository, server: GitServer, mirror: Mirror, tmp_path: Path
) -> None:
    sha = origin.commit({"a": "1"})
    async with git_server(tmp_path, SECRET) as thief:
        server.redirect_to = thief.url
        with pytest.raises(GitHubProblem):
            await mirror.fetch([sha], token=TOKEN)
    assert server.seen
    assert thief.seen == []


@pytest.fixture
def tripwire(tmp_path: Path) -> Path:
    """A command that leaves a mark if anything runs it; give its path to whatever should never run it."""
    command = tmp_path / "tripwire"
    command.write_text(f"#!/bin/sh\ntouch {tmp_path}/tripped\ncat\n")
    command.chmod(0o755)
    return command


async def test_attributes_of_a_repository_run_no_filter_and_change_no_byte(
    origin: Repository, mirror: Mirror, tripwire: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The operator's own configuration knows the filter, as after `git lfs install`; ours must not read it.
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = {tripwire}\n\tprocess = {tripwire}\n\trequired = true\n'
    )
    origin.git("config", "core.autocrlf", "false")
    files = {
        "evil.bin": b"payload\n",
        "id.txt": b"$Id$\n",
        "crlf.txt": b"a\nb\n",
        "utf16.txt": b"wide\n",
        "big.lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    }
    origin.write(dict(files))
    origin.git("add", "--all")
    attributes = (
        "*.bin filter=evil\n*.lfs filter=lfs\nid.txt ident\ncrlf.txt text eol=crlf\n"
        "utf16.txt working-tree-encoding=UTF-16\n"
    )
    origin.write(
        {".gitattributes": attributes, "export/.gitattributes": "* export-ignore filter=evil\n", "export/x": "x"}
    )
    origin.git("add", ".gitattributes", "export")
    sha = origin.commit_staged()
    await mirror.fetch([sha], token=TOKEN)
    await mirror.export(sha, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files} == files
    assert (tmp_path / "out/export/x").read_text() == "x"
    assert not (tmp_path / "tripped").exists()


async def test_hooks_and_settings_left_in_the_mirror_do_not_run(
    origin: Repository, server: GitServer, mirror: Mirror, tripwire: Path, tmp_path: Path
) -> None:
    first = origin.commit({"a": "1\n"})
    await mirror.fetch([first], token=TOKEN)
    hooks = mirror.path / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc", "post-index-change"):
        shutil.copy(tripwire, hooks / hook)
    with (mirror.path / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {tripwire}\n\thooksPath = {hooks}\n[credential]\n\thelper = !{tripwire}\n")
    head = origin.commit({"a": "2\n"}, on="topic")
    await mirror.fetch([head], token=TOKEN)
    await mirror.merge(first, head)
    await mirror.export(head, tmp_path / "out")
    server.token = "another"
    with pytest.raises(BadCredentials):  # this is where git would ask a helper.
        await mirror.fetch(["f" * 40], token=TOKEN)
    assert not (tmp_path / "tripped").exists()


async def test_a_merge_driver_named_by_a_repository_does_not_decide(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a": "1\n", ".gitattributes": "* merge=union\n"})
    head = origin.commit({"a": "2\n"}, on="topic")
    origin.checkout("main")
    base = origin.commit({"a": "3\n"})
    await mirror.fetch([base, head], token=TOKEN)
    assert await mirror.merge(base, head) == Conflict(("a",))


async def test_a_replacement_object_does_not_change_what_a_sha_means(origin: Repository, mirror: Mirror) -> None:
    good = origin.commit({"a": "good"})
    evil = origin.commit({"a": "evil"}, on="evil")
    await mirror.fetch([good, evil], token=TOKEN)
    replace = mirror.path / "refs/replace"
    replace.mkdir()
    (replace / good).write_text(f"{evil}\n")
    assert await mirror.read(good, "a") == b"good"


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", "..", ".", ".g\u200cit"])
async def test_a_tree_with_a_dangerous_name_is_not_written(origin: Repository, tmp_path: Path, name: str) -> None:
    origin.write({"payload": "[core]\n"})
    origin.git("add", "payload")
    blob = origin.git("rev-parse", ":payload")
    inner = origin.git("mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    raw = b"40000 " + name.encode() + b"\0" + bytes.fromhex(inner)
    tree = origin.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    sha = origin.git("commit-tree", tree, "-m", "evil")
    mirror = Mirror(tmp_path / "mirror", origin.url)
    await mirror.fetch([sha])
    with pytest.raises(GitFailed):
        await mirror.export(sha, tmp_path / "deep" / "out")
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["out"]


async def test_a_file_is_not_written_through_a_symlink(origin: Repository, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    origin.write({"payload": "owned"})
    origin.git("add", "payload")
    blob = origin.git("rev-parse", ":payload")
    link = origin.git("hash-object", "-w", "--stdin", stdin=str(tmp_path / "target").encode())
    inner = origin.git("mktree", stdin=f"100644 blob {blob}\tfile\n".encode())
    raw = b"".join(mode + b" a\0" + bytes.fromhex(oid) for mode, oid in ((b"120000", link), (b"40000", inner)))
    tree = origin.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    sha = origin.git("commit-tree", tree, "-m", "twice the same name")
    mirror = Mirror(tmp_path / "mirror", origin.url)
    await mirror.fetch([sha])
    try:
        await mirror.export(sha, tmp_path / "out")
    except GitFailed:
        assert list((tmp_path / "out").iterdir()) == []
    assert list((tmp_path / "target").iterdir()) == []


async def test_a_tree_nested_deeper_than_any_path_is_refused_and_leaves_nothing(
    origin: Repository, mirror: Mirror, tmp_path: Path
) -> None:
    deep = "/".join(["d"] * 3000)
    commit = "commit refs/heads/deep\ncommitter a <a@b> 0 +0000\ndata 0\n"
    origin.git("fast-import", "--quiet", stdin=f"{commit}M 100644 inline {deep}/x\ndata 1\nx\n".encode())
    sha = origin.git("rev-parse", "deep")
    await mirror.fetch([sha], token=TOKEN)
    with pytest.raises(GitFailed):
        await mirror.export(sha, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
