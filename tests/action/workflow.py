"""Runs action.yml as GitHub does: by act, in a workflow of a repository that is not ours, from a checkout of its own.

act runs steps as processes on this machine, needs neither containers nor network, and takes a folder for the action's
repository. Where it is not GitHub: files such as $GITHUB_ENV are shared by all steps, and the token of `stop-commands`
is shown.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.runner.command_line import Repository

ROOT = Path(__file__).parents[2]
ACT = shutil.which("act", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
USES = "interlock-org/interlock@v1"


class Ran:
    """A workflow's job that has ended.

    `outputs` are the action's, as the step after it sees them, with `OUTCOME` and `INJECTED`; `log` is what the step
    printed, `commands` the orders in it that were followed, as (name, properties, data); `summary` its Markdown.
    """

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        action = [line for line in lines if line.get("stepID", [""])[0] == "boxes" and line.get("stage") == "Main"]
        own = [line for line in action if line["stepID"] == ["boxes", "run"]]
        self.log = "".join(line["msg"] for line in own if line.get("raw_output"))
        self.commands = [
            (line["command"], line.get("kvPairs") or {}, line.get("arg", ""))
            for line in own
            if line.get("command") in {"error", "warning", "debug", "notice", "add-mask", "set-env", "add-path"}
        ]
        self.summary = next((line["content"] for line in own if line.get("command") == "summary"), "")
        after = "".join(line["msg"] for line in lines if line.get("stepID") == ["after"] and line.get("raw_output"))
        self.outputs: dict[str, str] = json.loads(after)
        self.succeeded = any(line.get("jobResult") == "success" for line in lines)

    @property
    def errors(self) -> list[str]:
        """What stands in error annotations, with their place."""
        return [
            f"{place['file']}:{place.get('line', '')} {said}" if "file" in place else said
            for name, place, said in self.commands
            if name == "error"
        ]

    @property
    def warnings(self) -> list[str]:
        """What stands in warnings."""
        return [said for name, _, said in self.commands if name == "warning"]


class Workflow:
    """A repository with boxes, and a workflow that runs them."""

    def __init__(self, tmp_path: Path) -> None:
        if ACT is None:
            pytest.skip("missing component: act")
        self.act = ACT
        self.repository = Repository(tmp_path)
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.checkout = tmp_path / "interlock"
        self.environ = {
            "PATH": f"{bare_python(tmp_path / 'python')}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
        }
        self._check_out()

    def _check_out(self) -> None:
        """The action's own checkout: what git tracks of it, and nothing that this environment has."""
        names = subprocess.run(
            ["git", "ls-files", "-z", "action.yml", "action", "runner"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, names.stdout.decode().split("\0")):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)

    def run(
        self,
        *,
        event: str = "push",
        payload: object = None,
        before: str = "true",
        env: dict[str, str] | None = None,
        **inputs: str,
    ) -> Ran:
        """Run the job, with the action's inputs; `before` is a step's script between the checkout and the action."""
        job = {
            "runs-on": "ubuntu-latest",
            "steps": [
                {"uses": "actions/checkout@v7"},
                {"run": before},
                {"id": "boxes", "uses": USES, "with": {name.replace("_", "-"): text for name, text in inputs.items()}},
                {
                    "id": "after",
                    "if": "always()",
                    "env": {"OUTPUTS": "${{ toJSON(steps.boxes.outputs) }}", "OUTCOME": "${{ steps.boxes.outcome }}"},
                    "run": f"{sys.executable} -I -c 'import json, os; env = os.environ;"
                    ' print(json.dumps({**json.loads(env["OUTPUTS"]), "OUTCOME": env["OUTCOME"],'
                    ' "INJECTED": env.get("INJECTED", "")}))\'',
                },
            ],
        }
        self.repository.write(".github/workflows/boxes.yml", json.dumps({"on": event, "jobs": {"boxes": job}}))
        self.repository.git("init", "-q")
        self.repository.git("add", "-A")
        self.repository.git("commit", "-q", "--allow-empty", "-m", "everything")
        event_file = self.home / "event.json"
        event_file.write_text(json.dumps(payload or {}))
        answer = subprocess.run(
            [
                *(self.act, event, "--json", "--pull=false", "--platform", "ubuntu-latest=-self-hosted"),
                *("--eventpath", event_file, "--no-cache-server", "--local-repository", f"{USES}={self.checkout}"),
                *(word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")),
            ],
            cwd=self.repository.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
        assert any(line.get("stepID") == ["after"] for line in lines), answer.stdout + answer.stderr
        return Ran(lines)


def bare_python(place: Path) -> Path:
    """A directory for PATH whose `python3` has the standard library and nothing else, whatever is installed here."""
    venv.create(place, symlinks=True)
    return place / "bin"
