from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from runner.isolation import Level, Rung
from runner.sandbox import probe
from runner.sandbox.probe import Facts
from runner.sandbox.trial import Outcome, attempt
from tests.conftest import MISSING

UBUNTU = {"os": ("ubuntu", "debian"), "apparmor": "1", "clone": "1", "namespaces": "63000"}
PROFILE = (
    "apt-get install -y apparmor-profiles && "
    "install -m 0644 /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && "
    "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict"
)
SYSCTL = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
UID_MAP = "bwrap: setting up uid map: Permission denied"
LOOPBACK = "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted"
NO_PERMISSIONS = (
    "bwrap: No permissions to create a new namespace, likely because the kernel does not allow non-privileged user "
    "namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'."
)
PROC = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted"
CONTAINER = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)


@pytest.mark.parametrize(
    ("said", "facts", "why", "fix"),
    [
        pytest.param(UID_MAP, UBUNTU, "AppArmor restricts user namespaces", SYSCTL, id="ubuntu-uid-map"),
        pytest.param(LOOPBACK, UBUNTU, "AppArmor restricts user namespaces", SYSCTL, id="ubuntu-loopback"),
        pytest.param(
            LOOPBACK,
            {**UBUNTU, "root": True},
            "AppArmor restricts user namespaces",
            PROFILE,
            id="ubuntu-as-root",
        ),
        pytest.param(
            "mount: /tmp: cannot mount none read-only.\nmount: /tmp: permission denied.",
            UBUNTU,
            "AppArmor restricts user namespaces (mount: /tmp: permission denied.)",
            SYSCTL,
            id="ubuntu-with-the-profile-but-not-root",
        ),
        pytest.param(
            NO_PERMISSIONS,
            {"os": ("debian",), "clone": "0", "namespaces": "63000"},
            "kernel.unprivileged_userns_clone is 0",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            id="debian-10",
        ),
        pytest.param(
            "bwrap: Creating new namespace failed: No space left on device",
            {"os": ("rhel", "fedora"), "namespaces": "63000"},
            "user.max_user_namespaces is used up or 0",
            "sudo sysctl -w user.max_user_namespaces=15000",
            id="used-up",
        ),
        pytest.param(
            NO_PERMISSIONS,
            {"os": ("rhel", "fedora"), "namespaces": "0", "root": True},
            "user.max_user_namespaces is used up or 0",
            "sysctl -w user.max_user_namespaces=15000",
            id="rhel-turned-off",
        ),
        pytest.param(
            NO_PERMISSIONS,
            {"container": True, "namespaces": "63000"},
            "this container may not make namespaces",
            CONTAINER,
            id="in-a-container",
        ),
        pytest.param(PROC, {"container": True}, "this container may not make namespaces", CONTAINER, id="masked-proc"),
        pytest.param(
            "bwrap: Unknown option --disable-userns",
            UBUNTU,
            "this bubblewrap is older than 0.8",
            "install bubblewrap 0.8 or later",
            id="too-old",
        ),
        pytest.param(
            "first\nbwrap: something new",
            {},
            "bubblewrap does not work here (something new)",
            "docs/how-to/get-a-full-sandbox.md lists what it needs",
            id="unknown",
        ),
        # The setting alone proves nothing: this machine may have the profile, and fail for another reason.
        pytest.param(
            "bwrap: Can't find source path /x: gone", UBUNTU, "bubblewrap does not work here", None, id="other"
        ),
    ],
)
def test_a_refusal_is_explained_with_the_command_that_changes_it(
    said: str, facts: dict[str, object], why: str, fix: str | None
) -> None:
    answer = probe.explain(Outcome(1, said), Facts(**facts))  # type: ignore[arg-type]
    assert answer[0].startswith(why)
    assert fix is None or answer[1] == fix


def test_a_silent_end_is_explained_too() -> None:
    assert probe.explain(Outcome(-31, ""), Facts())[0] == "bubblewrap does not work here (it ended with -31)"


@pytest.mark.parametrize(
    ("names", "root", "command"),
    [
        pytest.param(("debian",), True, "apt-get install -y bubblewrap", id="debian"),
        pytest.param(("linuxmint", "ubuntu", "debian"), False, "sudo apt-get install -y bubblewrap", id="mint"),
        pytest.param(("rocky", "rhel", "centos", "fedora"), False, "sudo dnf install -y bubblewrap", id="rocky"),
        pytest.param(("opensuse-leap", "suse", "opensuse"), False, "sudo zypper install -y bubblewrap", id="suse"),
        pytest.param(("alpine",), True, "apk add bubblewrap", id="alpine"),
        pytest.param(("arch",), False, "sudo pacman -S --noconfirm bubblewrap", id="arch"),
        pytest.param(("guix",), True, "install bubblewrap", id="unknown"),
    ],
)
def test_a_missing_bubblewrap_comes_with_this_distributions_command(
    names: tuple[str, ...], root: bool, command: str
) -> None:
    rung = probe.bubblewrap("/nowhere", Facts(os=names, root=root))
    assert (rung.level, rung.why, rung.fix) == (Level.BUBBLEWRAP, "bubblewrap is not installed", command)


