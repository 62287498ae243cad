"""Submodules and Git LFS: what the base declares is there, and everything else is said to be missing."""

from __future__ import annotations

import pytest

from bot.localhub.acts.accounts import create_user
from tests.fakes.world import REPO, World, box

CONFIG = ".github/interlock.yml"
LIB = "octo/lib"
MODULES = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../lib.git\n'
LOOKS = {"boxes/tier-1/1_looks.sh": box("cat vendor/lib/lib.txt big.bin 2>&1; exit 1")}
DECLARED = {CONFIG: "checkout: {submodules: [vendor/lib]}\n"}


def with_submodule(world: World, files: dict[str, str], *, private: bool = False) -> str:
    """A repository with another one in it; the SHA that it stands at."""
    world.hub.create_repository(
        LIB, private=private, files={"lib.txt": "text of the library"}, collaborators={"mona": "write"}
    )
    world.repository({**LOOKS, ".gitmodules": MODULES, **files})
    sha = world.hub.forge.git(world.hub.repository(LIB)).branch("main") or ""
    world.hub.commit_submodules(REPO, "main", {"vendor/lib": sha}, "mona")
    return sha


async def seen(world: World, files: dict[str, str | None], links: dict[str, str] | None = None) -> tuple[str, str]:
    """What a member's box prints, and the summary of the check."""
    world.hub.commit(REPO, "topic", files or {"x": "y"}, "Topic", "mona")
    if links:
        world.hub.commit_submodules(REPO, "topic", links, "mona")
    pull = world.hub.open_pull_request(REPO, "topic", "main", "Topic", "mona")
    await world.settle()
    checks = {check.name: check for check in world.hub.check_runs(REPO, pull.head_sha)}
    return checks["Interlock / tier 1"].text or "", checks["Interlock"].summary or ""


@pytest.mark.parametrize("private", [False, True])
async def test_a_declared_submodule_is_there_at_the_commit_that_the_change_names(world: World, private: bool) -> None:
    with_submodule(world, DECLARED, private=private)
    newer = world.hub.commit(LIB, "main", {"lib.txt": "newer text"}, "Newer", "mona")
    said, summary = await seen(world, {}, {"vendor/lib": newer})
    assert "newer text" in said
    assert "submodule" not in summary


async def test_a_submodule_that_nobody_declared_is_empty_and_the_check_says_how_to_get_it(world: World) -> None:
    with_submodule(world, {})
    said, summary = await seen(world, {CONFIG: DECLARED[CONFIG]})  # the change's own word does not count.
    assert "text of the library" not in said
    assert "the submodule vendor/lib is empty" in summary
    assert "checkout: {submodules: [vendor/lib]}" in summary.replace("\\", "")


async def test_a_change_cannot_point_a_declared_submodule_at_another_repository(world: World) -> None:
    """Whoever may write here may not read everything that the App can read."""
    sha = with_submodule(world, DECLARED)
    world.hub.create_repository("octo/secret", private=True, files={"lib.txt": "text of the secret"})
    secret = world.hub.forge.git(world.hub.repository("octo/secret")).branch("main") or ""
    moved = {".gitmodules": MODULES.replace("../lib.git", "../secret.git")}
    said, summary = await seen(world, dict(moved), {"vendor/lib": secret})
    assert secret != sha
    assert "text of the secret" not in said
    assert "the submodule vendor/lib is empty" in summary


@pytest.mark.parametrize("url", ["file:///etc", "ext::sh -c id", "https://elsewhere.example/octo/lib.git"])
async def test_a_submodule_of_another_host_is_not_fetched(world: World, url: str) -> None:
    with_submodule(world, {**DECLARED, ".gitmodules": MODULES.replace("../lib.git", url)})
    said, summary = await seen(world, {})
    assert "text of the library" not in said
    assert "only repositories on the same GitHub are fetched" in summary


async def test_a_private_submodule_of_another_installation_is_not_fetched(world: World) -> None:
    world.hub.create_repository("acme/lib", private=True, files={"lib.txt": "text of acme"})
    sha = world.hub.forge.git(world.hub.repository("acme/lib")).branch("main") or ""
    with_submodule(world, {**DECLARED, ".gitmodules": MODULES.replace("../lib.git", "../../acme/lib.git")})
    said, summary = await seen(world, {}, {"vendor/lib": sha})
    assert "text of acme" not in said
    assert "the submodule vendor/lib is empty" in summary


ATTRIBUTES = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}


@pytest.mark.parametrize("private", [False, True])
async def test_declared_large_files_are_there_in_place_of_their_pointers(world: World, private: bool) -> None:
    world.hub.create_repository(REPO, private=private, files={"x": "y"}, collaborators={"mona": "write"})
    create_user(world.hub.forge, "mona")
    pointer = world.hub.keep_large_file(REPO, b"large content " * 1000)
    files = {**LOOKS, **ATTRIBUTES, CONFIG: "checkout: {lfs: true}\n", "big.bin": pointer}
    world.hub.commit(REPO, "main", dict(files), "Boxes", "mona")
    said, summary = await seen(world, {})
    assert "large content large content" in said
    assert "LFS" not in summary


async def test_a_large_file_that_is_not_fetched_is_named(world: World) -> None:
    world.repository({**LOOKS, **ATTRIBUTES})
    pointer = world.hub.keep_large_file(REPO, b"large content " * 1000)
    said, summary = await seen(world, {"big.bin": pointer})
    assert "git-lfs.github.com/spec" in said.replace("\u200d", "")
    assert "big.bin is in Git LFS and not fetched" in summary
    assert "checkout: {lfs: true}" in summary


@pytest.mark.parametrize("name", ["Übersicht.md", 'a "quoted" name', "two\nlines", "back\\slash"])
async def test_a_small_file_beside_large_ones_may_have_any_name(world: World, name: str) -> None:
    """git shows such a name in quotes, unless it is told not to; a file of that name is not there."""
    world.repository({**LOOKS, **ATTRIBUTES, name: "text " * 40})
    said, _ = await seen(world, {})
    assert "No such file" in said  # what the box itself says: it ran.


async def test_a_submodule_may_have_any_name(world: World) -> None:
    files = {
        CONFIG: "checkout: {submodules: [vendor/bücher]}\n",
        ".gitmodules": MODULES.replace("r/lib\n", "r/bücher\n"),
    }
    with_submodule(world, {**files, "boxes/tier-1/1_looks.sh": box("cat vendor/bücher/lib.txt; exit 1")})
    sha = world.hub.forge.git(world.hub.repository(LIB)).branch("main") or ""
    said, _ = await seen(world, {}, {"vendor/bücher": sha})
    assert "text of the library" in said


async def test_a_large_file_that_the_server_has_not_got_is_named_and_the_boxes_run(world: World) -> None:
    world.repository({**LOOKS, **ATTRIBUTES, CONFIG: "checkout: {lfs: true}\n"})
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 12345\n"
    said, summary = await seen(world, {"big.bin": pointer})
    why = "big.bin is in Git LFS and not fetched: the LFS server has not got 111111111111"
    assert why in summary.replace("\u200d", "")
    assert said
