from __future__ import annotations

import ctypes
import errno
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox import seccomp
from tests.conftest import MISSING

ROOT = Path(__file__).resolve().parents[3]


def _compiler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seccomp_compiler", ROOT / "tools" / "seccomp.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMPILER = _compiler()
MACHINES: dict[str, int] = COMPILER.MACHINES
HERE = os.uname().machine
ALLOW, KILL, ERRNO = COMPILER.ALLOW, COMPILER.KILL_PROCESS, COMPILER.ERRNO

needs_a_program_for_this_machine = pytest.mark.skipif(
    sys.platform != "linux" or HERE not in MACHINES, reason=f"no filter for {sys.platform} on {HERE}"
)


def filter_of(machine: str, network: str = "own") -> bytes:
    return Path(seccomp.program(machine, network)).read_bytes()


def judge(code: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the kernel would answer: the part of classic BPF that the programs use."""
    words = (*arguments, *(0,) * (6 - len(arguments)))
    call = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *(word & (1 << 64) - 1 for word in words))
    instructions = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator = at = 0
    operand: int
    while True:
        operation, then, otherwise, operand = instructions[at]
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", call, operand)
        elif operation == 0x54:
            accumulator &= operand
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }[operation]
            at += then if holds else otherwise


def denied_everywhere() -> Iterator[tuple[str, str, int]]:
    for name, numbers in COMPILER.DENIED.items():
        for machine, number in zip(MACHINES, numbers, strict=True):
            if number is not None:
                yield name, machine, number


@pytest.mark.parametrize("network", COMPILER.NETWORKS)
@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_shipped_is_what_the_rules_compile_to(machine: str, network: str) -> None:
    assert filter_of(machine, network) == COMPILER.packed(COMPILER.program(machine, network)), "run tools/seccomp.py"


def test_a_machine_without_a_program_is_told_so() -> None:
    assert seccomp.program("riscv64") == ""


def test_a_machine_has_its_program_under_both_of_its_names() -> None:
    assert seccomp.program("arm64") == seccomp.program("aarch64") != ""


def test_the_numbers_are_those_of_libseccomp() -> None:
    try:
        resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    except OSError:
        pytest.skip(f"{MISSING} libseccomp.so.2")
    judged = {"clone": COMPILER.CLONE, "clone3": COMPILER.CLONE3, "ioctl": COMPILER.IOCTL}
    judged |= {"personality": COMPILER.PERSONALITY, "socket": COMPILER.SOCKET, "socketpair": COMPILER.SOCKETPAIR}
    judged |= dict(zip(("sendto", "sendmsg", "sendmmsg"), COMPILER.SENDS, strict=True))
    checked = 0
    for name, numbers in {**COMPILER.DENIED, **COMPILER.DENIED_WITHOUT_NAMESPACES, **judged}.items():
        for architecture, number in zip(MACHINES.values(), numbers, strict=True):
            known = resolve(ctypes.c_uint32(architecture), name.encode())
            if known == -1:
                continue  # a call that is younger than this libseccomp.
            assert (number if number is not None else -2) == max(known, -2), (name, hex(architecture))
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("network", COMPILER.NETWORKS)
def test_each_denied_call_fails_with_eperm_on_each_machine(network: str) -> None:
    for name, machine, number in denied_everywhere():
        said = judge(filter_of(machine, network), number, architecture=MACHINES[machine])
        assert said == ERRNO | errno.EPERM, (name, machine)


@given(st.sampled_from(sorted(MACHINES)), st.sampled_from(COMPILER.NETWORKS), st.integers(0, 0x3FFFFFFF))
def test_what_no_rule_names_is_allowed(machine: str, network: str, number: int) -> None:
    column = list(MACHINES).index(machine)
    tables = {**COMPILER.DENIED, **COMPILER.DENIED_WITHOUT_NAMESPACES}
    named = {numbers[column] for numbers in tables.values()} | {numbers[column] for numbers in COMPILER.SENDS}
    for rule in ("CLONE", "CLONE3", "IOCTL", "PERSONALITY", "SOCKET", "SOCKETPAIR"):
        named.add(getattr(COMPILER, rule)[column])
    said = judge(filter_of(machine, network), number, architecture=MACHINES[machine])
    assert number in named or said == ALLOW


@given(st.sampled_from(sorted(MACHINES)), st.sampled_from(COMPILER.NETWORKS), st.integers(0, (1 << 32) - 1), st.data())
def test_a_call_by_another_architectures_numbers_ends_the_caller(
    machine: str, network: str, number: int, data: st.DataObject
) -> None:
    strange = data.draw(st.integers(0, (1 << 32) - 1).filter(lambda value: value != MACHINES[machine]))
    assert judge(filter_of(machine, network), number, architecture=strange) == KILL


@given(st.integers(0x40000000, 0xFFFFFFFF), st.sampled_from(COMPILER.NETWORKS))
def test_x32_calls_do_not_exist(number: int, network: str) -> None:
    said = judge(filter_of("x86_64", network), number, architecture=MACHINES["x86_64"])
    assert said == ERRNO | errno.ENOSYS


CLONE_THREAD = 0x3D0F00  # what pthread_create passes.
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
REFUSED, NO_SUCH_FAMILY = ERRNO | errno.EPERM, ERRNO | errno.EAFNOSUPPORT
STREAM, DATAGRAM, CLOEXEC, MPTCP = 1, 2, 0o2000000, 262


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("rule", "arguments", "network", "said"),
    [
        pytest.param("CLONE", (CLONE_THREAD,), "own", ALLOW, id="threads"),
        pytest.param("CLONE", (signal.SIGCHLD,), "own", ALLOW, id="fork"),
        pytest.param("CLONE", (signal.SIGCHLD | CLONE_NEWUSER,), "own", REFUSED, id="a-user-namespace"),
        pytest.param("CLONE", (signal.SIGCHLD | CLONE_NEWPID,), "own", REFUSED, id="a-pid-namespace"),
        pytest.param("CLONE3", (), "own", ERRNO | errno.ENOSYS, id="clone3-falls-back-to-clone"),
        pytest.param("IOCTL", (0, 0x5401), "own", ALLOW, id="asking-a-terminal"),
        pytest.param("IOCTL", (0, 0x5412), "own", REFUSED, id="typing-into-a-terminal"),
        pytest.param("IOCTL", (0, 0x541C), "own", REFUSED, id="pasting-into-a-console"),
        # The kernel reads 32 bits of the request: what stands above them must not hide it.
        pytest.param("IOCTL", (0, 0xF00000000 | 0x5412), "own", REFUSED, id="typing-with-garbage-above"),
        pytest.param("PERSONALITY", (0xFFFFFFFF,), "own", ALLOW, id="asking-for-the-personality"),
        pytest.param("PERSONALITY", (0x40000,), "own", ALLOW, id="sanitizers-without-randomization"),
        pytest.param("PERSONALITY", (0x400000,), "own", REFUSED, id="read-implies-exec"),
        pytest.param("SOCKET", (2, DATAGRAM, 0), "own", ALLOW, id="udp-in-a-namespace"),
        pytest.param("SOCKET", (16, 3, 0), "own", ALLOW, id="netlink-in-a-namespace"),
        pytest.param("SOCKET", (40, STREAM, 0), "own", NO_SUCH_FAMILY, id="vsock-reaches-the-host"),
        pytest.param("SOCKET", (38, 5, 0), "own", NO_SUCH_FAMILY, id="kernel-crypto"),
        pytest.param("SOCKET", (1, STREAM | CLOEXEC, 0), "none", ALLOW, id="unix-sockets-always"),
        pytest.param("SOCKET", (2, STREAM, 0), "none", NO_SUCH_FAMILY, id="no-tcp-without-a-network"),
        pytest.param("SOCKET", (2, STREAM | CLOEXEC, 0), "tcp", ALLOW, id="tcp"),
        pytest.param("SOCKET", (10, STREAM, 6), "tcp", ALLOW, id="tcp-by-name"),
        pytest.param("SOCKET", (2, STREAM, MPTCP), "tcp", REFUSED, id="mptcp-passes-by-landlock"),
        pytest.param("SOCKET", (2, DATAGRAM, 0), "tcp", REFUSED, id="udp-passes-by-landlock"),
        pytest.param("SOCKET", (2, 3, 6), "tcp", REFUSED, id="raw"),
        pytest.param("SOCKET", (16, 3, 0), "tcp", NO_SUCH_FAMILY, id="netlink-of-the-machine"),
        pytest.param("SOCKETPAIR", (1, STREAM, 0), "tcp", ALLOW, id="pairs"),
        pytest.param("SOCKETPAIR", (30, STREAM, 0), "own", NO_SUCH_FAMILY, id="pairs-of-tipc"),
    ],
)
def test_calls_that_are_judged_by_their_arguments(
    machine: str, rule: str, arguments: tuple[int, ...], network: str, said: int
) -> None:
    number = getattr(COMPILER, rule)[list(MACHINES).index(machine)]
    assert judge(filter_of(machine, network), number, *arguments, architecture=MACHINES[machine]) == said


@pytest.mark.parametrize("machine", MACHINES)
def test_fast_open_does_not_connect_past_landlock(machine: str) -> None:
    for numbers, flags in COMPILER.SENDS.items():
        number = numbers[list(MACHINES).index(machine)]
        before = (0,) * flags
        fast, plain = ((*before, bits | 0x4000) for bits in (0x20000000, 0))
        code = filter_of(machine, "tcp")
        assert judge(code, number, *fast, architecture=MACHINES[machine]) == REFUSED
        assert judge(code, number, *plain, architecture=MACHINES[machine]) == ALLOW


# Installs the filter named in argv[1], then runs the code in argv[2], which fills `said`.
UNDER_THE_FILTER = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(a & (1 << 64) - 1) for a in arguments))
    return ctypes.get_errno() if result == -1 else 0
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
said = []
if sys.argv[1]:
    code = open(sys.argv[1], "rb").read()
    program = Program(len(code) // 8, ctypes.cast(ctypes.c_char_p(code), ctypes.c_void_p))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
exec(sys.argv[2])
print(json.dumps(said))
"""


def under(path: str, code: str) -> Any:
    command = [sys.executable, "-I", "-c", UNDER_THE_FILTER, path, code]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@needs_a_program_for_this_machine
def test_the_kernel_refuses_each_denied_call() -> None:
    column = list(MACHINES).index(HERE)
    # -1 everywhere is harmless to each of them, should the filter ever let one through.
    calls = {name: numbers[column] for name, numbers in COMPILER.DENIED.items() if numbers[column] is not None}
    code = f"said.extend(call(number, *[-1] * 6) for number in {list(calls.values())})"
    said = dict(zip(calls, under(seccomp.program(HERE), code), strict=True))
    assert said == dict.fromkeys(calls, errno.EPERM)


@needs_a_program_for_this_machine
def test_without_the_filter_the_kernel_says_something_else() -> None:
    column = list(MACHINES).index(HERE)
    numbers = [COMPILER.DENIED[name][column] for name in ("kcmp", "fsopen", "io_uring_setup", "process_vm_readv")]
    code = f"said.extend(call(number, *[-1] * 6) for number in {numbers})"
    assert errno.EPERM not in under("", code)
    assert set(under(seccomp.program(HERE), code)) == {errno.EPERM}


@needs_a_program_for_this_machine
@pytest.mark.parametrize("network", ["own", "tcp"])
def test_ordinary_programs_notice_nothing(network: str) -> None:
    code = """
import socket, subprocess, threading
thread = threading.Thread(target=said.append, args=("thread",)); thread.start(); thread.join()
said.append(subprocess.run(["/bin/sh", "-c", "echo forked | cat"], stdout=-1).stdout.decode())
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.sendall(b"over tcp"); client.close()
said.append(server.accept()[0].recv(100).decode())
one, other = socket.socketpair(); one.sendall(b"pair"); said.append(other.recv(9).decode())
"""
    assert under(seccomp.program(HERE, network), code) == ["thread", "forked\n", "over tcp", "pair"]


@needs_a_program_for_this_machine
@pytest.mark.parametrize(
    ("network", "refused"),
    [
        pytest.param("own", {"vsock": errno.EAFNOSUPPORT}, id="own"),
        pytest.param("none", dict.fromkeys(("tcp", "udp", "vsock"), errno.EAFNOSUPPORT), id="none"),
        pytest.param("tcp", {"udp": errno.EPERM, "vsock": errno.EAFNOSUPPORT}, id="tcp"),
    ],
)
def test_sockets_that_may_not_be_made_are_not_made(network: str, refused: dict[str, int]) -> None:
    code = """
import socket
for name, family, kind in (("tcp", 2, 1), ("udp", 2, 2), ("unix", 1, 1), ("vsock", 40, 1)):
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        said.append((name, error.errno))
"""
    assert dict(under(seccomp.program(HERE, network), code)) == refused
