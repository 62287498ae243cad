from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bot.domain.subject import Subject
from bot.github.errors import CommitNotFound, GitHubProblem
from bot.github.git import Conflict
from bot.github.pulls import branch_head, get_pull, repository
from bot.github.workspace import Workspace, Workspaces
from tests.bot.github.conftest import REPO, Connected


@pytest.fixture
def workspaces(connected: Connected, tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "mirrors", connected.app)


async def subject_of(at: Connected, number: int | None, repo: str = REPO) -> Subject:
    base_sha = head_sha = await branch_head(at.gh, repo, "main")
    if number is not None:
        head_sha = (await get_pull(at.gh, repo, number)).head_sha
    return Subject(
        repo_id=(await repository(at.gh, repo)).id, repo=repo, installation_id=at.gh.id, pr=number,
        base_ref="main", base_sha=base_sha, head_sha=head_sha,
    )  # fmt: skip


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


async def test_a_pull_request_is_tested_merged_into_where_its_base_stands(
    connected: Connected, workspaces: Workspaces, tmp_path: Path
) -> None:
    connected.hub.commit(REPO, "topic", {"topic.py": "1"}, "a topic", "mona")
    number = connected.hub.open_pull_request(REPO, "topic", "main", "A topic", "mona").number
    connected.hub.commit(REPO, "main", {"main.py": "1"}, "main goes on", "mona")
    prepared = await workspaces.prepare(await subject_of(connected, number), tmp_path / "run")
    assert isinstance(prepared, Workspace)
    assert names(prepared.tree) == ["README.md", "main.py", "topic.py"]
    assert prepared.base
    assert names(prepared.base) == ["README.md", "main.py"]


async def test_a_push_is_tested_as_it_is(connected: Connected, workspaces: Workspaces, tmp_path: Path) -> None:
    sha = connected.hub.commit(REPO, "main", {"main.py": "1"}, "main goes on", "mona")
    prepared = await workspaces.prepare(await subject_of(connected, None), tmp_path / "run")
    assert prepared == Workspace(tree=tmp_path / "run" / "tree", base=None, commit=sha)
    assert names(tmp_path / "run") == ["tree/README.md", "tree/main.py"]


async def test_a_fork_is_fetched_through_the_base_repository(
    connected: Connected, workspaces: Workspaces, tmp_path: Path
) -> None:
    connected.hub.fork(REPO, "lea")
    connected.hub.commit("lea/app", "topic", {"b": "1"}, "a topic", "lea")
    number = connected.hub.open_pull_request(REPO, "topic", "main", "From afar", "lea", head_repo="lea/app").number
    prepared = await workspaces.prepare(await subject_of(connected, number), tmp_path / "run")
    assert isinstance(prepared, Workspace)
    assert names(prepared.tree) == ["README.md", "b"]


async def test_a_conflict_writes_nothing_and_names_the_files(
    connected: Connected, workspaces: Workspaces, tmp_path: Path
) -> None:
    connected.hub.commit(REPO, "topic", {"README.md": "theirs\n"}, "a topic", "mona")
    number = connected.hub.open_pull_request(REPO, "topic", "main", "A topic", "mona").number
    connected.hub.commit(REPO, "main", {"README.md": "ours\n"}, "main goes on", "mona")
    subject = await subject_of(connected, number)
    assert await workspaces.prepare(subject, tmp_path / "run") == Conflict(("README.md",))
    assert not [*(tmp_path / "run").glob("*")]


async def test_a_private_repository_is_fetched_with_a_token_for_it_alone(
    connected: Connected, workspaces: Workspaces, tmp_path: Path
) -> None:
    connected.hub.create_repository("octo/secret", files={"s": "1"}, private=True)
    subject = await subject_of(connected, None, "octo/secret")
    assert isinstance(await workspaces.prepare(subject, tmp_path / "run"), Workspace)
    narrowed = await connected.app.token(
        connected.gh.id, repository_id=subject.repo_id, permissions={"contents": "read"}
    )
    assert narrowed.reveal() != (await connected.app.token(connected.gh.id)).reveal()
    other = workspaces.mirror(1, REPO)
    with pytest.raises(GitHubProblem):
        await workspaces.mirror(2, "octo/none").fetch(["f" * 40], token=narrowed)
    with pytest.raises(CommitNotFound):
        await other.fetch(["f" * 40], token=narrowed)


async def test_a_token_that_the_server_no_longer_takes_is_replaced(
    connected: Connected, workspaces: Workspaces, tmp_path: Path
) -> None:
    connected.hub.create_repository("octo/secret", files={"s": "1"}, private=True)
    subject = await subject_of(connected, None, "octo/secret")
    stale = await connected.app.token(connected.gh.id, repository_id=subject.repo_id, permissions={"contents": "read"})
    async with httpx.AsyncClient(base_url=connected.hub.url) as anybody:
        revoked = await anybody.delete("/installation/token", headers={"Authorization": f"Bearer {stale.reveal()}"})
    assert revoked.status_code == 204
    assert isinstance(await workspaces.prepare(subject, tmp_path / "run"), Workspace)


async def test_a_head_that_is_gone_is_said_to_be(connected: Connected, workspaces: Workspaces, tmp_path: Path) -> None:
    subject = await subject_of(connected, None)
    gone = Subject(
        repo_id=subject.repo_id, repo=REPO, installation_id=subject.installation_id, pr=None,
        base_ref="main", base_sha=subject.base_sha, head_sha="f" * 40,
    )  # fmt: skip
    with pytest.raises(CommitNotFound, match="f" * 40):
        await workspaces.prepare(gone, tmp_path / "run")


async def test_a_renamed_repository_keeps_its_mirror(connected: Connected, workspaces: Workspaces) -> None:
    before = workspaces.mirror(7, "octo/app")
    after = workspaces.mirror(7, "octo/renamed")
    assert before is after
    assert after.remote_url == f"{connected.hub.url}/octo/renamed.git"
