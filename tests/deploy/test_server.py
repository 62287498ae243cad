"""The unit, the Caddyfile and the recipe of the image: judged by their tools if here, by our rules always."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bot.ops.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "interlock.service"
CADDYFILE = ROOT / "deploy" / "Caddyfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"

TAKES_THE_SANDBOX_AWAY = {
    "RestrictNamespaces",
    "PrivateUsers",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectProc",
    "ProcSubset",
    "DynamicUser",
    "MemoryDenyWriteExecute",
}


def tool(name: str) -> str:
    """Where a program is: beside this Python, which `make setup` has given the linters, or on the machine."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
    if not found:
        # systemd is the machine's own, and a container has none; the others come with the `dev` extra.
        pytest.skip(f"{'optional' if name.startswith('systemd') else 'missing'} component: {name}")
    return found


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **environ}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text("utf-8"))
    return unit["Service"]


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    verify = tool("systemd-analyze")
    # What it starts is not installed on the machine that tests.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / "interlock.service").write_text(text)
    answer = run(verify, "verify", str(tmp_path / "interlock.service"))
    said = [line for line in answer.stderr.splitlines() if "interlock.service" in line]
    # DelegateSubgroup is of systemd 254; older ones pass over it, and say so.
    assert [line for line in said if "DelegateSubgroup" not in line] == []
    assert answer.returncode == 0


def test_a_unit_with_a_typo_is_seen(tmp_path: Path) -> None:
    verify = tool("systemd-analyze")
    (tmp_path / "interlock.service").write_text("[Service]\nExecStart=/bin/true\nNoNewPriviledges=yes\n")
    assert "NoNewPriviledges" in run(verify, "verify", str(tmp_path / "interlock.service")).stderr


def test_the_unit_forbids_nothing_that_a_sandbox_is_made_of() -> None:
    assert not TAKES_THE_SANDBOX_AWAY & set(service())
    denied = service()["SystemCallFilter"]
    assert denied.startswith("~")
    assert not {"@mount", "@privileged", "@process"} & set(denied.removeprefix("~").split())


def test_the_unit_takes_from_the_bot_what_it_does_without() -> None:
    held = service()
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "ProtectKernelModules", "Delegate"):
        assert held[name] == "yes", name
    assert (held["CapabilityBoundingSet"], held["ProtectSystem"]) == ("", "strict")
    assert held["User"] == "interlock"


def test_a_stop_leaves_the_bot_time_to_drain() -> None:
    longest = max(one.le for one in Settings.model_fields["drain_seconds"].metadata if hasattr(one, "le"))
    assert int(service()["TimeoutStopSec"]) > longest + 5
    assert service()["RestartPreventExitStatus"] == "3"


def test_a_stop_of_the_bot_is_no_stop_of_what_users_have() -> None:
    assert service()["KillMode"] == "process"


@pytest.mark.parametrize("file", [UNIT, COMPOSE, DOCKERFILE], ids=lambda file: file.name)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    own = {"INTERLOCK_HOST", "INTERLOCK_UPSTREAM"}  # of the Caddyfile.
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", file.read_text("utf-8"))) - own
    assert named <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_caddy_understands_its_file_and_would_not_write_it_otherwise() -> None:
    caddy = tool("caddy")
    environ = {"INTERLOCK_HOST": "interlock.example.com"}
    answer = run(caddy, "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE), **environ)
    assert answer.returncode == 0, answer.stderr
    assert run(caddy, "fmt", str(CADDYFILE)).stdout == CADDYFILE.read_text("utf-8")


def test_the_web_server_lets_the_largest_webhook_in() -> None:
    largest = re.search(r"max_size (\d+)MB", CADDYFILE.read_text("utf-8"))
    assert largest
    assert int(largest[1]) * 1000**2 >= 25_000_000


def test_hadolint_has_nothing_to_say() -> None:
    answer = run(tool("hadolint"), str(DOCKERFILE))
    assert answer.stdout == ""
    assert answer.returncode == 0


def test_the_image_runs_as_nobody_special_and_says_whether_it_is_well() -> None:
    stages = DOCKERFILE.read_text("utf-8").split("\nFROM ")
    last = stages[-1]
    user = re.search(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert user
    assert int(user[1]) > 0
    assert last.index("USER ") < last.index("ENTRYPOINT ")
    assert "/health/ready" in last
    assert "ADD " not in DOCKERFILE.read_text("utf-8")
    assert not re.search(r"FROM \S+:latest|curl|wget", DOCKERFILE.read_text("utf-8"))
    # Whatever stands beside the sources when an image is built, history and keys for example, stays outside.
    assert (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1] == "*"
    assert not re.search(r"^COPY \. ", DOCKERFILE.read_text("utf-8"), re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text("utf-8")
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if entry)
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["deploy/image.lock", "deploy/build.lock"])
def test_the_image_has_the_versions_that_are_tested(name: str) -> None:
    assert pins(name)
    assert pins(name).items() <= pins("requirements.lock").items(), "make lock"


def test_the_image_holds_nothing_that_only_developers_need() -> None:
    assert not {"pytest", "ruff", "mypy", "hatchling", "pip"} & pins("deploy/image.lock").keys()
    assert {"starlette", "dbos", "githubkit", "cryptography"} <= pins("deploy/image.lock").keys()


def test_the_containers_fit_together() -> None:
    services = YAML(typ="safe").load(COMPOSE.read_text("utf-8"))["services"]
    bot, web = services["bot"], services["web"]
    assert (ROOT / "deploy" / bot["build"]["context"] / bot["build"]["dockerfile"]).resolve() == DOCKERFILE
    assert web["environment"]["INTERLOCK_UPSTREAM"] == f"bot:{bot['expose'][0]}"
    assert "ports" not in bot, "only the web server is reached from outside"
    assert (ROOT / "deploy" / web["volumes"][0].split(":")[0]).resolve() == CADDYFILE
    assert bot["cap_drop"] == ["ALL"]
    # What bubblewrap needs, as the runner's own hint names it.
    assert set(bot["security_opt"]) == {"seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"}
