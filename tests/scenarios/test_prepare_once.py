"""A team whose boxes need dependencies: they are installed once, and nobody can slip something into them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inline_snapshot import snapshot

from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of

if TYPE_CHECKING:
    from runner.events import Event

in_a_sandbox = pytest.mark.skipif(
    not any(rung.level.full and rung.works for rung in rungs(os.environ)), reason=f"{MISSING} a full sandbox"
)
LEVELS = [pytest.param("off", id="off"), pytest.param("full", id="full", marks=in_a_sandbox)]

CONFIG = """\
setup:
  run: 'cp lock.txt "$SETUP_DIR/installed"; echo "$SETUP_DIR" > "$SETUP_DIR/where"'
  inputs: [lock.txt]
"""
READS = 'test "$(cat "$SETUP_DIR/where")" = "$SETUP_DIR" && cat "$SETUP_DIR/installed"'


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.write(".github/interlock.yml", CONFIG)
    repository.write("lock.txt", "flask 3\n")
    repository.box(1, READS)
    return repository


def reused(events: list[Event]) -> bool:
    (setup,) = of("SetupFinished", events)
    assert setup.ok
    return bool(setup.cached)


def output(events: list[Event]) -> str:
    (box,) = of("BoxFinished", events)
    assert box.green, box.reason
    return str(box.output)


@pytest.mark.parametrize("sandbox", LEVELS)
def test_dependencies_are_installed_once_until_what_they_depend_on_changes(
    repository: Repository, sandbox: str
) -> None:
    first = repository.events("--sandbox", sandbox)
    again = repository.events("--sandbox", sandbox)
    repository.write("unrelated.py", "x = 1\n")
    unrelated = repository.events("--sandbox", sandbox)
    repository.write("lock.txt", "flask 4\n")
    newer = repository.events("--sandbox", sandbox)

    assert [reused(events) for events in (first, again, unrelated, newer)] == [False, True, True, False]
    assert [output(events) for events in (first, again, newer)] == ["flask 3\n", "flask 3\n", "flask 4\n"]
    assert not reused(repository.events("--sandbox", sandbox, "--fresh-setup"))


def test_a_person_sees_that_it_was_reused(repository: Repository) -> None:
    repository.runner("run")
    said = repository.runner("run", "--format", "plain").out.splitlines()
    assert said[2] == snapshot("✓ setup  reused")
    assert repository.runner("run", GITHUB_ACTIONS="true").out.count("setup reused") == 1


def test_a_setup_without_inputs_runs_every_time(repository: Repository) -> None:
    repository.write(".github/interlock.yml", CONFIG.replace("  inputs: [lock.txt]\n", ""))
    assert [reused(repository.events()), reused(repository.events())] == [False, False]


def test_inputs_that_name_nothing_are_told(repository: Repository) -> None:
    repository.write(".github/interlock.yml", CONFIG.replace("[lock.txt]", "[lock.txt, poetry.lock]"))
    (warning,) = of("Warned", repository.events())
    assert warning.message == "setup: its inputs name no file: poetry.lock"


@in_a_sandbox
def test_a_box_in_a_sandbox_cannot_write_into_what_the_setup_made(repository: Repository) -> None:
    repository.box(1, '! touch "$SETUP_DIR/trojan" && ! chmod 777 "$SETUP_DIR" && ! rm "$SETUP_DIR/installed"')
    assert repository.verdicts("--sandbox", "full") == {1: "passed"}
    assert reused(repository.events("--sandbox", "full"))


def test_what_a_box_without_a_sandbox_wrote_into_it_is_not_used_again(repository: Repository) -> None:
    repository.box(1, 'chmod -R u+w "$SETUP_DIR"; echo trojan > "$SETUP_DIR/installed"')
    repository.events()
    repository.box(1, READS)
    events = repository.events()
    assert (reused(events), output(events)) == (False, "flask 3\n")
    (warning,) = of("Warned", events)
    assert warning.message == "setup: what the setup made was changed afterwards; it is made again"


@in_a_sandbox
@pytest.mark.parametrize("words", [("--trust", "T0"), ()], ids=["T0", "local"])
def test_what_a_pull_requests_setup_made_is_not_what_the_default_branch_gets(
    repository: Repository, tmp_path: Path, words: tuple[str, ...]
) -> None:
    cache = str(tmp_path / "setups")
    # The tree of a pull request holds a program that its setup runs, and that no input names.
    repository.write(".github/interlock.yml", CONFIG.replace("cp lock.txt", "sh install.sh lock.txt"))
    repository.write("install.sh", 'echo trojan > "$2"\n')
    hostile = repository.events("--trust", "T1", "--sandbox", "full", "--setup-cache", cache)
    repository.write("install.sh", 'cp "$1" "$2"\n')
    trusted = repository.events("--sandbox", "full", "--setup-cache", cache, *words)
    assert (output(hostile), output(trusted)) == ("trojan\n", "flask 3\n")
    assert not reused(trusted)


@in_a_sandbox
def test_nothing_that_a_strangers_setup_made_is_kept(repository: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "setups"
    for _ in range(2):
        assert not reused(repository.events("--trust", "T2", "--setup-cache", str(cache)))
    assert not cache.exists()


@pytest.mark.parametrize("sandbox", LEVELS)
def test_a_setup_that_fails_is_named_with_its_output_blocks_all_and_is_not_kept(
    repository: Repository, sandbox: str
) -> None:
    repository.write(
        ".github/interlock.yml", CONFIG.replace("run: '", "run: 'test -e mended || { echo broken; exit 1; }; ")
    )
    for _ in range(2):
        ended = repository.runner("run", "--format", "plain", "--sandbox", sandbox)
        assert ended.code == 1
        assert "✗ setup" in ended.out
        assert "│ broken" in ended.out
        assert "1 box: 1 blocked" in ended.out
    repository.write("mended", "")
    assert output(repository.events("--sandbox", sandbox)) == "flask 3\n"


@in_a_sandbox
def test_a_setup_in_a_sandbox_reaches_what_it_names_and_its_refusal_is_told(repository: Repository) -> None:
    repository.write("fetch.py", "import urllib.request\nurllib.request.urlopen('http://evil.example/')\n")
    repository.write(
        ".github/interlock.yml", "setup: {run: python3 fetch.py, inputs: [fetch.py], network: [files.example]}\n"
    )
    (setup,) = of("SetupFinished", repository.events("--sandbox", "full"))
    assert (setup.ok, setup.refused) == (False, ("evil.example:80 (not in the rules: files.example:443)",))
    said = repository.runner("run", "--format", "plain", "--sandbox", "full").out
    assert "was not let to evil.example:80 (not in the rules: files.example:443)" in said
