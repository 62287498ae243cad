from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from runner.isolation import MIB, Limits
from runner.sandbox import cgroup

LIMITS = Limits(memory=64 * MIB, processes=20, workspace=MIB, tmp=MIB)


# These skips are not counted as missing components: nobody can install a machine's control groups.


@pytest.fixture
def group() -> Iterator[cgroup.Group]:
    made = cgroup.enter("test", LIMITS)
    if made is None:
        pytest.skip("this machine has no control group that may be divided")
    yield made
    made.remove()
    assert not any(Path(directory).exists() for directory in made.directories)


def inside(group: cgroup.Group, script: str) -> subprocess.Popen[str]:
    enter = 'for procs; do echo 0 >"$procs" || exit 9; done; exec "$PYTHON" -c "$SCRIPT"'
    env = {**os.environ, "SCRIPT": script, "PYTHON": sys.executable}
    command = ["/bin/sh", "-c", enter, "sh", *group.procs]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_memory_is_capped_and_its_end_is_known_by_name(group: cgroup.Group) -> None:
    if not group.memory:
        pytest.skip("this machine has no memory controller for us")
    assert not group.oom_killed()
    with inside(group, "held = [bytearray(1 << 20) for _ in range(256)]") as hog:
        assert hog.wait() == -9
    assert group.oom_killed()


def test_a_box_below_its_limit_is_not_blamed(group: cgroup.Group) -> None:
    with inside(group, "held = bytearray(8 << 20)") as box:
        assert box.wait() == 0
    assert not group.oom_killed()


def test_a_fork_bomb_stops_at_the_limit(group: cgroup.Group) -> None:
    if not group.pids:
        pytest.skip("this machine has no pids controller for us")
    bomb = """
import os, signal
started = []
try:
    for _ in range(400):
        pid = os.fork()
        if not pid:
            signal.pause()
        started.append(pid)
except BlockingIOError:
    pass
print(len(started), flush=True)
for pid in started:
    os.kill(pid, signal.SIGKILL)
"""
    with inside(group, bomb) as box:
        assert box.stdout
        assert 15 <= int(box.stdout.read()) < 30


def test_a_process_enters_by_descriptors_that_somebody_else_opened(group: cgroup.Group) -> None:
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    enter = ["/bin/sh", "-c", "printf 0 && cat /proc/self/cgroup >&2"]
    name = Path(group.directories[0]).name
    doors = group.doors()
    assert len(doors) == len(group.directories)
    for fd in doors:
        done = subprocess.run([*nobody, *enter], stdout=fd, stderr=subprocess.PIPE, text=True, check=False)
        os.close(fd)
        assert done.returncode == 0
        assert done.stderr.count(f"/{name}\n") == 1


def test_a_way_into_a_group_that_is_gone_is_not_half_a_way(group: cgroup.Group) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    Path(group.directories[-1]).rmdir()
    with pytest.raises(FileNotFoundError):
        group.doors()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_the_group_that_we_are_in_can_be_entered_again_and_we_stay_where_we_are() -> None:
    found = cgroup.find()
    if not found.own:
        pytest.skip("this machine lets us write into no group of ours")
    before = Path("/proc/self/cgroup").read_text()
    Path(found.own).write_text("0")
    assert Path("/proc/self/cgroup").read_text() == before


@pytest.mark.parametrize("by_hand", [False, True], ids=["cgroup.kill", "one-by-one"])
def test_a_kill_ends_whoever_left_its_parent(by_hand: bool) -> None:
    found = cgroup.find()
    if by_hand:
        found = cgroup.Found(version="1", memory=found.memory, pids=found.pids)
    group = cgroup.enter("kill", LIMITS, found)
    if group is None:
        pytest.skip("this machine has no control group that may be divided")
    daemon = """
import os, signal
if os.fork():
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
os.close(1)
signal.pause()
"""
    with inside(group, daemon) as box:
        assert box.stdout
        pid = int(box.stdout.read())
    group.kill()
    group.remove()
    assert not any(Path(directory).exists() for directory in group.directories)
    assert is_dead(pid)


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_a_killed_runner_left_is_ended_and_swept_away(group: cgroup.Group) -> None:
    base = Path(group.directories[-1]).parent
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    here = Path("/proc/self/ns/pid").stat().st_ino
    orphan, elsewhere = (base / f"interlock.{dead.pid}.1.{space}.7" for space in (here, here + 1))
    orphan.mkdir()
    elsewhere.mkdir()
    left = subprocess.Popen(["/bin/sh", "-c", f"echo 0 >{orphan}/cgroup.procs; echo in; exec sleep 300"], stdout=-1)
    assert left.stdout
    assert left.stdout.readline() == b"in\n"
    cgroup._SWEPT.clear()
    try:
        second = cgroup.enter("second", LIMITS)
        assert second
        second.remove()
        assert not orphan.exists()
        assert left.wait() == -9
        assert elsewhere.exists()
        assert Path(group.directories[0]).exists()
    finally:
        left.stdout.close()
        elsewhere.rmdir()


