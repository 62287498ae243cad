from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from runner.execute.process import ProcessExecutor
from runner.executor import Finished, Job
from runner.isolation import MIB, Limits
from runner.model import Attempt, Verdict
from runner.sandbox import container, probe
from runner.sandbox.contained import ContainerLauncher
from runner.sandbox.trial import Outcome, attempt
from runner.sandbox.view import Mount, View
from tests.runner.boxes import box

LIMITS = Limits(memory=64 * MIB, processes=20, workspace=MIB, tmp=MIB)
BOXES = Limits(memory=128 * MIB, processes=40, workspace=8 * MIB, tmp=8 * MIB)
ENVIRON = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
IMAGE = "localhost/boxes:test"


def view(root: Path, **fields: object) -> View:
    places: dict[str, object] = {"tree": f"{root}/view", "inside": f"{root}/repo", "places": f"{root}/places"}
    return View(**{**places, "limits": LIMITS, "uid": 7001, "gid": 7000, **fields})  # type: ignore[arg-type]


def test_a_box_is_started_with_nothing_but_its_view() -> None:
    made = view(
        Path("/x"),
        mounts=[Mount("/opt/python", "/opt/python"), Mount('/odd,"place"', "/setup", writable=True)],
        sockets={5432: "/x/places/pg.sock"},
    )
    words = container.argv(
        made, ("/opt/python/bin/python3", "-I", "w.py"), {"LANG": "C"}, "/x/repo", engine="/usr/bin/podman", image=IMAGE
    )
    # What it inherits of limits is this machine's own.
    assert [word for word in words if not word.startswith("--ulimit=n")] == snapshot(
        [
            "/usr/bin/podman",
            "run",
            "--rm",
            "--pull=never",
            "--network=none",
            "--read-only",
            "--cap-drop=ALL",
            "--ipc=private",
            "--security-opt=no-new-privileges",
            "--pids-limit=20",
            "--memory=67108864",
            "--memory-swap=67108864",
            "--shm-size=67108864",
            "--ulimit=core=0:0",
            "--log-driver=none",
            "--read-only-tmpfs=false",
            "--user=7001:7000",
            "--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size=1048576,notmpcopyup",
            "--workdir=/x/repo",
            "--mount=type=bind,source=/x/view,target=/x/repo",
            "--mount=type=bind,source=/x/places,target=/x/places",
            "--mount=type=bind,source=/opt/python,target=/opt/python,readonly",
            '--mount=type=bind,"source=/odd,""place""",target=/setup',
            "--mount=type=bind,source=/x/places/pg.sock,target=/x/places/pg.sock",
            "--env=LANG=C",
            "--entrypoint=",
            "localhost/boxes:test",
            "/opt/python/bin/python3",
            "-I",
            "w.py",
        ]
    )


def test_docker_is_not_asked_for_what_only_podman_knows() -> None:
    words = container.argv(view(Path("/x")), ("true",), {}, "/x/repo", engine="/usr/bin/docker", image=IMAGE)
    assert "--read-only-tmpfs=false" not in words
    assert container.kill_argv("/usr/bin/docker", "box-1") == ("/usr/bin/docker", "rm", "--force", "box-1")


# From here on a real podman runs real containers. It is an optional component: a machine without it loses nothing else.
PROGRAMS = ("sh", "true", "cat", "id", "dd", "sleep", "python3")


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """A podman with storage of its own and an image of a few of this machine's programs."""
    podman = shutil.which("podman")
    runtime = shutil.which("crun") or shutil.which("runc", path=ENVIRON["PATH"])
    if os.geteuid() or not podman or not runtime:
        pytest.skip("optional component: podman, as root")
    # Podman takes no directories with long names.
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/var/tmp") as directory:
        root = Path(directory)
        # crun refuses a hybrid of cgroup versions, and without systemd nobody else divides them.
        options = f"--root {root}/root --runroot {root}/run --storage-driver vfs --cgroup-manager cgroupfs"
        runc = shutil.which("runc", path=ENVIRON["PATH"])
        wrapper = root / "podman"
        wrapper.write_text(f'#!/bin/sh\nexec {podman} {options} --runtime {runc or runtime} "$@"\n')
        wrapper.chmod(0o755)
        try:
            _make_image(root / "files", str(wrapper))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"optional component: a podman that takes an image ({error.stderr})")
        trial = attempt(container.trial_argv(str(wrapper), IMAGE), seconds=60, env=ENVIRON)
        if trial.code:
            pytest.skip(f"optional component: a podman that runs here ({trial.said})")
        yield str(wrapper)
        subprocess.run([wrapper, "rm", "--all", "--force"], env=ENVIRON, capture_output=True, check=True)


