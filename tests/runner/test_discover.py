from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from runner.discover import IDENTITY, NEW_BOX_MAY_SAY, discover
from runner.errors import BadMetadata, Cycle, DuplicateNumber, UserError
from runner.model import Box, BoxId, Suite

CONFIG = ".github/interlock.yml"
BLOCK = '#!/bin/sh\n# /// box\n# title = "Lint"\n# timeout = "5s"\n# ///\n'
TEST = "def test_adds():\n    assert 1 + 1 == 2\n"


class Tree:
    """A repository on disk that is written in few words."""

    def __init__(self, path: Path, files: dict[str, str]) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        for name, text in files.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def discover(self, **options: str) -> Suite:
        return discover(str(self.path), **options)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "repo", {})


def rows(suite: Suite) -> list[str]:
    return [f"{box.id} tier {box.tier} {box.kind} {box.title!r} {box.file or box.run}" for box in suite.boxes]


def test_boxes_are_found_in_tier_directories_entries_and_suites(tree: Tree) -> None:
    tree.write("boxes/tier-1/07_lint_all.sh", BLOCK)
    tree.write("boxes/tier-2-units/12_adds.py", TEST)
    tree.write("boxes/tier-2-units/13_script.py", "print('no test here')\n")
    tree.write("boxes/tier-2-units/14_http-login", "#!/bin/sh\n")
    tree.write("services/api/boxes/tier-1/7_lint.sh", "#!/bin/sh\n")
    tree.write(
        CONFIG, "boxes:\n  1: {tier: 1, run: make check}\n  api/9: {tier: 3, run: x}\nsuites: {api: services/api}\n"
    )
    suite = tree.discover()
    assert rows(suite) == snapshot(
        [
            "1 tier 1 command 'make check' make check",
            "7 tier 1 file 'Lint' boxes/tier-1/07_lint_all.sh",
            "12 tier 2 pytest 'adds' boxes/tier-2-units/12_adds.py",
            "13 tier 2 file 'script' boxes/tier-2-units/13_script.py",
            "14 tier 2 file 'http login' boxes/tier-2-units/14_http-login",
            "api/7 tier 1 file 'lint' boxes/tier-1/7_lint.sh",
            "api/9 tier 3 command 'x' x",
        ]
    )
    assert suite.roots == {"": ".", "api": "services/api"}
    assert [(box.source, box.line) for box in suite.boxes if box.id.number == 7] == [
        ("boxes/tier-1/07_lint_all.sh", 2),
        ("services/api/boxes/tier-1/7_lint.sh", 1),
    ]


def test_a_repository_without_boxes_has_an_empty_suite(tree: Tree) -> None:
    assert tree.discover().boxes == ()


@pytest.mark.parametrize(
    "name",
    [
        "_helper.sh",
        ".hidden",
        "README.md",
        "readme",
        "conftest.py",
        "__init__.py",
        "07_a.sh~",
        "07_a.sh.orig",
        "07_a.pyc",
    ],
)
def test_what_is_no_box_is_passed_over(tree: Tree, name: str) -> None:
    tree.write(f"boxes/tier-1/{name}", "x")
    tree.write("boxes/tier-1/data/07_a.sh", "x")
    tree.write("boxes/lib/08_a.sh", "x")
    tree.write("boxes/README.md", "x")
    assert tree.discover().boxes == ()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param(
            "boxes/tier-1/lint.sh",
            "not the name of a box (name it NUMBER_SLUG.EXT of letters, digits, - and _; or put _ before it)",
            id="no-number",
        ),
        pytest.param(
            "boxes/tier-1/7-lint.sh",
            "not the name of a box (name it NUMBER_SLUG.EXT of letters, digits, - and _; or put _ before it)",
            id="dash",
        ),
        pytest.param(
            "boxes/tier-1/7_a b.sh",
            "not the name of a box (name it NUMBER_SLUG.EXT of letters, digits, - and _; or put _ before it)",
            id="space",
        ),
        pytest.param("boxes/7_lint.sh", "a box outside of a tier directory (move it to boxes/tier-N)", id="no-tier"),
        pytest.param(
            "boxes/tier-1/7_a.sh.box.toml", "there is no box beside it (it belongs to 7_a.sh)", id="sidecar-alone"
        ),
    ],
)
def test_what_only_looks_like_a_box_is_refused_rather_than_lost(tree: Tree, path: str, said: str) -> None:
    tree.write(path, "")
    with pytest.raises(BadMetadata) as refused:
        tree.discover()
    assert str(refused.value) == f"{path}: {said}"


