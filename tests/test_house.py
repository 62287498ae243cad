"""What the house promises about itself: its lock, its make targets, what its files may name, and when a skip is red."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# Written apart, so that this file does not name them either.
REGISTRIES = tuple(".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs")))


def tracked() -> list[str]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file()]


def locked() -> dict[str, str]:
    """Name and version of everything in the lock."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", lock, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def required() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [*project["dependencies"], *extras, *PROJECT["build-system"]["requires"]]
    return [found for line in lines if (found := Requirement(line)).name != project["name"]]


def test_no_tracked_file_names_a_registry_or_this_machine() -> None:
    home = re.compile(rb"(?<![\w.])/(?:root|home/\w+)/")
    for name in tracked():
        content = (ROOT / name).read_bytes()
        assert not [host for host in REGISTRIES if host.encode() in content], name
        assert not home.search(content), name


def test_the_lock_satisfies_every_dependency() -> None:
    versions = locked()
    assert required()
    for requirement in required():
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in requirements.lock (make lock)"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, but {version} is locked"


def test_everything_in_the_lock_has_a_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    assert [entry.splitlines()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []


def test_hishel_stays_below_two() -> None:
    (hishel,) = [requirement for requirement in required() if requirement.name == "hishel"]
    assert not hishel.specifier.contains("2.0.0")
    assert locked()["hishel"].startswith("1.")


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make (\w+) ", listed, re.MULTILINE) == phony
    assert {"setup", "demo", "test", "check", "fix", "docs", "bench", "boxes", "snapshots"} <= set(phony)


def test_the_readme_names_the_test_command_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "```sh not-run: this is the command that runs this test\nmake test\n```" in readme


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A tree with nothing but the set-up, and a PATH with nothing but a shell's tools and one unusable python."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements.lock").write_text("")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "env", "git", "id", "printf", "rm", "true"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    return tmp_path


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def set_up(tree: Path, *, path: str = "") -> subprocess.CompletedProcess[str]:
    env = {"PATH": path or str(tree / "bin")}
    return subprocess.run([tree / "tools" / "setup.sh"], env=env, capture_output=True, text=True, check=False)


def test_set_up_passes_over_a_python_that_is_too_old(bare: Path) -> None:
    script(bare / "bin" / "python3", "exit 1")
    answer = set_up(bare)
    assert answer.returncode == 1
    assert "no Python >= 3.11 among: python3.13 python3.12 python3.11 python3" in answer.stderr


def test_set_up_without_root_prints_the_one_line_that_helps(bare: Path) -> None:
    # A python as Debian ships it: no ensurepip. Nobody may become root here.
    script(bare / "bin" / "python3", f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    script(bare / "bin" / "apt-get", "echo apt-get was run >&2; exit 1")
    (bare / "bin" / "id").unlink()
    script(bare / "bin" / "id", "echo 1000")
    answer = set_up(bare)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == f"setup:     sudo apt-get update && sudo apt-get install -y {version}"
    assert "apt-get was run" not in answer.stderr


def test_set_up_as_root_installs_what_debian_split_off(bare: Path) -> None:
    flag = bare / "flag"
    # The package lists are empty at first, as in a fresh container: only after an update is the package found.
    script(
        bare / "bin" / "apt-get",
        f"""
case "$*" in
update*) echo updated >>{flag};;
*) [ -e {flag} ] || exit 100; echo "$*" >>{flag};;
esac""",
    )
    script(
        bare / "bin" / "python3",
        f"""
case "$*" in
*ensurepip*) [ -e {flag} ];;
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
"-m pip "*) ;;
*) exec {sys.executable} "$@";;
esac""",
    )
    for name in ("mkdir", "cp"):
        (bare / "bin" / name).symlink_to(str(shutil.which(name)))
    (bare / "bin" / "id").unlink()
    script(bare / "bin" / "id", "echo 0")
    answer = set_up(bare)
    assert answer.returncode == 0, answer.stderr
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert flag.read_text().splitlines() == ["updated", f"install -qq -y {version}"]
    assert (bare / ".venv" / ".installed").exists()


def test_set_up_does_not_take_its_own_environment_for_another_python(bare: Path) -> None:
    log = bare / "log"
    answer = f"""
case "$*" in
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/python3; echo venv >>{log};;
"-m pip "*) ;;
*sys.executable*) echo "$0";;
*) exec {sys.executable} "$@";;
esac"""
    script(bare / "bin" / "python3", answer)
    for name in ("mkdir", "cp"):
        (bare / "bin" / name).symlink_to(str(shutil.which(name)))
    activated = f"{bare}/.venv/bin:" * 2 + str(bare / "bin")
    for _ in range(2):
        assert set_up(bare, path=activated).returncode == 0
    assert log.read_text().splitlines() == ["venv"]


def test_set_up_does_again_only_what_a_change_asks_for(bare: Path) -> None:
    log = bare / "log"
    script(
        bare / "bin" / "python3",
        f"""
case "$*" in
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >>{log};;
"-m pip "*) echo "$*" >>{log};;
*) exec {sys.executable} "$@";;
esac""",
    )
    for name in ("mkdir", "cp"):
        (bare / "bin" / name).symlink_to(str(shutil.which(name)))
    assert set_up(bare).returncode == 0
    once = log.read_text().splitlines()
    project = "-m pip install -qq --no-deps --no-build-isolation -e ."
    assert once == ["venv", "-m pip install -qq --no-deps --require-hashes -r requirements.lock", project]
    assert set_up(bare).returncode == 0
    assert log.read_text().splitlines() == once
    with (bare / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert set_up(bare).returncode == 0
    assert log.read_text().splitlines() == [*once, project]
    (bare / "requirements.lock").write_text("# changed\n")
    assert set_up(bare).returncode == 0
    assert log.read_text().splitlines() == [*once, project, *once]


SKIPPING = """
import pytest

def test_of_a_component():
    pytest.skip("{reason}")
"""


@pytest.mark.parametrize(
    ("reason", "ci", "code"),
    [
        pytest.param("missing component: bubblewrap", "true", 1, id="missing-in-ci"),
        pytest.param("missing component: bubblewrap", "", 0, id="missing-at-home"),
        pytest.param("only on macOS", "true", 0, id="another-reason"),
    ],
)
@pytest.mark.parametrize("module_level", [False, True], ids=["a-test", "a-module"])
def test_a_skip_for_a_missing_component_is_red_in_ci(
    tmp_path: Path, reason: str, ci: str, code: int, module_level: bool
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    text = SKIPPING.format(reason=reason)
    if module_level:
        text = f'import pytest\npytest.skip("{reason}", allow_module_level=True)\n'
    (tmp_path / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "test_it.py"]
    environment = {"PATH": "/usr/bin:/bin", "CI": ci, "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    # pytest ends with 5 when a module's skip left no test at all.
    assert answer.returncode == (5 if module_level and not code else code + module_level * code), answer.stdout
    assert ("it must be there when CI=true" in answer.stdout) is bool(code)


def test_set_up_never_takes_its_own_python_for_another_one(bare: Path) -> None:
    # make puts .venv first on the path, so from the second time on a python is found in there.
    log = bare / "log"
    script(
        bare / "bin" / "python3",
        f"""
case "$*" in
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/python3; echo venv >>{log};;
"-m pip "*) ;;
*sys.executable*) echo "$0";;
*) exec {sys.executable} "$@";;
esac""",
    )
    for name in ("mkdir", "cp"):
        (bare / "bin" / name).symlink_to(str(shutil.which(name)))
    for _ in range(2):
        path = f"{bare.resolve()}/.venv/bin:{bare / 'bin'}"
        answer = set_up(bare, path=path)
        assert answer.returncode == 0, answer.stderr
    assert log.read_text().splitlines() == ["venv"]
