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

import itertools
import os
import shutil
import stat

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model import Control

LEFT_OUT = frozenset({".git", "__pycache__"})
LINKED = frozenset({"node_modules"})
_CHUNK = 1 << 24


class Stale(Exception):
    """The control does not fit the tree any more, so a green box would prove nothing."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")


class NotInThisVersion(Exception):
    """The control's kind is valid, and this version cannot apply it."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"not in this version: {kind} controls")


class Step(Value):
    """A command that finishes the sabotage; when it does not succeed, the control is stale.

    `cwd` is relative to the copy, `env` is added to what the box would get.
    """

    __slots__ = ("command", "cwd", "env")

    def __init__(self, command: str, *, cwd: str, env: Mapping[str, str] | None = None) -> None:
        self.command = command
        self.cwd = cwd
        self.env = dict(env or {})


class Applied(Value):
    """A control that was applied to a copy, as far as that can be done without starting a process.

    `env` is added to the box's environment. `edited` maps the files that are changed, relative to the copy, to what was
    in them; a file that must still change keeps its old content here until `step` was run.
    """

    __slots__ = ("edited", "env", "step")

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        edited: Mapping[str, bytes | None] | None = None,
        step: Step | None = None,
    ) -> None:
        self.env = dict(env or {})
        self.edited = dict(edited or {})
        self.step = step


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


def apply(control: Control, tree: str, cwd: str = ".") -> Applied:
    """Do a box's sabotage to the copy at `tree`.

    Args:
        control: its paths are relative to the suite's directory; the paths inside a patch to the repository's.
        tree: the copy, absolute.
        cwd: the suite's directory in it.

    Raises:
        Stale: it does not fit; the copy must be thrown away.
        NotInThisVersion: a kind that this version cannot apply; the copy is unchanged.
    """
    match control.kind:
        case "edit":
            spec = control.spec
            return _edit(tree, _under(cwd, spec["file"]), spec["find"].encode(), spec["replace"].encode())
        case "patch":
            return _patch(tree, _under(cwd, control.spec["file"]))
        case "env":
            return Applied(env=control.spec)
        case "run":
            return Applied(step=Step(control.spec["command"], cwd=cwd))
        case other:
            raise NotInThisVersion(other)


def check_changed(applied: Applied, tree: str) -> None:
    """After the step: at least one of the files that it names is not what it was.

    Raises:
        Stale: nothing changed, which a tool may call a success.
    """
    if applied.edited and all(_content(os.path.join(tree, file)) == was for file, was in applied.edited.items()):
        raise Stale(next(iter(applied.edited)), "the control changed nothing")


def import_path(tree: str, cwd: str, *, edited: Sequence[str], anything: bool, inherited: str, original: str) -> str:
    """The value of PYTHONPATH under which Python finds the copy's modules first.

    Only what the sabotage needs goes on it, since a directory on it shadows the standard library.

    Args:
        tree: the copy.
        cwd: the suite's directory in it; relative entries of `inherited` are relative to that.
        edited: the changed files, relative to the copy.
        anything: a command may have changed any file, so every usual root goes on the path.
        inherited: the PYTHONPATH that the box would have had; paths into the original tree become the copy's.
        original: the tree that was copied.
    """
    bases = [os.path.join(tree, cwd), tree]
    usual = [root for base in bases for root in (os.path.join(base, "src"), base)]
    roots = [root for file in edited for root in _import_roots(tree, file, usual)]
    roots += usual if anything else ()
    for entry in filter(None, inherited.split(os.pathsep)):
        path = os.path.normpath(os.path.join(original, cwd, entry))
        roots.append(os.path.join(tree, os.path.relpath(path, original)) if _contains(original, path) else path)
    return os.pathsep.join(dict.fromkeys(map(os.path.normpath, roots)))


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


def _under(cwd: str, file: str) -> str:
    return os.path.normpath(os.path.join(cwd, file))


def _edit(tree: str, file: str, find: bytes, replace: bytes) -> Applied:
    path = _inside(tree, file)
    before = _content(path)
    if before is None:
        raise Stale(file, "there is no such file")
    found = _occurrences(before, find)
    if found != 1:
        in_crlf = not found and _occurrences(before, find.replace(b"\n", b"\r\n"))
        raise Stale(
            file, f"the text to find is there {found} times, not once{'; its lines end in CR LF' * bool(in_crlf)}"
        )
    if find == replace:
        raise Stale(file, "the replacement changes nothing")
    with open(path, "wb") as stream:
        stream.write(before.replace(find, replace))
    return Applied(edited={file: before})


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
    if not _contains(os.path.realpath(tree), path):
        raise Stale(file, "that is not a file of this tree")
    return path


# As if there were no repository: in one, `git apply` passes over paths that are not that repository's, and exits 0.
_GIT_APPLY = """\
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
command -v git >/dev/null || { echo 'git is not installed'; exit 1; }
exec git apply --whitespace=nowarn -- "$CONTROL_PATCH\""""


def _patch(tree: str, file: str) -> Applied:
    path = _inside(tree, file)
    patch = _content(path)
    if patch is None:
        raise Stale(file, "there is no such patch")
    named = _named_in(patch.decode(errors="replace").splitlines())
    if not named:
        raise Stale(file, "it names no file")
    edited = {name: _content(_inside(tree, name)) for name in named}
    env = {
        "CONTROL_PATCH": path,
        "GIT_CEILING_DIRECTORIES": os.path.dirname(os.path.realpath(tree)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
    }
    return Applied(edited=edited, step=Step(_GIT_APPLY, cwd=".", env=env))


def _named_in(patch: Sequence[str]) -> list[str]:
    """The files of a unified diff. Two headers stand together; one alone is a removed or added line of a hunk."""
    named: list[str] = []
    for old, new in itertools.pairwise(patch):
        if old.startswith("--- ") and new.startswith("+++ "):
            # A header is `a/path` or `b/path`, and may have a time after a tab.
            paths = [header[4:].split("\t")[0].strip() for header in (old, new)]
            named += [path.partition("/")[2] for path in paths if path != os.devnull]
    return named


def _content(path: str) -> bytes | None:
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


def _import_roots(tree: str, file: str, usual: Sequence[str]) -> list[str]:
    """Where an import of the edited file, or of the package that it is data of, begins.

    A Python file in no package may be a top-level module or part of a namespace package: both roots count.
    """
    directory = os.path.dirname(os.path.join(tree, file))
    package = directory
    while _contains(tree, package) and not os.path.exists(os.path.join(package, "__init__.py")):
        package = os.path.dirname(package)
    if _contains(tree, package):
        while os.path.exists(os.path.join(package, "__init__.py")) and package != tree:
            package = os.path.dirname(package)
        return [package]
    if not file.endswith(".py"):
        return []
    return [directory, *(root for root in usual if _contains(root, directory))]
