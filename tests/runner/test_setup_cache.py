from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Setup
from runner.setup_cache import CannotKeep, SetupCache
from runner.setup_key import find_inputs, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.setup_cache import Result

KEY = "a" * 32


class Caches:
    """Caches on one directory, as runs at the same time have them."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "cache"
        self._tmp = tmp_path
        self._open: list[SetupCache] = []
        self._elsewhere = 0

    def new(
        self, trust: str = "", *, verify: bool = True, fresh: bool = False, most_bytes: int = 1 << 30
    ) -> SetupCache:
        cache = SetupCache(str(self.directory), trust=trust, verify=verify, fresh=fresh, most_bytes=most_bytes)
        self._open.append(cache)
        return cache

    def take(self, cache: SetupCache, key: str = KEY, stop: Callable[[], str] = str) -> Result:
        self._elsewhere += 1
        return cache.take(key, elsewhere=str(self._tmp / f"elsewhere-{self._elsewhere}"), stop=stop)

    def make(self, cache: SetupCache, key: str = KEY, text: str = "made") -> Path:
        """Make and keep a result of one file."""
        result = self.take(cache, key)
        assert not result.made
        path = Path(result.directory, "file")
        path.write_text(text)
        result.keep()
        return path

    def close(self) -> None:
        for cache in self._open:
            cache.close()


@pytest.fixture
def caches(tmp_path: Path) -> Iterator[Caches]:
    caches = Caches(tmp_path)
    yield caches
    caches.close()


@pytest.mark.parametrize("verify", [True, False])
def test_what_one_run_made_the_next_one_finds_at_the_same_path(caches: Caches, *, verify: bool) -> None:
    first = caches.new(verify=verify)
    path = caches.make(first)
    first.close()
    again = caches.take(caches.new(verify=verify))
    assert (again.made, again.kept, again.note) == (True, True, "")
    assert Path(again.directory) / "file" == path
    assert path.read_text() == "made"


def test_another_key_finds_nothing(caches: Caches) -> None:
    caches.make(caches.new())
    assert not caches.take(caches.new(), "b" * 32).made


@pytest.mark.parametrize("other", ["", "T0"])
def test_what_an_untrusted_setup_made_is_never_found_by_a_trusted_one(caches: Caches, other: str) -> None:
    trojan = caches.make(caches.new("T1"), text="trojan")
    found = caches.take(caches.new(other))
    assert not found.made
    assert not trojan.is_relative_to(found.directory)
    assert caches.take(caches.new("T1")).made


def test_a_setup_that_failed_leaves_nothing_to_find(caches: Caches) -> None:
    result = caches.take(caches.new())
    Path(result.directory, "half").write_text("half")
    result.drop()
    again = caches.take(caches.new())
    assert not again.made
    assert list(Path(again.directory).iterdir()) == []


def test_a_run_that_died_while_making_leaves_nothing_to_find(caches: Caches) -> None:
    died = caches.new()
    Path(caches.take(died).directory, "half").write_text("half")
    for shelf in died._shelves:
        shelf.close()  # as the kernel does
    again = caches.take(caches.new())
    assert not again.made
    assert list(Path(again.directory).iterdir()) == []


def test_nobody_can_change_what_was_made_without_trying(caches: Caches) -> None:
    path = caches.make(caches.new())
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.parent.stat().st_mode & 0o777 == 0o555


def test_programs_stay_programs_and_lose_the_right_to_become_somebody_else(caches: Caches) -> None:
    result = caches.take(caches.new())
    program = Path(result.directory, "program")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o6755)
    result.keep()
    assert program.stat().st_mode & 0o7777 == 0o555


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs a setup as another user")
def test_what_another_user_made_is_ours_afterwards(caches: Caches) -> None:
    """Whoever owns a file may take its protection away again, and boxes may get the user that the setup had."""
    result = caches.take(caches.new())
    made = Path(result.directory, "made")
    made.write_text("made")
    (made.parent / "link").symlink_to("made")
    for path in (made.parent, made, made.parent / "link"):
        os.chown(path, 54_321, 54_321, follow_symlinks=False)
    result.keep()
    assert {path.lstat().st_uid for path in (made.parent, *made.parent.iterdir())} == {0}


def overwrite(path: Path) -> None:
    path.write_text("evil")


def overwrite_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    path.write_text("evil")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    path.unlink()
    path.write_text("made")
    path.chmod(0o755)


def add(path: Path) -> None:
    path.with_name("sitecustomize.py").write_text("evil")


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("change", [overwrite, overwrite_and_set_the_time_back, replace, add, remove, link])
def test_what_was_changed_afterwards_is_made_again_and_told(
    caches: Caches, change: Callable[[Path], None], *, verify: bool
) -> None:
    first = caches.new(verify=verify)
    path = caches.make(first)
    first.close()
    path.parent.chmod(0o755)
    path.chmod(0o644)
    change(path)
    if path.exists() and not path.is_symlink():
        path.chmod(0o444 if change is not replace else 0o755)
    path.parent.chmod(0o555)

    again = caches.take(caches.new(verify=verify))
    assert (again.made, again.note) == (False, "what the setup made was changed afterwards; it is made again")
    assert list(Path(again.directory).iterdir()) == []


def test_what_another_run_uses_is_not_made_again_under_it(caches: Caches) -> None:
    using = caches.new()
    path = caches.make(using)
    fresh = caches.take(caches.new(fresh=True))
    assert (fresh.made, fresh.kept) == (False, False)
    assert path.read_text() == "made"
    assert not Path(fresh.directory).is_relative_to(caches.directory)


def test_fresh_makes_it_again_for_those_who_come_after(caches: Caches) -> None:
    first = caches.new()
    caches.make(first, text="old")
    first.close()
    second = caches.new(fresh=True)
    path = caches.make(second, text="new")
    second.close()
    assert caches.take(caches.new()).made
    assert path.read_text() == "new"


MAKER = """
import os, sys
from runner.setup_cache import SetupCache
cache = SetupCache(sys.argv[1], trust="", verify=True)
asked = []
def stop():
    if not asked:
        print("waiting", flush=True)
    asked.append(None)
    return ""