# Version 2 with its controllers is spoken to files that only look like it: see docs/explanation/isolation.md.
def machine(root: Path, *, mountinfo: str, membership: str) -> str:
    """A /proc/self that says where we are."""
    proc = root / "proc"
    proc.mkdir()
    (proc / "mountinfo").write_text(mountinfo.replace("ROOT", str(root).replace(" ", "\\040")))
    (proc / "cgroup").write_text(membership)
    return str(proc)


def directory(path: Path, *, controllers: str = "cpu memory pids", procs: str = "", subtree: str = "") -> Path:
    path.mkdir(parents=True)
    files = {"controllers": controllers, "procs": procs, "subtree_control": subtree, "type": "domain"}
    for name, content in files.items():
        (path / f"cgroup.{name}").write_text(f"{content}\n")
    return path


UNIFIED = "30 23 0:26 / ROOT/fs rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_a_delegated_unit_is_divided_beside_the_group_that_we_are_in(tmp_path: Path) -> None:
    unit = directory(tmp_path / "fs/system.slice/interlock.service")
    directory(unit / "main", procs="42", controllers="")
    proc = machine(tmp_path, mountinfo=UNIFIED, membership="0::/system.slice/interlock.service/main\n")
    found = cgroup.find(proc)
    where = str(unit)
    assert found == cgroup.Found(version="2", memory=where, pids=where, kill=where, own=f"{unit}/main/cgroup.procs")

    group = cgroup.enter("7", LIMITS, found)
    assert group
    (made,) = (Path(path) for path in group.directories)
    assert group.procs == (f"{made}/cgroup.procs",)
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert {path.name: path.read_text() for path in sorted(made.iterdir())} == snapshot(
        {"memory.max": "67108864", "memory.oom.group": "1", "memory.swap.max": "0", "pids.max": "22"}
    )
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert not group.oom_killed()
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 1\n")
    assert group.oom_killed()
    (made / "cgroup.kill").write_text("")
    group.kill()
    assert (made / "cgroup.kill").read_text() == "1"
    for path in made.iterdir():
        path.unlink()  # the kernel's own files do not keep a group from being removed.
    group.remove()
    assert not made.exists()


def test_a_group_that_holds_processes_cannot_hand_on_its_controllers(tmp_path: Path) -> None:
    directory(tmp_path / "fs/system.slice", procs="1")
    directory(tmp_path / "fs/system.slice/interlock.service", procs="42 43")
    found = cgroup.find(machine(tmp_path, mountinfo=UNIFIED, membership="0::/system.slice/interlock.service\n"))
    assert not found
    assert (found.version, found.why) == snapshot(
        ("2", "no limit of memory and pids: our own group is not ours to divide")
    )
    assert cgroup.enter("7", LIMITS, found) is None


def test_one_controller_alone_still_limits(tmp_path: Path) -> None:
    own = directory(tmp_path / "fs/own", controllers="pids", subtree="pids")
    found = cgroup.find(machine(tmp_path, mountinfo=UNIFIED, membership="0::/own\n"))
    assert (found.memory, found.pids) == ("", str(own))
    assert "no limit of memory:" in found.why
    assert found


def test_a_mount_point_with_a_space_and_a_namespaced_root_are_understood(tmp_path: Path) -> None:
    root = tmp_path / "with space"
    own = directory(root / "fs/inner")
    mountinfo = UNIFIED.replace("/ ROOT", "/docker/abc ROOT")
    found = cgroup.find(machine(root, mountinfo=mountinfo, membership="0::/docker/abc/inner\n"))
    assert found.memory == str(own)


def test_a_group_outside_of_what_is_mounted_is_nobodys(tmp_path: Path) -> None:
    directory(tmp_path / "fs")
    mountinfo = UNIFIED.replace("/ ROOT", "/docker/abc ROOT")
    found = cgroup.find(machine(tmp_path, mountinfo=mountinfo, membership="0::/elsewhere\n"))
    assert found.why == snapshot("no limit of memory and pids: our own group is not visible here")


def test_the_hybrid_limits_by_version_one_and_kills_by_version_two(tmp_path: Path) -> None:
    mountinfo = (
        "35 31 0:32 / ROOT/v1/memory rw - cgroup cgroup rw,memory\n"
        "36 31 0:33 / ROOT/v1/pids rw - cgroup cgroup rw,pids\n" + UNIFIED
    )
    for name in ("v1/memory/a", "v1/pids"):
        (tmp_path / name).mkdir(parents=True)
    directory(tmp_path / "fs", controllers="hugetlb")
    found = cgroup.find(machine(tmp_path, mountinfo=mountinfo, membership="4:memory:/a\n8:pids:/\n0::/\n"))
    assert found == cgroup.Found(
        version="hybrid",
        memory=str(tmp_path / "v1/memory/a"),
        pids=str(tmp_path / "v1/pids"),
        kill=str(tmp_path / "fs"),
        own=str(tmp_path / "fs/cgroup.procs"),
    )


def test_a_machine_without_groups_says_so(tmp_path: Path) -> None:
    found = cgroup.find(str(tmp_path))
    assert (bool(found), found.why) == (False, "no cgroup file system is mounted")
