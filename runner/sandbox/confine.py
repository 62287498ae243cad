"""Gives up what a box may not have, by Landlock and seccomp, and becomes the program that it was told to start.

Run as a file by the runner's own interpreter, with `-I -S`; `runner.sandbox.landlock` writes its command line. Nothing
of this is undone by what it starts: no new privileges, another user if it was root, only the named files, the named TCP
ports, no signals or abstract sockets beyond its own. What the kernel is too old for is left out, but for what would
leave a door open that was asked to be shut: then it ends with 126, and nothing has been started.

Usage: confine.py [WORD VALUE]... -- PROGRAM [ARGUMENT]...; the words are read, write, device, port, filter, uid, gid,
cwd and env (NAME=VALUE; together they are the whole environment).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CANNOT = 126
# linux/landlock.h. A newer kernel knows more accesses; what is not listed here is not restricted.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_ACCESSES = (1 << 13) - 1
_LATER_ACCESSES = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
TCP_SINCE, SCOPES_SINCE = 4, 6
# linux/prctl.h and linux/seccomp.h.
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The kernel did not do what was asked. The message says what and why."""


def abi() -> int:
    """The version of Landlock that this kernel speaks; 0 when it has none, or when it is turned off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def main(words: list[str]) -> None:
    """Do what the command line says; does not return."""
    split = words.index("--")
    program = words[split + 1 :]
    told: dict[str, list[str]] = {}
    for word, value in zip(words[:split:2], words[1:split:2], strict=True):
        told.setdefault(word, []).append(value)
    try:
        ruleset = _ruleset(told)
        _become(told)
        _restrict(ruleset, told["filter"][0])
    except (Refused, OSError) as why:
        sys.stderr.write(f"this box cannot be confined: {why}\n")
        raise SystemExit(CANNOT) from None
    env = dict(pair.split("=", 1) for pair in told.get("env", ()))
    os.chdir(told["cwd"][0])
    try:
        os.execve(program[0], program, env)  # noqa: S606 - that is its whole purpose.
    except OSError as why:
        sys.stderr.write(f"{program[0]}: {why.strerror}\n")
        raise SystemExit(127 if isinstance(why, FileNotFoundError) else CANNOT) from None


def _ruleset(told: dict[str, list[str]]) -> int:
    """What may be reached, as a descriptor. Paths are opened before the user is dropped, who may not see the way."""
    version = abi()
    if not version:
        raise Refused("this kernel has no Landlock")
    ports = told.get("port", [])
    if ports and version < TCP_SINCE:
        message = f"this kernel's Landlock (version {version}) cannot restrict TCP"
        raise Refused(message)
    files = _FIRST_ACCESSES
    for since, access in _LATER_ACCESSES.items():
        files |= access if version >= since else 0
    fields = [files]
    if version >= TCP_SINCE:
        fields.append(_BIND_TCP | _CONNECT_TCP)
    if version >= SCOPES_SINCE:
        fields.append(_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    attribute = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _call("landlock_create_ruleset", _CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0)
    for word, access in (("read", _READ), ("write", files), ("device", _DEVICE)):
        _allow_paths(ruleset, told.get(word, ()), access & files)
    for port in ports:
        rule = struct.pack("=QQ", _BIND_TCP | _CONNECT_TCP, int(port))
        _call("landlock_add_rule", _ADD_RULE, ruleset, _NET_PORT, rule, 0)
    return ruleset


def _allow_paths(ruleset: int, paths: Iterable[str], access: int) -> None:
    for path in paths:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        kind = os.fstat(fd).st_mode
        rule = struct.pack("=Qi", access if stat.S_ISDIR(kind) else access & _OF_A_FILE, fd)
        _call(f"landlock_add_rule for {path}", _ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
        os.close(fd)


def _become(told: dict[str, list[str]]) -> None:
    if "gid" in told:
        gid = int(told["gid"][0])
        os.setgroups([])
        os.setresgid(gid, gid, gid)
    if "uid" in told:
        uid = int(told["uid"][0])
        os.setresuid(uid, uid, uid)


def _restrict(ruleset: int, filter_file: str) -> None:
    # Other users' files can still not be opened once privileges are gone, but the filter is readable for all.
    with open(filter_file, "rb") as stream:
        code = stream.read()
    _checked("no_new_privs", _libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _call("landlock_restrict_self", _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    _checked("seccomp", _libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0))


def _call(name: str, number: int, *arguments: object) -> int:
    return _checked(name, _libc.syscall(ctypes.c_long(number), *arguments))


def _checked(name: str, result: int) -> int:
    if result < 0:
        message = f"{name}: {os.strerror(ctypes.get_errno())}"
        raise Refused(message)
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
