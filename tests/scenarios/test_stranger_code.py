"""What a stranger's code can reach once a writer has let it run, and what its change can say about itself."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.fakes.world import OK, REPO, World, box, open_world
from tests.scenarios.test_strangers import BOXES, Stranger, interlock, permit, stranger

CONFIG = ".github/interlock.yml"


@pytest.fixture
async def isolated(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose bot isolates, and has secrets to give."""
    best = rungs(os.environ)[0]
    if not best.works:
        pytest.skip(f"{MISSING} a sandbox: {best.why}")
    async with open_world(tmp_path, bot=False) as world:
        world.sandbox = "full"
        secrets = tmp_path / "secrets"
        secrets.mkdir(mode=0o700)
        world.settings_too = {"secrets_dir": secrets}
        await world.start_bot()
        yield world


def give_secret(world: World, name: str, value: str) -> None:
    """Put a secret of the repository where the owner of the machine keeps them."""
    place = world.settings_too["secrets_dir"] / str(world.hub.repository(REPO).id)
    place.mkdir(mode=0o700)
    (place / name).touch(mode=0o600)
    (place / name).write_text(value)


@pytest.mark.requirement("S-8")
@pytest.mark.requirement("S-9")
async def test_permitted_code_has_no_token_no_secret_no_network_and_no_way_to_the_bot(
    isolated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_WEBHOOK_SECRET", "canary-in-the-environment")
    asks = box("exit 0", title="Asks", secrets='["DEPLOY_KEY"]', network='["files.example:443"]')
    port = isolated.hub.url.rpartition(":")[2]
    connect = (
        "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('conn' + 'ected')"
    )
    spies = f"""
env
for one in /proc/[0-9]*; do tr '\\0' '\\n' < $one/environ; done 2>/dev/null
cat {isolated.data_dir}/*.pem {isolated.data_dir}/links.key {isolated.data_dir}/app.sqlite 2>/dev/null
ls {isolated.data_dir} {isolated.data_dir}/mirrors {isolated.data_dir}/cache 2>/dev/null
python3 -c "{connect}" 127.0.0.1 {port} 2>/dev/null
python3 -c "{connect}" 169.254.169.254 80 2>/dev/null
find / -name '.git' -maxdepth 6 2>/dev/null
echo looked
exit 1"""
    pr = await stranger(
        isolated,
        {"boxes/tier-1/3_asks.sh": box(spies, title="Asks", secrets='["DEPLOY_KEY"]', network='["files.example:443"]')},
        boxes={**BOXES, "boxes/tier-1/3_asks.sh": asks},
    )
    give_secret(isolated, "DEPLOY_KEY", "canary-secret-of-the-repository")
    await permit(pr)
    assert interlock(pr).conclusion == "failure"
    said = pr.check("Interlock / tier 1").text or ""
    assert "looked" in said
    for what in ("canary", "ghs_", "x-access-token", "links.key", "app.sqlite", "PRIVATE KEY", "connected", ".git\n"):
        assert what not in said, what
    assert isolated.hub.webhook_secret not in said


@pytest.mark.requirement("S-13")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {CONFIG: "trust: {bots: [1]}\nboxes: {7: {tier: 1, run: exit 0, secrets: [DEPLOY_KEY]}}\n"}, id="boxes"
        ),
        pytest.param({CONFIG: "report: {falsify: 'off'}\nlimits: {T2: {memory: 64GiB}}\n"}, id="settings"),
        pytest.param({CONFIG: None}, id="no-configuration"),
        pytest.param({CONFIG: "suites: {sly: elsewhere}\n", "elsewhere/boxes/tier-1/1_x.sh": OK}, id="another-suite"),
    ],
)
async def test_the_bases_configuration_is_in_force_whatever_a_stranger_writes(
    isolated: World, change: dict[str, str | None]
) -> None:
    judge = {CONFIG: "boxes: {5: {tier: 2, title: Judge, run: exit 1}}\n"}
    pr = await stranger(isolated, change, boxes={**BOXES, **judge})
    give_secret(isolated, "DEPLOY_KEY", "canary-secret-of-the-repository")
    await permit(pr)
    assert interlock(pr).conclusion == "failure"
    assert pr.check("Interlock / tier 2").conclusion == "failure"
    assert "box 5" in (interlock(pr).summary or "") or "5 Judge" in (interlock(pr).summary or "")


LINK, SUBMODULE = "120000", "160000"


def propose(world: World, entries: dict[str, tuple[str, str]], files: dict[str, str | None]) -> Stranger:
    """A fork's pull request with links (to a text) and submodules (at a SHA) in it."""
    world.hub.fork(REPO, "stranger")
    world.hub.commit("stranger/app", "topic", {"x": "y", **files}, "Try", "stranger")
    git = world.hub.forge.git(world.hub.repository("stranger/app"))
    stream = ["commit refs/heads/topic", "committer S <s@example.com> 1767323045 +0000", "data 2", "X", ""]
    body = "\n".join(stream).encode() + f"from {git.branch('topic')}\n".encode()
    for path, (mode, target) in entries.items():
        body += f"D {path}\n".encode()
        if mode == SUBMODULE:
            body += f"M {mode} {target} {path}\n".encode()
        else:
            body += f"M {mode} inline {path}\ndata {len(target)}\n{target}\n".encode()
    git.git("fast-import", "--quiet", "--force", "--date-format=raw", stdin=body)
    pull = world.hub.open_pull_request(REPO, "topic", "main", "Try", "stranger", head_repo="stranger/app")
    return Stranger(world, REPO, pull.number, "topic", "stranger")


