"""What code of a release may see of the machine that the bot runs on, and as whom it runs. Pure but for `choose`.

A release is code of the default branch: trusted to serve users, not to read the App's key, the bot's database, another
repository's secrets or the memory of others. So it runs as a user of its own, in a view of the machine without the
bot's files, in a process namespace of its own, with an empty environment but for what the configuration declares. That
reaches it on standard input, after the last program that runs with more rights: no variable of it can steer those, and
no command line shows it.
"""

from __future__ import annotations

import json
import os
import pwd
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bot.deploy.target import Unbuildable
from runner.execute.command import which
from runner.sandbox.reach import is_open
from runner.sandbox.trial import attempt

if TYPE_CHECKING:
    # Only for the name: a controller that is started again has no time for what settings are made with.
    from bot.ops.settings import Settings

PREFIX = "INTERLOCK_DEPLOY_"
LARGEST = 60_000
"""Bytes of all variables together: they go through a pipe, which takes so many before somebody reads."""

_TRIAL = 10.0  # seconds.
# Standard input is read to its end, so what is started then reads nothing from it.
_ENTER = 'eval "$(cat)"; exec "$@" </dev/null'


_ROOT = {True: "--bind", False: "--ro-bind"}
# Sockets of the machine's services, which do what they are told by whoever has the bot's rights; names are still found.
_RUN = ["--tmpfs", "/run", "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"]
_RUN += ["--ro-bind-try", "/run/resolvconf", "/run/resolvconf"]


