from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.sandbox.machine import is_below, system, toolchains


def installation(place: Path) -> Path:
    """Something that looks like what a version manager unpacks."""
    (place / "bin").mkdir(parents=True)
    (place / "lib/python3.11").mkdir(parents=True)
    (place / "lib/python3.11/os.py").touch()
    (place / "bin/python3").touch()
    return place


def venv(place: Path, base: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text(f"home = {base}/bin\nversion = 3.11.7\n")
    (place / "bin/python").symlink_to(base / "bin/python3")
    return place


def test_an_interpreter_is_shown_with_its_libraries(tmp_path: Path) -> None:
    base = installation(tmp_path / "versions/3.11")
    assert toolchains([f"{base}/bin"], ()) == (str(base),)


def test_a_virtual_environment_is_shown_with_what_it_was_made_from(tmp_path: Path) -> None:
    base = installation(tmp_path / "versions/3.11")
    made = venv(tmp_path / "env", base)
    assert toolchains([f"{made}/bin"], ()) == (str(made), str(base))


def test_what_is_seen_anyway_is_not_shown_again(tmp_path: Path) -> None:
    base = installation(tmp_path / "versions/3.11")
    made = venv(tmp_path / "tree/.venv", base)
    assert toolchains([f"{made}/bin"], (str(tmp_path / "tree"),)) == (str(base),)


def test_a_directory_of_programs_shows_nothing_of_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "me/bin").mkdir(parents=True)
    (tmp_path / "me/.ssh").mkdir()
    assert toolchains([f"{tmp_path}/me/bin"], ()) == (str(tmp_path / "me/bin"),)


def test_a_link_to_a_program_elsewhere_does_not_show_where_that_is(tmp_path: Path) -> None:
    (tmp_path / "secrets/bin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(tmp_path / "secrets/bin/key")
    assert toolchains([f"{tmp_path}/bin"], ()) == (str(tmp_path / "bin"),)


@pytest.mark.parametrize("directory", ["/", "/home", "/etc", "/tmp", str(Path.home())])
def test_a_directory_that_holds_more_than_programs_is_never_shown(directory: str) -> None:
    assert directory not in toolchains([directory], ())


@pytest.mark.parametrize(
    ("path", "directory", "below"),
    [
        pytest.param("/a/b", "/a", True, id="in-it"),
        pytest.param("/a", "/a", True, id="itself"),
        pytest.param("/ab", "/a", False, id="a-longer-name"),
        pytest.param("/a", "/", True, id="the-root"),
    ],
)
def test_below_is_by_whole_names(path: str, directory: str, below: bool) -> None:
    assert is_below(path, directory) is below


def test_nothing_of_the_system_tells_who_else_is_here() -> None:
    shown = {*system(os.defpath).paths, *system(os.defpath).files}
    assert "/usr" in shown
    secret = {"/etc", "/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/machine-id", "/etc/ssh", "/home", "/root"}
    assert shown.isdisjoint(secret)
    assert not any(path.startswith(("/etc/ssl/private", "/var", "/run", "/tmp")) for path in shown)
