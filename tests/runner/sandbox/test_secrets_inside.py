"""A box's secret, and the box beside it that would like to have it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.sandbox import confine
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of
from tests.runner.sandbox.attacks.arena import without_engines

SECRET = "the-secret-of-another-box"
# Each of the two waits for the other where it can see it, and a moment where it cannot.
HOLDS = """\
test "${#TOKEN}" = 25 || exit 9
echo "$TOKEN" > "$BOX_TMP/mine"; echo "$TOKEN" > "$BOX_ARTIFACTS/mine"; echo "$TOKEN" > mine
sh -c 'sleep 2; :' "$TOKEN"
"""
SEEKS = """\
#!/usr/bin/env python3
import glob, os, sys, time

# Not spelled out, or we would find ourselves.
wanted = b"-".join((b"the", b"secret", b"of", b"another", b"box"))
time.sleep(0.7)
own = os.getpid()
places = [place for name in ("environ", "cmdline") for place in glob.glob(f"/proc/[0-9]*/{name}")]
above = os.path.dirname(os.path.dirname(os.environ["BOX_REPORT"]))
places += ["SECRETS", *glob.glob(f"{above}/**", recursive=True), *glob.glob("**", recursive=True)]
found = []
for place in places:
    try:
        with open(place, "rb") as file:
            if wanted in file.read(1 << 20):
                found.append(place)
    except OSError:
        continue
print("found", len(found), found)
sys.exit(bool(found))
"""


def seek(tmp_path: Path, *words: str, path: str = "") -> tuple[str, str, str]:
    """The isolation that was in force, the verdicts of both boxes, and what the second said."""
    repo = Repository(tmp_path)
    secrets = tmp_path / "secrets"
    secrets.write_text(f"TOKEN={SECRET}\n")
    secrets.chmod(0o600)
    repo.box(1, HOLDS, block='secrets = ["TOKEN"]')
    repo.write("boxes/tier-1/2_seeks.py", SEEKS.replace("SECRETS", str(secrets)))
    events = repo.events(
        *("-j", "2", "--secrets", str(secrets), "--trust", "T0", *words), **({"PATH": path} if path else {})
    )
    (started,) = of("RunStarted", events)
    finished = {event.box.number: event for event in of("BoxFinished", events)}
    return started.sandbox, f"{finished[1].verdict} {finished[2].verdict}", finished[2].output


def test_without_a_sandbox_a_box_can_look_over_anothers_shoulder(tmp_path: Path) -> None:
    level, verdicts, said = seek(tmp_path, "--sandbox", "off")
    assert (level, verdicts) == ("off", "passed failed"), said


@pytest.mark.skipif(not shutil.which("bwrap"), reason=f"{MISSING} bubblewrap")
def test_in_the_full_sandbox_it_finds_nothing(tmp_path: Path) -> None:
    level, verdicts, said = seek(tmp_path, "--sandbox", "full")
    assert (level, verdicts) == ("bubblewrap", "passed passed"), said


def test_on_the_rung_without_namespaces_it_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    level, verdicts, said = seek(tmp_path, "--sandbox", "auto", path=without_engines(tmp_path / "path"))
    if not confine.abi():
        pytest.skip(f"{MISSING} Landlock")
    assert (level, verdicts) == ("landlock", "passed passed"), said
