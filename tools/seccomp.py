"""Compile the system call filters of the sandbox.

    python tools/seccomp.py

writes `runner/sandbox/programs/<machine>-<network>.bpf`: arrays of `struct sock_filter`, as bubblewrap and prctl take
them. The same rules always give the same bytes, and a test compares them with what is committed.

It is a list of what is refused, not of what is allowed: boxes are anybody's programs. Refused is what opens large
parts of the kernel to a caller without privileges, what reaches out of a sandbox, and what tests have no use for. A
refused call fails with EPERM, clone3 with ENOSYS: its flags lie in memory, where a filter cannot look, and every libc
falls back to clone. A call by another architecture's numbers ends the caller.

The numbers are the kernel's, asm/unistd_64.h and asm-generic/unistd.h; a test asks libseccomp whether they are right.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "runner" / "sandbox" / "programs"

# AUDIT_ARCH_* of linux/audit.h, in the order of the columns below.
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

DENIED: dict[str, tuple[int | None, int | None]] = {
    # What a sandbox sees, and leaving it.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    # Other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # Keys belong to a user, not to a namespace.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Large interfaces with a history.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    # The machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "query_module": (178, None),
    "get_kernel_syms": (177, None),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "iopl": (172, None),
    "ioperm": (173, None),
    # Long gone.
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
}
# Where there is no namespace of one's own, what would stay for the next box.
DENIED_WITHOUT_NAMESPACES: dict[str, tuple[int | None, int | None]] = {
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}
# Calls that are judged by their arguments.
CLONE = (56, 220)
CLONE3 = (435, 435)
IOCTL = (16, 29)
PERSONALITY = (135, 92)
SOCKET = (41, 198)
SOCKETPAIR = (53, 199)
SENDS = {(44, 206): 3, (46, 211): 2, (307, 269): 3}  # sendto, sendmsg, sendmmsg -> which argument the flags are.

NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
# Linux, 32 bit, kernel 2.6 in uname, both; without address randomization (sanitizers ask for it); asking.
PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, SOCK_TYPE = 1, 0xF
IPPROTO_TCP = 6
MSG_FASTOPEN = 0x20000000

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
# Offsets in struct seccomp_data.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
X32 = 0x40000000
NETWORKS = ("own", "none", "tcp")

Instruction = tuple[int, int, int, int]


def load(offset: int) -> Instruction:
    """The accumulator becomes a 32-bit word of the call's description."""
    return (0x20, 0, 0, offset)


def argument(index: int) -> Instruction:
    """The accumulator becomes the lower half of an argument; the kernel reads no more of those that are judged here."""
    return load(ARGUMENTS + 8 * index)


def equal(value: int, then: int, otherwise: int = 0) -> Instruction:
    """Skip `then` instructions when the accumulator is `value`, else `otherwise`."""
    return (0x15, then, otherwise, value)


def at_least(value: int, then: int, otherwise: int = 0) -> Instruction:
    """The same, when it is `value` or more."""
    return (0x35, then, otherwise, value)


def any_bit(mask: int, then: int, otherwise: int = 0) -> Instruction:
    """The same, when it has any bit of `mask`."""
    return (0x45, then, otherwise, mask)


def only(mask: int) -> Instruction:
    """Keep these bits of the accumulator."""
    return (0x54, 0, 0, mask)


def answer(action: int) -> Instruction:
    """End with this answer."""
    return (0x06, 0, 0, action)


def fails(errno: int) -> Instruction:
    """End: the call is not made and fails."""
    return answer(ERRNO | errno)


def when(number: int, block: Iterable[Instruction]) -> list[Instruction]:
    """What happens on one call; `block` must end in an answer."""
    block = list(block)
    return [equal(number, 0, len(block)), *block]


def one_of(values: Iterable[int], otherwise: int) -> list[Instruction]:
    """Allow when the accumulator is one of these, else fail."""
    tests = [instruction for value in values for instruction in (equal(value, 0, 1), answer(ALLOW))]
    return [*tests, fails(otherwise)]


def tcp_socket() -> list[Instruction]:
    """Unix sockets and TCP, nothing else: Landlock restricts no UDP, and of TCP neither MPTCP nor SMC."""
    return [
        argument(0),
        equal(AF_UNIX, 0, 1),
        answer(ALLOW),
        equal(AF_INET, 2),
        equal(AF_INET6, 1),
        fails(EAFNOSUPPORT),
        argument(1),
        only(SOCK_TYPE),
        equal(SOCK_STREAM, 1),
        fails(EPERM),
        argument(2),
        *one_of((0, IPPROTO_TCP), EPERM),
    ]


def network_rules(column: int, network: str) -> list[Instruction]:
    """Which sockets can be made.

    A network namespace holds IP; it does not hold vsock, which reaches from a guest to its host.
    """
    families = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK) if network == "own" else (AF_UNIX,)
    allowed = [argument(0), *one_of(families, EAFNOSUPPORT)]
    rules = when(SOCKET[column], tcp_socket() if network == "tcp" else allowed)
    rules += when(SOCKETPAIR[column], allowed)
    if network == "tcp":
        for numbers, flags in SENDS.items():  # it connects, and Landlock's hook is in connect.
            block = [argument(flags), any_bit(MSG_FASTOPEN, 0, 1), fails(EPERM), answer(ALLOW)]
            rules += when(numbers[column], block)
    return rules


def program(machine: str, network: str) -> list[Instruction]:
    """The filter of a machine.

    Args:
        machine: as uname says it.
        network: `own`: the box has a network namespace; `none`: it has not, and gets unix sockets only; `tcp`: TCP
            as well, which something else must restrict.
    """
    column = list(MACHINES).index(machine)
    rules = [load(ARCHITECTURE), equal(MACHINES[machine], 1), answer(KILL_PROCESS), load(NUMBER)]
    if machine == "x86_64":
        rules += [at_least(X32, 0, 1), fails(ENOSYS)]
    denied = DENIED if network == "own" else DENIED | DENIED_WITHOUT_NAMESPACES
    for numbers in denied.values():
        if (number := numbers[column]) is not None:
            rules += when(number, [fails(EPERM)])
    rules += when(CLONE3[column], [fails(ENOSYS)])
    rules += when(CLONE[column], [argument(0), any_bit(NEW_NAMESPACES, 0, 1), fails(EPERM), answer(ALLOW)])
    # Both write into somebody's terminal as if it had been typed there.
    rules += when(IOCTL[column], [argument(1), equal(TIOCSTI, 1), equal(TIOCLINUX, 0, 1), fails(EPERM), answer(ALLOW)])
    rules += when(PERSONALITY[column], [argument(0), *one_of(PERSONALITIES, EPERM)])
    return [*rules, *network_rules(column, network), answer(ALLOW)]


def packed(instructions: Iterable[Instruction]) -> bytes:
    """As the kernel takes them."""
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def main() -> None:
    """Write every program."""
    OUT.mkdir(exist_ok=True)
    for machine in MACHINES:
        for network in NETWORKS:
            content = packed(program(machine, network))
            (OUT / f"{machine}-{network}.bpf").write_bytes(content)
            print(f"{machine}-{network}: {len(content)} bytes")


if __name__ == "__main__":
    main()
