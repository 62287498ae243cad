"""Code of a release sees nothing of the bot, and runs as nobody who could."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.deploy.confine import LARGEST, Allowance, Confinement, Refusal, Way, allowance_from, allowance_of, choose
from bot.deploy.running import KILLED, Ran, run
from bot.deploy.target import Unbuildable
from bot.ops.settings import load_settings

SYSTEM_PYTHON = "/usr/bin/python3"
PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """The bot's, with a key in it, and the files of a release. Not in /tmp, which is hidden anyway."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        (directory / "deployments" / "7" / "tree").mkdir(parents=True)
        (directory / "app.sqlite").write_text("everything that the bot knows")
        (directory / "key.pem").write_text("PRIVATE KEY")
        yield directory


@pytest.fixture
def confinement(data_dir: Path) -> Confinement:
    """The best there is: as another user, in a view."""
    if os.geteuid():
        # Not counted as a missing component: whoever is not root has nothing to install.
        pytest.skip("only root can become another user")
    if not shutil.which("bwrap"):
        pytest.skip("missing component: bubblewrap")
    chosen = choose(Allowance(user="nobody", hidden=(str(data_dir),), path=PATH))
    assert isinstance(chosen, Confinement)
    if chosen.way is not Way.VIEW:
        pytest.skip("missing component: a bubblewrap that works")
    return chosen


def tree(data_dir: Path) -> Path:
    return data_dir / "deployments" / "7" / "tree"


async def ran(confinement: Confinement, data_dir: Path, command: str, **environ: str) -> Ran:
    confinement.own(tree(data_dir))
    return await run(
        confinement,
        command,
        directory=tree(data_dir),
        environ=environ,
        writes=(tree(data_dir),),
        within=20,
    )


async def test_it_reads_and_writes_its_own_files(confinement: Confinement, data_dir: Path) -> None:
    assert (await ran(confinement, data_dir, "echo built > result && pwd")).out == f"{tree(data_dir)}\n"
    assert (tree(data_dir) / "result").read_text() == "built\n"


@pytest.mark.parametrize("name", ["app.sqlite", "key.pem", "deployments/8"])
async def test_it_does_not_see_the_bots_files(confinement: Confinement, data_dir: Path, name: str) -> None:
    (data_dir / "deployments" / "8").mkdir()
    answer = await ran(confinement, data_dir, f"ls -la {data_dir}/{name}")
    assert answer.code
    assert "No such file" in answer.printed


async def test_it_is_another_user_without_rights(confinement: Confinement, data_dir: Path) -> None:
    said = (await ran(confinement, data_dir, "id -u; grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")).out
    assert said.split("\n")[0] == str(confinement.person.uid if confinement.person else -1)
    assert {line.split()[1] for line in said.splitlines()[1:]} == {"0000000000000000", "1"}


async def test_it_sees_no_process_but_its_own(confinement: Confinement, data_dir: Path) -> None:
    said = (await ran(confinement, data_dir, "cat /proc/[0-9]*/comm")).out
    assert set(said.split()) <= {"bwrap", "sh", "cat"}


async def test_its_environment_is_what_is_declared(confinement: Confinement, data_dir: Path) -> None:
    value = 'it\'s $(id)\nand "more" \\ \x01'
    command = f"{SYSTEM_PYTHON} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    said = json.loads((await ran(confinement, data_dir, command, TOKEN=value)).out)
    assert said.pop("TOKEN") == value
    said.pop("LC_CTYPE", None)
    assert said == {"PATH": PATH, "LANG": "C.UTF-8", "PWD": str(tree(data_dir))}


async def test_no_command_line_shows_what_it_is_told(confinement: Confinement, data_dir: Path) -> None:
    assert "hunter2" not in " ".join(confinement.argv(("true",), directory=tree(data_dir)))
    said = (await ran(confinement, data_dir, "cat /proc/[0-9]*/cmdline", TOKEN="hunter2")).out
    assert "bwrap" in said
    assert "hunter2" not in said


async def test_variables_steer_no_program_that_still_has_rights(confinement: Confinement, data_dir: Path) -> None:
    # Whatever runs with this variable loads the library; of a missing one the loader complains, once a program.
    answer = await ran(confinement, data_dir, "true", LD_PRELOAD="/nowhere/evil.so", BASH_ENV="/nowhere")
    complaints = [line for line in answer.printed.splitlines() if "evil.so" in line]
    assert answer.code == 0
    # The shell that was already there has become `sh -c true`: one program, of the user's own.
    assert len(complaints) == 1


async def test_without_the_network_there_is_nothing_to_reach(confinement: Confinement, data_dir: Path) -> None:
    confinement.own(tree(data_dir))
    answer = await run(
        confinement,
        "cat /proc/net/dev | grep -c :",
        directory=tree(data_dir),
        environ={},
        writes=(tree(data_dir),),
        network=False,
        within=20,
    )
    assert answer.out.strip() == "1", "loopback alone"