def _make_image(files: Path, podman: str) -> None:
    for name in ("usr/bin", "usr/lib", "usr/lib64", "proc", "sys", "dev", "tmp", "etc", "run"):
        (files / name).mkdir(parents=True)
    (files / "tmp").chmod(0o1777)  # runc gives a tmpfs the mode of what it covers.
    for name in ("bin", "lib", "lib64"):
        (files / name).symlink_to(f"usr/{name}")
    for name in PROGRAMS:
        found = shutil.which(name, path=ENVIRON["PATH"])
        assert found
        linked = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for path in (found, *re.findall(r"/\S+", linked)):
            place = files / ("usr/bin" if path == found else Path(path).parent.relative_to("/")) / Path(path).name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": "/usr"})).name
    if Path("/usr/lib", library).exists():  # of a Python like ours, for the warden.
        ignored = shutil.ignore_patterns("__pycache__", "dist-packages", "test", "config-*", "idlelib", "lib2to3")
        shutil.copytree(Path("/usr/lib", library), files / "usr/lib" / library, ignore=ignored, symlinks=True)
    with subprocess.Popen(["tar", "-C", files, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([podman, "import", "-", IMAGE], stdin=tar.stdout, env=ENVIRON, capture_output=True, check=True)


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="rung,", dir="/var/tmp") as path:
        made = Path(path)
        made.chmod(0o755)
        for name in ("view", "places"):
            (made / name).mkdir()
            os.chown(made / name, 7001, 7000)
        yield made


def inside(engine: str, root: Path, script: str) -> Outcome:
    words = container.argv(
        view(root), ("/bin/sh", "-c", script), {"LANG": "C"}, f"{root}/repo", engine=engine, image=IMAGE
    )
    return attempt(words, seconds=60, env=ENVIRON)


def test_a_box_in_a_container_writes_its_tree_and_nothing_else(engine: str, root: Path) -> None:
    (root / "view" / "given").write_text("given\n")
    script = "cat given && id -u && id -G && echo new >made && ! echo x 2>&1 >/usr/x && ! echo x >/etc/x"
    outcome = inside(engine, root, script)
    assert (outcome.code, outcome.said.splitlines()[:3]) == (0, ["given", "7001", "7000"])
    assert (root / "view" / "made").read_text() == "new\n"


def test_a_box_in_a_container_has_no_network_and_sees_no_other_process(engine: str, root: Path) -> None:
    outcome = inside(engine, root, "cat /proc/net/dev; echo; echo /proc/[0-9]*")
    devices = re.findall(r"^ *(\w+):", outcome.said, re.MULTILINE)
    assert devices == ["lo"]
    assert len(outcome.said.splitlines()[-1].split()) <= 3


def test_a_box_in_a_container_cannot_fill_tmp_or_fork_without_end(engine: str, root: Path) -> None:
    full = inside(engine, root, "dd if=/dev/zero of=/tmp/file bs=1M count=4")
    assert full.code != 0
    assert "No space left" in full.said
    bomb = inside(engine, root, "n=0; while [ $n -lt 60 ]; do sleep 30 & n=$((n+1)); done; echo all")
    assert "all" not in bomb.said.split()


def test_a_container_is_ended_by_its_name(engine: str, root: Path) -> None:
    words = container.argv(
        view(root), ("/bin/sh", "-c", "echo up; sleep 100"), {}, f"{root}/repo", engine=engine, image=IMAGE, name="b-1"
    )
    with subprocess.Popen(words, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
        assert client.stdout
        assert client.stdout.readline() == "up\n"
        client.kill()
        assert attempt(container.kill_argv(engine, "b-1"), seconds=60, env=ENVIRON).code == 0
    left = attempt((engine, "ps", "--all", "--quiet"), seconds=60, env=ENVIRON)
    assert left == Outcome(0, "")


class TestBoxes:
    """Boxes as the executor runs them, the warden and all."""

    @pytest.fixture
    def run(self, engine: str, root: Path) -> Iterator[Callable[..., Attempt]]:
        tree, scratch = root / "tree", root / "scratch"
        tree.mkdir()
        scratch.mkdir()
        (tree / "given").write_text("given\n")
        environ = {"PATH": f"{Path(engine).parent}:{ENVIRON['PATH']}", probe.IMAGE: IMAGE}
        launcher = ContainerLauncher(scratch=str(scratch), limits=BOXES, path="/usr/bin:/bin", environ=environ)
        executor = ProcessExecutor(
            run_id="r", scratch=str(scratch), base_env={"PATH": "/usr/bin:/bin"}, launcher=launcher
        )

        def run(script: str, **keys: Any) -> Attempt:
            executor.start(Job(box=box(1, kind="command", run=script, **keys), root=str(tree)))
            while True:
                for thing in executor.wait(None):
                    if isinstance(thing, Finished):
                        return thing.attempt

        yield run
        executor.close()
        assert list(scratch.iterdir()) == []
        assert (tree / "given").read_text() == "given\n"
        assert attempt((engine, "ps", "--all", "--quiet"), seconds=60, env=ENVIRON) == Outcome(0, "")

    def test_each_has_a_copy_of_the_tree_in_its_place(self, run: Callable[..., Attempt], root: Path) -> None:
        first = run("pwd && cat given && echo mine >given && echo mine >made")
        assert (first.outcome, first.output) == (Verdict.PASSED, f"{root}/tree\ngiven\n")
        second = run("cat given && test ! -e made")
        assert (second.outcome, second.output) == (Verdict.PASSED, "given\n")

    def test_their_endings_are_their_own(self, run: Callable[..., Attempt]) -> None:
        assert run("exit 3").exit_code == 3
        assert run("kill -9 $$").exit_code == -9
        assert run("exec /no/such/program").exit_code == 127

    def test_they_report_and_have_their_environment(self, run: Callable[..., Attempt]) -> None:
        attempt = run('. "$BOX_LIB"; is "named" "$ASKED" yes; echo x >"$BOX_ARTIFACTS/file"', env={"ASKED": "yes"})
        assert (attempt.outcome, attempt.asserts) == (Verdict.PASSED, 1)

    def test_what_they_leave_running_is_named(self, run: Callable[..., Attempt]) -> None:
        attempt = run("sleep 300 &")
        assert attempt.outcome is Verdict.PASSED
        assert [name.partition(" (")[0] for name in attempt.leaked] == ["sleep 300"]

    def test_a_hung_one_is_ended(self, run: Callable[..., Attempt]) -> None:
        assert run("sleep 300", timeout=1.0, slow=1.0).outcome is Verdict.TIMED_OUT
