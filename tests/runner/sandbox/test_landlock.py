from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.isolation import MIB, Limits
from runner.sandbox import confine, landlock, seccomp
from runner.sandbox.machine import system
from runner.sandbox.view import Mount, View
from tests.conftest import MISSING

LIMITS = Limits(memory=64 * MIB, processes=20, workspace=MIB, tmp=MIB)
USER = 7001 if os.geteuid() == 0 else None
HERE = os.uname().machine
SYSTEM = system(os.environ["PATH"])

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not seccomp.program(HERE) or not confine.abi(),
    reason=f"{MISSING} Landlock, and a filter for this machine",
)
needs_tcp_rules = pytest.mark.skipif(
    sys.platform != "linux" or confine.abi() < confine.TCP_SINCE, reason=f"{MISSING} Landlock that restricts TCP"
)
needs_scopes = pytest.mark.skipif(
    sys.platform != "linux" or confine.abi() < confine.SCOPES_SINCE, reason=f"{MISSING} Landlock with scopes"
)


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that every user may enter, with a secret beside the box's places."""
    made = Path(tempfile.mkdtemp(prefix="rung-", dir="/var/tmp"))
    made.chmod(0o755)
    for name in ("view", "places"):
        (made / name).mkdir()
        if USER is not None:
            os.chown(made / name, USER, USER)
    (made / "secret").write_text("secret\n")
    yield made
    shutil.rmtree(made)


def view(root: Path, *, user: int | None = USER, ports: tuple[int, ...] = ()) -> View:
    return View(
        tree=str(root / "view"),
        inside="/somewhere/repo",
        places=str(root / "places"),
        limits=LIMITS,
        mounts=[Mount(prefix, prefix) for prefix in {sys.prefix, sys.base_prefix}],
        sockets=dict.fromkeys(ports, ""),
        uid=user,
        gid=user,
    )


