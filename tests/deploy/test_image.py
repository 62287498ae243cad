"""The image is built and tried for real. It takes minutes and the network, so only where somebody asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LACKING = [name for name in ("debootstrap", "buildah", "podman", "runc") if not shutil.which(name)]


@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    os.environ.get("INTERLOCK_TEST_IMAGE") != "1", reason="set INTERLOCK_TEST_IMAGE=1 to build the image"
)
@pytest.mark.skipif(
    bool(LACKING) or os.geteuid() != 0, reason=f"it needs root, and {', '.join(LACKING) or 'nothing else'}"
)
def test_the_image_builds_starts_and_stops(tmp_path: Path) -> None:
    answer = subprocess.run([ROOT / "tools" / "image.sh", tmp_path], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-4000:]
    said = answer.stdout
    assert "interlock 0." in said
    assert "✓ sandbox: bubblewrap: full" in said
    assert '{"status":"ready","down":[]}' in said
    assert "uid=10001(interlock)" in said
    assert "stopped with 0" in said
