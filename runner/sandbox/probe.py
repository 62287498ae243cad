"""Finds out which rungs of the ladder this machine has, by trying them; versions are never asked.

What was found out is kept for the life of the process. What a refusal means, and the one command that changes it, is
`explain`: pure, a table.
"""

from __future__ import annotations

import os
import re
import sys

from runner.execute.command import which
from runner.isolation import Level, Rung
from runner.model import Value
from runner.sandbox.seccomp import program
from runner.sandbox.trial import Outcome, attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "INTERLOCK_SANDBOX_IMAGE"
NOBODY = 65534
_SECONDS = 10.0
_ENGINE_SECONDS = 60.0
_ENGINES = ("podman", "docker")
_INSTALL = {
    "debian": "apt-get install -y {}",
    "ubuntu": "apt-get install -y {}",
    "fedora": "dnf install -y {}",
    "rhel": "dnf install -y {}",
    "suse": "zypper install -y {}",
    "alpine": "apk add {}",
    "arch": "pacman -S --noconfirm {}",
}
_PROFILE = "bwrap-userns-restrict"
_LOAD_PROFILE = (
    "{0}apt-get install -y apparmor-profiles && "
    f"{{0}}install -m 0644 /usr/share/apparmor/extra-profiles/{_PROFILE} /etc/apparmor.d/ && "
    f"{{0}}apparmor_parser -r /etc/apparmor.d/{_PROFILE}"
)
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
_NAMESPACE_TROUBLE = ("uid map", "uid_map", "RTM_NEWADDR", "namespace", "unshare", "mount")
_UNCONFINED = " ".join(f"--security-opt {name}=unconfined" for name in ("seccomp", "apparmor", "systempaths"))
_VIEW = """
import os, sys
sys.path.insert(0, sys.argv[1])
from runner.sandbox import namespace
try:
    namespace.enter()
    namespace.tmpfs("/tmp", size=1 << 20, mode=0o700)
    for name in ("lower", "upper", "work", "tree"):
        os.mkdir("/tmp/" + name)
    namespace.overlay("/tmp", target="tree", lower=["lower"], upper="upper", work="work")
except (namespace.CannotMount, OSError) as why:
    sys.exit(str(why))
"""
_KNOWN: dict[tuple[str, str], tuple[Rung, ...]] = {}


class Facts(Value):
    """What of the machine tells one refusal from another.

    `os` are the names that /etc/os-release gives this distribution, nearest first. `apparmor`, `clone` and `namespaces`
    are the kernel's settings that restrict user namespaces ("" where there is no such setting). `container` is whether
    we are in one, `root` whether we are root.
    """

    __slots__ = ("apparmor", "clone", "container", "namespaces", "os", "root")

    def __init__(
        self,
        *,
        os: tuple[str, ...] = (),
        apparmor: str = "",
        clone: str = "",
        namespaces: str = "",
        container: bool = False,
        root: bool = False,
    ) -> None:
        self.os = os
        self.apparmor = apparmor
        self.clone = clone
        self.namespaces = namespaces
        self.container = container
        self.root = root


def rungs(environ: Mapping[str, str], *, every: bool = False) -> tuple[Rung, ...]:
    """What this machine offers, best first, without the last rung, which is nothing.

    Args:
        environ: whose PATH the programs are looked up on, and which may name a container image.
        every: also try what is worse than the first that works.
    """
    if sys.platform != "linux":
        levels = (Level.BUBBLEWRAP, Level.CONTAINER, Level.LANDLOCK)
        return tuple(Rung(level, why=f"only on Linux, and this is {sys.platform}") for level in levels)
    key = (environ.get("PATH", os.defpath), environ.get(IMAGE, ""))
    if key not in _KNOWN or (every and any(rung.why.startswith("not tried") for rung in _KNOWN[key])):
        facts = look()
        first = bubblewrap(key[0], facts)
        tried = every or not first.works or not key[1]
        second = container(*key, facts) if tried else Rung(Level.CONTAINER, why=f"not tried: {first.level} works")
        _KNOWN[key] = (first, second, landlock())
    return _KNOWN[key]


def look() -> Facts:
    """Read this machine's facts."""
    release = _read("/etc/os-release")
    names = [found.strip("\"'") for found in re.findall(r"^(?:ID|ID_LIKE)=(.*)$", release, re.MULTILINE)]
    own = re.findall(r"^ID=[\"']?([\w.-]+)", release, re.MULTILINE)
    return Facts(
        os=tuple(dict.fromkeys([*own, *" ".join(names).split()])),
        apparmor=_read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").strip(),
        clone=_read("/proc/sys/kernel/unprivileged_userns_clone").strip(),
        namespaces=_read("/proc/sys/user/max_user_namespaces").strip(),
        container=any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv")),
        root=os.geteuid() == 0,
    )


