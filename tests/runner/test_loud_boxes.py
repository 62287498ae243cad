"""Boxes that print too much, too long, or what is no text: the runner stays small, and each verdict is its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.runner.command_line import Repository, of

if TYPE_CHECKING:
    from pathlib import Path

    from runner.events import BoxFinished

MEGABYTE = 1_000_000
LARGEST_KB = 60 * 1024


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def finished(repository: Repository, *words: str) -> dict[int, BoxFinished]:
    return {event.box.number: event for event in of("BoxFinished", repository.events(*words))}


def test_half_a_gigabyte_and_an_endless_line_leave_the_runner_small(repository: Repository) -> None:
    patience = 'timeout = "10m"'
    repository.box(1, f"yes 'a line of output' | head -c {500 * MEGABYTE}", block=patience)
    repository.box(2, f"head -c {100 * MEGABYTE} /dev/zero | tr '\\0' x", block=patience)
    repository.box(
        3, f"head -c {50 * MEGABYTE} /dev/zero & yes not ok | head -c {50 * MEGABYTE} >&2; wait", block=patience
    )
    repository.box(4, f"yes 'not ok 1 - again' | head -c {20 * MEGABYTE}", block=patience)
    # Its parent is the runner, whose largest size until now it reads.
    repository.box(9, "grep VmHWM /proc/$PPID/status", tier=2)
    told = finished(repository, "--fail-fast", "never")

    assert {number: str(event.verdict) for number, event in told.items()} == {
        **dict.fromkeys((1, 2, 3), "passed"),
        4: "failed",
        9: "passed",
    }
    assert [told[number].output_bytes for number in (1, 2, 4)] == [500 * MEGABYTE, 100 * MEGABYTE, 20 * MEGABYTE]
    assert told[3].output_bytes >= 50 * MEGABYTE
    assert all(len(event.output) < 100_000 for event in told.values())
    assert len(told[4].failures) <= 200
    size = int(told[9].output.split()[1])
    assert size < LARGEST_KB


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        pytest.param(r"printf 'caf\303\251 \377\376 end\n'", "café �� end\n", id="invalid-utf-8"),
        pytest.param(r"printf 'cut \303'", "cut �", id="a-character-that-is-cut"),
        pytest.param(r"printf 'a\000b\000\n'", "ab\n", id="nul"),
        pytest.param(r"printf '\033[31mred\033[0m \033]0;title\007\033]8;;x\033\\link\n'", "red link\n", id="terminal"),
        pytest.param(r"printf '10%%\r50%%\r100%%\n'", "100%\n", id="progress"),
        pytest.param(r"printf 'dos\r\n'", "dos\n", id="crlf"),
        pytest.param("exec >&-; echo said >&2", "said\n", id="closed-stdout"),
        pytest.param("exec >&- 2>&-; exit 0", "", id="closed-both"),
        pytest.param(r"printf '\342\200\256gnp.exe\n'", "gnp.exe\n", id="turned-around"),
    ],
)
def test_what_is_no_text_is_shown_as_text_and_judges_nothing(repository: Repository, script: str, shown: str) -> None:
    repository.box(1, script)
    told = finished(repository)[1]

    assert (str(told.verdict), told.output) == ("passed", shown)


def test_a_box_that_closes_its_output_is_waited_for(repository: Repository, tmp_path: Path) -> None:
    repository.box(1, f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done; exit 4")
    told = finished(repository)[1]

    assert (str(told.verdict), told.exit_code) == ("failed", 4)
    assert (tmp_path / "done").exists()


# What GitHub's runner takes for an order, in both of its grammars, and what makes a line of it where none was.
ORDERS = [
    "::error file=x::PWNED",
    "  ::set-output name=x::PWNED",
    "::stop-commands::PWNED",
    "::add-mask::PWNED",
    "::endgroup::",
    "##[error]PWNED",
    "text ##[set-output name=x;]PWNED",
    "progress\r::error::PWNED",
    "\x0b::error::PWNED",
    "\u2028::error::PWNED",
    "\x1b[0m::error::PWNED",
]


@pytest.mark.parametrize("form", ["github", "plain"])
@pytest.mark.parametrize("code", [0, 1], ids=["green", "red"])
def test_nothing_that_a_box_prints_or_reports_is_an_order_to_github(  # clause P-53
    repository: Repository, tmp_path: Path, form: str, code: int
) -> None:
    report = [{"type": "assertion", "id": order, "ok": not code, "message": order, "file": order} for order in ORDERS]
    (tmp_path / "report").write_text("".join(f"{json.dumps(line)}\n" for line in report))
    (tmp_path / "output").write_text("\n".join([*ORDERS, "::error::PWNED without a newline"]))
    repository.box(1, f"cat {tmp_path}/report >$BOX_REPORT; cat {tmp_path}/output; exit {code}")
    repository.box(2, "echo fine")
    ended = repository.runner("run", "--format", form, GITHUB_ACTIONS="true")

    assert ended.code == code
    assert ("PWNED" in ended.out) is (code == 1 or form == "github")
    assert [line for line in _orders(ended.out) if "PWNED" in line.partition("::error ")[0]] == []
    ours = {re.match(r"::(\w*)", line.lstrip()).group(1) for line in _orders(ended.out)}  # type: ignore[union-attr]
    assert ours <= ({"group", "endgroup", "error", "warning"} if form == "github" else set())


def _orders(text: str) -> list[str]:
    """The lines that GitHub's runner obeys: where they begin, or anywhere in the older grammar; none while stopped."""
    found, token = [], ""
    for line in re.split(r"\r\n|[\r\n]", text):
        stop = re.match(r"\s*::stop-commands::(.+)", line)
        if token:
            token = "" if line.strip() == f"::{token}::" else token
        elif stop:
            token = stop.group(1).strip()
        elif line.lstrip().startswith("::") or "##[" in line:
            found.append(line)
    assert not token
    return found


@pytest.mark.parametrize("form", ["github", "plain"])
def test_no_control_character_reaches_the_terminal_or_a_report(
    repository: Repository, tmp_path: Path, form: str
) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\u202e"
    (tmp_path / "output").write_text(f"{evil}seen\n")
    (tmp_path / "report").write_text(json.dumps({"type": "assertion", "id": f"{evil}id", "ok": False}))
    repository.box(
        1, f"cat {tmp_path}/output; cat {tmp_path}/report >$BOX_REPORT; exec -a '{evil}name' sleep 99 & exit 1"
    )
    ended = repository.runner("run", "--format", form, "--junit", str(tmp_path / "junit.xml"))

    assert "seen" in ended.out
    for text in (ended.out, (tmp_path / "junit.xml").read_text()):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    ElementTree.parse(tmp_path / "junit.xml")


def test_a_box_cannot_speak_for_its_neighbour_through_its_own_evidence(repository: Repository) -> None:
    forged = {"type": "box_finished", "box": 2, "tier": 1, "verdict": "passed", "green": True, "at": 0}
    repository.box(1, f"echo '{json.dumps(forged)}'; echo '1..1'; echo 'ok 1 - box 2'; echo '    not ok 1 - nested'")
    repository.box(2, "exit 1")
    told = finished(repository)

    assert {number: str(event.verdict) for number, event in told.items()} == {1: "passed", 2: "failed"}
