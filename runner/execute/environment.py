"""The environment of a box: what is passed on, what is added. Normative list: docs/reference/box-protocol.md."""

from __future__ import annotations

import os
import stat
import sys

from runner.execute.files import remove_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.executor import Job

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SETUP_DIR = "SETUP_DIR"
# Files in which a step of GitHub Actions gives orders to those after it. A box is no step.
_FILE_COMMANDS = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
_CALLERS_OWN = frozenset({SETUP_DIR, *_FILE_COMMANDS})
_HARMLESS = frozenset(
    {"CI", "COLUMNS", "LANG", "LANGUAGE", "PATH", "SOURCE_DATE_EPOCH", "TARGET_URL", "TERM", "TZ", "VIRTUAL_ENV"}
)


class Places:
    """Where one attempt's files are: a private directory, with the box's own temporary directory inside.

    A directory is used again when the attempt before left it as it was: making and removing three of them for each box
    costs more than the box on a journalling file system.
    """

    __slots__ = ("artifacts", "home", "junit", "report", "state", "tmp")

    def __init__(self, home: str) -> None:
        self.home = home
        self.tmp = os.path.join(home, "tmp")
        self.artifacts = os.path.join(home, "artifacts")
        self.report = os.path.join(home, "report.jsonl")
        self.junit = os.path.join(home, "junit.xml")
        self.state = os.path.join(home, "pytest.state")

    def make(self) -> None:
        """Create the directories. The files are the box's to create."""
        for directory in (self.home, self.tmp, self.artifacts):
            os.mkdir(directory, 0o700)

    def renew(self) -> bool:
        """Remove everything that an attempt left. False when a directory is not as it was made: do not use it again."""
        if self._is_as_made():
            return True
        remove_content(self.home, keep=("tmp", "artifacts"))
        remove_content(self.tmp)
        remove_content(self.artifacts)
        return self._is_as_made()

    def _is_as_made(self) -> bool:
        return (
            all(_is_private(directory) for directory in (self.home, self.tmp, self.artifacts))
            and len(os.listdir(self.home)) == 2
            and not os.listdir(self.tmp)
            and not os.listdir(self.artifacts)
        )


def _is_private(directory: str) -> bool:
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return status.st_mode == stat.S_IFDIR | 0o700 and status.st_uid == os.getuid()


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, without what belongs to a box or to a step that the caller may itself be."""
    return {name: value for name, value in environ.items() if not name.startswith("BOX_") and name not in _CALLERS_OWN}


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the caller's environment, what a box in a sandbox needs to find its tools, and nothing that is a secret."""
    kept = {name: value for name, value in environ.items() if name in _HARMLESS or name.startswith("LC_")}
    return {**isolated(), **kept}


def isolated() -> dict[str, str]:
    """An environment that tells nothing of the caller's; HOME and TMPDIR come with the attempt."""
    return {"PATH": f"{os.path.dirname(sys.executable)}:{SYSTEM_PATH}", "LANG": "C.UTF-8"}


def environment_of(
    job: Job, places: Places, base: Mapping[str, str], *, run_id: str, own_home: bool, library: str = LIBRARY
) -> dict[str, str]:
    """Everything that one attempt gets. The job's `env` wins over the box's, which wins over `base`; secrets over all.

    Args:
        job: the attempt.
        places: its files.
        base: `inherited(…)` or `isolated()`, with SETUP_DIR when there was a setup.
        run_id: names the run.
        own_home: HOME and TMPDIR are the attempt's own temporary directory.
        library: where the box finds the runner's library.
    """
    env = dict(base)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    if own_home:
        env["HOME"] = env["TMPDIR"] = places.tmp
    env.update(job.box.env)
    env.update(job.env)
    env.update(job.secrets)
    env["INTERLOCK"] = "1"
    env["BOX_ID"] = str(job.box.id)
    env["BOX_TIER"] = str(job.box.tier)
    env["BOX_ATTEMPT"] = str(job.attempt)
    env["BOX_RUN_ID"] = run_id
    env["BOX_TMP"] = places.tmp
    env["BOX_REPORT"] = places.report
    env["BOX_JUNIT"] = places.junit
    env["BOX_ARTIFACTS"] = places.artifacts
    env["BOX_LIB"] = f"{library}/box.sh"
    env["BOX_LIB_PY"] = f"{library}/box.py"
    return env
