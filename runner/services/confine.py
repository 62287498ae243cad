"""How a throwaway server is started: with no right but to its own directory, so that a hostile query finds nothing.

With bubblewrap it has no network, sees nothing of the machine but programs, and runs under a uid that nobody else has;
without, it is an ordinary process, under another user's uid where we are root. What it serves, it serves on a unix
socket in its directory, which other users cannot enter.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
from typing import TYPE_CHECKING

from runner.model import Value
from runner.sandbox.reach import is_open
from runner.sandbox.seccomp import program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.services.installed import Installation

# Nobody's: above what distributions give to people, below what they map for containers.
SERVICE_UID = 61_990
INSIDE = "/run/service"
_CHROME = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_PACKAGES = "site-packages"
# Each file of the list gets our number; then the rest is run.
_ENTER = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 >"$1" || exit 125; shift; n=$((n-1)); done; exec "$@"'
_ETC = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")


class Cell(Value):
    """The means of confinement on this machine. `uid` and `gid` are the servers', None for our own.

    `filter` is the path of a program for the kernel that refuses system calls, which bubblewrap loads. `cgroups` are
    files that a server writes itself into before it becomes one.
    """

    __slots__ = ("bwrap", "cgroups", "filter", "gid", "setpriv", "uid")

    def __init__(
        self,
        *,
        bwrap: str = "",
        setpriv: str = "",
        filter: str = "",  # noqa: A002 - the kernel's word.
        uid: int | None = None,
        gid: int | None = None,
        cgroups: Sequence[str] = (),
    ) -> None:
        self.bwrap = bwrap
        self.setpriv = setpriv
        self.filter = filter
        self.uid = uid
        self.gid = gid
        self.cgroups = tuple(cgroups)

    def within(self, cgroups: Sequence[str]) -> Cell:
        """The same means, and control groups besides."""
        kept = {name: getattr(self, name) for name in self.__slots__ if name != "cgroups"}
        return Cell(**kept, cgroups=cgroups)

    def open_filter(self) -> int:
        """A descriptor of the filter, to be passed to what `command` says; -1 when there is none."""
        return os.open(self.filter, os.O_RDONLY | os.O_CLOEXEC) if self.bwrap and self.filter else -1

    def command(self, argv: Sequence[str], directory: str, *, die_by: str, filter_fd: int = -1) -> list[str]:
        """The whole command line of a server.

        Args:
            argv: the server's own; its program is an absolute path that the servers' uid can reach.
            directory: the server's, which becomes its working directory.
            die_by: the signal it gets when we die and no bubblewrap ends it.
            filter_fd: see `open_filter`.
        """
        words = ["/bin/sh", "-c", _ENTER, "sh", str(len(self.cgroups)), *self.cgroups] if self.cgroups else []
        if self.setpriv:
            words += [self.setpriv, "--no-new-privs"]
            if self.uid is not None:
                words += [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
            words += [] if self.bwrap else [f"--pdeathsig={die_by}"]
            words.append("--")
        return [*words, *(self._jail(argv[0], directory, filter_fd) if self.bwrap else ()), *argv]

    def make_directory(self, path: str) -> str:
        """Make a directory that is a server's alone."""
        os.mkdir(path, 0o700)
        self.give(path)
        return path

    def write(self, path: str, text: str) -> None:
        """Write a file that only the servers read."""
        with open(path, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
        self.give(path)

    def give(self, path: str) -> None:
        """Make a file or directory the servers' own."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _jail(self, program: str, directory: str, filter_fd: int) -> list[str]:
        words = [
            self.bwrap,
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
        ]
        words += ["--seccomp", str(filter_fd)] if filter_fd >= 0 else []
        words += ["--ro-bind", "/usr", "/usr"]
        for path in _CHROME:
            if os.path.islink(path):
                words += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                words += ["--ro-bind", path, path]
        for path in _ETC:
            if os.path.exists(path):
                words += ["--ro-bind", path, path]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - inside.
        for root in roots_of(program):  # which may well be below /tmp, so they come after it.
            if not root.startswith("/usr/"):
                words += ["--ro-bind", root, root]
        # Servers look up their own name; the file is made beside their directory.
        words += ["--ro-bind", passwd_beside(directory), "/etc/passwd"]
        return [*words, "--bind", directory, INSIDE, "--chdir", INSIDE, "--remount-ro", "/", "--"]


def roots_of(program: str) -> tuple[str, ...]:
    """The directories that hold all of a program's installation.

    That is the one above `bin`, or else the program's own; in a wheel its package, and the directory of the libraries
    that were put beside it.
    """
    directory = os.path.dirname(program)
    packages, found, inside = directory.rpartition(f"/{_PACKAGES}/")
    if found:
        package = os.path.join(packages, _PACKAGES, inside.partition("/")[0])
        return tuple(root for root in (package, f"{package}.libs") if os.path.isdir(root))
    return (os.path.dirname(directory) if os.path.basename(directory) == "bin" else directory,)


def passwd_beside(directory: str) -> str:
    """The path of the passwd file of the server in `directory`."""
    return f"{directory}.passwd"


def write_passwd(cell: Cell, directory: str) -> None:
    """Give the server in `directory` a user name, which initdb and postgres insist on."""
    uid = os.getuid() if cell.uid is None else cell.uid
    gid = os.getgid() if cell.gid is None else cell.gid
    with open(passwd_beside(directory), "w", encoding="ascii") as file:
        file.write(f"service:x:{uid}:{gid}::{INSIDE}:/bin/false\n")
        os.fchmod(file.fileno(), 0o644)


async def find_cell(environ: Mapping[str, str]) -> Cell:
    """Look which means this machine has; tries bubblewrap out once."""
    path = environ.get("PATH", os.defpath)
    setpriv = shutil.which("setpriv", path=path) or ""
    bwrap = shutil.which("bwrap", path=path) or ""
    root = os.getuid() == 0
    if root and not setpriv:
        return Cell()
    uid, gid = (SERVICE_UID, SERVICE_UID) if root else (None, None)
    cell = Cell(bwrap=bwrap, setpriv=setpriv, filter=program(os.uname().machine), uid=uid, gid=gid)
    if bwrap and await _works(cell):
        return cell
    if root:  # without a passwd of its own a server needs a name that the machine knows.
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
    return Cell(setpriv=setpriv, uid=uid, gid=gid)


async def _works(cell: Cell) -> bool:
    words = [cell.setpriv, "--no-new-privs"] if cell.setpriv else []
    if cell.uid is not None:
        words += [f"--reuid={cell.uid}", f"--regid={cell.gid}", "--clear-groups"]
    words += ["--"] if words else []
    jail = [
        cell.bwrap,
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "true",
    ]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, *jail, stdin=quiet, stdout=quiet, stderr=quiet, env=CLEAN)
    return await process.wait() == 0


# What servers, and the bubblewrap around them, get of our environment: nothing.
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def reachable(installation: Installation, cell: Cell, directory: str) -> str:
    """The directory of an installation's programs, as the servers' uid reaches it.

    One below a private directory (root's own environment, say) is copied into `directory` once.
    """
    if cell.uid is None or is_open(installation.directory):
        return installation.directory
    roots = roots_of(os.path.join(installation.directory, "program"))
    parent = os.path.dirname(roots[0])
    # The last part of its name tells `roots_of` what it is a copy of.
    copy = os.path.join(directory, f"programs-{installation.version}", os.path.basename(parent))
    if not os.path.exists(copy):
        os.makedirs(f"{copy}.part")
        for made in (os.path.dirname(copy), f"{copy}.part"):
            os.chmod(made, 0o755)  # noqa: S103 - programs, nothing private; whatever the umask.
        for root in roots:
            shutil.copytree(root, f"{copy}.part/{os.path.basename(root)}", symlinks=True)
        os.rename(f"{copy}.part", copy)
    return os.path.join(copy, os.path.relpath(installation.directory, parent))
