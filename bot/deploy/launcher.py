"""A program that starts another one which outlives everybody who wanted it, and says in a file which process that is.

Run by path, in isolated mode, with nothing of Interlock to import. What it is to start comes as JSON on standard input.
The file is written by the new process itself, while it holds the lock that its starter holds: whoever gets that lock
later finds either the file, or nothing that was started.
"""

from __future__ import annotations

import json
import os
import sys

_BOOT = "/proc/sys/kernel/random/boot_id"


def birth(pid: int) -> str:
    """When a process began, as text that no other process with its number has; "" when there is none, or it has ended.

    Where there is no /proc, `ps` is asked, which knows seconds.
    """
    if not os.path.exists("/proc/self/stat"):  # noqa: PTH110 - a program that imports little.
        return _birth_by_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    if not fields or fields[0] in {b"Z", b"X"}:
        return ""
    return f"{fields[19].decode()}@{_boot()}"


def _boot() -> str:
    try:
        with open(_BOOT, encoding="ascii") as stream:  # noqa: PTH123
            return stream.read().strip()[:8]
    except OSError:
        return ""


def _birth_by_ps(pid: int) -> str:
    import subprocess  # noqa: PLC0415 - only on machines without /proc.

    asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    state, _, began = asked.stdout.strip().partition(" ")
    return "" if asked.returncode or not began or state.startswith("Z") else " ".join(began.split())


def main() -> int:
    """Start what standard input says, and end: the new process has no parent but the machine's first."""
    wanted = json.load(sys.stdin)
    if os.fork():
        return 0
    os.setsid()
    os.set_inheritable(wanted["lock"], False)
    try:
        _limit(wanted["files"])
        _note(wanted["note"], wanted["nonce"])
        _feed(wanted["said"])
        os.chdir(wanted["directory"])
        os.execve(wanted["argv"][0], wanted["argv"], {})  # noqa: S606 - there is no shell in between.
    except OSError as refused:
        os.write(2, f"{wanted['argv'][0]}: {refused.strerror}\n".encode())
    os._exit(127)


def _limit(files: int) -> None:
    """Let it have so many files open, if we may; 0 leaves it as it is."""
    if files:
        import resource  # noqa: PLC0415 - only for those who ask for it.

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _note(path: str, nonce: str) -> None:
    scratch = f"{path}.new"
    with open(scratch, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump({"nonce": nonce, "pid": os.getpid(), "birth": birth(os.getpid())}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, path)  # noqa: PTH105


def _feed(said: str) -> None:
    """Put a text where the new process reads its standard input, and nothing after it."""
    reading, writing = os.pipe()
    os.write(writing, said.encode())
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)


if __name__ == "__main__":
    sys.exit(main())