def run(made: View, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    words = landlock.argv(made, command, env or {}, made.inside, system=SYSTEM)
    return subprocess.run(words, env={"CALLERS": "own"}, capture_output=True, text=True, check=False)


def shell(made: View, script: str) -> list[str]:
    """The lines that a script says; both of its outputs."""
    answer = run(made, "/bin/sh", "-c", f"exec 2>&1; {script}")
    return answer.stdout.splitlines()


def python(made: View, code: str) -> object:
    """What the code leaves in `said`. Our own python: it may lie where only our own user comes."""
    answer = run(made, sys.executable, "-I", "-c", f"import json, os, socket\n{code}\nprint(json.dumps(said))")
    assert answer.returncode == 0, answer.stderr
    said: object = json.loads(answer.stdout)
    return said


def test_only_the_tree_and_the_places_can_be_written(root: Path) -> None:
    made = view(root)
    script = f"echo in >here && echo in >{made.places}/there && pwd; echo out >{root}/out; echo out >/var/tmp/out.$$"
    said = shell(made, script)
    assert said[0] == made.tree
    assert len(said) == 3
    assert all("Permission denied" in line or "cannot create" in line for line in said[1:])
    assert sorted(path.name for path in root.rglob("*")) == ["here", "places", "secret", "there", "view"]


@pytest.mark.skipif(sys.platform != "linux" or confine.abi() < 3, reason=f"{MISSING} Landlock that knows truncation")
def test_what_others_let_everybody_write_cannot_be_emptied(root: Path) -> None:
    """To empty a file by its name nobody opens it."""
    (root / "careless").write_text("careless\n")
    (root / "careless").chmod(0o666)
    tries = f"try:\n    said = os.truncate('{root}/careless', 0)\nexcept PermissionError:\n    said = 'refused'"
    assert python(view(root, user=None), tries) == "refused"
    assert (root / "careless").read_text() == "careless\n"


def test_what_is_not_named_cannot_be_read_even_by_root(root: Path) -> None:
    made = view(root, user=None)
    said = shell(made, f"cat {root}/secret; cat /proc/1/cmdline; cat /proc/$$/environ; ls {root}; cat /etc/hosts >&-")
    assert len(said) >= 4
    assert all("ermission denied" in line for line in said[:4])


def test_a_symlink_in_the_tree_leads_nowhere(root: Path) -> None:
    (root / "view" / "link").symlink_to(root / "secret")
    (said,) = shell(view(root), "cat link")
    assert "ermission denied" in said


def test_the_box_is_nobody_we_know_and_can_become_nobody_else(root: Path) -> None:
    made = view(root)
    words = landlock.argv(made, ("/bin/sh", "-c", "echo ready; read word"), {}, made.inside, system=SYSTEM)
    groups = None if USER is None else [0, 4]  # docker's, say, whose socket Landlock would not shut.
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, extra_groups=groups) as box:
        assert box.stdout
        assert box.stdout.readline() == "ready\n"
        lines = Path(f"/proc/{box.pid}/status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        box.kill()
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    if USER is not None:
        assert status["Uid"] == status["Gid"] == [str(USER)] * 4
        assert status["Groups"] == []
        assert status["Groups"] == []
        assert status["CapPrm"] == status["CapEff"] == ["0" * 16]


def test_the_environment_is_what_was_given(root: Path) -> None:
    made = view(root)
    answer = run(made, "/usr/bin/env", env={"GIVEN": "a=b"})
    assert answer.stdout == "GIVEN=a=b\n"


def test_a_program_of_the_tree_is_found_where_the_tree_is(root: Path) -> None:
    program = root / "view" / "box.sh"
    program.write_text("#!/bin/sh\necho $0\n")
    program.chmod(0o755)
    assert run(view(root), "/somewhere/repo/box.sh").stdout == f"{program}\n"
    assert landlock.argv(view(root), ("/somewhere/repository",), {}, "/", system=SYSTEM)[-1] == "/somewhere/repository"


@needs_scopes
def test_nobody_outside_can_be_signalled(root: Path) -> None:
    assert python(view(root, user=None), SIGNAL) == errno.EPERM


SIGNAL = """
try:
    os.kill(os.getppid(), 0); said = 0
except OSError as error:
    said = error.errno
"""


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


CONNECT = """
def connect(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close(); return 0
    except OSError as error:
        return error.errno
"""


def test_no_port_of_the_machine_can_be_reached(root: Path) -> None:
    with listener() as server:
        code = f"{CONNECT}\nsaid = connect({server.getsockname()[1]})"
        assert python(view(root, user=None), code) == errno.EAFNOSUPPORT


@needs_tcp_rules
def test_only_the_ports_that_are_given_can_be_reached(root: Path) -> None:
    with listener() as given, listener() as other:
        ports = [server.getsockname()[1] for server in (given, other)]
        code = f"{CONNECT}\nsaid = [connect(port) for port in {ports}]"
        assert python(view(root, user=None, ports=(ports[0],)), code) == [0, errno.EACCES]


@needs_scopes
def test_abstract_sockets_of_others_cannot_be_reached(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("")  # the kernel gives it an abstract name.
        server.listen()
        code = f"""
s = socket.socket(socket.AF_UNIX)
try:
    s.connect({server.getsockname()!r}); said = 0
except OSError as error:
    said = error.errno
"""
        assert python(view(root, user=None), code) == errno.EPERM


def test_a_program_that_is_not_there_is_told_from_a_box_that_cannot_be_confined(root: Path) -> None:
    made = view(root)
    assert run(made, "/usr/bin/no-such-program").returncode == 127
    words = list(landlock.argv(made, ("/usr/bin/touch", f"{made.places}/started"), {}, made.inside, system=SYSTEM))
    words[words.index("filter") + 1] = str(root / "no-such-filter")
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (
        126,
        f"this box cannot be confined: [Errno 2] No such file or directory: '{root}/no-such-filter'\n",
    )
    assert not (root / "places" / "started").exists()


@pytest.mark.parametrize("version", range(1, 8))
def test_each_older_version_of_landlock_is_spoken(version: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if version > confine.abi():
        pytest.skip(f"this kernel speaks version {confine.abi()} only")
    monkeypatch.setattr(confine, "abi", lambda: version)
    os.close(confine._ruleset({"read": ["/usr"], "write": [str(root)], "device": ["/dev/null"]}))


@pytest.mark.parametrize(
    ("version", "why"),
    [
        pytest.param(0, "this kernel has no Landlock", id="none"),
        pytest.param(3, "this kernel's Landlock (version 3) cannot restrict TCP", id="before-it-knew-tcp"),
    ],
)
def test_a_door_that_cannot_be_shut_is_not_left_open(version: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "abi", lambda: version)
    with pytest.raises(confine.Refused) as refused:
        confine._ruleset({"port": ["5432"]})
    assert str(refused.value) == why
