"""Cut requirements.lock down to what the runner alone needs, for the GitHub Action.

    python tools/cut_requirements.py >action/requirements.txt

`make lock` does it; a test keeps the two in step.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = "# The runner's dependencies out of requirements.lock, for action.yml (make lock).\n"


def cut(lock: str, wanted: set[str]) -> str:
    """The lock's entries for `wanted` and all that these need, which the lock names under `# via`."""
    entries = {
        match[1]: entry
        for entry in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
        if (match := re.match(r"([a-z0-9-]+)(?:\[[^]]*\])?==", entry))
    }
    needed_by = {
        name: set(re.findall(r"^    #(?: via)? +([a-z0-9-]+)", entry, re.MULTILINE)) for name, entry in entries.items()
    }
    found = wanted
    while more := {name for name, users in needed_by.items() if users & found} - found:
        found = found | more
    # Who else wants them is not this file's to say.
    return HEAD + "".join(re.sub(r"^    #.*\n", "", entries[name], flags=re.MULTILINE) for name in sorted(found))


def main() -> None:
    """Print it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace(".", "-") for line in project["dependencies"]}
    sys.stdout.write(cut((ROOT / "requirements.lock").read_text("utf-8"), names))


if __name__ == "__main__":
    main()
