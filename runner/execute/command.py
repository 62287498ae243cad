"""How a box is started: the command line of each kind, or the sentence that says why there is none.

Nothing is run here; files are only looked at.
"""

from __future__ import annotations

import os
import stat
import sys

from runner.model import Box, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CANNOT_EXECUTE = 126
NOT_FOUND = 127
# ELF; Mach-O in its four spellings and as a universal binary.
_BINARIES = frozenset(
    bytes.fromhex(magic) for magic in ("7f454c46", "feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe")
)
BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytest_bootstrap.py")


class Unstartable(Exception):
    """A box that cannot be started.

    Args:
        reason: what is wrong and the way out, in lower case.
        exit_code: the one that a shell would give; None when it was not even tried.
        outcome: what it means for the box.
    """

    def __init__(self, *, reason: str, exit_code: int | None = None, outcome: Verdict = Verdict.ERRORED) -> None:
        self.reason = reason
        self.exit_code = exit_code
        self.outcome = outcome
        super().__init__(reason)


def command_of(
    box: Box, directory: str, env: Mapping[str, str], *, state_file: str, seen: str = "", bootstrap: str = BOOTSTRAP
) -> tuple[str, ...]:
    """The command line of a box; its first word is an absolute path.

    Args:
        box: the box.
        directory: absolute path of its suite in the tree it runs in.
        env: the environment it will get; interpreters are looked up on its PATH.
        state_file: where the pytest bootstrap tells how far it came.
        seen: where that directory is looked at, when what is there is not what the box will see.
        bootstrap: where the box finds the pytest bootstrap.

    Raises:
        Unstartable: there is none.
    """
    if box.kind == "missing":
        hint = "to remove a box, quarantine it on the base first"
        raise Unstartable(reason=f"{box.source} is missing here, and the base has it ({hint})")
    if box.kind == "command":
        return ("/bin/sh", "-c", box.run)
    if box.kind == "http":
        return http_command(box, env)
    head, mode = _look(os.path.join(seen or directory, box.file), box.file)
    if box.kind == "pytest":
        return (find_python(box, directory, env, head), bootstrap, state_file, box.file)
    return _file_command(box, directory, env, head, executable=bool(mode & 0o111))


def http_command(box: Box, env: Mapping[str, str]) -> tuple[str, ...]:
    """The program that makes the requests of an HTTP box; it is found where the box sees the runner's library."""
    import json

    if not box.http:
        hint = "quarantine it until it is on the base"
        raise Unstartable(reason=f"new in this change, so it has no network and makes no requests ({hint})")
    program = os.path.join(os.path.dirname(env["BOX_LIB"]), "http_box.py")
    orders = json.dumps({"steps": box.http, "timeout": box.timeout, "may_skip": box.may_skip})
    return (sys.executable, "-I", "-S", program, orders)


def find_python(box: Box, directory: str, env: Mapping[str, str], head: bytes = b"") -> str:
    """The interpreter of a Python box: its `python` key, its shebang, $VIRTUAL_ENV, .venv, python3 on PATH.

    Raises:
        Unstartable: the one that is asked for is not there, or there is none at all.
    """
    path = env.get("PATH", os.defpath)
    words = _shebang(head)
    if box.python:
        asked, by = os.path.join(directory, box.python) if "/" in box.python else box.python, "the box's python key"
    elif words and _names_python(words):
        asked, by = words[-1] if os.path.basename(words[0]) == "env" else words[0], "the first line"
    else:
        return _usual_python(directory, env)
    found = which(asked, path)
    if not found:
        raise Unstartable(reason=f"the interpreter {asked} that {by} names was not found", exit_code=NOT_FOUND)
    return found


def _usual_python(directory: str, env: Mapping[str, str]) -> str:
    for venv in (env.get("VIRTUAL_ENV", ""), os.path.join(directory, ".venv")):
        candidate = os.path.join(venv, "bin", "python")
        if venv and _is_executable(candidate):
            return candidate
    found = which("python3", env.get("PATH", os.defpath))
    if not found:
        raise Unstartable(reason="no python3 on PATH", exit_code=NOT_FOUND)
    return found


def _file_command(
    box: Box, directory: str, env: Mapping[str, str], head: bytes, *, executable: bool
) -> tuple[str, ...]:
    path = os.path.join(directory, box.file)
    if head.startswith(b"#!") and head.partition(b"\n")[0].endswith(b"\r"):
        raise Unstartable(
            reason=f"{box.file}: the first line ends with a carriage return (save the file with LF line ends)",
            exit_code=CANNOT_EXECUTE,
        )
    if executable and (words := _shebang(head)):
        _check_interpreter(box, words, env.get("PATH", os.defpath))
        return (path,)
    if executable and head[:4] in _BINARIES:
        return (path,)
    if box.file.endswith(".py"):
        return (find_python(box, directory, env, head), path)
    if box.file.endswith(".sh"):
        return ("/bin/sh", path)
    lacks = "has no first line that names its interpreter (#!...)" if executable else "is not executable"
    hint = "" if executable else f" (chmod +x {box.file})"
    raise Unstartable(reason=f"{box.file} {lacks}{hint}", exit_code=CANNOT_EXECUTE)


def _look(path: str, name: str) -> tuple[bytes, int]:
    """The beginning and the mode of a box's file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Unstartable(reason=f"{name} does not exist", exit_code=NOT_FOUND) from error
    except OSError as error:
        raise Unstartable(reason=f"{name} cannot be read: {error.strerror}", exit_code=CANNOT_EXECUTE) from error
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise Unstartable(reason=f"{name} is not a file", exit_code=CANNOT_EXECUTE)
        head = os.read(fd, 512)
    finally:
        os.close(fd)
    if not head.strip():
        raise Unstartable(reason=f"{name} is empty", outcome=Verdict.VACUOUS)
    return head, mode


def _shebang(head: bytes) -> list[str]:
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:].partition(b"\n")[0]).split()


def _check_interpreter(box: Box, words: list[str], path: str) -> None:
    """Name the program that a shebang asks for and that is not there; the kernel would only say "not found"."""
    missing = "" if _is_executable(words[0]) else words[0]
    through_env = os.path.basename(words[0]) == "env" and len(words) > 1
    if not missing and through_env and not words[1].startswith("-") and "=" not in words[1]:
        missing = "" if which(words[1], path) else words[1]
    if missing:
        raise Unstartable(reason=f"{box.file}: its interpreter {missing} was not found", exit_code=NOT_FOUND)


def _names_python(words: list[str]) -> bool:
    if os.path.basename(words[0]) == "env":
        return len(words) == 2 and words[1].startswith(("python", "pypy"))
    return os.path.basename(words[0]).startswith(("python", "pypy"))


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def which(name: str, path: str) -> str:
    """The first executable of that name on a path; "" when there is none. A name with a slash stands for itself."""
    if "/" in name:
        return name if _is_executable(name) else ""
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        if _is_executable(candidate):
            return candidate
    return ""
