"""Applying a control: a fresh copy of the working tree, and the box's sabotage done to it.

The copy holds what the working tree holds, with these exceptions:

- `.git` is left out, so a control can never touch the repository's history.
- Bytecode (`__pycache__`, and a `.pyc` beside its source) is left out: a stale one would hide an edit.
- Virtual environments (a directory with `pyvenv.cfg`) and `node_modules` are symbolic links to the originals: copying
  them costs more than the boxes. A control cannot edit inside them.
- A symbolic link stays one when it points into the tree (an absolute one is made relative, or it would lead back to the
  unbroken original); a link that leaves the tree, a socket, a pipe and a device are left out.

Files are copied, never hard-linked: writing into the copy must not reach the original. Modes and modification times are
kept, so that tools which rebuild by time see the sabotaged file as the newer one.
"""

from __future__ import annotations

import os
import shutil
import stat

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model import Box, Control

LEFT_OUT = frozenset({".git", "__pycache__"})
LINKED = frozenset({"node_modules"})
_CHUNK = 1 << 24


class Stale(Exception):
    """The control does not fit the tree any more, so a green box would prove nothing. The message says why."""


class NotInThisVersion(Exception):
    """The control's kind is valid, and this version cannot apply it."""


class Applied(Value):
    """A control that was applied to a copy.

    `env` is added to the box's environment. `edited` are the changed files, relative to the copy. `command` must still
    be run in the copy before the box ("" when there is none); when it does not succeed, the control is stale.
    """

    __slots__ = ("command", "edited", "env")

    def __init__(self, *, env: Mapping[str, str] | None = None, edited: Sequence[str] = (), command: str = "") -> None:
        self.env = dict(env or {})
        self.edited = tuple(edited)
        self.command = command


def copy_tree(source: str, target: str) -> tuple[str, ...]:
    """Copy a working tree to `target`, which must not exist.

    Returns:
        The paths, relative to the tree, that are links to the originals.

    Raises:
        OSError: the disk is full or a file is unreadable; part of the copy may exist.
    """
    source = os.path.realpath(source)
    linked: list[str] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        here = os.path.join(target, inside)
        os.mkdir(here, 0o755)
        with os.scandir(os.path.join(source, inside)) as entries:
            for entry in entries:
                path = os.path.join(inside, entry.name)
                if _is_left_out(entry):
                    continue
                if entry.is_symlink():
                    _copy_link(source, target, path)
                elif not entry.is_dir(follow_symlinks=False):
                    _copy_file(entry, os.path.join(target, path))
                elif entry.name in LINKED or os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                    os.symlink(entry.path, os.path.join(target, path), target_is_directory=True)
                    linked.append(path)
                elif not _contains(entry.path, target):
                    pending.append(path)
    return tuple(linked)


def apply(control: Control, tree: str) -> Applied:
    """Do a box's sabotage to the copy at `tree`, apart from a `run` command, which the caller starts.

    Raises:
        Stale: it does not fit; the copy may be half changed and must be thrown away.
        NotInThisVersion: a kind that this version cannot apply; the copy is unchanged.
    """
    match control.kind:
        case "edit":
            return Applied(edited=[_edit(tree, **_strings(control.spec, "file", "find", "replace"))])
        case "patch":
            return Applied(edited=_patch(tree, control.spec["file"]))
        case "env":
            return Applied(env=control.spec)
        case "run":
            return Applied(command=control.spec["command"])
        case other:
            raise NotInThisVersion(f"{other} controls are not in this version")


def import_path(tree: str, suite_root: str, edited: Sequence[str], inherited: str = "", original: str = "") -> str:
    """The value of PYTHONPATH under which Python finds the copy's modules first.

    The copy's roots come first: where each edited package begins, then the suite's and the repository's `src` and
    themselves. What was on the path already follows, with paths into the original tree turned into the copy's.
    """
    roots = [_package_root(tree, path) for path in edited if path.endswith(".py")]
    for base in (os.path.normpath(os.path.join(tree, suite_root)), tree):
        roots += [os.path.join(base, "src"), base]
    for entry in filter(None, inherited.split(os.pathsep)):
        inside = original and _contains(original, entry)
        roots.append(os.path.join(tree, os.path.relpath(entry, original)) if inside else entry)
    return os.pathsep.join(dict.fromkeys(root for root in map(os.path.normpath, roots) if os.path.isdir(root)))


def imported_from(cache: str, tree: str, file: str) -> bool:
    """Whether some process imported `file` of `tree` as a Python module while PYTHONPYCACHEPREFIX was `cache`.

    Python mirrors the path of each imported source file under that directory, in every process of the box, so nothing
    needs to be injected to learn where a module came from.
    """
    mirrored = os.path.join(cache, os.path.realpath(tree).lstrip(os.sep), os.path.dirname(file))
    stem = os.path.basename(file).removesuffix(".py") + "."
    try:
        return any(name.startswith(stem) and name.endswith(".pyc") for name in os.listdir(mirrored))
    except OSError:
        return False


