"""A ground for givers, and what must be installed here."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.services.ground import Ground
from tests.conftest import MISSING


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A directory that other users can pass through, as the attendant's is."""
    directory = Path(tempfile.mkdtemp(prefix="ground-"))
    directory.chmod(0o711)
    refused: list[tuple[str, str]] = []
    yield Ground(
        directory=str(directory),
        environ=dict(os.environ),
        search=tuple(sys.path),
        refuse=lambda id, what: refused.append((id, what)),  # noqa: A006 - as Wish.
    )
    shutil.rmtree(directory)
    assert refused == []


@pytest.fixture
def redis() -> str:
    """redis-server is here."""
    return shutil.which("redis-server") or pytest.skip(f"{MISSING} redis-server")


@pytest.fixture
def postgres() -> str:
    """PostgreSQL is here; returns where its programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    by_path = shutil.which("postgres")
    if not found and not by_path:
        pytest.skip(f"{MISSING} postgres")
    return str(Path(by_path or found[-1]).parent)


@pytest.fixture
def bubblewrap() -> str:
    """Bubblewrap is here."""
    return shutil.which("bwrap") or pytest.skip(f"{MISSING} bwrap")