result = cache.take("key", elsewhere=sys.argv[2], stop=stop)
if not result.made:
    print("making", flush=True)
    sys.stdin.readline()
    with open(f"{result.directory}/file", "w") as file:
        file.write("whole" * 100_000)
    result.keep()
print(len(open(f"{result.directory}/file").read()))
cache.close()
"""


def test_runs_at_the_same_time_make_it_once_and_none_sees_half_of_it(tmp_path: Path) -> None:
    def start(number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAKER, str(tmp_path / "cache"), str(tmp_path / f"elsewhere-{number}")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    first = start(0)
    assert first.stdout
    assert first.stdout.readline() == "making\n"
    others = [start(number) for number in range(1, 4)]
    assert [other.stdout and other.stdout.readline() for other in others] == ["waiting\n"] * 3
    assert first.communicate("go on\n")[0] == "500000\n"
    assert [other.communicate()[0] for other in others] == ["500000\n"] * 3


NOBODY = """
import os, sys
import encodings.idna  # what is imported later may lie where only root gets
from runner.setup_cache import SetupCache
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(12345)
    os.setuid(12345)
for turn in range(2):
    cache = SetupCache(sys.argv[1], trust="", verify=True, fresh=True)
    result = cache.take("key", elsewhere=sys.argv[2], stop=str)
    os.makedirs(f"{result.directory}/a/b/c")
    open(f"{result.directory}/a/b/c/file", "w").close()
    result.keep()
    cache.close()
    print(result.kept)
