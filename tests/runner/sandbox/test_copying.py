from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from runner.sandbox.copying import copy_layer, copy_tree, lend


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "src/a.py").write_text("A = 1\n")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o4755)
    (tree / "away").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    return tree


def test_the_group_may_do_to_a_copy_what_its_owner_may_and_nobody_gets_more(tree: Path, tmp_path: Path) -> None:
    (tree / "src/a.py").chmod(0o600)
    copy_tree(str(tree), str(tmp_path / "copy"), group=os.getegid())
    assert mode(tmp_path / "copy/src/a.py") == 0o660
    assert mode(tmp_path / "copy/run.sh") == 0o775, "and nothing changes who a program runs as"
    assert (tmp_path / "copy/src/a.py").stat().st_gid == os.getegid()


def test_a_link_stays_a_link_and_what_is_no_file_is_left(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tree)  # a socket's path is short.
        listener.bind("socket")
        copy_tree(str(tree), str(tmp_path / "copy"), group=-1)
    assert (tmp_path / "copy/away").readlink() == Path("/etc/passwd")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["away", "run.sh", "src"]


def test_times_are_kept_so_that_tools_see_nothing_new(tree: Path, tmp_path: Path) -> None:
    os.utime(tree / "src/a.py", ns=(1_000_000_007, 2_000_000_009))
    copy_tree(str(tree), str(tmp_path / "copy"), group=-1)
    assert (tmp_path / "copy/src/a.py").stat().st_mtime_ns == 2_000_000_009


def test_what_is_large_and_not_a_boxs_to_change_is_shown_and_not_copied(tree: Path, tmp_path: Path) -> None:
    for name in (".git", "web/node_modules", ".venv"):
        (tree / name).mkdir(parents=True)
        (tree / name / "content").touch()
    (tree / ".venv/pyvenv.cfg").touch()
    shown = copy_tree(str(tree), str(tmp_path / "copy"), group=-1)
    assert sorted(shown) == [".git", ".venv", "web/node_modules"]
    assert not any(path for name in shown for path in (tmp_path / "copy" / name).iterdir())


def test_a_whole_copy_leaves_nothing_to_be_shown(tree: Path, tmp_path: Path) -> None:
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").touch()
    assert copy_tree(str(tree), str(tmp_path / "copy"), group=-1, whole=True) == ()
    assert (tmp_path / "copy/.git/HEAD").exists()


def test_a_link_in_the_place_of_what_is_shown_is_not_followed(tree: Path, tmp_path: Path) -> None:
    (tree / "node_modules").symlink_to("/root")
    assert copy_tree(str(tree), str(tmp_path / "copy"), group=-1) == ()
    assert (tmp_path / "copy/node_modules").readlink() == Path("/root")


def test_scratch_that_lies_in_the_tree_is_not_copied_into_itself(tree: Path) -> None:
    (tree / "tmp").mkdir()
    copy_tree(str(tree), str(tree / "tmp/copy"), group=-1, leave_out=str(tree / "tmp"))
    assert not (tree / "tmp/copy/tmp").exists()
    assert (tree / "tmp/copy/run.sh").exists()


def test_a_layer_is_lent_without_following_its_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o600)
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "link").symlink_to(outside)
    lend(str(layer), os.getegid())
    assert mode(outside) == 0o600


def test_holes_of_a_layers_files_take_no_room_on_our_disk(tmp_path: Path) -> None:
    upper, kept = tmp_path / "upper", tmp_path / "kept"
    upper.mkdir()
    kept.mkdir()
    with (upper / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(100 << 20)
        file.write(b"middle")
        file.truncate(300 << 20)
    (upper / "hole").touch()
    os.truncate(upper / "hole", 200 << 20)
    if (upper / "sparse").stat().st_blocks * 512 > 1 << 20:
        pytest.skip("missing component: a file system with sparse files")
    copy_layer(str(upper), str(kept))
    for name, size in (("sparse", 300 << 20), ("hole", 200 << 20)):
        status = (kept / name).stat()
        assert status.st_size == size
        assert status.st_blocks * 512 <= 1 << 20, name
    with (kept / "sparse").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek((100 << 20) - 1)
        assert file.read(8) == b"\0middle\0"


def test_what_was_removed_and_replaced_is_kept_with_a_layer(tmp_path: Path) -> None:
    upper, kept = tmp_path / "upper", tmp_path / "kept"
    (upper / "replaced").mkdir(parents=True)
    kept.mkdir()
    (upper / "new.txt").write_text("new")
    try:
        os.mknod(upper / "gone", stat.S_IFCHR, 0)
        os.setxattr(upper / "replaced", "user.overlay.opaque", b"y")
    except OSError as error:
        pytest.skip(f"missing component: whiteouts for this user ({error.strerror})")
    copy_layer(str(upper), str(kept))
    assert (kept / "new.txt").read_text() == "new"
    assert stat.S_ISCHR((kept / "gone").stat().st_mode)
    assert (kept / "gone").stat().st_rdev == 0
    assert os.getxattr(kept / "replaced", "user.overlay.opaque") == b"y"
