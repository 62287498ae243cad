"""What a state directory keeps, what a seed plants, and the command that serves a hub."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from inline_snapshot import snapshot

from bot.localhub import seed
from bot.localhub.hub import LocalHub
from bot.localhub.main import serve
from tests.bot.localhub.clients import as_installation, client

SEED = """\
users: [mona, ada]
teams: {octo/release: [ada, mona]}
repositories:
  - name: octo/app
    from: app
    collaborators: {mona: write}
    forks: [ada]
    environments:
      - {name: staging}
      - {name: production, reviewers: [mona, octo/release], prevent_self_review: true, custom_rules: true}
  - {name: octo/empty, private: true, default_branch: trunk}
"""


async def test_a_restarted_hub_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = LocalHub(tmp_path)
    first.create_repository("octo/app", files={"a": "1\n"}, collaborators={"mona": "write"})
    first.commit("octo/app", "topic", {"a": "2\n"}, "Two\n", "mona")
    pull = first.open_pull_request("octo/app", "topic", "main", "Two", "mona")
    first.comment("octo/app", 1, "hello", "mona")
    async with as_installation(first) as app:
        run = {"name": "Interlock", "head_sha": pull.head_sha, "conclusion": "success"}
        await app.post("/repos/octo/app/check-runs", json=run)
        authorization = app.headers["authorization"]
    await first.stop()

    second = LocalHub(tmp_path)
    assert second.pull_request("octo/app", 1) == first.pull_request("octo/app", 1)
    assert [comment.body for comment in second.comments("octo/app", 1)] == ["hello"]
    assert [one.conclusion for one in second.check_runs("octo/app", pull.head_sha)] == ["success"]
    assert (second.private_key, second.webhook_secret) == (first.private_key, first.webhook_secret)
    async with client(second, authorization.removeprefix("Bearer ")) as app:
        assert (await app.get("/repos/octo/app")).status_code == 200
    again = second.comment("octo/app", 1, "again", "mona")
    assert again.id not in [comment.id for comment in first.comments("octo/app", 1)]
    await second.stop()


async def test_a_hub_without_a_state_directory_leaves_nothing() -> None:
    hub = LocalHub()
    hub.create_repository("octo/app", files={"a": "1\n"})
    assert hub.directory.is_dir()
    await hub.stop()
    assert not hub.directory.exists()


def test_the_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path)
    asyncio.run(hub.stop())
    assert (tmp_path / "app.private-key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "user: [mona]\n", "1: unknown key 'user' (there are: users, teams, repositories)", id="unknown-key"
        ),
        pytest.param("users: mona\n", "1: users is a list", id="no-list"),
        pytest.param("users:\n- mona\n- 'no one'\n", "3: 'no one' is not a login", id="no-login"),
        pytest.param("- mona\n", "1: expected a mapping with users, teams, repositories", id="no-mapping"),
        pytest.param("users: [\n", "2: expected the node content, but found '<stream end>'", id="no-yaml"),
        pytest.param(
            "users: []\nusers: []\n",
            '2: found duplicate key "users" with value "[]" (original value: "[]")',
            id="twice",
        ),
        pytest.param("repositories:\n- {name: app}\n", "2: 'app' is not owner/name", id="no-owner"),
        pytest.param("repositories:\n- {private: true}\n", "2: a repository needs a name", id="no-name"),
        pytest.param("repositories:\n- name: a/b\n  private: 1\n", "3: private is true or false", id="no-boolean"),
        pytest.param("repositories:\n- name: a/b\n  from: none\n", "3: none is no directory", id="no-directory"),
        pytest.param(
            "repositories:\n- name: a/b\n  collaborators:\n    mona: boss\n",
            "4: 'boss' is no role (there are: read, triage, write, maintain, admin)",
            id="no-role",
        ),
        pytest.param("teams: [octo/release]\n", "1: teams is a mapping of organization/team to logins", id="no-teams"),
        pytest.param("teams:\n  release: [mona]\n", "2: 'release' is not organization/team", id="no-team"),
        pytest.param("teams:\n  octo/release:\n  - no one\n", "3: 'no one' is not a login", id="no-member"),
        *(
            pytest.param(f"repositories:\n- name: a/b\n  environments:\n  - {text}\n", f"4: {says}", id=name)
            for name, text, says in (
                ("no-environment", "{reviewers: []}", "None is not the name of an environment"),
                ("a-comma", "{name: 'a,b'}", "'a,b' is not the name of an environment"),
                ("no-such-team", "{name: live, reviewers: [octo/gone]}", "'octo/gone' is not among the teams"),
                (
                    "too-many",
                    "{name: live, reviewers: [a, b, c, d, e, f, g]}",
                    "an environment has at most 6 reviewers",
                ),
                ("a-timer", "{name: live, wait_timer: soon}", "wait_timer is a number of minutes up to 43200"),
                ("a-policy", "{name: live, branch_policy: mine}", "branch_policy is protected or custom"),
                ("a-rule", "{name: live, custom_rules: [us]}", "custom_rules is true or false"),
            )
        ),
    ],
)
def test_a_mistake_in_a_seed_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "seed.yml"
    file.write_text(text)
    with pytest.raises(seed.SeedInvalid) as told:
        seed.read(file)
    assert str(told.value) == f"{file}:{says}"


async def test_a_seed_is_planted_once(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "run.sh").write_text("exit 0\n")
    (tmp_path / "app" / "run.sh").chmod(0o755)
    (tmp_path / "seed.yml").write_text(SEED)
    hub = LocalHub(tmp_path / "state")
    for _ in range(2):
        seed.plant(hub, seed.read(tmp_path / "seed.yml"))
    git = hub.forge.git(hub.repository("octo/app"))
    tip = git.branch("main")
    assert tip
    assert [(one.path, one.mode) for one in git.entries(tip)] == [("run.sh", "100755")]
    assert hub.repository("octo/empty").default_branch == "trunk"
    assert [repo.full_name for repo in hub.state.repositories] == ["octo/app", "ada/app", "octo/empty"]
    production = hub.state.environment(hub.repository("octo/app"), "production")
    assert production
    assert production.reviewers == ["mona", "octo/release"]
    assert production.custom_rules == [hub.app_id]
    assert [team.members for team in hub.state.teams] == [["ada", "mona"]]
    await hub.stop()


def test_a_wrong_seed_ends_the_command_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "seed.yml").write_text("nonsense: 1\n")
    assert serve(state_dir=tmp_path / "state", seed_file=tmp_path / "seed.yml") == 3
    assert "seed.yml:1: unknown key 'nonsense'" in capsys.readouterr().err


def test_a_seed_that_is_no_text_ends_the_command_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "seed.yml").write_bytes(b"users: [\xff]\n")
    assert serve(state_dir=tmp_path / "state", seed_file=tmp_path / "seed.yml") == 3
    assert "seed.yml: cannot be read as UTF-8 text" in capsys.readouterr().err


def test_a_state_directory_that_is_a_file_ends_the_command_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("")
    assert serve(state_dir=tmp_path / "state") == 3
    assert "state: cannot keep state there: File exists" in capsys.readouterr().err


def test_a_taken_port_ends_the_command_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve(port=taken.getsockname()[1]) == 2
    assert "Address already in use" in capsys.readouterr().err


async def test_the_command_says_how_to_reach_it_and_stops_when_told(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a").write_text("1\n")
    (tmp_path / "seed.yml").write_text(SEED)
    program = "import sys; from pathlib import Path; from bot.localhub.main import serve\n"
    program += "sys.exit(serve(state_dir=Path(sys.argv[1]), seed_file=Path(sys.argv[2])))"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path / "state"),
        str(tmp_path / "seed.yml"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout
    ready = json.loads(await process.stdout.readline())
    async with httpx.AsyncClient(
        base_url=ready["url"], headers={"authorization": f"token {ready['users']['mona']}"}
    ) as mona:
        assert (await mona.get("/user")).json()["login"] == "mona"
    process.send_signal(signal.SIGTERM)
    rest = await process.stdout.read()
    assert (await process.wait(), rest) == (0, b"")
    assert sorted(ready) == snapshot(
        [
            "app_id",
            "installation_id",
            "installations",
            "private_key_file",
            "schema",
            "url",
            "users",
            "webhook_secret",
        ]
    )
    assert sorted(ready["users"]) == ["ada", "mona"]
    assert ready["private_key_file"] == str((tmp_path / "state" / "app.private-key.pem").resolve())
