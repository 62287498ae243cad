"""What the machine needs before boxes can run: the runner's two dependencies, and a sandbox that works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONFIGURATION = ".github/interlock.yml"
"""What the runner needs its dependencies for; without it the standard library is enough."""

RESTRICTION = "kernel/apparmor_restrict_unprivileged_userns"
LIFTED = "kernel.apparmor_restrict_unprivileged_userns=0"


class CannotInstall(Exception):
    """The dependencies are not there; the text is what pip said."""


def interpreter(directory: str, *, checkout: str, scratch: str) -> str:
    """The Python that can run the runner here: this one, or one in a throw-away environment with the dependencies.

    Nothing is installed, and no network used, where there is no configuration to read.

    Args:
        directory: the tree whose boxes shall run.
        checkout: the action's own.
        scratch: a directory of this run's.

    Raises:
        CannotInstall: of the environment nothing is to be used.
    """
    if not os.path.lexists(os.path.join(directory, CONFIGURATION)):
        return sys.executable
    place = os.path.join(scratch, "python")
    python = os.path.join(place, "bin", "python")
    # The pins are complete and have hashes: nothing is resolved, nothing is built, nothing else comes in.
    pins = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", f"{checkout}/action/requirements.txt"]
    for command in (
        [sys.executable, "-I", "-m", "venv", place],
        [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
    ):
        _run(command)
    return python


def _run(command: Sequence[str]) -> None:
    answer = subprocess.run(
        command,
        env={**os.environ, "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if answer.returncode:
        raise CannotInstall(answer.stdout)


def open_sandbox(environ: Mapping[str, str], say: Callable[[str], None], *, proc: str = "/proc/sys") -> None:
    """Let this user's programs make a full sandbox, where that takes a command on a machine that is thrown away.

    Ubuntu 24.04, which hosted runners are, keeps programs without a profile from making user namespaces. Where nothing
    can be done that is said, and the runner judges what is left.

    Args:
        environ: of the step.
        say: takes a sentence about each thing that was done.
        proc: where the kernel's settings are.
    """
    if os.geteuid() == 0:
        return
    restricted = _setting(proc) == "1"
    needs = not shutil.which("bwrap"), restricted
    if not any(needs):
        return
    if environ.get("RUNNER_ENVIRONMENT") != "github-hosted":
        # It is somebody's machine, and will be tomorrow.
        if restricted:
            say(f"AppArmor restricts user namespaces here; `sudo sysctl -w {LIFTED}` would lift that")
        return
    sudo = shutil.which("sudo")
    if not sudo:
        say("there is no sudo to prepare a sandbox with")
        return
    if needs[0]:
        _as_root([sudo, "-n", "apt-get", "install", "-qq", "-y", "--no-install-recommends", "bubblewrap"], say)
    if restricted:
        _as_root([sudo, "-n", "sysctl", "-q", "-w", LIFTED], say)


def _setting(proc: str) -> str:
    try:
        with open(os.path.join(proc, RESTRICTION), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _as_root(command: Sequence[str], say: Callable[[str], None]) -> None:
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    shown = " ".join(["sudo", *command[2:]])
    said = " ".join(answer.stdout.split())[-300:]
    say(f"for the sandbox: {shown}" + (f" (failed: {said})" if answer.returncode else ""))
