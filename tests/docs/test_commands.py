"""Every shell block of the documentation runs, or says why it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, SCRIPTS, BadMarker, Block, blocks, matches, name, pages

NOT_RUN = {
    "docs/how-to/roll-back.md": 1,  # it asks a bot that runs.
    "docs/how-to/steer-a-pull-request.md": 1,  # it asks a bot that runs.
    "docs/how-to/install-on-a-server.md": 8,  # on a server with a name; each says what tries it.
    "docs/how-to/deploy-with-interlock.md": 2,  # on a server; a server to ask.
    "docs/how-to/get-notified.md": 2,  # it installs what is installed; the reader's own addresses.
    "docs/how-to/give-a-box-a-secret.md": 1,  # the text of a box.
    "docs/how-to/use-services-in-boxes.md": 4,  # the texts of two boxes; what depends on the machine.
    "README.md": 3,  # make demo, make test, the reader's own PATH.
    "docs/how-to/get-a-full-sandbox.md": 3,  # they change the machine, or name an image of the reader's.
    "docs/reference/configuration.md": 1,  # the same.
    "docs/reference/targets.md": 1,  # the example of a target, which the contract suite runs.
    "docs/reference/localhub.md": 2,  # programs that go on, and the reader's own tokens.
    "docs/tutorial/01-protect-your-first-repository.md": 2,  # the demo, which has a scenario; an App on GitHub.
}


def shown(page: Path) -> list[Block]:
    return list(blocks(page.read_text("utf-8"), name(page)))


def install(folder: Path) -> None:
    """Put this tree's commands into a folder, whatever else may be installed."""
    folder.mkdir(exist_ok=True)
    for script, entry in SCRIPTS.items():
        code = f"import sys; sys.path[0] = {str(ROOT)!r}; from {entry.replace(':', ' import ')}; sys.exit(main())"
        command = folder / script
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
        command.chmod(0o755)


def environment(home: Path) -> dict[str, str]:
    """A plain user's: our commands, those of this environment, a home and a git identity of their own."""
    return {
        "PATH": os.pathsep.join([str(home / "bin"), str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_NAME": "mona" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "mona@example.test" for role in ("AUTHOR", "COMMITTER")},
    }


def run(block: Block, scratch: Path, home: Path) -> None:
    steps = block.steps()
    for number, (command, expected) in enumerate(steps, start=1):
        answer = subprocess.run(
            ["/bin/sh", "-euc", command],
            cwd=ROOT if block.here else scratch,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        wanted = block.exit_code if number == len(steps) else 0
        assert answer.returncode == wanted, f"{block.where}: {command}\n{answer.stdout}"
        if expected is not None:
            assert matches(expected, answer.stdout), f"{block.where}: {command} printed\n{answer.stdout}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    scratch, home = tmp_path / "scratch", tmp_path / "home"
    scratch.mkdir()
    home.mkdir()
    install(home / "bin")
    for block in shown(page):
        if not block.not_run:
            run(block, scratch, home)


def test_the_blocks_that_are_not_run_are_counted() -> None:
    counts = {name(page): sum(1 for block in shown(page) if block.not_run) for page in pages()}
    assert {page: count for page, count in counts.items() if count} == NOT_RUN


def one(text: str) -> Block:
    (block,) = blocks(text, "page.md")
    return block


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```sh\nls\n```\n", id="no-marker"),
        pytest.param("```console\n$ ls\n```\n", id="no-marker-on-a-console"),
        pytest.param("```sh not-run:\nls\n```\n", id="no-reason"),
        pytest.param("```sh runs\nls\n```\n", id="a-typo"),
        pytest.param("```bash run\nls\n```\n", id="another-name-of-the-language"),
    ],
)
def test_a_block_that_does_not_say_what_a_test_does_with_it_is_red(text: str) -> None:
    with pytest.raises(BadMarker, match=r"page\.md:1: "):
        list(blocks(text, "page.md"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```sh run\nfalse\n```\n", id="a-script-that-fails"),
        pytest.param("```sh run\nfalse\ntrue\n```\n", id="in-its-middle"),
        pytest.param("```sh run exit=1\ntrue\n```\n", id="a-success-where-a-failure-was-promised"),
        pytest.param("```console run\n$ echo one\ntwo\n```\n", id="another-output"),
        pytest.param("```console run\n$ echo one\n$ false\n```\n", id="a-later-command"),
    ],
)
def test_a_block_that_does_not_do_what_it_shows_is_red(text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        run(one(text), tmp_path, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```sh run\ntrue\n```\n", id="a-script"),
        pytest.param("```console run\n$ echo 'one  two'\none  two\n$ true\n```\n", id="output-as-shown"),
        pytest.param("```console run\n$ echo one; echo 3.2 s; echo two\none\n…\ntwo\n```\n", id="any-text"),
        pytest.param("```console run\n$ echo one \\\n    two\none two\n```\n", id="a-continued-line"),
        pytest.param("```console run exit=3\n$ true\n$ exit 3\n```\n", id="a-promised-status"),
        pytest.param("```sh run here\ntest -f pyproject.toml\n```\n", id="in-the-repository"),
    ],
)
def test_a_block_that_does_what_it_shows_is_green(text: str, tmp_path: Path) -> None:
    run(one(text), tmp_path, tmp_path)
