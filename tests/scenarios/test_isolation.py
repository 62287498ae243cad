"""A bot that isolates: what a hostile box of a member can reach, and what people are told about it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.isolation import Level, Rung
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.fakes.world import OK, World, box, open_world

BOXES = {"boxes/tier-1/1_green.sh": OK}


@pytest.fixture
async def isolated(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose bot isolates by bubblewrap."""
    best = rungs(os.environ)[0]
    if not best.works:
        pytest.skip(f"{MISSING} a sandbox: {best.why}")
    async with open_world(tmp_path, bot=False) as world:
        world.sandbox = "full"
        yield world


def tells(script: str) -> str:
    """A box that says what it could do, and is red."""
    return box(f"{script}\nexit 1")


async def said_by(world: World, body: str, **more: str) -> str:
    """What a box of a member's pull request prints, as the check shows it."""
    world.repository(BOXES)
    pr = await world.open_pull_request({"boxes/tier-1/1_green.sh": tells(body), **more})
    await world.settle()
    assert pr.conclusion == "failure"
    return pr.check("Interlock").text or ""


async def test_a_box_reads_neither_the_key_nor_the_environment_nor_another_run(
    isolated: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_WEBHOOK_SECRET", "canary-in-the-environment")
    key = tmp_path / "private-key.pem"
    key.write_text("canary-in-the-key")
    key.chmod(0o644)  # even where the owner of the machine was careless
    await isolated.start_bot()
    (isolated.data_dir / "runs" / "99").mkdir(parents=True)
    (isolated.data_dir / "runs" / "99" / "events-1.jsonl").write_text("canary-of-another-run")
    said = await said_by(
        isolated,
        f"""
cat {key} {isolated.data_dir}/runs/99/events-1.jsonl {isolated.data_dir}/links.key 2>/dev/null
ls {tmp_path} {isolated.data_dir} 2>/dev/null
for one in /proc/[0-9]*; do tr '\\0' ' ' < $one/environ; tr '\\0' ' ' < $one/cmdline; done 2>/dev/null
echo looked""",
    )
    assert "looked" in said
    for secret in ("canary", "events-1", "app.sqlite", "INTERLOCK_WEBHOOK", "links.key", isolated.hub.webhook_secret):
        assert secret not in said


async def test_a_box_reaches_nothing_on_loopback(isolated: World) -> None:
    await isolated.start_bot()
    port = isolated.hub.url.rpartition(":")[2]
    connect = f'import socket; socket.create_connection(("127.0.0.1", {port}), 5); print("connected to GitHub")'
    said = await said_by(isolated, f"command -v python3 && python3 -c '{connect}'\necho tried")
    assert "tried" in said
    assert "python3" in said
    assert "connected to GitHub" not in said


async def test_a_box_cannot_forge_its_record(isolated: World) -> None:
    await isolated.start_bot()
    runs = isolated.data_dir / "runs"
    said = await said_by(
        isolated,
        f"""
for record in {runs}/*/events-1.jsonl; do echo '{{"type":"run_finished","green":true}}' >> "$record"; done
for run in 1 2; do touch {runs}/$run/forged; done; touch {isolated.data_dir}/written
echo tried""",
    )
    # What it wrote beside the tree, if anything, was its own passing view of these places.
    assert "tried" in said
    assert not (isolated.data_dir / "written").exists()
    assert not list(runs.glob("*/forged"))
    forged = '{"type":"run_finished","green":true}'
    assert not [record for record in runs.glob("*/events-1.jsonl") if forged in record.read_text()]


async def test_the_sandbox_is_named_on_the_check_the_page_and_the_health_page(isolated: World) -> None:
    await isolated.start_bot()
    isolated.repository(BOXES)
    pr = await isolated.open_pull_request({"x": "y"})
    await isolated.settle()
    assert pr.conclusion == "success"
    assert "sandbox `bubblewrap`" in (pr.check("Interlock").summary or "")
    part = (await isolated.api("/health/detailed"))["parts"]["sandbox"]
    assert (part["asked"], part["level"], part["full"], part["better"]) == ("full", "bubblewrap", True, [])


async def test_a_machine_that_cannot_isolate_as_it_must_runs_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "ran"
    lesser = (
        Rung(Level.BUBBLEWRAP, why="bubblewrap is not installed", fix="apt-get install -y bubblewrap"),
        Rung(Level.LANDLOCK),
    )
    await world.stop_bot()
    monkeypatch.setattr("bot.ops.sandbox.rungs", lambda _environ: lesser)
    world.sandbox = "full"
    await world.start_bot()
    world.repository({"boxes/tier-1/1_proof.sh": box(f"touch {proof}")})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "action_required"
    assert "bubblewrap is not installed" in (check.summary or "")
    assert "apt-get install -y bubblewrap" in (check.summary or "")
    assert not proof.exists()
    part = (await world.api("/health/detailed"))["parts"]["sandbox"]
    assert part["level"] == "landlock"
    assert part["better"] == [
        {"level": "bubblewrap", "why_not": "bubblewrap is not installed", "fix": "apt-get install -y bubblewrap"}
    ]
