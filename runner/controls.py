"""Applying a control: the box's sabotage, done to a copy of the tree, or written as a layer that is laid over it."""

from __future__ import annotations

import itertools
import os
import shutil
import stat

from runner.model import Value
from runner.tree_copy import contains, is_shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model import Control


class Stale(Exception):
    """The control does not fit the tree any more, so a green box would prove nothing."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")


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
    """A control that was applied, as far as that can be done without starting a process.

    `env` is added to the box's environment, `faults` are for `Job`. `edited` maps the files that are changed, relative
    to the tree, to what was in them; a file that must still change keeps its old content here until `step` was run.
    """

    __slots__ = ("edited", "env", "faults", "step")

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        edited: Mapping[str, bytes | None] | None = None,
        step: Step | None = None,
        faults: Mapping[str, str] | None = None,
    ) -> None:
        self.env = dict(env or {})
        self.faults = dict(faults or {})
        self.edited = dict(edited or {})
        self.step = step


def apply(control: Control, tree: str, cwd: str = ".", *, layer: str = "") -> Applied:
    """Do a box's sabotage.

    Args:
        control: its paths are relative to the suite's directory; the paths inside a patch to the repository's.
        tree: a copy that is ours to change, absolute; with a layer, the original, which is only read.
        cwd: the suite's directory in it.
        layer: an existing directory that takes the changed files instead.

    Raises:
        Stale: it does not fit; copy or layer must be thrown away.
    """
    match control.kind:
        case "edit":
            spec = control.spec
            return _edit(tree, _under(cwd, spec["file"]), spec["find"].encode(), spec["replace"].encode(), layer)
        case "patch":
            return _patch(tree, _under(cwd, control.spec["file"]))
        case "env":
            return Applied(env=control.spec)
        case "run":
            return Applied(step=Step(control.spec["command"], cwd=cwd))
        case "fault" if control.spec.get("is", "").strip() == "up":
            raise Stale(control.where, "the fault `up` changes nothing")
        case kind:  # what becomes of a service or the target is for those who provide them.
            return Applied(faults={"kind": kind, **control.spec})


def check_changed(applied: Applied, tree: str, *, layer: str = "") -> None:
    """After the step: at least one of the files that it names is not what it was.

    Args:
        applied: what was done.
        tree: the copy; with a layer, the original.
        layer: what the step changed.

    Raises:
        Stale: nothing changed, which a tool may call a success.
    """

    def now(file: str) -> bytes | None:
        above = os.path.join(layer, file)
        return content(above if layer and os.path.lexists(above) else os.path.join(tree, file))

    if applied.edited and all(now(file) == was for file, was in applied.edited.items()):
        raise Stale(next(iter(applied.edited)), "the control changed nothing")


def content(path: str) -> bytes | None:
    """What is in a regular file; None if there is none at that path."""
    try:
        # A pipe would be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            return stream.read() if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
    except OSError:
        return None


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
        roots.append(os.path.join(tree, os.path.relpath(path, original)) if contains(original, path) else path)
    return os.pathsep.join(dict.fromkeys(map(os.path.normpath, roots)))


def imported_from(cache: str, tree: str, file: str) -> bool:
    """Whether some process imported `file` of `tree` as a Python module while PYTHONPYCACHEPREFIX was `cache`.

    Python mirrors the path of each imported source file under that directory, in every process of the box, so nothing
    needs to be injected to learn where a module came from.
    """
    mirrored = os.path.join(cache, os.path.realpath(tree).lstrip(os.sep), os.path.dirname(file))
    try:
        return any(_is_compiled(file, name) for name in os.listdir(mirrored))
    except OSError:
        return False


def imported_instead(cache: str, tree: str, file: str) -> str:
    """Where else a module like `file` of `tree` was imported from, as an absolute path; "" if nowhere.

    Like: the same name in a package of the same name, as `site-packages/app/calc.py` is like `src/app/calc.py`. A
    module that is in no package has only its name.
    """
    home = os.path.join(os.path.realpath(tree), os.path.dirname(file))
    package = os.path.basename(home) if os.path.exists(os.path.join(home, "__init__.py")) else ""
    for directory, _, names in os.walk(cache):
        origin = os.path.join(os.sep, os.path.relpath(directory, cache))
        alike = origin != home and (not package or os.path.basename(origin) == package)
        if alike and any(_is_compiled(file, name) for name in names):
            return os.path.join(origin, os.path.basename(file))
    return ""


def _is_compiled(file: str, name: str) -> bool:
    return name.startswith(os.path.basename(file).removesuffix(".py") + ".") and name.endswith(".pyc")


def _under(cwd: str, file: str) -> str:
    return os.path.normpath(os.path.join(cwd, file))


def _edit(tree: str, file: str, find: bytes, replace: bytes, layer: str) -> Applied:
    path = _inside(tree, file)
    before = content(path)
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
    if layer:
        path = _lay_over(path, os.path.realpath(tree), layer)
    with open(path, "wb") as stream:
        stream.write(before.replace(find, replace))
    return Applied(edited={file: before})


def _lay_over(path: str, tree: str, layer: str) -> str:
    """The place of a file in a layer. Its directories look like the tree's, whose looks they will hide."""
    inside = os.path.relpath(path, tree)
    shutil.copystat(tree, layer)
    directory = ""
    for name in os.path.dirname(inside).split(os.sep) if os.path.dirname(inside) else ():
        directory = os.path.join(directory, name)
        os.mkdir(os.path.join(layer, directory))
        shutil.copystat(os.path.join(tree, directory), os.path.join(layer, directory))
    target = os.path.join(layer, inside)
    open(target, "xb").close()
    os.chmod(target, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IWUSR)
    return target


