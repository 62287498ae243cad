"""Which parts of this machine a box may see: the system's programs, a few files of /etc, interpreters. Only looks.

Nothing that a box or its tree says is followed to another place: a link in a hostile tree would show what it points to.
"""

from __future__ import annotations

import os
import sys

from runner.execute.command import which
from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIRECTORIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/snap")
_NOT_FOR_PROGRAMS = frozenset(
    {"/", "/boot", "/dev", "/etc", "/home", "/mnt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/var"}  # noqa: S108
)
# What programs look up, and what tells nothing of this machine or of who else is here.
_ETC = (
    *("ca-certificates.conf", "debian_version", "default/locale", "host.conf", "inputrc", "ld.so.cache"),
    *("locale.alias", "locale.conf", "locale.gen", "localtime", "login.defs", "magic", "magic.mime", "mailcap"),
    *("mime.types", "networks", "os-release", "papersize", "pki/tls/cert.pem", "profile", "protocols", "rpc"),
    *("services", "shells", "ssl/cert.pem", "ssl/openssl.cnf", "timezone", "xattr.conf"),
)
_ETC_DIRECTORIES = (
    *("alternatives", "chromium.d", "crypto-policies", "fonts", "ImageMagick-6", "java", "pki/ca-trust", "pki/java"),
    *("pki/tls/certs", "postgresql-common", "ssl/certs"),
)


class System(Value):
    """What every box sees of this machine, and the programs that keep it inside.

    `paths` are existing directories, `links` what is a link where others have a directory, `files` small files of /etc.
    """

    __slots__ = ("bwrap", "files", "links", "paths", "setpriv")

    def __init__(
        self,
        paths: Iterable[str],
        links: Mapping[str, str],
        files: Iterable[str] = (),
        *,
        bwrap: str = "",
        setpriv: str = "",
    ) -> None:
        self.paths = tuple(paths)
        self.links = dict(links)
        self.files = tuple(files)
        self.bwrap = bwrap
        self.setpriv = setpriv


def system(path_of_programs: str) -> System:
    """The system's own programs and libraries, and what programs expect in /etc that tells nothing of this machine.

    Args:
        path_of_programs: a PATH, on which bubblewrap and setpriv are looked up.
    """
    links = {path: os.readlink(path) for path in _DIRECTORIES if os.path.islink(path)}
    paths = [path for path in _DIRECTORIES if path not in links and os.path.isdir(path)]
    named = (*_ETC_DIRECTORIES, *(name for name in sorted(os.listdir("/etc")) if name.startswith("java-")))
    paths += [path for name in named if os.path.isdir(path := f"/etc/{name}")]
    files = [path for name in _ETC if os.path.isfile(path := f"/etc/{name}")]
    return System(
        paths, links, files, bwrap=which("bwrap", path_of_programs), setpriv=which("setpriv", path_of_programs)
    )


def toolchains(directories: Iterable[str], shown: Iterable[str]) -> tuple[str, ...]:
    """What must be seen for the programs in some directories of a PATH to run, and is not in `shown` already.

    A virtual environment with the installation it came from, an installation of Python or Node in a place of its own
    (what a version manager made), else the directory alone.

    Args:
        directories: absolute, the user's own choice.
        shown: paths that are seen anyway.
    """
    known = list(shown)
    found: list[str] = []
    for directory in directories:
        if not os.path.isdir(directory):
            continue
        for place in _places_of(directory):
            if not any(is_below(place, path) for path in known) and not _holds_more(place):
                known.append(place)
                found.append(place)
    return tuple(found)


def own_interpreter() -> str:
    """The interpreter that runs this, without the virtual environment around it."""
    return os.path.realpath(sys.executable)


def is_below(path: str, directory: str) -> bool:
    """Whether `path` is `directory` or in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _holds_more(place: str) -> bool:
    """Whether much else than programs is there: a home, or a directory of the system's that is not for programs."""
    homes = {os.path.expanduser("~"), os.path.dirname(os.path.expanduser("~"))}
    return place in homes or place in _NOT_FOR_PROGRAMS


def _places_of(directory: str) -> list[str]:
    prefix = os.path.dirname(directory)
    if os.path.exists(f"{prefix}/pyvenv.cfg"):
        return [prefix, *_homes(f"{prefix}/pyvenv.cfg"), *_chain(f"{directory}/python")]
    if _is_installation(prefix):
        return [prefix]
    return [directory, *_chain(f"{directory}/python3")]


def _homes(config: str) -> list[str]:
    """The installation that a virtual environment says it was made from."""
    try:
        with open(config, encoding="utf-8", errors="surrogateescape") as stream:
            pairs = [line.partition("=") for line in stream]
    except OSError:
        return []
    homes = [value.strip() for name, _, value in pairs if name.strip() == "home"]
    return [os.path.dirname(home) for home in homes if _is_installation(os.path.dirname(home))]


def _chain(path: str) -> list[str]:
    """The installations that a link to an interpreter leads through."""
    found = []
    for _ in range(16):
        if not os.path.islink(path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        prefix = os.path.dirname(os.path.dirname(path))
        if _is_installation(prefix) or os.path.exists(f"{prefix}/pyvenv.cfg"):
            found.append(prefix)
    return found


def _is_installation(prefix: str) -> bool:
    """Whether that is the place of an interpreter and its libraries, and not a home with a bin/ in it."""
    if os.path.exists(f"{prefix}/bin/node") and os.path.isdir(f"{prefix}/lib/node_modules"):
        return True
    try:
        names = os.listdir(f"{prefix}/lib")
    except OSError:
        return False
    return any(name.startswith(("python3", "pypy3")) and os.path.exists(f"{prefix}/lib/{name}/os.py") for name in names)