@pytest.mark.requirement("S-13")
@pytest.mark.parametrize(
    ("entries", "files"),
    [
        pytest.param({CONFIG: (LINK, "../sly.yml")}, {"sly.yml": "boxes: {}\n"}, id="configuration-is-a-link"),
        pytest.param({CONFIG: (LINK, "/etc/passwd")}, {}, id="configuration-is-a-link-outside"),
        pytest.param({".github": (SUBMODULE, "1" * 40)}, {}, id="github-is-a-submodule"),
        pytest.param({"boxes": (SUBMODULE, "1" * 40)}, {}, id="boxes-is-a-submodule"),
        pytest.param({"boxes": (LINK, "elsewhere")}, {"elsewhere/tier-1/1_green.sh": OK}, id="boxes-is-a-link"),
        pytest.param({"boxes/tier-2/5_judge.sh": (LINK, "../tier-1/1_green.sh")}, {}, id="a-box-is-a-link-to-another"),
        pytest.param({"boxes/tier-2/5_judge.sh": (LINK, "/bin/true")}, {}, id="a-box-is-a-link-outside"),
    ],
)
async def test_no_link_and_no_submodule_of_a_stranger_takes_the_place_of_what_judges(
    isolated: World, entries: dict[str, tuple[str, str]], files: dict[str, str | None]
) -> None:
    """A body is the head's, so a box can be another one's; then nothing is green either, for entry 6 is the base's."""
    isolated.repository(
        {
            **BOXES,
            CONFIG: "boxes: {6: {tier: 3, title: Entry, run: exit 1}}\n",
            "boxes/tier-2/5_judge.sh": box("exit 0", title="Judge"),
        }
    )
    pr = propose(isolated, entries, files)
    await isolated.settle()
    assert interlock(pr).conclusion == "action_required"
    await permit(pr)
    assert interlock(pr).conclusion in {"failure", "action_required"}


@pytest.mark.requirement("S-12")
async def test_nothing_that_a_strangers_run_has_written_lies_where_a_trusted_one_looks(isolated: World) -> None:
    config = {CONFIG: "setup: {run: 'cp payload $SETUP_DIR/tool', inputs: [payload]}\n", "payload": "good"}
    reads = {"boxes/tier-1/1_green.sh": box('cat "$SETUP_DIR/tool"; exit 1')}
    pr = await stranger(isolated, {"payload": "evil"}, boxes={**BOXES, **config, **reads})
    await permit(pr)
    ctx, repo_id = isolated.running.ctx, isolated.hub.repository(REPO).id
    for place in (ctx.cache, ctx.setups, ctx.answers, ctx.history):
        assert len({place(repo_id, trust) for trust in ("T0", "T1", "T2")}) == 3
    theirs = {path for path in isolated.data_dir.rglob("*") if "T2" in path.parts or path.name == "T2.json"}
    assert theirs
    before = ctx.history(repo_id, "T1")
    assert not before.exists()
    member = await isolated.open_pull_request({"z": "1"}, branch="member")
    await isolated.settle()
    said = member.check("Interlock / tier 1").text or ""
    assert "good" in said
    assert "evil" not in said


@pytest.mark.requirement("S-26")
async def test_the_token_of_a_job_is_for_one_repository_and_to_read_and_gone_when_the_job_is(isolated: World) -> None:
    sold: list[tuple[dict[str, str], list[int] | None]] = []
    mint = isolated.hub.state.tokens.put

    def note(row):  # type: ignore[no-untyped-def]
        if row.installation_id and row.repository_ids is not None:
            sold.append((row.permissions, row.repository_ids))
        return mint(row)

    isolated.hub.state.tokens.put = note  # type: ignore[method-assign]
    pr = await stranger(isolated, {"x": "y"})
    await permit(pr)
    assert sold
    only = [isolated.hub.repository(REPO).id]
    assert all(repositories == only for _, repositories in sold)
    assert {level for permissions, _ in sold for level in permissions.values()} == {"read"}
    assert {name for permissions, _ in sold for name in permissions} == {"contents", "metadata"}
    kept = [
        row for row in isolated.hub.state.tokens if row.repository_ids is not None and "contents" in row.permissions
    ]
    assert not kept


@pytest.mark.requirement("S-9")
@pytest.mark.parametrize("private", [False, True])
async def test_a_declared_submodule_is_given_to_a_strangers_code_only_if_everybody_may_read_it(
    isolated: World, private: bool
) -> None:
    library = {"lib.txt": "text of the library"}
    isolated.hub.create_repository("octo/lib", private=private, files=library)
    sha = isolated.hub.forge.git(isolated.hub.repository("octo/lib")).branch("main") or ""
    isolated.repository(
        {
            "boxes/tier-1/1_green.sh": box("cat vendor/lib/lib.txt; exit 1"),
            ".gitmodules": '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../lib.git\n',
            CONFIG: "checkout: {submodules: [vendor/lib]}\n",
        }
    )
    isolated.hub.commit_submodules(REPO, "main", {"vendor/lib": sha}, "mona")
    pr = propose(isolated, {}, {})
    await isolated.settle()
    await permit(pr)
    said = pr.check("Interlock / tier 1").text or ""
    assert ("text of the library" in said) != private
    assert ("what is private is not given to code of strangers" in (interlock(pr).summary or "")) == private
