from pathlib import Path

import pytest

from tests.action.workflow import Workflow


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return Workflow(tmp_path)