def test_a_directory_that_only_looks_like_a_tier_is_refused(tree: Tree) -> None:
    tree.write("boxes/tier4/07_lint.sh", BLOCK)
    with pytest.raises(BadMetadata, match=r"^boxes/tier4: not the name of a tier directory \(name it tier-4 "):
        tree.discover()


def test_a_directory_that_looks_like_a_box_is_refused(tree: Tree) -> None:
    tree.write("boxes/tier-1/7_lint/main.sh", "")
    with pytest.raises(
        BadMetadata,
        match=r"^boxes/tier-1/7_lint: a box must be a regular file \(begin its name with _ if it is no box\)$",
    ):
        tree.discover()


def test_two_boxes_with_a_number_are_both_named_and_a_free_one_is_offered(tree: Tree) -> None:
    for path in ("tier-1/07_lint.py", "tier-2/07_api.py", "tier-2/8_x.sh", "tier-2/9_x.sh"):
        tree.write(f"boxes/{path}", "")
    with pytest.raises(DuplicateNumber) as refused:
        tree.discover()
    assert str(refused.value) == (
        "boxes/tier-2/07_api.py: box 7 is already taken by boxes/tier-1/07_lint.py"
        " (give it a free number; next free: 10)"
    )


def test_a_file_and_an_entry_cannot_share_a_number(tree: Tree) -> None:
    tree.write("boxes/tier-1/07_lint.py", "")
    tree.write(CONFIG, "boxes:\n  7: {tier: 1, run: x}\n")
    with pytest.raises(
        DuplicateNumber, match=r"^\.github/interlock\.yml:2: box 7 is already taken by boxes/tier-1/07_lint"
    ):
        tree.discover()


def test_a_binary_has_its_metadata_beside_it(tree: Tree) -> None:
    (tree.path / "boxes/tier-1").mkdir(parents=True)
    (tree.path / "boxes/tier-1/7_lint").write_bytes(b"\x7fELF\0\0# /// box\n# broken\n")
    tree.write("boxes/tier-1/7_lint.box.toml", 'title = "A binary"\n\ntimeout = "9s"\n')
    (box,) = tree.discover().boxes
    assert (box.title, box.timeout, box.source, box.file) == (
        "A binary",
        9.0,
        "boxes/tier-1/7_lint",
        "boxes/tier-1/7_lint",
    )
    tree.write("boxes/tier-1/7_lint.box.toml", "\ntimout = 9\n")
    with pytest.raises(BadMetadata, match=r"^boxes/tier-1/7_lint\.box\.toml:2: unknown key 'timout'"):
        tree.discover()


def test_metadata_in_two_places_is_refused(tree: Tree) -> None:
    tree.write("boxes/tier-1/7_lint.sh", BLOCK)
    tree.write("boxes/tier-1/7_lint.sh.box.toml", "title = 'x'")
    with pytest.raises(BadMetadata, match=r"7_lint\.sh:2: metadata in two places"):
        tree.discover()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("import x\n\ndef test_a(): ...\n", "pytest", id="function"),
        pytest.param("async def test_a(): ...\n", "pytest", id="async-function"),
        pytest.param("class TestA:\n    def test_b(self): ...\n", "pytest", id="class"),
        pytest.param('"""Doc."""\ndef test_a(): ...\n', "pytest", id="behind-a-docstring"),
        pytest.param("def main():\n    def test_a(): ...\n", "file", id="only-inside"),
        pytest.param('SAMPLE = """\ndef test_a(): ...\n"""\n', "file", id="only-in-a-string"),
        pytest.param('"""\ndef test_a(:\n', "pytest", id="pytest-shall-say-what-is-wrong-with-it"),
    ],
)
def test_a_python_file_with_top_level_tests_is_a_pytest_box(tree: Tree, text: str, kind: str) -> None:
    tree.write("boxes/tier-1/7_a.py", text)
    assert [box.kind for box in tree.discover().boxes] == [kind]
    assert [box.kind for box in discover(str(tree.path), python_scan=False).boxes] == ["file"]


