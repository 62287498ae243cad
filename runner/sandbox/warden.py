"""The first process inside a sandbox: starts the box under its limits and tells how exactly it ended.

Run as a file by the runner's own interpreter, with `-I -S` and an empty environment, under bubblewrap's pid 1; its
imports are the price of every box. It takes itself, and so the box, into the box's control groups; what built the
sandbox stays outside of them. It ignores what asks politely to end: that is meant for the box. When it ends, the kernel
ends whatever is left in the sandbox.

Usage: warden.py ORDERS STATUS, each a descriptor's number or a path. ORDERS is read to its end (`Orders`); one line is
written to STATUS (`read_status` is its reader). No line means that the sandbox failed.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` makes enums of these numbers, which costs as much as all the rest.
import posix as os  # What `os` adds is not needed here, and costs a millisecond.
import resource
import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

ENDED = "ended"
UNSTARTED = "unstarted"
_ENCODING = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
_PR_SET_DUMPABLE = 4
_LAST_WORDS_SECONDS = 0.1
_ENDING_SECONDS = 2.0
_NAMES = 50
_NAME_LENGTH = 200
_POLITE = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_SIGNALS = [number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}]


class Orders:
    """What the warden is to do. `limits` are rlimits by name (`NPROC`); `sockets` TCP ports -> unix sockets.

    `groups` are descriptors of the files by which a process enters the box's control groups. `alone` says that the
    sandbox is the box's alone: what is left in it is named and ended.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        limits: Mapping[str, int] | None = None,
        sockets: Mapping[int, str] | None = None,
        groups: Sequence[int] = (),
        alone: bool = True,
    ) -> None:
        self.argv = list(argv)
        self.env = dict(env)
        self.limits = dict(limits or {})
        self.sockets = dict(sockets or {})
        self.groups = list(groups)
        self.alone = alone

    def encode(self) -> bytes:
        """As bytes: the parts with their counts, each ended by a zero byte, which none of them can hold."""
        parts = [str(int(self.alone)), str(len(self.argv)), *self.argv, str(len(self.groups)), *map(str, self.groups)]
        for pairs in (self.env, self.limits, self.sockets):
            parts.append(str(len(pairs)))
            for name, value in pairs.items():
                parts += [str(name), str(value)]
        return b"".join(part.encode(*_ENCODING) + b"\0" for part in parts)

    @classmethod
    def decode(cls, data: bytes) -> Orders:
        """The inverse of `encode`."""
        parts = iter(data.decode(*_ENCODING).split("\0"))
        alone = next(parts) == "1"
        argv = [next(parts) for _ in range(int(next(parts)))]
        groups = [int(next(parts)) for _ in range(int(next(parts)))]
        env, limits, sockets = ({next(parts): next(parts) for _ in range(int(next(parts)))} for _ in range(3))
        return cls(
            argv,
            env,
            limits={name: int(value) for name, value in limits.items()},
            sockets={int(port): path for port, path in sockets.items()},
            groups=groups,
            alone=alone,
        )


class Status:
    """How a box ended, as its warden tells.

    `wait` is the status that wait(2) gave; `error` is an errno when it could not be started (then nothing else counts).
    `cpu` is in seconds, `rss_kb` in KiB; `left` names what it left running.
    """

    def __init__(
        self, *, wait: int = 0, error: int = 0, cpu: float = 0.0, rss_kb: int = 0, left: Sequence[str] = ()
    ) -> None:
        self.wait = wait
        self.error = error
        self.cpu = cpu
        self.rss_kb = rss_kb
        self.left = tuple(left)

    def encode(self) -> bytes:
        """As one line."""
        if self.error:
            return f"{UNSTARTED}\t{self.error}\n".encode()
        fields = [ENDED, str(self.wait), f"{self.cpu:.6f}", str(self.rss_kb), *self.left]
        return "\t".join(fields).encode(errors="replace") + b"\n"


def read_status(data: bytes) -> Status | None:
    """What the warden said; None when it is not exactly one whole line of it, which the box may be the cause of."""
    word, *fields = data.decode(errors="replace").removesuffix("\n").split("\t")
    if data.count(b"\n") != 1 or not data.endswith(b"\n"):
        return None
    try:
        if word == UNSTARTED:
            return Status(error=int(fields[0]) or 1)
        if word == ENDED:
            return Status(wait=int(fields[0]), cpu=float(fields[1]), rss_kb=int(fields[2]), left=fields[3:])
    except (ValueError, IndexError):
        return None
    return None