def bubblewrap(path: str, facts: Facts) -> Rung:
    """Try the whole sandbox once, as the kind of user that boxes are: about 8 ms."""
    level = Level.BUBBLEWRAP
    if not program(os.uname().machine):
        why = f"there is no system call filter for {os.uname().machine}"
        return Rung(level, why=why, fix="run on x86_64 or aarch64 Linux")
    found, setpriv = which("bwrap", path), which("setpriv", path)
    if not found:
        return Rung(level, why="bubblewrap is not installed", fix=install("bubblewrap", facts))
    if facts.root and not setpriv:
        package = "setpriv" if "alpine" in facts.os else "util-linux"
        return Rung(level, why="setpriv is not installed, so boxes would run as root", fix=install(package, facts))
    dropped = (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
    sandbox = ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session")
    shown = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--remount-ro", "/")  # noqa: S108
    command = (*(dropped if facts.root else ()), found, *sandbox, *shown, "/bin/true")
    outcome = attempt(command, seconds=_SECONDS)
    if not outcome.code:
        outcome = _own_mounts(path, facts)
    if not outcome.code:
        return Rung(level)
    why, fix = explain(outcome, facts)
    return Rung(level, why=why, fix=fix)


def _own_mounts(path: str, facts: Facts) -> Outcome:
    """Whether we can mount in a namespace of our own, as views of the tree are. Root, who may run bubblewrap, can.

    AppArmor's profile for bubblewrap lets bubblewrap make user namespaces, and not us.
    """
    unshare, mount = which("unshare", path), which("mount", path)
    if facts.root or not unshare or not mount:
        return Outcome(0, "")
    command = (unshare, "--user", "--map-root-user", "--mount", mount, "-t", "tmpfs", "none", "/tmp")  # noqa: S108
    return attempt(command, seconds=_SECONDS)


def explain(outcome: Outcome, facts: Facts) -> tuple[str, str]:
    """Why bubblewrap does not work, and the command that changes it.

    Source: the messages are bubblewrap's, seen on Ubuntu 24.04 in containers/bubblewrap#632.
    """
    said = outcome.said.splitlines()[-1].removeprefix("bwrap: ") if outcome.said else f"it ended with {outcome.code}"
    sudo = _sudo(facts)
    if "Unknown option" in said:
        return f"this bubblewrap is older than 0.8 ({said})", "install bubblewrap 0.8 or later"
    if facts.namespaces == "0" or "No space left" in said or "ENOSPC" in said:
        return "user.max_user_namespaces is used up or 0", f"{sudo}sysctl -w user.max_user_namespaces=15000"
    if facts.clone == "0":
        return "kernel.unprivileged_userns_clone is 0", f"{sudo}sysctl -w kernel.unprivileged_userns_clone=1"
    if facts.apparmor == "1" and any(hint in said for hint in _NAMESPACE_TROUBLE):
        # The profile is bubblewrap's. A runner that is not root makes namespaces itself as well.
        fix = _LOAD_PROFILE.format(sudo) if facts.root else f"{sudo}sysctl -w {_APPARMOR}=0"
        return f"AppArmor restricts user namespaces ({said})", fix
    if facts.container and any(hint in said for hint in (*_NAMESPACE_TROUBLE, "proc", "pivot_root")):
        return f"this container may not make namespaces ({said})", f"start the container with {_UNCONFINED}"
    return f"bubblewrap does not work here ({said})", "docs/how-to/get-a-full-sandbox.md lists what it needs"


def container(path: str, image: str, facts: Facts) -> Rung:
    """Try a container engine with the image that boxes would run in: about 200 ms, nothing without an image."""
    level = Level.CONTAINER
    engine = engine_of(path)
    if not engine:
        return Rung(level, why="neither podman nor docker is installed", fix=install("podman", facts))
    if not image:
        return Rung(level, why="no image is named", fix=f"export {IMAGE}=an image that has what your boxes start")
    from runner.sandbox.container import trial_argv

    outcome = attempt(trial_argv(engine, image), seconds=_ENGINE_SECONDS, env={"PATH": path, **home_of()})
    if not outcome.code:
        return Rung(level)
    said = outcome.said.splitlines()[-1] if outcome.said else f"it ended with {outcome.code}"
    name = os.path.basename(engine)
    return Rung(level, why=f"{name} does not run {image} ({said})", fix=f"{name} run --rm --pull=never {image} true")


def views() -> str:
    """Mount a view in a process of its own, and forget it: why that was refused, "" when it was not."""
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    outcome = attempt((sys.executable, "-I", "-S", "-c", _VIEW, source), seconds=_SECONDS)
    said = outcome.said.splitlines()
    return (said[-1] if said else f"it ended with {outcome.code}") if outcome.code else ""


def landlock() -> Rung:
    """Ask the kernel; nothing is started."""
    level = Level.LANDLOCK
    if not program(os.uname().machine):
        return Rung(level, why=f"there is no system call filter for {os.uname().machine}")
    if not landlock_version():
        return Rung(level, why="this kernel has no Landlock", fix="boot a Linux 5.13 or later with lsm=landlock,...")
    return Rung(level)


def landlock_version() -> int:
    """The version of Landlock's interface that this kernel speaks; 0 for none."""
    from runner.sandbox.confine import abi

    return abi()


def install(package: str, facts: Facts) -> str:
    """The command that installs a package on this distribution."""
    known = next((_INSTALL[name] for name in facts.os if name in _INSTALL), "")
    return f"{_sudo(facts)}{known.format(package)}" if known else f"install {package}"


def _sudo(facts: Facts) -> str:
    return "" if facts.root else "sudo "


def engine_of(path: str) -> str:
    """The container engine that is found on a PATH, or ""."""
    return next((found for name in _ENGINES if (found := which(name, path))), "")


def home_of() -> dict[str, str]:
    """Where rootless engines keep images, by the user database: nothing of the caller's environment is used."""
    import pwd

    try:
        return {"HOME": pwd.getpwuid(os.geteuid()).pw_dir}
    except KeyError:
        return {}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
