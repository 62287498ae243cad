"""`runner doctor`: what this machine and this repository offer the runner, and what to do about what they lack."""

from __future__ import annotations

import json as json_module
import os
import shutil
import sys
import tempfile

import runner
from runner.discover import discover
from runner.errors import UserError
from runner.execute.tree import probe
from runner.model import Value
from runner.report.text import count_boxes, encodable, one_line, symbols_for
from runner.sandbox.cgroup import find as find_groups
from runner.sandbox.confine import SCOPES_SINCE
from runner.sandbox.probe import explain, landlock_version, look, rungs, views
from runner.sandbox.seccomp import program
from runner.sandbox.slots import NoSlot, Slots
from runner.sandbox.trial import Outcome
from runner.verdict import EXIT_GREEN, EXIT_RED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from runner.isolation import Rung

SCHEMA = "runner.doctor/1"
OLDEST_PYTHON = (3, 11)


class Finding(Value):
    """One thing that was looked at.

    `level` is `ok`, `note` (good to know), `warning` (something works less well) or `error` (boxes cannot be run).
    `found` says what is there, `fix` what to do; a fix is never missing from a warning or an error.
    """

    __slots__ = ("fix", "found", "level", "name")

    def __init__(self, name: str, level: str, found: str, fix: str = "") -> None:
        assert fix or level in {"ok", "note"}
        self.name = name
        self.level = level
        self.found = found
        self.fix = fix


def main(root: str, *, json: bool = False, out: TextIO | None = None) -> int:
    """Look, and report.

    Args:
        root: the repository.
        json: write the findings as `runner.doctor/1` instead of lines.
        out: where to; standard output by default.

    Returns:
        The exit code: 0, or 1 when something is an error.
    """
    out = out or sys.stdout
    findings = [*machine(os.environ, out), *repository(root)]
    if json:
        entries = [{name: getattr(finding, name) for name in ("name", "level", "found", "fix")} for finding in findings]
        text = json_module.dumps({"schema": SCHEMA, "findings": entries}, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "".join(_lines(finding, out.encoding) for finding in findings)
    out.write(encodable(text, out.encoding))
    return EXIT_RED if any(finding.level == "error" for finding in findings) else EXIT_GREEN


def machine(environ: Mapping[str, str], out: TextIO) -> Iterator[Finding]:
    """What is here to run boxes with."""
    yield _python()
    yield _git(environ)
    yield _terminal(environ, out)
    yield from _kernel()
    yield from isolation(environ)
    yield from _services(environ)
    yield _cache(environ)
    yield _scratch()


def isolation(environ: Mapping[str, str]) -> Iterator[Finding]:
    """How boxes can be kept from this machine, and from each other."""
    facts = look()
    yield from ladder(rungs(environ, every=True))
    if sys.platform != "linux":
        return
    yield _users()
    yield _groups()
    filtered = program(os.uname().machine)
    if filtered:
        yield Finding("syscalls", "ok", f"filtered for {os.uname().machine}")
    version = landlock_version()
    if version and version < SCOPES_SINCE:
        yield Finding("landlock", "note", f"version {version}: shuts out less than version {SCOPES_SINCE} (Linux 6.12)")
    refused = views()
    if refused:
        why, fix = explain(Outcome(1, refused), facts)
        yield Finding("views", "warning", f"boxes cannot get a view of the tree each ({why})", fix)
    else:
        yield Finding("views", "ok", "each box can have its own view of the tree")


def ladder(found: Sequence[Rung]) -> Iterator[Finding]:
    """The rung that boxes would get, and why no better one."""
    best = next((rung for rung in found if rung.works), None)
    better = found[: found.index(best)] if best else found
    lacking = "; ".join(f"{rung.level}: {rung.why}" for rung in better)
    fix = next((rung.fix for rung in better if rung.fix), "see docs/how-to/get-a-full-sandbox.md")
    if best is None:
        yield Finding("sandbox", "warning", f"none ({lacking})", fix)
    elif not best.level.full:
        yield Finding("sandbox", "warning", f"{best.level} only: not for the code of strangers ({lacking})", fix)
    else:
        also = f" ({lacking})" if lacking else ""
        yield Finding("sandbox", "ok", f"{best.level}: full{also}")


def _users() -> Finding:
    if os.geteuid():
        found = "boxes run as you: only root can give each a user of its own"
        return Finding("users", "note", found)
    try:
        slots = Slots()
    except NoSlot as why:
        fix = "start the runner where user ids from 60000 on are mapped, with a writable /run"
        return Finding("users", "warning", f"boxes cannot get users of their own: {why}", fix)
    slots.close()
    return Finding("users", "ok", "each box gets a user of its own")


def _groups() -> Finding:
    groups = find_groups()
    version = f"version {groups.version}" if groups.version in {"1", "2"} else groups.version
    if groups.memory and groups.pids:
        return Finding("cgroups", "ok", f"{version}: memory and processes of a box are limited as a whole")
    limited = f"{version}; limits are set process by process" if version else "limits are set process by process"
    fix = "see docs/how-to/get-a-full-sandbox.md: a service needs Delegate=yes and DelegateSubgroup=main"
    return Finding("cgroups", "warning", f"{groups.why} ({limited})", fix)


def repository(root: str) -> Iterator[Finding]:
    """What this repository's boxes look like from here."""
    yield from _shadows(root)
    try:
        suite = discover(root)
    except UserError as problem:
        yield Finding(
            "boxes", "error", one_line(str(problem)), "correct that line; `runner list` shows when it is right"
        )
        return
    for name in sorted(suite.setups):
        if not suite.setups[name].inputs:
            of = f" of {name}" if name else ""
            fix = "name the files that it reads in `inputs`: its result is kept then"
            yield Finding("setup", "warning", f"setup{of} names no inputs and runs every time", fix)
    boxes = suite.boxes
    if not boxes:
        yield Finding("boxes", "warning", "none", 'runner new "Title" writes the first one')
        return
    tiers = len({box.tier for box in boxes})
    yield Finding("boxes", "ok", f"{count_boxes(len(boxes))} in {tiers} {'tier' if tiers == 1 else 'tiers'}")
    lacking = [str(box.id) for box in boxes if box.control is None]
    if lacking:
        yield Finding("controls", "warning", f"none in {_listed(lacking)}", "add a control; see how-to/prove-a-box")
    mute = [str(box.id) for box in boxes if box.control is not None and box.control.expect is None]
    if mute:
        found = f"no `expect` in {_listed(mute)}"
        yield Finding("controls", "warning", found, f"runner falsify {mute[0]} prints the line to add")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "error", version, "use Python 3.11 or later")
    return Finding("python", "ok", f"{version}, {sys.executable}")


