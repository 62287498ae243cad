from __future__ import annotations

import itertools

from inline_snapshot import snapshot

from runner.isolation import MIB, Limits
from runner.sandbox.bubblewrap import argv
from runner.sandbox.machine import System
from runner.sandbox.view import Mount, View

LIMITS = Limits(memory=MIB, processes=8, workspace=MIB, tmp=MIB)
SYSTEM = System(["/usr", "/etc/fonts"], {"/bin": "usr/bin"}, bwrap="/usr/bin/bwrap", setpriv="/usr/bin/setpriv")


def view(**keys: object) -> View:
    given = {"tree": "/room/1/tree", "inside": "/srv/ada/app", "places": "/room/1/box", "limits": LIMITS, **keys}
    return View(**given)  # type: ignore[arg-type]


def words_of(line: tuple[str, ...]) -> list[str]:
    """Each option with its arguments on a line."""
    lines: list[str] = []
    for word in line:
        if word.startswith(("--", "/usr/bin/")) or not lines:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def test_the_whole_command_line() -> None:
    line = argv(
        view(uid=7, gid=8, seccomp=5, mounts=[Mount("/room/etc", "/etc")]),
        ["/usr/bin/python3", "warden.pyc"],
        {},
        "/srv/ada/app/api",
        system=SYSTEM,
        events=6,
    )
    assert words_of(line) == snapshot(
        [
            "/usr/bin/setpriv",
            "--reuid 7",
            "--regid 8",
            "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
            "--",
            "/usr/bin/bwrap",
            "--unshare-user",
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
            "--hostname box",
            "--seccomp 5",
            "--json-status-fd 6",
            "--ro-bind /usr /usr",
            "--symlink usr/bin /bin",
            "--proc /proc",
            "--dev /dev",
            "--perms 1777",
            "--size 1048576",
            "--tmpfs /dev/shm",
            "--perms 1777",
            "--size 1048576",
            "--tmpfs /tmp",
            "--perms 0755",
            "--dir /run",
            "--dir /var",
            "--symlink ../tmp /var/tmp",
            "--ro-bind /room/etc /etc",
            "--bind /room/1/tree /srv/ada/app",
            "--bind /room/1/box /room/1/box",
            "--remount-ro /dev",
            "--remount-ro /",
            "--chdir /srv/ada/app/api",
            "--",
            "/usr/bin/python3 warden.pyc",
        ]
    )


def test_another_users_rights_are_dropped_before_bubblewrap_starts() -> None:
    line = argv(view(uid=7, gid=8), ["true"], {}, "/", system=SYSTEM)
    assert line.index("/usr/bin/setpriv") < line.index("--no-new-privs") < line.index("/usr/bin/bwrap")


def test_nothing_of_the_environment_stands_in_the_command_line() -> None:
    assert "secret" not in " ".join(argv(view(), ["true"], {"TOKEN": "secret"}, "/", system=SYSTEM))


def test_what_lies_in_another_mount_comes_after_it() -> None:
    mounts = [
        Mount("/reach/2", "/srv/ada/app/.venv"),
        Mount("/reach/1", "/srv/ada"),
        Mount("/reach/3", "/srv/ada/app/web/node_modules"),
    ]
    line = argv(view(mounts=mounts), ["true"], {}, "/", system=SYSTEM)
    targets = [line[at + 2] for at, word in enumerate(line) if word in {"--bind", "--ro-bind"}]
    for earlier, later in itertools.combinations(targets, 2):
        assert not earlier.startswith(f"{later}/"), f"{later} would hide {earlier}"


def test_only_the_tree_and_the_attempts_own_places_can_be_written() -> None:
    line = argv(view(mounts=[Mount("/lib", "/run/lib")]), ["true"], {}, "/", system=SYSTEM)
    assert [line[at + 2] for at, word in enumerate(line) if word == "--bind"] == ["/srv/ada/app", "/room/1/box"]