class Way(StrEnum):
    """How code of a release is kept apart, best first."""

    VIEW = "view"  # another user, a view without the bot's files, processes of its own.
    OWN_VIEW = "own_view"  # the same, but as the bot's own user, who is not root.
    USER = "user"  # another user.
    NONE = "none"  # not at all, which the operator must have asked for.


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What the operator of the machine allows releases.

    Attributes:
        kinds: of targets that may run code here; none by default.
        user: as whom it runs where the bot is root; "" for nobody, so that it does not run.
        unconfined: whether it may run as the bot's own user, seeing all that the bot sees.
        hidden: files and directories that it never sees.
        writes: directories that it may write where it runs as the bot's own user, besides its own.
        path: where programs are looked for.
    """

    kinds: frozenset[str] = frozenset()
    user: str = ""
    unconfined: bool = False
    hidden: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    path: str = os.defpath

    def environ(self) -> dict[str, str]:
        """The same as variables, for a process that reads no settings."""
        return {
            f"{PREFIX}TARGETS": ",".join(sorted(self.kinds)),
            f"{PREFIX}USER": self.user,
            f"{PREFIX}UNCONFINED": "yes" if self.unconfined else "no",
            f"{PREFIX}HIDDEN": json.dumps(self.hidden),
            f"{PREFIX}WRITES": os.pathsep.join(self.writes),
            "PATH": self.path,
        }


def allowance_of(settings: Settings, *, path: str = "") -> Allowance:
    """What the settings allow. Its data, secrets, key and tables are hidden, wherever they lie."""
    own = [settings.data_dir, *((settings.secrets_dir,) if settings.secrets_dir else ()), *settings.own_files]
    whole = [one.resolve() for one in own]
    return Allowance(
        kinds=frozenset(settings.target_kinds),
        user=settings.deploy_user,
        unconfined=settings.deploy_unconfined == "yes",
        hidden=tuple(dict.fromkeys(str(one) for one in whole if not any(other in one.parents for other in whole))),
        writes=settings.deploy_writable,
        path=path or os.environ.get("PATH", os.defpath),
    )


def allowance_from(environ: Mapping[str, str]) -> Allowance:
    """What `Allowance.environ` made of one."""
    return Allowance(
        kinds=frozenset(filter(None, environ.get(f"{PREFIX}TARGETS", "").split(","))),
        user=environ.get(f"{PREFIX}USER", ""),
        unconfined=environ.get(f"{PREFIX}UNCONFINED") == "yes",
        hidden=tuple(json.loads(environ.get(f"{PREFIX}HIDDEN", "[]"))),
        writes=tuple(filter(None, environ.get(f"{PREFIX}WRITES", "").split(os.pathsep))),
        path=environ.get("PATH", os.defpath),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user of the machine, with the groups of the user database."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """How code of a release is started on this machine.

    Attributes:
        way: how it is kept apart.
        person: as whom it runs; None for the bot's own user.
        bwrap: bubblewrap, "" where it is not used.
        setpriv: setpriv, "" where it is not used.
        hidden: what it never sees.
        writable: directories that it may write besides its own; None for all that its user may.
        path: where it finds programs.
    """

    way: Way
    person: Person | None = None
    bwrap: str = ""
    setpriv: str = ""
    hidden: tuple[str, ...] = ()
    writable: tuple[str, ...] | None = None
    path: str = os.defpath

    def argv(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        reads: Iterable[Path] = (),
        writes: Iterable[Path] = (),
        network: bool = True,
    ) -> tuple[str, ...]:
        """The words that start a command, with no environment and `said` on standard input.

        Args:
            command: as it is known to whoever is confined.
            directory: where it begins; start these words there as well, or anywhere that exists.
            reads: what it sees although it lies in what is hidden.
            writes: what it may write there; it must be its user's already.
            network: whether it shares the machine's network. Without a view it always does.
        """
        enter = ("/bin/sh", "-c", _ENTER, "sh", *command)
        if self.bwrap:
            view = (*self._view(reads, writes, network=network), "--chdir", str(directory), "--")
            return (self.bwrap, *view, *self._drop(), *enter)
        return (*self._drop(), *enter)

    def said(self, environ: Mapping[str, str]) -> str:
        """What a started command reads first: its whole environment, as a shell says it.

        Raises:
            Unbuildable: it is too much.
        """
        whole = {"PATH": self.path, "LANG": "C.UTF-8", **environ}
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in whole.items())
        if len(text.encode()) > LARGEST:
            message = f"the variables of the environment are more than {LARGEST} bytes together"
            raise Unbuildable(message)
        return text

    def check_reach(self, paths: Iterable[Path]) -> None:
        """See that whoever runs there gets to these directories.

        Raises:
            Unbuildable: it does not; the sentence has the way out.
        """
        if self.way is not Way.USER or self.person is None:
            return
        for path in paths:
            if not is_open(str(path.parent)):
                message = (
                    f"the user {self.person.name} does not get to {path}: install bubblewrap, "
                    f"or keep the data directory where every user may pass through"
                )
                raise Unbuildable(message)

    def own(self, path: Path) -> None:
        """Give a directory and all that is in it to whoever runs there; links are given, not what they lead to."""
        if self.person is None:
            return
        os.chown(path, self.person.uid, self.person.gid, follow_symlinks=False)
        for _, directories, files, fd in os.fwalk(path, follow_symlinks=False):
            for name in (*directories, *files):
                os.chown(name, self.person.uid, self.person.gid, dir_fd=fd, follow_symlinks=False)

    def _drop(self) -> tuple[str, ...]:
        if self.person is None:
            return ()
        ids = ("--reuid", str(self.person.uid), "--regid", str(self.person.gid), "--init-groups")
        return (self.setpriv, *ids, "--inh-caps=-all", "--no-new-privs", "--")

    def _view(self, reads: Iterable[Path], writes: Iterable[Path], *, network: bool) -> tuple[str, ...]:
        # No --die-with-parent: what serves users outlives the bot.
        words = ["--unshare-pid", "--unshare-ipc", "--unshare-cgroup-try"]
        words += [] if network else ["--unshare-net"]
        words += ["--cap-drop", "ALL"]
        words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if self.person else []
        words += [_ROOT[self.writable is None], "/", "/", "--dev", "/dev", "--proc", "/proc"]
        words += ["--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 - its own.
        words += [] if self.writable is None else _RUN
        for path in sorted(filter(os.path.exists, self.writable or ())):  # before what is hidden, which may lie in it.
            words += ["--bind", path, path]
        for path in sorted(filter(os.path.exists, self.hidden)):
            words += ["--ro-bind", "/dev/null", path] if os.path.isfile(path) else ["--tmpfs", path]  # noqa: PTH113
        shown = [*(("--ro-bind", str(path)) for path in reads), *(("--bind", str(path)) for path in writes)]
        for above in _above([path for _, path in shown], (*self.hidden, "/tmp")):  # noqa: S108
            # What bubblewrap makes by itself on the way to a mount lets nobody through.
            words += ["--perms", "0755", "--dir", above]
        for how, path in sorted(shown, key=lambda one: one[1].count("/")):
            words += [how, path, path]
        return tuple(words)


def _above(paths: Iterable[str], covered: Iterable[str]) -> list[str]:
    """Every directory on the way from one that is covered to what is shown in it, the upper ones first."""
    roots = [Path(root) for root in covered]
    found = {
        str(above) for path in paths for above in Path(path).parents if any(root in above.parents for root in roots)
    }
    return sorted(found, key=lambda path: path.count("/"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Code of a release does not run on this machine; the sentence has the way out."""

    because: str


