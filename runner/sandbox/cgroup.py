"""Control groups: what one box may use in all, and the one sure way to end everything it started.

A group is made below our own, where we may write, and is gone when the box is. Version 1, version 2 and their hybrid
are spoken; on version 2 memory and processes are limited where the controllers are delegated to us (see
docs/how-to/get-a-full-sandbox.md). Where there is no group, rlimits hold instead.
"""

from __future__ import annotations

import os
import re
import select
import signal

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.isolation import Limits

_CONTROLLERS = ("memory", "pids")
# Besides the box's own processes: the warden and its forwarder. What built the sandbox is not in the group.
_SANDBOX_PROCESSES = 2
_LOOKS = 200
_BETWEEN_LOOKS_MS = 5
_SWEPT: set[str] = set()


class Found(Value):
    """Where groups can be made.

    `version` is "1", "2", "hybrid", or "" without any. `memory`, `pids` and `kill` are the directories below which a
    group limits memory, limits processes and can be killed as a whole; "" where it cannot. `own` is a file by which a
    process enters a group that we are in already; "" where we may not write it. `why` says what is lacking.
    """

    __slots__ = ("kill", "memory", "own", "pids", "version", "why")

    def __init__(
        self, *, version: str = "", memory: str = "", pids: str = "", kill: str = "", own: str = "", why: str = ""
    ) -> None:
        self.version = version
        self.memory = memory
        self.pids = pids
        self.kill = kill
        self.own = own
        self.why = why

    def __bool__(self) -> bool:
        return bool(self.memory or self.pids)


class Group:
    """One box's groups, one directory in each hierarchy.

    `procs` are the files into which a process writes its pid (or 0, for itself) to be in it, `directories` the groups.
    `memory` and `pids` tell whether that is limited here.
    """

    def __init__(self, found: Found, name: str) -> None:
        bases = dict.fromkeys(base for base in (found.memory, found.pids, found.kill) if base)
        self.directories = tuple(os.path.join(base, name) for base in bases)
        self.procs = tuple(os.path.join(directory, "cgroup.procs") for directory in self.directories)
        self.memory = os.path.join(found.memory, name) if found.memory else ""
        self.pids = os.path.join(found.pids, name) if found.pids else ""

    def doors(self) -> list[int]:
        """Descriptors by which whoever has them may enter: `procs`, opened with our rights. The caller closes them.

        Raises:
            OSError: one cannot be opened; none is then.
        """
        found: list[int] = []
        try:
            for path in self.procs:
                found.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))  # noqa: PERF401 - those before a refusal count.
        except OSError:
            for fd in found:
                os.close(fd)
            raise
        return found

    def kill(self) -> None:
        """End every process in it. Those that the kernel is still ending may be there for a moment longer."""
        _kill_all(self.directories)

    def oom_killed(self) -> bool:
        """Whether the kernel ended a process in it because its memory was used up. Ask before `remove`."""
        if not self.memory:
            return False
        said = _read(self.memory, "memory.events") or _read(self.memory, "memory.oom_control")
        kills = re.search(r"^oom_kill (\d+)$", said, re.MULTILINE)
        return kills is not None and int(kills[1]) > 0

    def remove(self) -> None:
        """End what is left in it, and take it away. Repeating it is harmless."""
        _take_away(self.directories)


def enter(name: str, limits: Limits, found: Found | None = None) -> Group | None:
    """Make the groups of one box.

    Args:
        name: of letters, digits and `-`; not used by another box that lives.
        limits: what all of its processes may use together.
        found: where; None looks.

    Returns:
        None where no group can limit anything: rlimits must.
    """
    found = find() if found is None else found
    if not found:
        return None
    group = Group(found, f"{_prefix(os.getpid())}{name}")
    for directory in group.directories:
        _sweep(os.path.dirname(directory))
    try:
        for directory in group.directories:
            _enable(os.path.dirname(directory))
            os.mkdir(directory)
        if group.memory:
            _limit_memory(group.memory, limits.memory)
        if group.pids:
            _set(group.pids, "pids.max", str(limits.processes + _SANDBOX_PROCESSES))
    except OSError:
        group.remove()
        return None
    return group


def find(proc: str = "/proc/self") -> Found:
    """Look where groups can be made; makes none.

    Args:
        proc: the directory that says where we are.
    """
    mounts = list(_mounts(_read(proc, "mountinfo")))
    mine = dict(_membership(_read(proc, "cgroup")))
    ones = {name: _own(mounts, mine, name) for name in _CONTROLLERS}
    unified = _own(mounts, mine, "")
    kinds = {kind for kind, _, _, _ in mounts}
    version = {(True, True): "hybrid", (True, False): "1", (False, True): "2"}.get(
        ("cgroup" in kinds, "cgroup2" in kinds), ""
    )
    if not version:
        return Found(why="no cgroup file system is mounted")
    usable = {name: path if path and os.access(path, os.W_OK | os.X_OK) else "" for name, path in ones.items()}
    base, offered = _unified(unified)
    for name in _CONTROLLERS:
        if not ones[name] and name in offered:
            usable[name] = base
    why = ""
    if lacking := [name for name in _CONTROLLERS if not usable[name]]:
        readable = any(ones.values()) or bool(unified)
        delegated = "our own group is not ours to divide" if readable else "our own group is not visible here"
        why = f"no limit of {' and '.join(lacking)}: {delegated}"
    ways = [os.path.join(path, "cgroup.procs") for path in (*ones.values(), unified) if path]
    own = next((path for path in ways if os.access(path, os.W_OK)), "")
    return Found(version=version, memory=usable["memory"], pids=usable["pids"], kill=base, own=own, why=why)


