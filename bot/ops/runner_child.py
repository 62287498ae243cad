"""How the bot starts a runner: this very one, whatever stands around it, and with nothing that is a secret."""

from __future__ import annotations

import os
from pathlib import Path

import runner

RUNNER_HOME = str(Path(runner.__file__).resolve().parent.parent)
# Isolated mode: neither the working directory nor PYTHON* variables decide which `runner` this is.
LAUNCH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from runner.cli import main; sys.exit(main())"


def runner_environ(cache: Path) -> dict[str, str]:
    """All that a runner inherits: what finds programs, and where parsed suites are kept. So no secret can leak."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "XDG_CACHE_HOME": str(cache)}
