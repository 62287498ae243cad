"""Smoke tests, with a real runner, real boxes and a real web server."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.deploy.files import DeployFiles
from bot.deploy.smoking import Smoked, smoke
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.release import Release
from bot.ops.processes import start_time
from tests.conftest import MISSING
from tests.runner.services.web import Reply, Web

BOXES = """\
boxes:
  1: {tier: 1, title: Lints, run: "exit 1"}
  30: {tier: 3, title: Answers, http: {get: "${TARGET_URL}/page", contains: hello}, tags: [smoke]}
  31: {tier: 3, title: Counts, run: "printf x >> $ASKED", env: {ASKED: %s}, tags: [smoke]}
  40: {tier: 1, title: Skips, run: "exit 77", may_skip: true, tags: [skipping]}
  41: {tier: 1, title: Fails, run: "echo broken; exit 1", tags: [failing]}
  42: {tier: 1, title: Hangs, run: "printf x >> $ASKED; sleep 60", env: {ASKED: %s}, tags: [hanging]}
  43: {tier: 1, title: Knows its terms, run: "echo $BOX_RUN_ID", tags: [terms]}
"""
RELEASE = Release(repo_id=1, sha="a" * 40, artifact="tree:b", config="c")


@pytest.fixture
def files(tmp_path: Path) -> DeployFiles:
    files = DeployFiles(tmp_path / "deployment")
    (files.tree / ".github").mkdir(parents=True)
    counter = tmp_path / "counter"
    (files.tree / ".github/interlock.yml").write_text(BOXES % (counter, counter))
    return files


@pytest.fixture
def bwrap() -> None:
    if not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(page=Reply("hello")) as web:
        yield web


def plan(selection: str, **settings: object) -> Plan:
    return Plan(
        deployment="push:1:aaa:staging",
        number=1,
        repo="octo/app",
        environment="staging",
        kind="deploy",
        release=RELEASE,
        previous=None,
        slot="blue",
        previous_slot=None,
        settings={"smoke": selection, **settings},
    )


def asked(files: DeployFiles) -> int:
    """How often a box has counted."""
    counter = files.directory.parent / "counter"
    return len(counter.read_text()) if counter.exists() else 0


def first_line(smoked: Smoked, kind: str) -> dict[str, object]:
    events = map(json.loads, smoked.record.read_text().splitlines())
    found: dict[str, object] = next(event for event in events if event.get("type") == kind)
    return found


async def off(files: DeployFiles, selection: str, url: str = "http://127.0.0.1:9", **more: object) -> Smoked:
    return await smoke(files, plan(selection), url, "before", sandbox="off", **more)  # type: ignore[arg-type]


async def test_the_boxes_of_the_selection_ask_the_address_and_nothing_else_is_run(files: DeployFiles, web: Web) -> None:
    smoked = await off(files, "tag:smoke", web.url)
    assert (smoked.ok, smoked.because) == (True, "2 boxes of tag:smoke passed")
    assert first_line(smoked, "run_started")["trust"] == "T0"
    assert asked(files) == 1


async def test_a_red_box_says_what_it_found(files: DeployFiles, web: Web) -> None:
    smoked = await off(files, "30", f"{web.url}/elsewhere")
    assert not smoked.ok
    assert smoked.because.startswith("box 30 Answers failed (status: got 404 ")


async def test_an_address_without_a_scheme_is_asked_by_http(files: DeployFiles, web: Web) -> None:
    assert (await off(files, "30", web.url.removeprefix("http://"))).ok


@pytest.mark.parametrize(
    ("selection", "because"),
    [
        pytest.param("tag:smok", "the release has no box in tag:smok: ", id="no-such-tag"),
        pytest.param("tag:smoke and 1", "the release has no box in tag:smoke and 1: ", id="an-empty-set"),
        pytest.param(
            "tag:skipping",
            "every box of tag:skipping was skipped, so nothing has looked at the release",
            id="all-skipped",
        ),
        pytest.param("tag:failing", "box 41 Fails failed", id="red"),
    ],
)
async def test_what_has_not_looked_at_the_release_is_no_yes(files: DeployFiles, selection: str, because: str) -> None:
    smoked = await off(files, selection)
    assert not smoked.ok
    assert smoked.because.startswith(because)


async def test_a_release_whose_configuration_is_broken_is_refused(files: DeployFiles) -> None:
    (files.tree / ".github/interlock.yml").write_text("boxs: {}\n")
    smoked = await off(files, "tag:smoke")
    assert not smoked.ok
    assert smoked.because.startswith("the runner ended with exit code 3: .github/interlock.yml:1: unknown key 'boxs'")


async def test_before_and_after_the_switch_are_asked_apart(files: DeployFiles, web: Web) -> None:
    before = await smoke(files, plan("tag:smoke"), web.url, "before", sandbox="off")
    after = await smoke(files, plan("tag:smoke"), web.url, "after", sandbox="off")
    assert (before.ok, after.ok, asked(files)) == (True, True, 2)
    assert before.record != after.record


async def test_what_was_found_out_is_not_asked_again(files: DeployFiles, web: Web) -> None:
    first = await off(files, "tag:smoke", web.url)
    assert await off(files, "tag:smoke", web.url) == first
    assert asked(files) == 1


async def test_after_a_crash_only_what_has_no_verdict_is_run_and_no_orphan_is_left(
    files: DeployFiles, tmp_path: Path
) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from tests.bot.deploy.test_smoking import DeployFiles, plan, smoke\n"
        "files = DeployFiles(pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(smoke(files, plan('31 or 42'), 'http://127.0.0.1:9', 'before', sandbox='off'))\n"
    )
    config = files.tree / ".github/interlock.yml"
    config.write_text(config.read_text().replace("42: {tier: 1", "42: {tier: 4"))
    life = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(files.directory))
    while asked(files) < 2:  # box 31 is done, box 42 runs.
        await asyncio.sleep(0.02)
    note = files.directory / "smoke/before/child.json"
    orphan = json.loads(note.read_text())["pid"]
    life.send_signal(signal.SIGKILL)
    await life.wait()
    assert start_time(orphan)

    config.write_text(config.read_text().replace("sleep 60", "true"))
    smoked = await off(files, "31 or 42")
    assert (smoked.ok, smoked.because, asked(files)) == (True, "2 boxes of 31 or 42 passed", 3)
    assert start_time(orphan) is None
    assert not note.exists()


async def test_boxes_that_take_too_long_together_are_a_no_and_are_ended(files: DeployFiles) -> None:
    smoked = await off(files, "tag:hanging", timeout=0.3)
    assert (smoked.ok, smoked.because) == (False, "the boxes of tag:hanging were not done after 0.3 s")
    assert not (files.directory / "smoke/before/child.json").exists()


async def test_a_look_that_is_cancelled_leaves_nothing_running(files: DeployFiles) -> None:
    looking = asyncio.create_task(off(files, "tag:hanging"))
    while not asked(files):
        await asyncio.sleep(0.02)
    child = json.loads((files.directory / "smoke/before/child.json").read_text())["pid"]
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert start_time(child) is None


async def test_where_heads_of_pull_requests_come_boxes_reach_what_those_may(files: DeployFiles) -> None:
    smoked = await smoke(files, plan("43", pull_requests=True), "http://127.0.0.1:9", "before", sandbox="off")
    assert smoked.ok
    assert first_line(smoked, "run_started")["trust"] == "T1"


async def test_in_a_full_sandbox_boxes_reach_a_slot_of_this_machine(files: DeployFiles, web: Web, bwrap: None) -> None:
    smoked = await smoke(files, plan("30"), web.url, "before", sandbox="full")
    assert (smoked.ok, smoked.because) == (True, "1 box of 30 passed")
    assert first_line(smoked, "run_started")["sandbox"] == "bubblewrap"