def _occurrences(text: bytes, part: bytes) -> int:
    """Also those that overlap: replacing one of them would be a guess."""
    count = 0
    at = text.find(part) if part else -1
    while at >= 0:
        count += 1
        at = text.find(part, at + 1)
    return count


def _inside(tree: str, file: str) -> str:
    """The file, wherever links in the tree lead, as long as that is in the tree and in nothing that boxes share."""
    real = os.path.realpath(tree)
    path = os.path.realpath(os.path.join(tree, file))
    directory = os.path.dirname(path)
    while contains(real, directory) and directory != real and not _is_out_of_reach(directory):
        directory = os.path.dirname(directory)
    if not contains(real, path) or directory != real:
        raise Stale(file, "that is not a file of this tree")
    return path


def _is_out_of_reach(directory: str) -> bool:
    """Whether boxes share it as it is: a control would change it for all of them, or for none."""
    return os.path.basename(directory) == ".git" or is_shared(directory)


# As if there were no repository: in one, `git apply` passes over paths that are not that repository's, and exits 0; and
# where a worktree's repository is not to be seen, or belongs to somebody else, it refuses to begin.
_GIT_APPLY = """\
unset GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
export GIT_DIR=/dev/null
command -v git >/dev/null || { echo 'git is not installed'; exit 1; }
exec git apply --whitespace=nowarn -- "$CONTROL_PATCH\""""


def _patch(tree: str, file: str) -> Applied:
    path = _inside(tree, file)
    patch = content(path)
    if patch is None:
        raise Stale(file, "there is no such patch")
    named = _named_in(patch.decode(errors="replace").splitlines())
    if not named:
        raise Stale(file, "it names no file")
    edited = {name: content(_inside(tree, name)) for name in named}
    env = {
        "CONTROL_PATCH": path,
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


def _import_roots(tree: str, file: str, usual: Sequence[str]) -> list[str]:
    """Where an import of the edited file, or of the package that it is data of, begins.

    A Python file in no package may be a top-level module or part of a namespace package: both roots count.
    """
    directory = os.path.dirname(os.path.join(tree, file))
    package = directory
    while contains(tree, package) and not os.path.exists(os.path.join(package, "__init__.py")):
        package = os.path.dirname(package)
    if contains(tree, package):
        while os.path.exists(os.path.join(package, "__init__.py")) and package != tree:
            package = os.path.dirname(package)
        return [package]
    if not file.endswith(".py"):
        return []
    return [directory, *(root for root in usual if contains(root, directory))]
