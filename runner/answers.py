"""Remembers which boxes were proven, under a key of all that went into it, so that only what changed is proven again.

Only `proven` is kept. Whoever has to act on an answer gets a fresh one.

What an untrusted run wrote is never read by a trusted one: each trust level has a file of its own, and reads those of
the levels above it. Entries are appended as they are found, so a killed run keeps what it knew.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import blake2b

from runner import __version__
from runner.contents import installed
from runner.proof import Answer, Proof
from runner.suite_cache import plain_value
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.contents import Contents
    from runner.model import Box, Control, Suite

FORMAT = 1  # raise it when falsification itself comes to other answers.
MOST = 4096  # answers that a file keeps
# From which levels a run takes answers: its own and those that are trusted more.
READS = {"": ("",), "T0": ("T0",), "T1": ("T1", "T0"), "T2": ("T2", "T1", "T0")}

# What says who looks rather than what is seen. Of the variables, those that differ from shell to shell.
_COSMETIC = frozenset({"title", "source", "line", "tags", "quarantine", "retries", "flaky", "slow", "locks", "after"})
_PASSING = frozenset(
    {"_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "TERM", "COLORTERM", "WINDOWID", "DISPLAY", "TTY", "LS_COLORS"}
)
_PASSING_PREFIXES = ("SSH_", "XDG_SESSION", "TERM_", "TMUX", "STY", "VSCODE_", "DBUS_", "GITHUB_", "RUNNER_", "PYTEST_")
# What changes when a system's packages do.
_PACKAGES = ("/var/lib/dpkg/status", "/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/pacman/local")


class Answers:
    """The answers that earlier commands found, and a place for new ones.

    Args:
        directory: where they are kept; created.
        trust: the level of this run, "" for a local one.
        keys: makes the key of a box.
    """

    def __init__(self, directory: str, *, trust: str, keys: Callable[[Box, Sequence[Control]], str]) -> None:
        self._file = os.path.join(directory, _name(trust))
        self._keys = keys
        self._known: dict[str, dict[str, object]] = {}
        for level in reversed(READS[trust]):
            self._known.update(_read(os.path.join(directory, _name(level))))
        self._own = _read(self._file)

    def known(self, box: Box, controls: Sequence[Control]) -> Proof | None:
        """The proof of a box that is as it was; None when it must be made."""
        stored = self._known.get(self._keys(box, controls))
        return _proof(box, stored) if stored else None

    def add(self, proof: Proof, controls: Sequence[Control]) -> None:
        """Keep an answer, if it is one that is kept. A place that cannot be written forgets it."""
        if proof.answer is not Answer.PROVEN or proof.cached:
            return
        entry = {"key": self._keys(proof.box, controls), "proof": _stored(proof)}
        line = json.dumps(entry, ensure_ascii=True, separators=(",", ":")) + "\n"
        self._own[str(entry["key"])] = _stored(proof)
        try:
            os.makedirs(os.path.dirname(self._file), mode=0o700, exist_ok=True)
            with open(self._file, "a", encoding="ascii") as file:
                file.write(line)
        except OSError:
            return

    def close(self) -> None:
        """Drop the oldest answers when there are too many."""
        if len(self._own) <= MOST:
            return
        kept = list(self._own.items())[-MOST // 2 :]
        lines = [json.dumps({"key": key, "proof": proof}, separators=(",", ":")) + "\n" for key, proof in kept]
        try:
            write_whole(self._file, lines)
        except OSError:
            return


class Keys:
    """Makes keys: everything that an answer depends on and that can be known without running anything.

    Args:
        suite: the repository's.
        contents: of its tree.
        conditions: how boxes are run: isolation, limits, whether a box's whole tier is run.
        granted: what one box may reach, as plain values; not the secrets themselves.
        environ: what boxes inherit.
    """

    def __init__(
        self,
        suite: Suite,
        contents: Contents,
        *,
        conditions: Mapping[str, object],
        granted: Callable[[Box], object],
        environ: Mapping[str, str],
    ) -> None:
        self._suite = suite
        self._contents = contents
        self._conditions = conditions
        self._granted = granted
        self._machine = machine_digest(environ)

    def __call__(self, box: Box, controls: Sequence[Control]) -> str:
        """The key of one box under these controls."""
        directory = os.path.normpath(self._suite.roots.get(box.id.suite, "."))
        setup = self._suite.setups.get(box.id.suite)
        facts = {
            "format": [FORMAT, __version__],
            "box": {name: value for name, value in plain_value(box).items() if name not in _COSMETIC | {"control"}},
            "controls": [[control.kind, dict(control.spec), _expect(control)] for control in controls],
            "patches": [self._file(directory, c.spec["file"]) for c in controls if c.kind == "patch"],
            "edited": [self._file(directory, c.spec["file"]) for c in controls if c.kind == "edit"],
            "program": self._file(directory, box.file) if box.file else "",
            "inputs": self._inputs(directory, box.inputs),
            "setup": [setup.run, self._inputs(directory, setup.inputs)] if setup else [],
            "granted": self._granted(box),
            "conditions": dict(self._conditions),
            "machine": self._machine,
        }
        text = json.dumps(facts, sort_keys=True, ensure_ascii=True, default=str)
        return blake2b(text.encode(), digest_size=20).hexdigest()

    def _file(self, directory: str, file: str) -> str:
        return self._contents.of_file(os.path.join(directory, file))

    def _inputs(self, directory: str, globs: Sequence[str]) -> str:
        return self._contents.of_inputs(directory, globs) if globs else self._contents.of_tree()


def machine_digest(environ: Mapping[str, str]) -> str:
    """What boxes find besides their tree: the system, its packages, this Python, the variables that they inherit."""
    lasting = {
        name: value
        for name, value in environ.items()
        if name not in _PASSING and not name.startswith(_PASSING_PREFIXES)
    }
    packages = []
    for path in _PACKAGES:
        try:
            packages.append(f"{path} {os.stat(path).st_mtime_ns}")
        except OSError:
            continue
    outer = environ.get("VIRTUAL_ENV", "")
    own = [sys.prefix, sys.version, installed(sys.prefix), installed(outer) if outer else ""]
    facts = [*_system(), packages, own, sorted(lasting.items())]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _system() -> list[str]:
    if not hasattr(os, "uname"):
        return [sys.platform]
    name = os.uname()
    return [name.sysname, name.release, name.machine]


def _expect(control: Control) -> list[str]:
    return [control.expect.assertion, control.expect.output] if control.expect else []


def _name(trust: str) -> str:
    return f"answers-{trust or 'local'}.jsonl"


def _read(path: str) -> dict[str, dict[str, object]]:
    """The answers of a file, the newest last; lines that are no answers are passed over."""
    found: dict[str, dict[str, object]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    key, proof = entry["key"], entry["proof"]
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                if isinstance(key, str) and isinstance(proof, dict):
                    found.pop(key, None)
                    found[key] = proof
    except OSError:
        pass
    return found


_KEPT = ("answer", "reason", "went_red", "baseline", "sabotaged", "seconds", "automatic", "control")


def _stored(proof: Proof) -> dict[str, object]:
    fields = {name: getattr(proof, name) for name in _KEPT}
    return {**fields, "answer": proof.answer.value, "went_red": list(proof.went_red)}


def _proof(box: Box, stored: Mapping[str, object]) -> Proof | None:
    if stored.get("answer") != Answer.PROVEN.value:
        return None
    red = stored.get("went_red")
    seconds = stored.get("seconds")
    return Proof(
        box,
        Answer.PROVEN,
        str(stored.get("reason", "")),
        went_red=[str(name) for name in red] if isinstance(red, list) else (),
        baseline=str(stored.get("baseline", "")),
        sabotaged=str(stored.get("sabotaged", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        automatic=stored.get("automatic") is True,
        control=box.control.where if box.control else str(stored.get("control", "")),
        cached=True,
    )
