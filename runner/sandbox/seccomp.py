"""The compiled system call filters, by machine. What they refuse, and why, stands in tools/seccomp.py."""

from __future__ import annotations

import os

_ALSO_CALLED = {"amd64": "x86_64", "arm64": "aarch64"}


def program(machine: str, network: str = "own") -> str:
    """The path of the filter for a machine, as uname calls it; "" when there is none.

    Args:
        machine: `os.uname().machine`.
        network: `own` where the box has a network namespace; `none` where it has not and gets unix sockets only; `tcp`
            where Landlock restricts its TCP.
    """
    name = f"{_ALSO_CALLED.get(machine, machine)}-{network}.bpf"
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", name)
    return path if os.path.exists(path) else ""
