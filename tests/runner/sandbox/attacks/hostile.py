"""The boxes of the attack table: `python3 hostile.py NAME` tries one thing, boundedly, and says whether it worked.

Copied into a suite and run there; standard library alone. `targets.json` beside it says what there is to be attacked,
as a leak would. Exit 0: it was stopped. Exit 1 and the word: it succeeded. Anything else says nothing: it is broken.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGETS: dict[str, Any] = json.loads((HERE / "targets.json").read_text())
CANARY: str = TARGETS["canary"]
MIB = 1 << 20
PATIENCE = 3.0  # seconds that an attack looks for its neighbour, who stays twice as long.
MARK: str = TARGETS["mark"]  # of this arena: others may be at the same at this moment.
SHM_KEY: int = TARGETS["key"]
LIBC = ctypes.CDLL(None, use_errno=True)
# By the machine's name: io_uring_setup, keyctl, add_key, bpf, perf_event_open, userfaultfd, syslog.
_CALLS = {
    "x86_64": {"io_uring_setup": 425, "keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "syslog": 103},
    "aarch64": {
        "io_uring_setup": 425,
        "keyctl": 219,
        "add_key": 217,
        "bpf": 280,
        "perf_event_open": 241,
        "syslog": 116,
    },
}


class Stopped(Exception):
    """The attack did not get through; the text says where it ended."""


def call(name: str, *arguments: object) -> int:
    """A system call by name, or by a function of libc."""
    number = _CALLS[os.uname().machine].get(name)
    function = LIBC.syscall if number else getattr(LIBC, name)
    words = [ctypes.c_long(number), *arguments] if number else arguments
    answer = int(function(*words))
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return answer


def has_canary(path: str, limit: int = MIB) -> bool:
    with open(path, "rb") as file:
        return CANARY.encode() in file.read(limit)


def need(holds: object, why: str) -> str:
    """The attack got through if this holds; `why` says what stopped it if not."""
    if not holds:
        raise Stopped(why)
    return "it got through"


def wait_for(look: Callable[[], list[Any]]) -> list[Any]:
    """What there is to be seen of the neighbour, who starts when we do."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > end:
            raise Stopped("it is not to be seen")
        time.sleep(0.05)
    return found


def pids_with(part: str) -> list[int]:
    """Processes whose command line has something in it, but for our own."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        pid = int(path.split("/")[2])
        try:
            words = Path(path).read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if part in words and pid != os.getpid():
            found.append(pid)
    return found


def the_bot() -> int:
    """Its number, unless that is another process here, or none."""
    pid: int = TARGETS["bot"]
    try:
        need("stand_in.py" in Path(f"/proc/{pid}/cmdline").read_text(), "that is somebody else")
    except PermissionError:
        pass  # One need not see a process to do something to it.
    except FileNotFoundError as error:
        raise Stopped("the bot is not to be seen") from error
    return pid


# What belongs to the bot, and what other runs left.


def read_the_bots_secret_file() -> str:
    return need(has_canary(TARGETS["secret_file"]), "read")


def find_a_secret_in_own_environment() -> str:
    return need([name for name, value in os.environ.items() if CANARY in value], "none")


def find_a_secret_in_any_environment() -> str:
    """In particular in that of process 1: bubblewrap keeps the environment that it was started with."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            found += [path] if path != f"/proc/{os.getpid()}/environ" and has_canary(path) else []
        except OSError:
            continue
    return need(found, "none")


def see_the_bots_command_line() -> str:
    return need(pids_with(CANARY), "no process has it")


def read_another_runs_workspace() -> str:
    return need(has_canary(f"{TARGETS['other_run']}/report.txt"), "read")


def write_into_another_runs_workspace() -> str:
    path = Path(TARGETS["other_run"], "planted-by-a-box")
    path.write_text("x")
    path.unlink()
    return "written"


def plant_a_git_hook_in_a_shared_clone() -> str:
    path = Path(TARGETS["clone"], ".git", "hooks", "post-checkout")
    path.write_text("#!/bin/sh\n")
    path.unlink()
    return "written"


def climb_out_of_the_tree() -> str:
    """The tree lies in a directory of which the box has no business to see the rest."""
    return need("beside-the-tree" in os.listdir(HERE.parent), "nothing beside the tree")


def follow_a_link_of_the_tree() -> str:
    return need(has_canary(str(HERE / "a-link-to-the-secret")), "read")


def read_root_s_home() -> str:
    """What lies in it; the way to an interpreter there may be seen, as empty directories."""
    home = Path("/root")
    return need([path for path in home.iterdir() if not path.is_dir()], "no file in it")


