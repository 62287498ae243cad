"""Every attack of the table, by the real `runner run`, against a stand-in for the bot: stopped, or seen to get through.

Without a sandbox each must succeed; otherwise its being stopped elsewhere would prove nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from runner.sandbox import confine
from tests.conftest import MISSING
from tests.runner.sandbox.attack_table import SOURCE, WORDS, attack, table, why_not_unprivileged
from tests.runner.sandbox.attacks.arena import Arena, Outcome, without_engines
from tests.runner.sandbox.attacks.rows import ROWS, Row

EVERY = [pytest.param(row, id=row.name) for row in ROWS]

needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason=f"{MISSING} bubblewrap")


Attacks = Callable[[str], tuple[str, dict[str, Outcome]]]


@pytest.fixture
def attacks(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Attacks:
    """All attacks as asked, run once, whichever of several test processes asks first."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if hasattr(request.config, "workerinput") else own

    def outcomes(asked: str) -> tuple[str, dict[str, Outcome]]:
        with (shared / f"attacks-{asked}.json").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if not (text := file.read()):
                level, seen = attack(asked)
                text = json.dumps([level, {name: asdict(one) for name, one in seen.items()}])
                file.write(text)
        level, seen = json.loads(text)
        return level, {name: Outcome(**fields) for name, fields in seen.items()}

    return outcomes


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with Arena() as arena:
        yield arena


@needs_bubblewrap
@pytest.mark.parametrize("row", EVERY)
def test_the_full_sandbox_stops_it(row: Row, attacks: Attacks) -> None:
    level, seen = attacks("full")
    assert level in {"bubblewrap", "container"}, level
    outcome = seen[row.name]
    assert not outcome.broken, outcome.broken
    assert not outcome.succeeded, outcome.detail


@needs_bubblewrap
@pytest.mark.parametrize("row", EVERY)
def test_the_full_sandbox_of_an_ordinary_user_stops_it(row: Row, attacks: Attacks) -> None:
    if why := why_not_unprivileged():
        pytest.skip(why)
    level, seen = attacks("unprivileged")
    assert level == "bubblewrap", level
    outcome = seen[row.name]
    assert not outcome.broken, outcome.broken
    assert not outcome.succeeded, outcome.detail


@pytest.mark.parametrize("row", EVERY)
def test_without_a_sandbox_it_succeeds_unless_the_machine_or_the_runner_stops_it(
    row: Row, arena: Arena, attacks: Attacks
) -> None:
    level, seen = attacks("off")
    assert level == "off", level
    outcome = seen[row.name]
    assert not outcome.broken, outcome.broken
    if row.by_runner:
        assert not outcome.succeeded, outcome.detail
    elif not outcome.succeeded:
        plain = arena.run_plainly(row)
        assert not plain.succeeded, f"a plain process does it ({plain.detail}), a box does not: {outcome.detail}"


@pytest.mark.parametrize("row", EVERY)
def test_the_rung_without_namespaces_stops_all_but_what_it_is_known_to_let_through(row: Row, attacks: Attacks) -> None:
    level, seen = attacks("landlock")
    if not confine.abi():
        pytest.skip(f"{MISSING} Landlock")
    assert level == "landlock", level
    outcome = seen[row.name]
    assert not outcome.broken, outcome.broken
    assert outcome.succeeded == row.is_open_at("landlock"), outcome.detail


def test_the_table_names_every_attack_and_says_what_was_not_stopped() -> None:
    through, held = Outcome(succeeded=True, detail=""), Outcome(succeeded=False, detail="")
    lines = table({"off": {row.name: through for row in ROWS}, "full": {row.name: held for row in ROWS}}).splitlines()
    assert lines[0] == "| attack | off | full |"
    assert lines[2] == "| read a 0600 file of the bot | **succeeded** | stopped |"
    assert len(lines) == 2 + len(ROWS)


def test_the_documentation_shows_what_the_tests_hold() -> None:
    page = (SOURCE / "docs" / "explanation" / "attacks.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    assert lines[0] == ["attack", "off", "bubblewrap", "landlock", "bubblewrap, unprivileged"]
    assert [line[0] for line in lines[2:]] == [row.says for row in ROWS]
    for row, (_, off, full, landlock, unprivileged) in zip(ROWS, lines[2:], strict=True):
        assert (full, unprivileged) == ("stopped", "stopped"), row.name
        assert (landlock == "**succeeded**") == row.is_open_at("landlock"), row.name
        assert off == "stopped" or not row.by_runner, row.name


def test_every_way_of_asking_is_in_the_table() -> None:
    assert list(WORDS) == ["off", "full", "landlock"]
    with tempfile.TemporaryDirectory() as directory:
        assert shutil.which("bwrap", path=without_engines(Path(directory))) is None
        assert shutil.which("sh", path=directory) == os.path.join(directory, "sh")  # noqa: PTH118 - as which says it.
