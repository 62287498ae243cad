"""`interlock deploys` reads what a bot has left, beside it or without it, and finds every record that was changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from inline_snapshot import snapshot

from bot.cli import main
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Journal
from bot.domain.deploy.states import State
from bot.flows.deploying.recording import keep
from bot.ops.clock import SystemClock
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import put
from tests.fakes.world import open_world


@pytest.fixture
async def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A bot that runs: one success, one that was rolled back, one under way, and one of another environment."""
    monkeypatch.chdir(tmp_path)
    async with open_world(tmp_path) as world:
        ctx = world.running.ctx
        await put(ctx, stories.good(), id="d1", state=State.SUCCEEDED, because="cafe123 is live")
        await put(ctx, stories.rolled_back(), id="d2")
        await put(ctx, id="d3", state=State.DENIED, environment="staging", because="box 7 is red")
        for n in (1, 2, 3):
            await keep(ctx, f"d{n}")
        await put(ctx, stories.to_the_watch(), id="d4", state=State.BAKING, because="")
        yield world.data_dir


def interlock(data_dir: Path, *words: str) -> int:
    return main(["deploys", *words, "--data-dir", str(data_dir)])


async def test_the_list_is_one_line_each_newest_first(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(data_dir, "list") == 0
    assert capsys.readouterr().out == snapshot("""\
    4  2026-03-06 09:57  baking           cafe123  octo/app production
    3  2026-03-06 09:57  denied           cafe123  octo/app staging  box 7 is red
    2  2026-03-06 09:57  rolled_back      cafe123  octo/app production  01d01d0 is live again
    1  2026-03-06 09:57  succeeded        cafe123  octo/app production  cafe123 is live
""")


async def test_the_list_can_be_of_a_part_and_as_json(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(data_dir, "list", "--environment", "production", "--limit", "2", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "interlock.deploys/1"
    assert [one["number"] for one in said["deployments"]] == [4, 2]
    assert interlock(data_dir, "list", "--repo", "octo/other") == 0
    assert capsys.readouterr().out == "nothing was deployed yet\n"


async def test_one_is_told_as_a_story(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(data_dir, "show", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == snapshot(
        [
            "deployment 2: octo/app production: rolled back",
            "  19 of 1090 answers failed, 1.0% are tolerated",
            "  01d01d0 is live again",
            "asked for by mona on #7",
            "commit cafe123000000000000000000000000000000000 of main",
        ]
    )
    assert "  traffic of the new release: 19 of 1069 answers failed" in lines
    assert lines[-1].endswith(", after deployment 1's")


async def test_one_that_goes_on_is_told_as_far_as_it_has_come(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interlock(data_dir, "show", "4", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["states"][-1]["state"] == "baking"
    assert said["previous"]["number"] == 2
    assert "hash" not in said


async def test_the_record_as_json_is_what_was_kept(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(data_dir, "show", "1", "--json") == 0
    assert capsys.readouterr().out == (data_dir / "deployments" / "1" / "record.json").read_text()


async def test_the_picture_is_written_to_a_file(data_dir: Path, tmp_path: Path) -> None:
    assert interlock(data_dir, "show", "2", "--svg", "watch.svg") == 0
    assert ET.parse(tmp_path / "watch.svg").getroot().get("aria-label")


async def test_where_the_watch_saw_nothing_there_is_no_picture(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interlock(data_dir, "show", "3", "--svg", "watch.svg") == 1
    assert "the watch of deployment 3 has seen nothing" in capsys.readouterr().err


@pytest.mark.deployment(25)
async def test_records_as_they_were_written_hold(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(data_dir, "verify") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(", the newest is")[0] for line in out] == [
        "✓ octo/app production: 2 records",
        "✓ octo/app staging: 1 record",
    ]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        pytest.param("1/record.json", ("cafe123 is live", "all is well"), "its record was changed", id="a record"),
        pytest.param("1/journal.jsonl", ('"failures":0', '"failures":9'), "its journal was changed", id="a journal"),
        pytest.param("1/journal.jsonl", ('{"seq":1,', "{seq:1,"), "line 1 is no entry", id="no journal any more"),
    ],
)
@pytest.mark.deployment(25)
async def test_what_was_changed_is_found_and_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], file: str, change: tuple[str, str], said: str
) -> None:
    path = data_dir / "deployments" / file
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    assert interlock(data_dir, "verify") == 1
    out = capsys.readouterr().out
    assert "✗ octo/app production: deployment 1: " in out
    assert said in out
    assert "✓ octo/app staging" in out


async def test_a_record_that_is_gone_is_found(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data_dir / "deployments" / "1" / "record.json").unlink()
    assert interlock(data_dir, "verify", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["ok"]) == ("interlock.deploys-verify/1", False)
    assert said["chains"][0]["broken"] == {"number": 1, "because": "its record is gone"}
    assert said["chains"][1]["broken"] is None


async def test_a_journal_that_went_on_after_the_record_holds_and_one_that_was_cut_off_does_not(data_dir: Path) -> None:
    files = DeployFiles(data_dir / "deployments" / "1")
    journal = Journal(files, SystemClock())
    journal.append("wish", name="rollback.1", wish="rollback", by="mona", effect="nothing: it has ended")
    journal.close()
    assert interlock(data_dir, "verify") == 0
    lines = files.journal.read_text().splitlines(keepends=True)
    files.journal.write_text("".join(lines[:-2]))
    assert interlock(data_dir, "verify") == 1


async def test_a_journal_that_holds_and_is_another_one_is_found(data_dir: Path) -> None:
    files = DeployFiles(data_dir / "deployments" / "1")
    length = len(files.journal.read_text().splitlines())
    files.journal.unlink()
    journal = Journal(files, SystemClock())
    for n in range(length):
        journal.append("note", what=f"all was well {n} times")
    journal.close()
    assert interlock(data_dir, "verify") == 1


async def test_a_journal_that_was_cleared_away_takes_nothing_from_the_record(data_dir: Path) -> None:
    (data_dir / "deployments" / "1" / "journal.jsonl").unlink()
    assert interlock(data_dir, "verify") == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["show"], 2, "takes the number of a deployment", id="no number"),
        pytest.param(["list", "3"], 2, "takes the number of a deployment", id="a number too many"),
        pytest.param(["show", "99"], 2, "there is no deployment 99", id="no such deployment"),
        pytest.param(["show", "production"], 2, "there is no deployment production", id="a word"),
        pytest.param(["show", "2", "--svg", "no/such/place.svg"], 2, "cannot be written", id="no such place"),
    ],
)
async def test_slips_are_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert interlock(data_dir, *words) == code
    assert said in capsys.readouterr().err


def test_a_directory_that_is_no_bots_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock(tmp_path, "list") == 3
    assert (
        "is not there: is this the bot's data directory? (--data-dir DIR, or INTERLOCK_DATA_DIR, names it)"
        in capsys.readouterr().err
    )


def test_a_file_that_is_no_database_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.sqlite").write_bytes(b"no database" * 100)
    assert interlock(tmp_path, "verify") == 3
    assert "cannot be read" in capsys.readouterr().err