def choose(allowance: Allowance, *, root: bool | None = None) -> Confinement | Refusal:
    """The best way that this machine has and the operator allows. Tries out what it has, once a process.

    Args:
        allowance: what is allowed.
        root: whether we are root; None finds out.
    """
    root = os.geteuid() == 0 if root is None else root
    if root and allowance.user:
        return _as_another(allowance)
    if allowance.unconfined:
        return Confinement(way=Way.NONE, hidden=allowance.hidden, path=allowance.path)
    if root:
        return Refusal(
            "releases would run as root: set INTERLOCK_DEPLOY_USER to a user made for them "
            "(useradd --system --no-create-home interlock-deploy)"
        )
    if works(bwrap := which("bwrap", allowance.path), root=False):
        return Confinement(
            way=Way.OWN_VIEW, bwrap=bwrap, hidden=allowance.hidden, writable=allowance.writes, path=allowance.path
        )
    return Refusal(
        "releases would see the bot's key and database: install bubblewrap (`runner doctor` says what it needs), "
        "or set INTERLOCK_DEPLOY_UNCONFINED=yes if all of their code may see them"
    )


def _as_another(allowance: Allowance) -> Confinement | Refusal:
    person = _person(allowance.user)
    if isinstance(person, Refusal):
        return person
    if not (setpriv := which("setpriv", allowance.path)):
        return Refusal("setpriv is not installed, so releases would run as root (Debian: util-linux)")
    bwrap = which("bwrap", allowance.path)
    view = works(bwrap, root=True)
    return Confinement(
        way=Way.VIEW if view else Way.USER,
        person=person,
        bwrap=bwrap if view else "",
        setpriv=setpriv,
        hidden=allowance.hidden,
        path=allowance.path,
    )


@cache
def works(bwrap: str, *, root: bool) -> bool:
    """Whether bubblewrap makes such a view here. Takes some milliseconds the first time."""
    if not bwrap:
        return False
    # As `_view` has it, so that a refusal shows here.
    caps = ("--cap-drop", "ALL", *(("--cap-add", "CAP_SETUID") if root else ()))
    shown = (_ROOT[root], "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp")  # noqa: S108
    outcome = attempt((bwrap, "--unshare-pid", "--unshare-ipc", *caps, *shown, "--", "/bin/true"), seconds=_TRIAL)
    return outcome.code == 0


def _person(name: str) -> Person | Refusal:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return Refusal(f"INTERLOCK_DEPLOY_USER names {name}, whom this machine does not know")
    if found.pw_uid == 0:
        return Refusal("INTERLOCK_DEPLOY_USER must not be root: make a user for releases")
    return Person(name=name, uid=found.pw_uid, gid=found.pw_gid)