def read_the_password_hashes() -> str:
    return need(Path("/etc/shadow").read_text(), "it is empty")


def read_the_event_record() -> str:
    return need(Path(TARGETS["events"]).read_text(), "it is empty")


def write_into_the_event_record() -> str:
    with open(TARGETS["events"], "ab"):
        return "opened for writing"


def write_the_report_of_another_box() -> str:
    with wait_for(other_reports)[0].open("ab"):
        return "opened for writing"


def other_reports() -> list[Path]:
    own = Path(os.environ["BOX_REPORT"])
    return [
        path
        for above in (own.parents[1], own.parents[2])
        for path in (*above.glob("*/report.jsonl"), *above.glob("*/*/report.jsonl"))
        if path.parent != own.parent
    ]


def change_the_runners_library() -> str:
    """What the next box loads as $BOX_LIB, and the interpreter's own modules."""
    opened = []
    for path in (os.environ["BOX_LIB"], os.environ["BOX_LIB_PY"], os.__file__):
        try:
            with open(path, "ab"):
                opened.append(path)
        except OSError:
            continue
    return need(opened, "none opens for writing")


# Ways to others.


def reach_a_port_of_the_machine() -> str:
    with socket.create_connection(("127.0.0.1", TARGETS["tcp"]), timeout=2) as connection:
        return need(connection.recv(100), "no answer")


def send_a_datagram() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.sendto(b"?", ("127.0.0.1", TARGETS["udp"]))
        return need(sender.recv(100), "no answer")


def find_a_route_out() -> str:
    with contextlib.suppress(PermissionError):
        if Path("/proc/net/route").read_text().splitlines()[1:]:
            return "there is a route"
    return need([name for _, name in socket.if_nameindex() if name != "lo"], "none")


def reach_an_abstract_socket() -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(f"\0{TARGETS['abstract']}")
        return need(connection.recv(100), "no answer")


def reach_a_socket_file() -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(TARGETS["socket_file"])
        return need(connection.recv(100), "no answer")


def open_a_packet_socket() -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300):
        return "opened"


def use_an_inherited_descriptor() -> str:
    found = []
    for fd in range(3, 256):
        try:
            found += [fd] if CANARY.encode() in os.pread(fd, MIB, 0) else []
        except OSError:
            continue
    return need(found, "none that says anything")


# Ways into others.


def signal_the_bot() -> str:
    os.kill(the_bot(), signal.SIGCONT)
    return "sent"


def freeze_another_box() -> str:
    (victim, *_) = wait_for(lambda: pids_with(f"hostile.py be_a_neighbour {MARK}"))
    os.kill(victim, signal.SIGSTOP)
    os.kill(victim, signal.SIGCONT)
    return "frozen, and thawed"


def be_a_neighbour() -> str:
    """Not an attack: somebody to be attacked. Has something to lose in its report, too."""
    Path(os.environ["BOX_REPORT"]).touch()
    time.sleep(2 * PATIENCE)
    raise Stopped("nobody tried")


def trace_the_bot() -> str:
    pid = the_bot()
    call("ptrace", ctypes.c_long(16), ctypes.c_long(pid), None, None)  # PTRACE_ATTACH
    os.waitpid(pid, 0x40000000)
    call("ptrace", ctypes.c_long(17), ctypes.c_long(pid), None, None)  # PTRACE_DETACH
    return "attached"