SetupCache(sys.argv[1], trust="", verify=True, most_bytes=0).close()
print(os.listdir(f"{sys.argv[1]}/local"))
"""


def test_somebody_who_is_not_root_can_make_it_again_and_remove_it() -> None:
    place = Path(tempfile.mkdtemp())  # every user can pass through it, unlike a test's own
    place.chmod(0o777)
    try:
        said = subprocess.run(
            [sys.executable, "-c", NOBODY, str(place / "cache"), str(place / "elsewhere")],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    finally:
        shutil.rmtree(place)
    assert (said.stdout, said.stderr) == ("True\nTrue\n[]\n", "")


def test_who_waits_for_another_run_can_be_stopped(caches: Caches) -> None:
    making = caches.take(caches.new())
    asked: list[None] = []

    def stop() -> str:
        asked.append(None)
        return "drain" if len(asked) > 2 else ""

    waited = caches.take(caches.new(), stop=stop)
    assert (making.made, waited.made, waited.kept) == (False, False, False)


def test_the_results_that_were_used_longest_ago_make_room(caches: Caches) -> None:
    for number, key in enumerate("abcd"):
        cache = caches.new()
        path = caches.make(cache, key * 32, text="x" * 400_000)
        cache.close()
        os.utime(path.parents[1] / "made.json", (number, number))
    used = caches.new()
    assert caches.take(used, "a" * 32).made  # and so it is the newest
    used.close()

    caches.new(most_bytes=1_000_000).close()
    left = {path.name[0] for path in (caches.directory / "local").iterdir()}
    assert left == {"a", "d"}


def test_what_is_in_use_is_not_removed_however_full_it_is(caches: Caches) -> None:
    using = caches.new()
    path = caches.make(using)
    caches.new(most_bytes=0).close()
    assert path.exists()
    using.close()
    caches.new(most_bytes=0).close()
    assert not path.exists()


def test_what_was_never_finished_is_removed(caches: Caches) -> None:
    died = caches.new()
    caches.take(died)
    for shelf in died._shelves:
        shelf.close()
    caches.new().close()
    assert list((caches.directory / "local").iterdir()) == []


def test_a_result_that_holds_no_plain_files_is_used_and_not_kept(caches: Caches) -> None:
    result = caches.take(caches.new())
    os.mkfifo(Path(result.directory, "pipe"))
    with pytest.raises(CannotKeep, match="pipe is no file"):
        result.keep()
    assert Path(result.directory, "pipe").exists()


def test_a_file_that_lies_elsewhere_too_keeps_its_mode(caches: Caches, tmp_path: Path) -> None:
    elsewhere = tmp_path / "package-manager"
    elsewhere.write_text("wheel")
    elsewhere.chmod(0o640)
    cache = caches.new()
    result = caches.take(cache)
    os.link(elsewhere, Path(result.directory, "wheel"))
    result.keep()
    cache.close()
    assert elsewhere.stat().st_mode & 0o777 == 0o640
    assert caches.take(caches.new()).made


def test_links_of_a_virtual_environment_are_kept_as_they_are(caches: Caches) -> None:
    result = caches.take(caches.new())
    Path(result.directory, "python").symlink_to("/usr/bin/python3")
    mode = Path("/usr/bin").stat().st_mode
    result.keep()
    assert Path(result.directory, "python").readlink() == Path("/usr/bin/python3")
    assert Path("/usr/bin").stat().st_mode == mode


def test_a_cache_that_cannot_be_written_costs_the_keeping_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache = SetupCache(str(tmp_path / "cache"), trust="", verify=True)
    result = cache.take(KEY, elsewhere=str(tmp_path / "elsewhere"), stop=str)
    assert (result.made, result.kept) == (False, False)
    assert result.note == "the setup's result is not kept: Not a directory"
    assert Path(result.directory).is_dir()
    cache.close()


class Tree:
    """A repository with a setup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("requirements.txt", "flask==3\n")
        self.write("web/package.json", "{}")
        self.setup = Setup(run="pip install -r requirements.txt", inputs=["requirements.txt", "web/**"])
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": "/home/mona"}

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def key(self, **other: object) -> str:
        given: dict[str, object] = {"suite": "", "trust": "T1", "level": "bubblewrap", "hosts": ["files.example:443"]}
        given |= other
        setup = given.pop("setup", self.setup)
        environ = given.pop("environ", self.environ)
        assert isinstance(setup, Setup)
        directory = str(self.root)
        inputs = find_inputs(setup, directory)
        key: str = key_of(setup, inputs, directory=directory, environ=environ, **given)  # type: ignore[arg-type]
        return key


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def test_inputs_are_files_in_order_and_globs_that_name_none_are_told(tree: Tree) -> None:
    tree.write("web/.git/config", "x")
    (tree.root / "web" / "to").symlink_to("/etc")
    inputs = find_inputs(
        Setup(run="x", inputs=["web/**", "requirements.txt", "*.lock", "missing.txt", "web"]), str(tree.root)
    )
    assert inputs.files == ("requirements.txt", "web/package.json", "web/to")
    assert inputs.unmatched == ("*.lock", "missing.txt", "web")


@pytest.mark.parametrize("glob", ["away/**", "away/deep/*.lock", "away/all.lock"])
def test_no_link_leads_inputs_out_of_the_tree(tree: Tree, tmp_path: Path, glob: str) -> None:
    """A hostile one would have us read all of this machine, before any sandbox."""
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    for name in ("all.lock", "deep/all.lock"):
        (tmp_path / "elsewhere" / name).touch()
    (tree.root / "away").symlink_to(tmp_path / "elsewhere")
    assert find_inputs(Setup(run="x", inputs=[glob]), str(tree.root)).files == ()