def _git(environ: Mapping[str, str]) -> Finding:
    found = shutil.which("git", path=environ.get("PATH"))
    if not found:
        return Finding("git", "warning", "not found", "install git: `changed:REF` and patch controls need it")
    return Finding("git", "ok", found)


def _terminal(environ: Mapping[str, str], out: TextIO) -> Finding:
    if not out.isatty():
        return Finding("terminal", "note", "the output is no terminal: plain lines")
    if not symbols_for(out.encoding).passed.isascii():
        colour = ", no colour (NO_COLOR)" if environ.get("NO_COLOR") else ""
        return Finding("terminal", "ok", f"{out.encoding}{colour}")
    return Finding("terminal", "warning", f"{out.encoding} has no check mark: ASCII marks", "export LANG=C.UTF-8")


def _kernel() -> Iterator[Finding]:
    probes = probe()
    lacking = [name for name in ("pidfd", "proc", "subreaper") if not getattr(probes, name)]
    if lacking:
        found = f"without {', '.join(lacking)}: a slower, portable way"
        yield Finding("processes", "warning", found, "run on Linux 5.3 or later with /proc mounted")
    else:
        yield Finding("processes", "ok", "pidfd, /proc, subreaper: what a box leaves running is found and ended")
    import resource

    if hasattr(resource, "prlimit"):
        yield Finding("limits", "ok", "prlimit")
    else:
        yield Finding("limits", "note", "no prlimit: limits are set by a sandbox only")


def _services(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What `needs` of a box may name here."""
    from runner.services.inventory import take_inventory

    inventory = take_inventory(environ)
    found = [f"{stock.name} {stock.found[0]}" for stock in inventory.stocks if stock.found]
    lacking = [stock for stock in inventory.stocks if not stock.found]
    if found:
        confined = "" if inventory.confined else "; they run without a sandbox of their own"
        yield Finding("services", "ok", ", ".join(found) + confined)
    for stock in lacking:
        yield Finding("services", "note", f"no {stock.name}: a box that needs it is errored", stock.hint)


def _cache(environ: Mapping[str, str]) -> Finding:
    base = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    path = os.path.join(base, "interlock")
    there = path
    while not os.path.exists(there):
        there = os.path.dirname(there)
    if os.access(there, os.W_OK | os.X_OK) and os.path.isdir(there):
        return Finding("cache", "ok", path)
    fix = "make it writable or set XDG_CACHE_HOME: without it every run reads all boxes anew and has no history"
    return Finding("cache", "warning", f"{path} cannot be written", fix)


def _scratch() -> Finding:
    path = tempfile.gettempdir()
    status = os.statvfs(path)
    if status.f_flag & getattr(os, "ST_NOEXEC", 0):
        fix = "set TMPDIR to a directory where programs may run: boxes write and start them there"
        return Finding("scratch", "warning", f"{path} is mounted noexec", fix)
    free = status.f_bavail * status.f_frsize
    if free < 1 << 30:
        fix = "free some space or set TMPDIR: what boxes write is there, and copies of the tree"
        return Finding("scratch", "warning", f"{path} has {free >> 20} MiB left", fix)
    return Finding("scratch", "ok", f"{path}, {free >> 30} GiB free")


def _shadows(root: str) -> Iterator[Finding]:
    """Top-level packages of the repository that have our names: whoever imports them may get the wrong ones."""
    ours = os.path.dirname(os.path.dirname(os.path.abspath(runner.__file__)))
    if os.path.realpath(root) == os.path.realpath(ours):
        return  # this is our own source tree.
    for name in ("bot", "runner"):
        for path in (os.path.join(name, "__init__.py"), f"{name}.py"):
            if os.path.exists(os.path.join(root, path)):
                fix = f"start the runner by its command, not as `python -m {name}`; boxes are not affected"
                yield Finding("names", "warning", f"this repository has a top-level {path}", fix)


def _lines(finding: Finding, encoding: str | None) -> str:
    symbols = symbols_for(encoding)
    mark = {"ok": symbols.passed, "note": symbols.dot, "warning": "!", "error": symbols.red}[finding.level]
    fix = f"\n             {finding.fix}" if finding.fix else ""
    return f"{mark} {finding.name:<10} {finding.found}{fix}\n"


def _listed(ids: list[str], limit: int = 8) -> str:
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more
