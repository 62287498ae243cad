"""`--base` as a commit: its tree written out where the runner keeps what it remembers. Only asked for where it is none.

The bot hands over a directory. A person in a clone has the commit, and should not have to write it out to run a box as
the bot ran it.
"""

from __future__ import annotations

import os

from runner.execute.files import remove_tree
from runner.options import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = 5


def base_directory(root: str, base: str, state: str) -> str:
    """The directory that `base` names, absolute: itself, or the tree of that commit of the repository at `root`.

    Raises:
        UsageMistake: it is neither, or there is no place to write a commit's tree to.
    """
    if os.path.isdir(base):
        return os.path.abspath(base)
    sha = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    if not sha:
        refuse(f"--base: there is no directory and no commit {base}")
    if not state:
        refuse("--base: a commit needs a place to be written to (set HOME or XDG_CACHE_HOME)")
    directory = os.path.join(state, "bases", sha)
    if not os.path.isdir(directory):
        _write_out(root, sha, directory)
    return directory


def _write_out(root: str, sha: str, directory: str) -> None:
    """Write a commit's files to a directory that appears only when it is whole; the oldest others go."""
    parent = os.path.dirname(directory)
    os.makedirs(parent, exist_ok=True)
    with os.scandir(parent) as found:
        others = sorted((entry.stat().st_mtime, entry.path) for entry in found if entry.is_dir())
    for _, path in others[: max(0, len(others) + 1 - KEPT)]:
        remove_tree(path)
    draft = f"{directory}.{os.getpid()}"
    os.makedirs(draft)
    index = {"GIT_INDEX_FILE": f"{draft}.index"}
    try:
        _git(root, "read-tree", sha, environ=index, must=True)
        _git(root, "checkout-index", "--all", "--quiet", f"--prefix={draft}/", environ=index, must=True)
        os.rename(draft, directory)
    except OSError:
        remove_tree(draft)
        if not os.path.isdir(directory):  # somebody else was faster
            raise
    finally:
        if os.path.exists(index["GIT_INDEX_FILE"]):
            os.unlink(index["GIT_INDEX_FILE"])


def _git(root: str, *words: str, environ: Mapping[str, str] | None = None, must: bool = False) -> str:
    import subprocess  # only a base that is a commit pays for it

    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, the name stands behind --end-of-options.
            ["git", "-c", "core.fsmonitor=false", "-C", root, *words],  # noqa: S607 - the user's own git.
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environ or {})},
        )
    except FileNotFoundError:
        return refuse("--base: a commit needs git, which was not found")
    if done.returncode and must:
        refuse(f"--base: git could not write the commit out: {os.fsdecode(done.stderr).strip()}")
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