def main(orders_from: str, status_to: str) -> None:
    """Do what the orders say."""
    orders = Orders.decode(_read(orders_from))
    _close_memory()
    status = int(status_to) if status_to.isdigit() else os.open(status_to, os.O_WRONLY | os.O_CLOEXEC)
    os.set_inheritable(status, False)
    for number in _POLITE:
        signal.signal(number, signal.SIG_IGN)
    for name, most in orders.limits.items():
        _limit(name, most)
    _enter(orders.groups)
    helpers = _forward(orders.sockets) if orders.sockets else []
    _write(status, _run(orders, helpers).encode())


def _run(orders: Orders, helpers: Sequence[int]) -> Status:
    try:
        pid = os.posix_spawn(orders.argv[0], orders.argv, orders.env, setsid=True, setsigmask=[], setsigdef=_SIGNALS)
    except OSError as error:
        return Status(error=error.errno or 1)
    _, wait, usage = os.wait4(pid, 0)
    left = _end_leftovers({1, os.getpid(), *helpers}) if orders.alone else []
    return Status(wait=wait, cpu=usage.ru_utime + usage.ru_stime, rss_kb=usage.ru_maxrss, left=left)


def _end_leftovers(spared: set[int]) -> list[str]:
    """Name and end what the box left; what is about to end by itself is let, for a moment."""
    left = _others(spared)
    if left:
        _await_ends(left, _LAST_WORDS_SECONDS)
        left = _others(spared)
    if not left:
        return []
    names = [f"{_name(pid)} (pid {pid})" for pid in left[:_NAMES]]
    if len(left) > _NAMES:
        names.append(f"and {len(left) - _NAMES} more")
    until = monotonic() + _ENDING_SECONDS
    while left and monotonic() < until:
        os.kill(-1, signal.SIGKILL)  # Everybody but pid 1 and ourselves.
        _await_ends(left, until - monotonic())
        left = _others(spared)
    return names


def _others(spared: set[int]) -> list[int]:
    """The living processes of the sandbox, but for some."""
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if pid not in spared and _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    fields = _content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return bool(fields) and fields[0] not in b"ZX"


def _name(pid: int) -> str:
    words = _content(f"/proc/{pid}/cmdline").replace(b"\0", b" ") or _content(f"/proc/{pid}/comm")
    text = "".join(char if char.isprintable() else " " for char in words.decode(errors="replace"))
    return " ".join(text.split())[:_NAME_LENGTH] or "a process"


def _await_ends(pids: Sequence[int], seconds: float) -> None:
    import select

    until = monotonic() + seconds
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, until - monotonic()) * 1000)
        os.close(fd)


def _enter(groups: Sequence[int]) -> None:
    """Be in the control groups, with all that is started from now on; nobody else gets hold of the way into them.

    The kernel asks who opened these files, which was not us: here nobody could.
    """
    for fd in groups:
        try:
            os.write(fd, b"0")  # Whoever writes it.
        except OSError as error:
            sys.exit(f"warden: the control group cannot be entered: {error.strerror}")
        os.close(fd)


def _forward(sockets: Mapping[int, str]) -> list[int]:
    """Answer on TCP ports of our own loopback, in a process of its own, before the box starts."""
    sys.path.insert(0, __file__.rpartition("/")[0])
    import forward  # type: ignore[import-not-found]  # runner/sandbox/forward.py, which lies beside this file.

    return [forward.start(sockets)]


def _close_memory() -> None:
    """Let nobody of our own user read or write our memory: a box could say in our name how it ended.

    The box is another program, whose memory is as open as ever. By way of what `ctypes` is made of, whose import costs
    a box more; the interpreter of a container's image may be without.
    """
    try:
        from _ctypes import FUNCFLAG_CDECL, CFuncPtr, _SimpleCData, dlopen, dlsym
    except ImportError:
        return
    integer = type("Integer", (_SimpleCData,), {"_type_": "i"})
    word = type("Word", (_SimpleCData,), {"_type_": "L"})
    function = type("Function", (CFuncPtr,), {"_flags_": FUNCFLAG_CDECL, "_restype_": integer})
    prctl: Any = function(dlsym(dlopen(None, 0), "prctl"))  # type: ignore[arg-type]  # None is the program itself.
    prctl(integer(_PR_SET_DUMPABLE), word(0), word(0), word(0), word(0))


def _limit(name: str, most: int) -> None:
    which = getattr(resource, f"RLIMIT_{name}", None)
    if which is None:
        return
    hard = resource.getrlimit(which)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def _read(place: str) -> bytes:
    if not place.isdigit():
        return _content(place)
    with open(int(place), "rb", 0) as stream:
        stream.seek(0)
        return stream.read()


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", 0) as stream:
            return stream.read()
    except OSError:
        return b""


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    main(*sys.argv[1:3])
    # An interpreter that takes itself apart first keeps everybody waiting for two milliseconds.
    os._exit(0)  # noqa: SLF001 - it is public under this name.