def test_after_is_checked_across_files_and_entries(tree: Tree) -> None:
    tree.write("boxes/tier-1/7_a.sh", "# /// box\n# after = [8]\n# ///\n")
    tree.write(CONFIG, "boxes:\n  8: {tier: 1, run: x, after: [7]}\n")
    with pytest.raises(Cycle, match=r"^boxes/tier-1/7_a\.sh:1: boxes wait for each other: 7 → 8 → 7"):
        tree.discover()


def test_a_link_to_another_file_of_the_repository_is_a_box(tree: Tree) -> None:
    tree.write("scripts/check.sh", BLOCK)
    tree.write("boxes/tier-1/_", "")
    (tree.path / "boxes/tier-1/7_check.sh").symlink_to("../../scripts/check.sh")
    assert [box.title for box in tree.discover().boxes] == ["Lint"]


@pytest.mark.parametrize(
    "link",
    ["boxes", "boxes/tier-1", "boxes/tier-1/7_x.sh", "services/api", ".github", CONFIG],
)
def test_a_link_that_leaves_the_repository_is_refused(tree: Tree, tmp_path: Path, link: str) -> None:
    Tree(
        tmp_path / "elsewhere",
        {"tier-1/7_x.sh": BLOCK, "7_x.sh": BLOCK, "boxes/tier-1/7_x.sh": BLOCK, "interlock.yml": ""},
    )
    target = {"boxes/tier-1/7_x.sh": "7_x.sh", CONFIG: "interlock.yml"}.get(link, "")
    if not link.startswith(".github"):
        tree.write(CONFIG, "suites: {api: services/api}")
        (tree.path / "services/api").mkdir(parents=True)
    if link == "services/api":
        (tree.path / "services/api").rmdir()
    (tree.path / link).parent.mkdir(parents=True, exist_ok=True)
    (tree.path / link).symlink_to(tmp_path / "elsewhere" / target)
    with pytest.raises(UserError):
        tree.discover()


def test_metadata_beside_a_box_is_not_read_from_elsewhere(tree: Tree, tmp_path: Path) -> None:
    """It is read before there is any sandbox, and what is wrong with it is told: keys and values of somebody's file."""
    (tmp_path / "secrets.toml").write_text('title = "a secret"\nwebhook_secret = "x"\n')
    tree.write("boxes/tier-1/7_a.sh", "true\n")
    (tree.path / "boxes/tier-1/7_a.sh.box.toml").symlink_to(tmp_path / "secrets.toml")
    with pytest.raises(BadMetadata, match=r"^boxes/tier-1/7_a\.sh\.box\.toml: a link that leaves the repository"):
        tree.discover()


def test_metadata_that_nobody_writes_is_not_waited_for(tree: Tree) -> None:
    tree.write("boxes/tier-1/7_a.sh", "true\n")
    os.mkfifo(tree.path / "boxes/tier-1/7_a.sh.box.toml")
    with pytest.raises(BadMetadata, match="must be a regular file"):
        tree.discover()


def test_a_link_to_nowhere_is_refused(tree: Tree) -> None:
    tree.write("boxes/tier-1/_", "")
    (tree.path / "boxes/tier-1/7_x.sh").symlink_to("gone.sh")
    with pytest.raises(BadMetadata, match="a box must be a regular file"):
        tree.discover()


def test_a_pipe_is_no_box_and_is_not_opened(tree: Tree) -> None:
    tree.write("boxes/tier-1/_", "")
    os.mkfifo(tree.path / "boxes/tier-1/7_x.sh")
    with pytest.raises(BadMetadata, match="a box must be a regular file"):
        tree.discover()


def test_everything_that_is_wrong_is_told_at_once(tree: Tree) -> None:
    tree.write(CONFIG, "report: {comment: yes}\nboxes:\n  3: {tier: 1, run: x, tags: smoke}\n")
    tree.write("boxes/tier-1/7_x.sh", "# /// box\n# timout = 3\n# slow = '2'\n# ///\n")
    tree.write("boxes/tier-1/no-number.sh", "")
    with pytest.raises(BadMetadata) as refused:
        tree.discover()
    told = [f"{mistake.where}: {mistake.message}" for mistake in refused.value.every]
    assert told == [
        ".github/interlock.yml:1: 'comment' must be true or false",
        ".github/interlock.yml:3: 'tags' must be a list",
        "boxes/tier-1/7_x.sh:2: unknown key 'timout'",
        "boxes/tier-1/7_x.sh:3: 'slow' is not a duration from 1ms to 168h",
        "boxes/tier-1/no-number.sh: not the name of a box",
    ]