async def test_a_command_whose_time_is_over_is_killed_with_all_it_started(
    confinement: Confinement, data_dir: Path
) -> None:
    confinement.own(tree(data_dir))
    answer = await run(
        confinement,
        "echo begun; sleep 600 & sleep 600",
        directory=tree(data_dir),
        environ={},
        writes=(tree(data_dir),),
        within=0.5,
        together=True,
    )
    assert answer.code == KILLED
    assert answer.printed == "begun\n\nkilled after 0.5 s"


def test_links_are_given_to_the_user_and_not_what_they_lead_to(confinement: Confinement, data_dir: Path) -> None:
    (tree(data_dir) / "link").symlink_to(data_dir / "key.pem")
    (tree(data_dir) / "down").symlink_to(data_dir)
    confinement.own(tree(data_dir))
    assert (data_dir / "key.pem").stat().st_uid == 0
    assert (tree(data_dir) / "link").lstat().st_uid != 0


def test_more_variables_than_a_pipe_takes_are_refused(confinement: Confinement) -> None:
    with pytest.raises(Unbuildable, match="more than 60000 bytes"):
        confinement.said({"A": "x" * LARGEST})


@pytest.mark.parametrize(
    ("allowance", "because"),
    [
        pytest.param(Allowance(path=PATH), "set INTERLOCK_DEPLOY_USER", id="nobody is named"),
        pytest.param(Allowance(user="root", path=PATH), "must not be root", id="root"),
        pytest.param(Allowance(user="no-such-user", path=PATH), "does not know", id="unknown"),
        pytest.param(Allowance(user="nobody", path="/nowhere"), "setpriv is not installed", id="no setpriv"),
    ],
)
def test_as_root_nothing_runs_without_a_user_of_its_own(allowance: Allowance, because: str) -> None:
    chosen = choose(allowance, root=True)
    assert isinstance(chosen, Refusal)
    assert because in chosen.because


def test_as_another_user_without_a_view_nothing_runs_unless_the_operator_says_so() -> None:
    refused = choose(Allowance(path="/nowhere"), root=False)
    assert isinstance(refused, Refusal)
    assert "INTERLOCK_DEPLOY_UNCONFINED=yes" in refused.because
    allowed = choose(Allowance(path="/nowhere", unconfined=True), root=False)
    assert isinstance(allowed, Confinement)
    assert allowed.way is Way.NONE


def test_a_user_goes_before_no_confinement() -> None:
    chosen = choose(Allowance(user="no-such-user", unconfined=True, path=PATH), root=True)
    assert isinstance(chosen, Refusal)


async def test_as_the_bots_own_user_it_writes_only_where_it_may(data_dir: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        ours, theirs, secret = (Path(made) / name for name in ("ours", "theirs", "theirs/secret"))
        for directory in (ours, theirs, secret):
            directory.mkdir()
        (secret / "key").write_text("PRIVATE KEY")
        hidden = (str(data_dir), str(secret))
        confinement = choose(Allowance(hidden=hidden, writes=(str(theirs),), path=PATH), root=False)
        if not isinstance(confinement, Confinement) or confinement.way is not Way.OWN_VIEW:
            pytest.skip("missing component: a bubblewrap that works")
        where = {"tree": tree(data_dir), "ours": ours, "theirs": theirs}
        for name, path in where.items():
            await ran(confinement, data_dir, f"echo {name} > {path}/written")
        assert {name: (path / "written").exists() for name, path in where.items()} == {
            "tree": True,
            "ours": False,
            "theirs": True,
        }
        assert (await ran(confinement, data_dir, f"ls /run/systemd/private /run/docker.sock {secret}")).out.strip() == (
            f"{secret}:"
        )


def test_what_is_allowed_survives_being_handed_to_a_process() -> None:
    allowance = Allowance(
        kinds=frozenset({"process"}), user="web", hidden=("/a b", "/c,d"), writes=("/e f", "/g"), path="/bin"
    )
    assert allowance_from(allowance.environ()) == allowance


def test_the_key_and_the_tables_are_hidden_wherever_they_lie(tmp_path: Path) -> None:
    data_dir, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data_dir / "credentials").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "github_private_key").write_text("-----BEGIN PRIVATE KEY-----")
    (data_dir / "credentials" / "webhook-secret").write_text("hush")
    told = {
        "INTERLOCK_DATA_DIR": str(data_dir),
        "INTERLOCK_GITHUB_APP_ID": "7",
        "INTERLOCK_WEBHOOK_SECRET_FILE": str(data_dir / "credentials" / "webhook-secret"),
        "INTERLOCK_DATABASE_URL": f"sqlite+aiosqlite:///{elsewhere}/tables.sqlite",
        "CREDENTIALS_DIRECTORY": str(elsewhere),
    }
    settings, _ = load_settings(told, cwd=tmp_path)
    tables = [f"{elsewhere}/tables.sqlite{end}" for end in ("", "-wal", "-shm")]
    assert set(allowance_of(settings).hidden) == {str(data_dir), f"{elsewhere}/github_private_key", *tables}
