"""What a setup's result depends on, as one digest: what it says, what it reads, and what it runs on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat

from runner.changed import glob_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.model import Setup

FORMAT = "interlock.setup/1"  # raise it when what is kept changes its meaning.
# Variables of package managers, which change what they fetch.
_TOOLS = re.compile(
    r"(?:PIP|UV|POETRY|NPM_CONFIG|npm_config|YARN|PNPM|CARGO|GO|BUNDLE|CONDA)_|GOFLAGS$|VIRTUAL_ENV$|PATH$"
)
_WORD = re.compile(r"[A-Za-z0-9_.+-]+")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_ALWAYS = ("sh", "python3")
_READ = 1 << 20


class Inputs:
    """The files that a setup says it reads: by path relative to its suite, and patterns that name none."""

    __slots__ = ("files", "unmatched")

    def __init__(self, files: Sequence[str], unmatched: Sequence[str]) -> None:
        self.files = tuple(files)
        self.unmatched = tuple(unmatched)


def find_inputs(setup: Setup, directory: str, *, root: str = "") -> Inputs:
    """The files below `directory` that the setup's globs name, sorted.

    Args:
        setup: what is run.
        directory: absolute path of the suite's directory.
        root: the tree's, which no link leads out of; the suite's own directory if not given.
    """
    files: dict[str, None] = {}
    unmatched = []
    for glob in setup.inputs:
        found = list(_matching(glob.removeprefix("./"), directory, os.path.realpath(root or directory)))
        files.update(dict.fromkeys(found))
        if not found:
            unmatched.append(glob)
    return Inputs(sorted(files), unmatched)


def _matching(glob: str, directory: str, root: str) -> Iterator[str]:
    fixed = os.path.dirname(re.split(r"[*?\[]", glob, maxsplit=1)[0])
    real = os.path.realpath(os.path.join(directory, fixed))
    if real != root and not real.startswith(f"{root}/"):
        return  # a link in the tree would make us read all of this machine.
    if not re.search(r"[*?\[]|/$", glob):
        if os.path.lexists(os.path.join(directory, glob)) and not os.path.isdir(os.path.join(directory, glob)):
            yield glob
        return
    pattern = re.compile(glob_pattern(glob))
    for above, below, names in os.walk(os.path.join(directory, fixed)):
        below[:] = [name for name in below if name != ".git"]
        links = [name for name in below if os.path.islink(os.path.join(above, name))]
        for name in (*names, *links):
            path = os.path.relpath(os.path.join(above, name), directory)
            if pattern.fullmatch(path):
                yield path


def key_of(
    setup: Setup,
    inputs: Inputs,
    *,
    suite: str,
    directory: str,
    environ: Mapping[str, str],
    trust: str,
    level: str,
    hosts: Sequence[str],
) -> str:
    """The digest, in hexadecimal digits.

    Args:
        setup: what is run.
        inputs: what it says it reads, below `directory`.
        suite: whose it is.
        directory: absolute path of the suite's directory.
        environ: what it inherits; of this, what its text and the usual package managers name counts.
        trust: T0, T1 or "".
        level: how it is isolated.
        hosts: what it may reach.
    """
    facts = {
        "format": FORMAT,
        "run": setup.run,
        "suite": suite,
        "trust": trust,
        "level": level,
        "hosts": list(hosts),
        "machine": [os.uname().sysname, os.uname().machine, _text("/etc/os-release")],
        "environment": _environment(setup.run, environ),
        "programs": _programs(setup.run, environ.get("PATH", os.defpath)),
        "inputs": [[path, *_print(directory, path)] for path in inputs.files],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _environment(run: str, environ: Mapping[str, str]) -> dict[str, str]:
    named = set(_VARIABLE.findall(run)) - {"SETUP_DIR"}
    return {name: value for name, value in environ.items() if name in named or _TOOLS.match(name)}


def _programs(run: str, path: str) -> list[list[str | int]]:
    """The programs of a PATH that a command names: what they are, and when they were changed."""
    found: list[list[str | int]] = []
    for name in sorted({*_ALWAYS, *_WORD.findall(run)}):
        for directory in path.split(":"):
            candidate = os.path.join(directory or ".", name)
            if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
                status = os.stat(candidate)
                found.append([name, os.path.realpath(candidate), status.st_size, status.st_mtime_ns])
                break
    return found


def _print(directory: str, path: str) -> list[str]:
    """What a file is: whether it may be run, where it leads, and its content if it is a plain one of this tree."""
    whole = os.path.join(directory, path)
    link = os.readlink(whole) if os.path.islink(whole) else ""
    inside = os.path.realpath(directory)
    if link and not os.path.realpath(whole).startswith(f"{inside}/"):
        return [link, "", ""]
    try:
        fd = os.open(whole, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return [link, "", ""]
    with open(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return [link, "", ""]
        digest = hashlib.sha256()
        while part := stream.read(_READ):
            digest.update(part)
    return [link, "x" if status.st_mode & 0o100 else "", digest.hexdigest()]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