class TestDefault:
    """The configuration of a tree that has none of its own."""

    TEXT = "defaults: {timeout: 7s}\nboxes: {30: {tier: 1, run: lint}}\n"

    @pytest.fixture
    def default(self, tmp_path: Path) -> str:
        (tmp_path / "default.yml").write_text(self.TEXT)
        return str(tmp_path / "default.yml")

    def test_it_applies_whole_where_there_is_none(self, tree: Tree, default: str) -> None:
        tree.write("boxes/tier-1/7_x.sh", "")
        boxes = tree.discover(default=default).boxes
        assert [(box.id.number, box.timeout) for box in boxes] == [(7, 7.0), (30, 7.0)]
        assert boxes[1].source == default

    @pytest.mark.parametrize("own", [CONFIG, ".github/interlock.yaml"])
    def test_it_is_not_merged_with_one_that_is_there(self, tree: Tree, default: str, own: str) -> None:
        tree.write("boxes/tier-1/7_x.sh", "")
        tree.write(own, "")
        if own == CONFIG:
            assert [box.id.number for box in tree.discover(default=default).boxes] == [7]
        else:
            with pytest.raises(BadMetadata, match="not the name of the configuration"):
                tree.discover(default=default)

    def test_a_change_is_judged_by_it_as_by_its_base_s_own(self, tree: Tree, default: str, tmp_path: Path) -> None:
        base = Tree(tmp_path / "base", {"boxes/tier-1/7_x.sh": ""})
        tree.write("boxes/tier-1/7_x.sh", "")
        tree.write(CONFIG, "boxes: {30: {tier: 1, run: 'true'}}\n")
        suite = tree.discover(base=str(base.path), default=default)
        assert [(box.id.number, box.run) for box in suite.boxes] == [(7, ""), (30, "lint")]

    def test_what_is_wrong_with_it_is_said_to_be_there(self, tree: Tree, default: str) -> None:
        Path(default).write_text("boxs: {}\n")
        tree.write("boxes/tier-1/7_x.sh", "")
        with pytest.raises(BadMetadata) as refused:
            tree.discover(default=default)
        assert (refused.value.file, refused.value.line, refused.value.place) == (default, 1, "default")

    def test_a_change_of_it_is_seen(self, tree: Tree, default: str, tmp_path: Path) -> None:
        tree.write("boxes/tier-1/7_x.sh", "")
        assert len(tree.discover(default=default, cache_dir=str(tmp_path / "cache")).boxes) == 2
        Path(default).write_text("")
        assert len(tree.discover(default=default, cache_dir=str(tmp_path / "cache")).boxes) == 1
        assert len(tree.discover(cache_dir=str(tmp_path / "cache")).boxes) == 1


def test_a_suite_needs_its_directory(tree: Tree) -> None:
    tree.write(CONFIG, "\nsuites:\n  api: services/api\n")
    with pytest.raises(BadMetadata, match=r"interlock\.yml:3: the directory services/api of suite 'api' is not in the"):
        tree.discover()


def test_a_suite_s_files_are_relative_to_its_directory(tree: Tree) -> None:
    tree.write("services/api/boxes/tier-1/7_x.sh", "")
    tree.write(CONFIG, "suites: {api: services/api}")
    (box,) = tree.discover().boxes
    assert (box.file, box.source) == ("boxes/tier-1/7_x.sh", "services/api/boxes/tier-1/7_x.sh")