def test_root_without_setpriv_has_no_full_sandbox(tmp_path: Path) -> None:
    stand_in(tmp_path, "bwrap", "exit 0")
    rung = probe.bubblewrap(str(tmp_path), Facts(root=True, os=("alpine",)))
    assert (rung.why, rung.fix) == ("setpriv is not installed, so boxes would run as root", "apk add setpriv")


def stand_in(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_an_installed_bubblewrap_that_fails_does_not_work(tmp_path: Path) -> None:
    stand_in(tmp_path, "bwrap", f'echo "{LOOPBACK}" >&2; exit 1')
    rung = probe.bubblewrap(str(tmp_path), Facts(**UBUNTU))  # type: ignore[arg-type]
    assert (rung.works, rung.fix) == (False, SYSCTL)


def test_a_bubblewrap_that_works_is_not_enough_where_we_cannot_mount_ourselves(tmp_path: Path) -> None:
    stand_in(tmp_path, "bwrap", "exit 0")
    stand_in(tmp_path, "mount", "exit 0")
    stand_in(
        tmp_path, "unshare", 'echo "unshare: write failed /proc/self/uid_map: Operation not permitted" >&2; exit 1'
    )
    assert not probe.bubblewrap(str(tmp_path), Facts(**UBUNTU)).works  # type: ignore[arg-type]
    stand_in(tmp_path, "unshare", "exit 0")
    assert probe.bubblewrap(str(tmp_path), Facts(**UBUNTU)).works  # type: ignore[arg-type]


def test_the_sandbox_of_this_machine_is_really_tried() -> None:
    path = os.environ["PATH"]
    if not shutil.which("bwrap") or (os.geteuid() == 0 and not shutil.which("setpriv")):
        pytest.skip(f"{MISSING} bwrap, and setpriv for root")
    rung = probe.bubblewrap(path, probe.look())
    if not rung.works:
        pytest.skip(f"{MISSING} a bubblewrap that works here: {rung.why}")
    assert rung == Rung(Level.BUBBLEWRAP)


def test_the_ladder_is_told_best_first() -> None:
    found = probe.rungs({"PATH": "/nowhere"})
    assert [rung.level for rung in found] == [Level.BUBBLEWRAP, Level.CONTAINER, Level.LANDLOCK]
    assert [rung.why for rung in found][:2] == [
        "bubblewrap is not installed",
        "neither podman nor docker is installed",
    ]


def test_an_engine_without_an_image_is_not_a_rung(tmp_path: Path) -> None:
    stand_in(tmp_path, "docker", "exit 0")
    rung = probe.container(str(tmp_path), "", Facts())
    assert (rung.why, rung.fix) == (
        "no image is named",
        "export INTERLOCK_SANDBOX_IMAGE=an image that has what your boxes start",
    )


def test_an_engine_that_does_not_run_the_image_is_not_a_rung(tmp_path: Path) -> None:
    stand_in(tmp_path, "podman", 'echo "Error: boxes:1: image not known" >&2; exit 125')
    rung = probe.container(str(tmp_path), "boxes:1", Facts())
    assert rung.why == "podman does not run boxes:1 (Error: boxes:1: image not known)"


def test_the_engine_is_tried_with_the_options_that_boxes_get(tmp_path: Path) -> None:
    stand_in(tmp_path, "podman", 'for word; do [ "$word" = --network=none ] && exit 0; done; exit 1')
    assert probe.container(str(tmp_path), "boxes:1", Facts()).works


def test_a_worse_rung_is_tried_only_when_asked_for(tmp_path: Path) -> None:
    stand_in(tmp_path, "bwrap", "exit 0")
    stand_in(tmp_path, "setpriv", "exit 0")
    stand_in(tmp_path, "podman", f"echo tried >>{tmp_path}/log")
    environ = {"PATH": str(tmp_path), probe.IMAGE: "boxes:1"}
    assert probe.rungs(environ)[1].why == "not tried: bubblewrap works"
    assert probe.rungs(environ) is probe.rungs(environ)
    assert not (tmp_path / "log").exists()
    assert probe.rungs(environ, every=True)[1].works
    assert (tmp_path / "log").read_text() == "tried\n"


def test_a_trial_has_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert attempt(("/usr/bin/env",), seconds=60) == Outcome(0, "")


def test_a_trial_that_does_not_answer_is_ended() -> None:
    outcome = attempt((sys.executable, "-c", "import signal; signal.pause()"), seconds=0.05)
    assert outcome == Outcome(-9, "no answer within 0 s")


def test_a_program_that_is_not_there_is_an_outcome() -> None:
    assert attempt(("/nowhere/program",), seconds=60) == Outcome(127, "No such file or directory")