def _unified(own: str) -> tuple[str, frozenset[str]]:
    """The group of version 2 to make ours in, and which controllers it can hand on.

    A group with processes in it hands none on (the root does), so ours may have to stand beside our own group; that is
    what systemd's DelegateSubgroup= arranges for.
    """
    candidates = []
    for base in (own, os.path.dirname(own)) if own else ():
        if not os.access(base, os.W_OK | os.X_OK) or not os.path.exists(os.path.join(base, "cgroup.procs")):
            continue
        if not os.access(os.path.join(base, "cgroup.procs"), os.W_OK):
            continue
        enabled = frozenset(_read(base, "cgroup.subtree_control").split())
        root = not os.path.exists(os.path.join(base, "cgroup.type"))
        may_enable = os.access(os.path.join(base, "cgroup.subtree_control"), os.W_OK) and (root or not _members(base))
        available = frozenset(_read(base, "cgroup.controllers").split()) if may_enable else frozenset()
        candidates.append((base, enabled | available))
    with_controllers = [candidate for candidate in candidates if candidate[1] & set(_CONTROLLERS)]
    return next(iter(with_controllers or candidates), ("", frozenset()))


def _enable(base: str) -> None:
    """Hand the controllers of version 2 on to the groups below; they stay on."""
    available = set(_read(base, "cgroup.controllers").split()) & set(_CONTROLLERS)
    missing = available - set(_read(base, "cgroup.subtree_control").split())
    if missing:
        _set(base, "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(missing)))


def _limit_memory(directory: str, limit: int) -> None:
    if os.path.exists(os.path.join(directory, "memory.limit_in_bytes")):
        _set(directory, "memory.limit_in_bytes", str(limit))
        _write(directory, "memory.memsw.limit_in_bytes", str(limit))  # only where swap is counted.
        return
    _set(directory, "memory.max", str(limit))
    _write(directory, "memory.swap.max", "0")
    _write(directory, "memory.oom.group", "1")  # a box without some of its processes would only hang.


def _mounts(text: str) -> Iterator[tuple[str, frozenset[str], str, str]]:
    """(file system, controllers, root within it, where) of each cgroup mount. Source: proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        fields, separator, rest = line.partition(" - ")
        kind, _, options = (*rest.split(" "), "", "")[:3]
        if separator and kind in {"cgroup", "cgroup2"}:
            _, _, _, root, where = fields.split(" ")[:5]
            yield kind, frozenset(options.split(",")), _unescaped(root), _unescaped(where)


def _membership(text: str) -> Iterator[tuple[str, str]]:
    """(controller or "" for version 2, group) of our own groups. Source: cgroups(7)."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _own(mounts: list[tuple[str, frozenset[str], str, str]], mine: Mapping[str, str], controller: str) -> str:
    """The directory of our own group in a controller's hierarchy, or ""."""
    for kind, controllers, root, where in mounts:
        if kind == ("cgroup" if controller else "cgroup2") and (not controller or controller in controllers):
            inside = os.path.relpath(mine.get(controller, "/"), root)
            if controller in mine and not inside.startswith(".."):
                return os.path.normpath(os.path.join(where, inside))
    return ""


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _prefix(pid: int) -> str:
    """Whose a group is: a process, told from a later one with its number by when it was started, and its namespace."""
    started = _read(f"/proc/{pid}", "stat").rpartition(")")[2].split()
    return f"interlock.{pid}.{started[19] if started else 0}.{_namespace()}."


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _sweep(base: str) -> None:
    """End and take away, once, the groups of runners that were killed. Another namespace's are not ours to judge.

    bubblewrap's inner process waits for ever when its outer one is killed before it has begun.
    """
    if base in _SWEPT:
        return
    _SWEPT.add(base)
    here = _namespace()
    for name in os.listdir(base):
        owner = re.match(rf"(interlock\.(\d+)\.\d+\.{here}\.)(.+)", name)
        if owner and owner[1] != _prefix(int(owner[2])):
            _take_away([os.path.join(base, name)])


def _take_away(directories: Sequence[str]) -> None:
    """Remove a group, which has a directory in each hierarchy, with what may still be in it."""
    for directory in directories:
        for look in range(_LOOKS):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                break
            except OSError:
                if look == 0:
                    _kill_all(directories)
                select.select([], [], [], _BETWEEN_LOOKS_MS / 1000)
            else:
                break


def _kill_all(directories: Sequence[str]) -> None:
    """End every process of a group."""
    for directory in directories:
        if os.path.exists(os.path.join(directory, "cgroup.kill")):
            _write(directory, "cgroup.kill", "1")
            return
    for directory in directories:
        if os.path.exists(os.path.join(directory, "pids.max")):
            _write(directory, "pids.max", "0")  # nothing new can be born while the rest is ended one by one.
    for _ in range(_LOOKS):
        pids = _members(directories[0])
        for pid in pids:
            _kill(pid)
        if not pids:
            return
        select.select([], [], [], _BETWEEN_LOOKS_MS / 1000)


def _members(directory: str) -> list[int]:
    return [int(pid) for pid in _read(directory, "cgroup.procs").split()]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _set(directory: str, name: str, value: str) -> None:
    with open(os.path.join(directory, name), "w", encoding="ascii") as file:
        file.write(value)


def _write(directory: str, name: str, value: str) -> None:
    """The same, where the kernel may not have the file or may refuse the value."""
    try:
        _set(directory, name, value)
    except OSError:
        return