def sabotages_itself(box: Box) -> bool:
    """Whether the control edits the box instead of what the box checks."""
    control = box.control
    if control is None or control.kind != "edit" or not box.file:
        return False
    return os.path.normpath(control.spec["file"]) == os.path.normpath(box.source)


def _strings(spec: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: spec[name] for name in names}


def _edit(tree: str, *, file: str, find: str, replace: str) -> str:
    path = _inside(tree, file)
    try:
        with open(path, "rb") as stream:
            before = stream.read()
    except OSError as problem:
        raise Stale(f"{file}: {(problem.strerror or 'cannot be read').lower()}") from problem
    wanted = find.encode()
    found = _occurrences(before, wanted)
    if found != 1:
        hint = ""
        if found == 0 and b"\r\n" in before and _occurrences(before, wanted.replace(b"\n", b"\r\n")):
            hint = "; its lines end in CR LF"
        raise Stale(f"{file}: the text to find is there {found} times, not once{hint}")
    after = before.replace(wanted, replace.encode())
    if after == before:
        raise Stale(f"{file}: the replacement changes nothing")
    with open(path, "wb") as stream:
        stream.write(after)
    return os.path.normpath(file)


def _occurrences(text: bytes, part: bytes) -> int:
    """Also those that overlap: replacing one of them would be a guess."""
    count = 0
    at = text.find(part) if part else -1
    while at >= 0:
        count += 1
        at = text.find(part, at + 1)
    return count


def _inside(tree: str, file: str) -> str:
    """The file in the copy, wherever links in the copy lead, as long as that is in the copy."""
    path = os.path.realpath(os.path.join(tree, file))
    if os.path.isabs(file) or not _contains(os.path.realpath(tree), path):
        raise Stale(f"{file}: not a file of this tree")
    return path


def _patch(tree: str, file: str) -> list[str]:
    path = _inside(tree, file)
    if not os.path.isfile(path):
        raise Stale(f"{file}: no such patch")
    changed = _git_apply(tree, path, "--numstat", "-z").decode(errors="surrogateescape")
    # Each entry is `added TAB removed TAB path NUL`.
    edited = [entry.split("\t", 2)[2] for entry in changed.split("\0") if entry.count("\t") >= 2]
    if not edited:
        raise Stale(f"{file}: the patch changes no file")
    before = {name: _state(os.path.join(tree, name)) for name in edited}
    _git_apply(tree, path)
    if all(_state(os.path.join(tree, name)) == before[name] for name in edited):
        raise Stale(f"{file}: the patch changed nothing")
    return edited


def _git_apply(tree: str, patch: str, *options: str) -> bytes:
    """`git apply` as if there were no repository: inside one it silently skips paths that are not that repository's."""
    import subprocess  # noqa: PLC0415 - not on the run path.

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CEILING_DIRECTORIES": os.path.dirname(os.path.realpath(tree)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, and the patch is data.
            ["git", "apply", *options, "--", patch],  # noqa: S607 - the git that the user has.
            cwd=tree,
            env=environment,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise NotInThisVersion("patch controls need git, which is not installed") from missing
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Stale(f"{os.path.relpath(patch, os.path.realpath(tree))}: {said[0] if said else 'does not apply'}")
    return done.stdout


def _state(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def _is_left_out(entry: os.DirEntry[str]) -> bool:
    if entry.name in LEFT_OUT:
        return True
    return entry.name.endswith(".pyc") and os.path.exists(entry.path[:-1])


def _copy_link(source: str, target: str, path: str) -> None:
    original = os.path.join(source, path)
    leads = os.path.realpath(original)
    if not _contains(source, leads):
        return
    text = os.readlink(original)
    if os.path.isabs(text):
        text = os.path.relpath(leads, os.path.dirname(original))
    os.symlink(text, os.path.join(target, path))


def _copy_file(entry: os.DirEntry[str], target: str) -> None:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return
    with open(entry.path, "rb") as reading, open(target, "xb") as writing:
        _copy_bytes(reading.fileno(), writing.fileno())
        os.fchmod(writing.fileno(), stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        os.utime(writing.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_bytes(reading: int, writing: int) -> None:
    """In the kernel where it can: on copy-on-write file systems that takes no space."""
    try:
        while os.copy_file_range(reading, writing, _CHUNK):
            pass
    except (AttributeError, OSError):
        os.lseek(reading, 0, os.SEEK_SET)
        os.ftruncate(writing, 0)
        os.lseek(writing, 0, os.SEEK_SET)
        with open(reading, "rb", closefd=False) as source, open(writing, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target, _CHUNK)


def _contains(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def _package_root(tree: str, file: str) -> str:
    """The directory that must be on the import path for `file`: the first one upwards that is no package."""
    here = os.path.dirname(os.path.join(tree, file))
    while _contains(tree, os.path.dirname(here)) and os.path.exists(os.path.join(here, "__init__.py")):
        here = os.path.dirname(here)
    return here