class TestBase:
    """Metadata of the base, programs of the change."""

    @pytest.fixture
    def base(self, tmp_path: Path) -> Tree:
        return Tree(tmp_path / "base", {})

    def test_a_change_cannot_weaken_a_box_s_metadata(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/7_x.sh", BLOCK + "# strict\n")
        tree.write("boxes/tier-1/7_x.sh", BLOCK.replace("5s", "1h").replace('"Lint"', '"x"\n# may_skip = true'))
        suite = tree.discover(base=str(base.path))
        assert [(box.title, box.timeout, box.may_skip) for box in suite.boxes] == [("Lint", 5.0, False)]

    def test_a_renamed_and_moved_file_is_the_same_box(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write("boxes/tier-2/07_renamed.py", TEST)
        (box,) = tree.discover(base=str(base.path)).boxes
        assert (box.tier, box.title, box.kind, box.file) == (1, "Lint", "pytest", "boxes/tier-2/07_renamed.py")

    def test_a_box_whose_file_is_gone_stays_and_cannot_run(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        assert [(box.id.number, box.kind) for box in tree.discover(base=str(base.path)).boxes] == [(7, "missing")]

    def test_an_entry_runs_the_base_s_command(self, base: Tree, tree: Tree) -> None:
        base.write(CONFIG, "boxes:\n  7: {tier: 1, run: make strict}\n")
        tree.write(CONFIG, "boxes:\n  7: {tier: 1, run: 'true'}\n")
        assert [box.run for box in tree.discover(base=str(base.path)).boxes] == ["make strict"]

    def test_a_new_box_has_no_network_secrets_or_env_but_its_services(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/_", "")
        keys = "# network = ['x']\n# secrets = ['S']\n# needs = ['db']\n# env = {A = '1'}\n# min_asserts = 2\n"
        tree.write("boxes/tier-1/7_x.sh", f"# /// box\n{keys}# ///\n")
        (box,) = tree.discover(base=str(base.path)).boxes
        assert (box.network, box.secrets, box.needs, box.env, box.min_asserts) == ((), (), ("db",), {}, 2)

    def test_a_new_http_box_makes_no_requests(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/_", "")
        tree.write(CONFIG, "boxes:\n  7: {tier: 1, http: {get: 'http://192.0.2.1/'}}\n")
        (box,) = tree.discover(base=str(base.path)).boxes
        assert (box.kind, box.http) == ("http", ())

    @pytest.mark.requirement("S-14")
    @pytest.mark.parametrize("path", [CONFIG, "boxes/tier-1/7_x.sh"])
    def test_what_a_change_breaks_counts_for_nothing_and_is_told(self, base: Tree, tree: Tree, path: str) -> None:
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write(path, "# /// box\n# timout = 3\n# ///\ntimout: 3\n")
        suite = tree.discover(base=str(base.path))
        assert [(box.title, box.timeout, box.file) for box in suite.boxes] == [("Lint", 5.0, "boxes/tier-1/7_x.sh")]
        [note] = suite.notes
        assert f"counts for nothing, it is not valid: {path}:" in note
        assert "unknown key 'timout'" in note

    def test_a_new_box_that_cannot_be_read_is_refused(self, base: Tree, tree: Tree) -> None:
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write("boxes/tier-1/8_x.sh", "# /// box\n# timout = 3\n# ///\n")
        with pytest.raises(BadMetadata, match="unknown key 'timout'") as refused:
            tree.discover(base=str(base.path))
        assert [mistake.place for mistake in refused.value.every] == [""]

    @pytest.mark.requirement("S-14")
    def test_what_is_wrong_on_the_base_is_refused_and_said_to_be_there(self, base: Tree, tree: Tree) -> None:
        base.write(CONFIG, "timout: 3\nboxs: {}\n")
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write("boxes/tier-1/7_x.sh", BLOCK)
        with pytest.raises(BadMetadata) as refused:
            tree.discover(base=str(base.path))
        assert [(mistake.line, mistake.place) for mistake in refused.value.every] == [(1, "base"), (2, "base")]

    @pytest.mark.requirement("S-15")
    def test_a_new_box_may_say_what_is_listed_and_nothing_else(self, base: Tree, tree: Tree) -> None:
        assert {*IDENTITY, *NEW_BOX_MAY_SAY} == {*Box.__slots__} - {"network", "secrets", "env", "http"}
        base.write("boxes/tier-1/7_x.sh", BLOCK)
        tree.write(CONFIG, "boxes:\n  8: {tier: 1, run: x, network: [a], secrets: [A], env: {A: b}, tags: [t]}\n")
        [_, new] = tree.discover(base=str(base.path)).boxes
        assert (new.run, new.tags, new.network, new.secrets, new.env) == ("x", ("t",), (), (), {})

    def test_settings_setup_and_the_hash_are_the_base_s(self, base: Tree, tree: Tree) -> None:
        base.write(CONFIG, "setup: {run: make}\nlimits: {processes: 9}\nsuites: {api: a}\n")
        base.write("a/boxes/tier-1/1_x.sh", "")
        tree.write(CONFIG, "setup: {run: evil}\nlimits: {processes: 999}\nsuites: {api: b}\n")
        tree.write("b/boxes/tier-1/1_x.sh", "")
        suite = tree.discover(base=str(base.path))
        assert suite.setups[""].run == "make"
        assert suite.settings == {"limits": {"processes": 9}}
        assert [(str(box.id), box.kind) for box in suite.boxes] == [("api/1", "missing")]


class TestCache:
    """A warm start reads no document."""

    @pytest.fixture
    def cached(self, tree: Tree) -> Tree:
        tree.write(
            "boxes/tier-1/7_x.sh",
            "# /// box\n# after = [8]\n# quarantine = {until = 2030-01-01, reason = 'r'}\n"
            "# control = {run = 'x', expect = 'y'}\n# ///\n",
        )
        tree.write(CONFIG, "setup: {run: make}\nboxes:\n  8: {tier: 1, run: x, env: {A: b}}\nlimits: {processes: 3}\n")
        return tree

    def warm(self, cached: Tree, tmp_path: Path) -> str:
        """Fill the cache, and let the clock's tick pass."""
        directory = str(tmp_path / "cache")
        cached.discover(cache_dir=directory)
        file = tmp_path / "cache/suite.json"
        later = file.stat().st_mtime_ns + 10**9
        os.utime(file, ns=(later, later))
        return directory

    def marked(self, tmp_path: Path) -> None:
        """Change what is stored, so that a test sees whether it is believed."""
        file = tmp_path / "cache/suite.json"
        before = file.stat()
        file.write_text(file.read_text().replace('"x"', '"from the cache"'))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_what_is_remembered_equals_what_was_read(self, cached: Tree, tmp_path: Path) -> None:
        directory = self.warm(cached, tmp_path)
        assert cached.discover(cache_dir=directory) == cached.discover()
        self.marked(tmp_path)
        assert "from the cache" in [box.run for box in cached.discover(cache_dir=directory).boxes]

    def test_a_warm_start_imports_no_parser(self, cached: Tree, tmp_path: Path) -> None:
        directory = self.warm(cached, tmp_path)
        code = (
            "import sys; from runner.discover import discover; discover(sys.argv[1], cache_dir=sys.argv[2]);"
            "slow = {'tomllib', 'ruamel.yaml', 'ast', 'hashlib', 'runner.config', 'typing', 'pathlib', 'dataclasses'};"
            "print(sorted(slow & set(sys.modules)))"
        )
        argv = [sys.executable, "-c", code, str(cached.path), directory]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        assert done.stdout.strip() == "[]"

    @pytest.mark.parametrize("change", ["edit", "add", "remove", "config", "replace", "link"])
    def test_any_change_is_seen(self, cached: Tree, tmp_path: Path, change: str) -> None:
        directory = self.warm(cached, tmp_path)
        file = cached.path / "boxes/tier-1/7_x.sh"
        before = file.stat()
        match change:
            case "edit":
                file.write_text(file.read_text().replace("8]", "8] "))
            case "add":
                cached.write("boxes/tier-2/9_new.sh", "")
            case "remove":
                file.unlink()
            case "config":
                cached.write(CONFIG, "boxes:\n  8: {tier: 1, run: y}\n")
            case "replace":  # same size, same modification time: only the change time tells.
                file.write_text(file.read_text().replace("'r'", "'s'"))
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            case _:
                file.rename(cached.path / "moved.sh")
                file.symlink_to("../../moved.sh")
        self.marked(tmp_path)
        assert cached.discover(cache_dir=directory) == cached.discover()

    def test_what_was_stored_right_after_a_change_is_not_believed(self, cached: Tree, tmp_path: Path) -> None:
        directory = self.warm(cached, tmp_path)
        changed = (cached.path / CONFIG).stat().st_ctime_ns
        os.utime(tmp_path / "cache/suite.json", ns=(changed, changed + 10**6))
        self.marked(tmp_path)
        assert cached.discover(cache_dir=directory) == cached.discover()

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"format": "interlock.suite/0"}', "[" * 100_000, '{"format": "interlock.suite/2"}']
    )
    def test_a_cache_that_cannot_be_read_is_ignored_and_mended(self, cached: Tree, tmp_path: Path, text: str) -> None:
        directory = self.warm(cached, tmp_path)
        (tmp_path / "cache/suite.json").write_text(text)
        assert cached.discover(cache_dir=directory) == cached.discover()
        assert (tmp_path / "cache/suite.json").read_text() != text

    def test_another_base_or_another_repository_is_not_taken_for_this_one(self, cached: Tree, tmp_path: Path) -> None:
        directory = self.warm(cached, tmp_path)
        other = Tree(tmp_path / "other", {"boxes/tier-1/1_y.sh": ""})
        assert other.discover(cache_dir=directory) == other.discover()
        assert cached.discover(cache_dir=directory, base=str(other.path)) == cached.discover(base=str(other.path))
        assert other.discover(cache_dir=directory, base=str(cached.path)) == other.discover(base=str(cached.path))

    def test_a_place_that_cannot_be_written_is_no_trouble(self, cached: Tree, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert len(cached.discover(cache_dir=str(tmp_path / "file/cache")).boxes) == 2


def test_the_hash_depends_on_what_the_configuration_says_and_not_on_where_it_lies(tmp_path: Path) -> None:
    files = {"boxes/tier-1/7_x.sh": BLOCK, CONFIG: "limits: {processes: 9}"}
    hashes = {Tree(tmp_path / name, files).discover().config_hash for name in ("a", "b")}
    assert len(hashes) == 1
    for name, changed in {
        "c": {CONFIG: "limits: {processes: 8}"},
        "d": {"boxes/tier-1/7_x.sh": BLOCK.replace("5s", "6s")},
    }.items():
        hashes.add(Tree(tmp_path / name, files | changed).discover().config_hash)
    assert len(hashes) == 3


def test_ten_thousand_boxes_are_found(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "repo", {})
    for tier in range(1, 11):
        directory = tree.path / f"boxes/tier-{tier}"
        directory.mkdir(parents=True)
        for number in range(1000):
            (directory / f"{tier * 1000 + number}_x.sh").touch()
    suite = tree.discover(cache_dir=str(tmp_path / "cache"))
    assert len(suite.boxes) == 10_000
    assert suite.boxes[0].id == BoxId("", 1000)
    assert tree.discover(cache_dir=str(tmp_path / "cache")) == suite


@pytest.mark.parametrize("name", ["Tier-2", "teir-2", "tire-2", "tier2", "TIER_2", "tier"])
def test_a_directory_that_was_meant_as_a_tier_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "boxes" / name).mkdir(parents=True)
    with pytest.raises(BadMetadata, match=rf"boxes/{name}: not the name of a tier directory \(name it tier-4 or"):
        discover(str(tmp_path))


@pytest.mark.parametrize("name", ["lib", "fixtures", "tools-2", "data_1", "rtt2x"])
def test_other_directories_may_stand_beside_the_tiers(tmp_path: Path, name: str) -> None:
    (tmp_path / "boxes" / name).mkdir(parents=True)
    assert discover(str(tmp_path)).boxes == ()


@pytest.mark.parametrize("target", ["1_a", "nowhere"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "boxes" / "tier-1").mkdir(parents=True)
    (tmp_path / "boxes" / "tier-1" / "1_a").symlink_to(target)
    with pytest.raises(BadMetadata, match=rf"boxes/tier-1/1_a: .*its link to {target} leads nowhere"):
        discover(str(tmp_path))


def test_a_configuration_under_the_other_ending_is_not_passed_over(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    root = tmp_path / "tree"
    (root / ".github").mkdir(parents=True)
    assert discover(str(root), cache_dir=str(cache)).boxes == ()
    (root / ".github" / "interlock.yaml").write_text("boxes: {}")
    with pytest.raises(BadMetadata, match=r"interlock\.yaml: .*\(name it \.github/interlock\.yml\)"):
        discover(str(root), cache_dir=str(cache))


def test_a_configuration_that_is_a_directory_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / ".github" / "interlock.yml").mkdir(parents=True)
    with pytest.raises(BadMetadata, match=r"interlock\.yml: cannot be read: Is a directory"):
        discover(str(tmp_path))