def read_the_bots_memory() -> str:
    pid = the_bot()
    start = int(Path(f"/proc/{pid}/maps").read_text().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(start)
        return need(memory.read(16), "nothing")


def type_into_the_callers_terminal() -> str:
    fd = os.open(TARGETS["terminal"], os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(fd, termios.TIOCSTI, b"!")
    return "typed"


def leave_a_key_in_a_keyring() -> str:
    call("add_key", b"user", b"interlock-attack", b"x", ctypes.c_size_t(1), ctypes.c_int(-4))  # the user's keyring
    return "added"


# Ways to more rights.


def mount_something() -> str:
    place = HERE / "mounted"
    place.mkdir(exist_ok=True)
    call("mount", b"tmpfs", str(place).encode(), b"tmpfs", ctypes.c_ulong(0), None)
    call("umount2", str(place).encode(), 2)
    return "mounted"


def write_the_core_pattern() -> str:
    with open("/proc/sys/kernel/core_pattern", "wb"):
        return "opened for writing"


def write_a_kernel_setting() -> str:
    opened = []
    for name in ("kernel/randomize_va_space", "vm/overcommit_memory", "fs/protected_hardlinks"):
        try:
            with open(f"/proc/sys/{name}", "ab"):
                opened.append(name)
        except OSError:
            continue
    return need(opened, "none opens for writing")


def make_a_user_namespace() -> str:
    call("unshare", ctypes.c_int(0x10000000))
    return "made"


def use_io_uring() -> str:
    parameters = ctypes.create_string_buffer(120)
    os.close(call("io_uring_setup", ctypes.c_uint(1), parameters))
    return "set up"


def load_a_bpf_program_or_watch_the_kernel() -> str:
    done = []
    attributes = ctypes.create_string_buffer(struct.pack("=4I", 2, 4, 4, 1), 128)  # an array of one value
    event = ctypes.create_string_buffer(struct.pack("=2I", 1, 128), 128)  # a clock in software
    minus_one = ctypes.c_int(-1)
    for name, arguments in (
        ("bpf", (ctypes.c_int(0), attributes, ctypes.c_uint(72))),
        ("perf_event_open", (event, ctypes.c_int(0), minus_one, minus_one, ctypes.c_ulong(0))),
    ):
        try:
            os.close(call(name, *arguments))
            done.append(name)
        except OSError:
            continue
    return need(done, "neither is allowed")


def keep_the_way_to_more_rights_open() -> str:
    """Set-user-id programs work as long as `no_new_privs` is not set."""
    return need(call("prctl", ctypes.c_int(39), *[ctypes.c_ulong(0)] * 4) == 0, "no_new_privs is set")


def have_capabilities() -> str:
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    call("capget", (ctypes.c_uint32 * 2)(0x20080522, 0), sets)
    return need(any(sets), "none")


def be_root() -> str:
    return need(os.geteuid() == 0, f"user {os.geteuid()}")


def rename_the_machine() -> str:
    name = os.uname().nodename.encode()
    call("sethostname", name, ctypes.c_size_t(len(name)))
    return need(name.decode() == TARGETS["hostname"], "only its own")


def write_outside_of_its_places() -> str:
    written = []
    for directory in ("/", "/etc", "/usr", "/usr/bin", "/run", "/run/interlock", "/var", "/dev"):
        path = Path(directory, "planted-by-a-box")
        try:
            path.write_text("x")
            path.unlink()
            written.append(directory)
        except OSError:
            continue
    return need(written, "nowhere")


def leave_its_control_group() -> str:
    opened = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        place = Path(words[4], "cgroup.procs")
        if words[words.index("-") + 1].startswith("cgroup") and place.exists():
            try:
                with place.open("ab"):
                    opened.append(words[4])
            except OSError:
                continue
    return need(opened, "none opens for writing")


def find_a_way_into_a_control_group() -> str:
    """A descriptor of a group's list of processes, in somebody's hands: who writes there moves, and stops all forks."""
    opened = []
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(path).endswith("/cgroup.procs"):
                os.close(os.open(path, os.O_WRONLY))
                opened.append(path)
        except OSError:
            continue
    return need(opened, "nobody has one that opens")


def read_the_kernels_memory() -> str:
    with open("/proc/kcore", "rb", 0) as memory:
        return need(memory.read(4), "nothing")


def speak_in_the_sandbox_s_place() -> str:
    """The sandbox tells the runner how a box ended, on a descriptor that no box has: take it from who has it."""
    taken = []
    for path in glob.glob("/proc/[12]/fd/*"):
        try:
            if int(path.split("/")[4]) > 2:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                taken.append(path)
        except OSError:
            continue
    return need(taken, "none of the first processes' descriptors opens for writing")


def change_the_memory_of_who_started_it() -> str:
    """Who tells how a box ended is of the box's own user, and could be made to tell something else."""
    opened = []
    # Of a sandbox's first process, which has its words too, nothing is believed.
    tellers = [pid for pid in pids_with("warden.py") if pid > 1] or pids_with("-m runner run")
    need(tellers, "nobody is to be seen")
    for pid in tellers:
        try:
            os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
            opened.append(pid)
        except OSError:
            continue
    return need(opened, "no memory opens for writing")


def read_the_kernel_log() -> str:
    buffer = ctypes.create_string_buffer(4096)
    return need(call("syslog", ctypes.c_int(3), buffer, ctypes.c_int(4096)), "it is empty")


def make_a_device() -> str:
    path = HERE / "device"
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    try:
        os.close(os.open(path, os.O_RDWR))
    finally:
        path.unlink()
    return "made and opened"


def read_a_raw_disk() -> str:
    disks = [path for name in ("vd?", "sd?", "nvme?n?", "xvd?") for path in glob.glob(f"/dev/{name}")]
    need(disks, "none is there")
    os.close(os.open(disks[0], os.O_RDONLY))
    return "opened"


def dump_core() -> str:
    """A core dump has the memory of a box in it, and may be written anywhere or handed to a program as root."""
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    return "a limit above nothing was allowed"


# Taking what others need. The limits of the suite are far below these.


def fork_400_times() -> str:
    children: list[int] = []
    try:
        for _ in range(400):
            pid = os.fork()
            if not pid:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError as error:
        why = f"{len(children)} forks, then {error.strerror}"
        raise Stopped(why) from error
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    return "all of them"


def take_memory() -> str:
    """In a child, since that may be killed for it."""
    code = "m = bytearray(400 << 20)\nfor at in range(0, len(m), 4096): m[at] = 1"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return need(done.returncode == 0, f"the process ended with {done.returncode}")


def _fill(directory: str, *, files: int) -> str:
    """96 MiB, which is more than any place of the suite may hold."""
    places = [Path(directory, f"filler-{number}") for number in range(files)]
    try:
        for place in places:
            with place.open("wb", 0) as file:
                for _ in range(96 // files):
                    written = file.write(b"x" * MIB)
                    need(written == MIB, "cut short")
    except OSError as error:
        raise Stopped(error.strerror) from error
    finally:
        for place in places:
            place.unlink(missing_ok=True)
    return "96 MiB"


def write_one_large_file() -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return _fill(str(HERE), files=1)


def fill_the_tree() -> str:
    return _fill(str(HERE), files=16)


def fill_tmp() -> str:
    return _fill("/tmp", files=16)


def fill_shared_memory() -> str:
    return _fill("/dev/shm", files=16)


def fill_its_own_places() -> str:
    return _fill(os.environ["BOX_ARTIFACTS"], files=16)


# What stays: the first of a pair leaves something, the second, a tier later, looks for it.


def change_the_tree() -> str:
    (HERE / "left-by-a-box").write_text("x")
    raise Stopped("the next tier tells")


def find_the_tree_changed() -> str:
    return need((HERE / "left-by-a-box").exists(), "as it was")


def leave_files_in_shared_places() -> str:
    for name in TARGETS["leftovers"]:
        try:
            Path(name).write_text("x")
        except OSError:
            continue
    raise Stopped("the next tier tells")


def find_files_in_shared_places() -> str:
    return need([name for name in TARGETS["leftovers"] if os.path.exists(name)], "none")


def leave_shared_memory_behind() -> str:
    try:
        call("shmget", ctypes.c_int(SHM_KEY), ctypes.c_size_t(mmap.PAGESIZE), ctypes.c_int(0o1666))
        call("semget", ctypes.c_int(SHM_KEY), ctypes.c_int(1), ctypes.c_int(0o1666))
    except OSError as error:
        raise Stopped(str(error)) from error
    raise Stopped("the next tier tells")


def find_shared_memory() -> str:
    segment = call("shmget", ctypes.c_int(SHM_KEY), ctypes.c_size_t(mmap.PAGESIZE), ctypes.c_int(0o666))
    return f"segment {segment}"


def leave_a_daemon() -> str:
    """Twice forked, its own session, no pipe of ours, deaf to polite signals."""
    if not os.fork():
        os.setsid()
        if not os.fork():
            for fd in range(3):
                os.close(fd)
            code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
            os.execve(sys.executable, [sys.executable, "-c", code, f"daemon-of-{MARK}"], {})
        os._exit(0)
    os.wait()
    time.sleep(0.3)
    raise Stopped("the next tier tells")


def find_the_daemon() -> str:
    return need(pids_with(f"daemon-of-{MARK}"), "it is gone")


def leave_links_as_artifacts() -> str:
    artifacts = Path(os.environ["BOX_ARTIFACTS"])
    (artifacts / "file").symlink_to(TARGETS["secret_file"])
    (artifacts / "directory").symlink_to(Path(TARGETS["secret_file"]).parent)
    os.mkfifo(artifacts / "pipe")
    with contextlib.suppress(OSError):
        os.link(TARGETS["secret_file"], artifacts / "hard")
    raise Stopped("what was collected tells")


def leave_links_as_reports() -> str:
    for name in ("BOX_REPORT", "BOX_JUNIT"):
        Path(os.environ[name]).symlink_to(TARGETS["secret_file"])
    raise Stopped("what was reported tells")


def main(name: str) -> int:
    try:
        how = globals()[name]()
    except Stopped as why:
        print(f"stopped: {why}")
        return 0
    except (OSError, subprocess.SubprocessError, ValueError, MemoryError) as error:
        print(f"stopped: {type(error).__name__}: {error}")
        return 0
    print(f"SUCCEEDED: {how}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
