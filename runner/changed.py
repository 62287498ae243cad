"""Which boxes a change concerns: what differs from a git reference, matched with the boxes' declared inputs."""

from __future__ import annotations

import os
import re

from runner.errors import BadSelection
from runner.model import BoxId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.model import Box, Suite

# What a box is declared in concerns it as much as its own file does.
CONFIGURATION = ".github/interlock.yml"


def changed_boxes(suite: Suite, ref: str) -> frozenset[BoxId]:
    """The boxes whose inputs, or own file, differ between `ref` and the working tree, untracked files included.

    A box without inputs may depend on anything and always counts as changed.

    Raises:
        BadSelection: there is no git, no repository, or no such reference.
    """
    return concerned(suite, changed_files(suite.root, ref))


def concerned(suite: Suite, files: Iterable[str]) -> frozenset[BoxId]:
    """The boxes that a change of these files concerns; paths are relative to the suite's root."""
    paths = tuple(files)
    return frozenset(box.id for box in suite.boxes if _is_concerned(box, suite.roots.get(box.id.suite, "."), paths))


def _is_concerned(box: Box, directory: str, paths: tuple[str, ...]) -> bool:
    if not box.inputs:
        return True
    prefix = "" if directory in {"", "."} else f"{directory.rstrip('/')}/"
    own = {box.source, prefix + box.file}
    pattern = re.compile("|".join(glob_pattern(prefix + glob.removeprefix("./")) for glob in box.inputs))
    return any(path in own or pattern.fullmatch(path) for path in paths)


def glob_pattern(glob: str) -> str:
    """A glob as a regular expression for whole paths: `*` and `?` stay within a name, `**` crosses directories.

    A pattern that ends with `/` means everything below.
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", glob + "**" if glob.endswith("/") else glob)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(part) or _literal_or_class(part) for part in parts)


def _literal_or_class(part: str) -> str:
    if not (part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inside = part[1:-1]
    negated = inside[0] in "!^" and len(inside) > 1
    return f"[{'^' if negated else ''}{re.escape(inside[negated:]).replace(chr(92) + '-', '-')}]"


def changed_files(root: str, ref: str) -> frozenset[str]:
    """Files below `root` that differ from `ref`, untracked ones included; relative to `root`.

    Raises:
        BadSelection: as `changed_boxes`.
    """
    try:
        _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except _GitFailed as failed:
        inside = os.path.exists(os.path.join(root, ".git")) or failed.status == 1
        why = f"git knows no commit {ref!r}" if inside else f"{root} is not in a git repository"
        raise BadSelection(
            why, text=f"changed:{ref}", hint="fetch it, or name another one" if inside else ""
        ) from failed
    try:
        differing = _git(root, "diff", "--name-only", "--no-renames", "--no-ext-diff", "--relative", "-z", ref, "--")
        untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    except _GitFailed as failed:
        why = f"git could not compare with {ref!r}: {failed}"
        raise BadSelection(why, text=f"changed:{ref}") from failed
    return frozenset(os.fsdecode(name) for name in (differing + untracked).split(b"\0") if name)


class _GitFailed(Exception):
    def __init__(self, said: str, *, status: int) -> None:
        self.status = status
        super().__init__(said)


def _git(root: str, *words: str) -> bytes:
    import subprocess  # only a selection by change pays for it

    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, the reference was told apart from options.
            ["git", "-c", "core.fsmonitor=false", "-C", root, *words],  # noqa: S607 - the user's own git.
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BadSelection("`changed:` needs git, which was not found", text=" ".join(words)) from error
    if done.returncode:
        raise _GitFailed(os.fsdecode(done.stderr).strip(), status=done.returncode)
    return done.stdout