def test_a_link_to_another_place_of_the_tree_leads_to_inputs(tree: Tree) -> None:
    tree.write("common/all.lock", "x")
    (tree.root / "web/common").symlink_to("../common")
    found = find_inputs(Setup(run="x", inputs=["common/*"]), str(tree.root / "web"), root=str(tree.root))
    assert found.files == ("common/all.lock",)


def test_the_key_is_the_same_for_the_same(tree: Tree) -> None:
    before = tree.key()
    tree.write("README.md", "not an input")
    os.utime(tree.root / "requirements.txt", (1, 1))
    assert tree.key() == before
    assert tree.key(environ={**tree.environ, "HOME": "/home/ada", "LANG": "de"}) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda tree: tree.write("requirements.txt", "flask==4\n"), id="an-input's-content"),
        pytest.param(lambda tree: tree.write("web/new.json", ""), id="a-new-input"),
        pytest.param(lambda tree: (tree.root / "requirements.txt").chmod(0o755), id="an-input-that-may-be-run"),
        pytest.param(lambda tree: (tree.root / "web/package.json").rename(tree.root / "web/p.json"), id="a-name"),
        pytest.param(lambda tree: (tree.root / "web/link").symlink_to("package.json"), id="a-link"),
        pytest.param(lambda tree: tree.environ.update(PIP_INDEX_URL="x"), id="a-package-manager's-variable"),
        pytest.param(lambda tree: tree.environ.update(PATH="/bin:/usr/bin"), id="the-path"),
    ],
)
def test_the_key_changes_with(tree: Tree, change: Callable[[Tree], None]) -> None:
    before = tree.key()
    change(tree)
    assert tree.key() != before


@pytest.mark.parametrize(
    "other",
    [
        {"trust": "T0"},
        {"trust": ""},
        {"level": "off"},
        {"suite": "web"},
        {"hosts": []},
        {"setup": Setup(run="pip install -U -r requirements.txt", inputs=["requirements.txt", "web/**"])},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_key_differs_for_another(tree: Tree, other: dict[str, object]) -> None:
    assert tree.key(**other) != tree.key()


def test_another_release_of_the_system_is_another_key(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built against the libraries of the one may not load with those of the other."""
    before = tree.key()
    monkeypatch.setattr("runner.setup_key._text", lambda path: f"{path}: the release after this one")
    assert tree.key() != before


def test_another_machine_is_another_key(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home may be on a file system that machines of several kinds share."""
    before = tree.key()
    here = os.uname()
    other = os.uname_result((here.sysname, here.nodename, here.release, here.version, "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: other)
    assert tree.key() != before


def test_a_variable_that_the_command_names_counts(tree: Tree) -> None:
    setup = Setup(run="make deps FLAVOUR=${FLAVOUR}", inputs=["requirements.txt"])
    sweet = tree.key(setup=setup, environ={**tree.environ, "FLAVOUR": "sweet"})
    assert sweet != tree.key(setup=setup, environ={**tree.environ, "FLAVOUR": "sour"})


def test_a_program_that_the_command_names_counts(tree: Tree, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "mytool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    setup = Setup(run="mytool --all", inputs=["requirements.txt"])
    environ = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    before = tree.key(setup=setup, environ=environ)
    program.write_text("#!/bin/sh\n# another version\n")
    assert tree.key(setup=setup, environ=environ) != before


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "out-of-the-tree", "nowhere", "itself"])
def test_an_input_that_is_no_file_of_the_tree_is_not_read(tree: Tree, kind: str, tmp_path: Path) -> None:
    path = tree.root / "requirements.txt"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "itself":
        path.symlink_to("requirements.txt")
    else:
        path.symlink_to(tmp_path / "secret")
    before = tree.key()
    (tmp_path / "secret").write_text("what is outside")
    assert (tree.key() == before) is True


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "d/a"]), st.binary(max_size=4)), max_size=4))
def test_different_inputs_never_have_the_same_key(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes]]
) -> None:
    """Not even when what one file lacks stands in the next one."""
    keys: dict[str, dict[str, bytes]] = {}
    for chosen in (files, files[:-1], [(name, content + b"x") for name, content in files]):
        root = tmp_path_factory.mktemp("law")
        (root / "d").mkdir()
        content = dict(chosen)
        for name, data in content.items():
            (root / name).write_bytes(data)
        setup = Setup(run="x", inputs=["**"])
        inputs = find_inputs(setup, str(root))
        key = key_of(
            setup, inputs, suite="", directory=str(root), environ={"PATH": ""}, trust="", level="off", hosts=()
        )
        assert keys.setdefault(key, content) == content
