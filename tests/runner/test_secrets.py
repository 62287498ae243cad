"""Who gets a secret, who does not, and that it is nowhere to be found afterwards."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.errors import UserError
from runner.secret_values import read_file
from tests.runner.command_line import Repository, of

if TYPE_CHECKING:
    from runner.events import Event

CANARY = "c4nary-in-the-mine/0123456789"
KEY = "".join(("gh", "p_", "A1b2" * 9))

# Everything that a box can say something with, a secret in each.
TELLS_ALL = """\
#!/usr/bin/env python3
# /// box
# secrets = ["CANARY"]
# timeout = "5s"
# ///
import base64, json, os, subprocess, sys

secret = os.environ["CANARY"]
cut = len(secret) // 2
for stream in (sys.stdout, sys.stderr):
    stream.write(f"it is {secret[:cut]}")
    stream.flush()
    stream.write(f"{secret[cut:]}, in colour \\x1b[31m{secret}\\x1b[0m\\n")
    stream.write("x" * 70_000 + secret + "y" * 300_000 + secret + "\\n")
    stream.flush()
    stream.write(base64.b64encode(b"user:" + secret.encode()).decode() + "\\n")
    stream.write("%s\\n" % "KEY")
print("not ok 1 - tap", secret, "# and", secret)
print("# diagnostic", secret)
print("Bail out!", secret)
with open(os.environ["BOX_REPORT"], "w") as report:
    for record in (
        {"type": "assertion", "id": f"id {secret}", "ok": False, "message": secret * 300, "file": secret, "line": 1},
        {"type": "assertion", "id": "x" * 290 + secret, "ok": False, "message": "x" * 4090 + secret},
        {"type": "metric", "name": f"of {secret}", "value": 1, "unit": secret},
        {"type": "attachment", "path": f"{secret[:6]}.txt", "title": secret},
    ):
        report.write(json.dumps(record) + "\\n")
with open(os.environ["BOX_JUNIT"], "w") as junit:
    junit.write('<testsuite><testcase classname="a" name="%s"><failure message="%s">%s</failure></testcase>'
                '</testsuite>' % (secret, secret, secret))
artifacts = os.environ["BOX_ARTIFACTS"]
os.makedirs(f"{artifacts}/of-{secret.replace('/', '%2F')}")
for name in ("plain.txt", f"of-{secret.replace('/', '%2F')}/{base64.b64encode(secret.encode()).decode()}.json"):
    with open(f"{artifacts}/{name}", "w") as artifact:
        json.dump({"key": secret, "hex": secret.encode().hex()}, artifact)
for arguments in ([secret], ["x" * 160, secret]):
    subprocess.Popen(["sh", "-c", "sleep 1000; :", *arguments], start_new_session=True)
WAIT
sys.exit(1)
""".replace("KEY", KEY)


def spellings(value: str) -> list[bytes]:
    """What must not be found, nor any large part of it."""
    parts = [value[at : at + 16] for at in range(len(value) - 16)]
    return [*(part.encode() for part in parts), value.encode().hex().encode()]


def written_below(*places: Path) -> dict[str, bytes]:
    """Every file's name and content."""
    found = {}
    for place in places:
        for directory, _, names in os.walk(place):
            for name in names:
                path = Path(directory, name)
                found[str(path)] = os.fsencode(path) + b"\n" + path.read_bytes()
    return found


def secrets_file(repo: Repository, text: str) -> str:
    path = repo.root.parent / "secrets"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def needs(level: str) -> None:
    if level == "full" and not shutil.which("bwrap"):
        pytest.skip("missing component: bubblewrap")


@pytest.mark.parametrize("level", ["off", "full"])
@pytest.mark.parametrize("wait", ["", "import time; time.sleep(1000)"], ids=["red", "timed-out"])
@pytest.mark.parametrize("form", ["plain", "github"])
def test_a_secret_is_in_nothing_that_leaves_a_box(tmp_path: Path, wait: str, form: str, level: str) -> None:
    needs(level)
    repo = Repository(tmp_path)
    repo.write("boxes/tier-1/7_tells.py", TELLS_ALL.replace("WAIT", wait))
    out = tmp_path / "out"
    out.mkdir()
    ended = repo.runner(
        *("run", "--trust", "T0", "--sandbox", level, "--secrets", secrets_file(repo, f"CANARY={CANARY}\n")),
        *("--jsonl", str(out / "events"), "--junit", str(out / "junit"), "--logs", str(out / "logs")),
        *("--format", form),
        GITHUB_STEP_SUMMARY=str(out / "summary"),
    )
    left = written_below(out, repo.cache)
    left["stdout"], left["stderr"] = ended.out.encode(), ended.err.encode()

    assert ended.code == 1
    assert {"events", "junit", "7.1.log", "plain.txt"} <= {os.path.basename(name) for name in left}  # noqa: PTH119
    assert b"[secret CANARY]" in left[str(out / "logs" / "7.1.log")]
    for needle in (*spellings(CANARY), *spellings(KEY)):
        assert not [name for name, content in left.items() if needle in content], needle


def names_of(repo: Repository, *words: str, **env: str) -> tuple[dict[int, str], list[str]]:
    """What each box saw of TOKEN and OTHER, and what was warned of."""
    for number, named in ((1, '["TOKEN"]'), (2, "[]")):
        repo.box(number, 'echo "saw ${#TOKEN} ${#OTHER}"; exit 1', block=f"secrets = {named}")
    events: list[Event] = repo.events(*words, "--fail-fast", "never", **env)
    seen = {event.box.number: event.output.strip() for event in of("BoxFinished", events)}
    return seen, [event.message for event in of("Warned", events)]


TRUSTED, NOBODY = {1: "saw 8 0", 2: "saw 0 0"}, {1: "saw 0 0", 2: "saw 0 0"}


@pytest.mark.parametrize(("trust", "seen"), [("", TRUSTED), ("T0", TRUSTED), ("T1", NOBODY)])
def test_only_the_box_that_names_it_gets_it_and_only_where_code_is_trusted(
    tmp_path: Path, trust: str, seen: dict[int, str]
) -> None:
    repo = Repository(tmp_path)
    path = secrets_file(repo, "# of the project\n\nTOKEN=12345678\nOTHER=87654321\n")
    trusted = ("--trust", trust, "--sandbox", "off") if trust else ()
    assert names_of(repo, "--secrets", path, *trusted) == (
        seen,
        [] if seen == TRUSTED else ["box 1 starts without TOKEN: trust level T1 gets none"],
    )


def test_a_local_run_takes_it_from_the_environment_which_no_other_box_inherits(tmp_path: Path) -> None:
    assert names_of(Repository(tmp_path), TOKEN="12345678") == (TRUSTED, [])


def test_a_secret_that_is_nowhere_is_warned_of(tmp_path: Path) -> None:
    repo = Repository(tmp_path)
    seen, warned = names_of(repo)
    assert (seen, warned) == (
        NOBODY,
        ["box 1 starts without TOKEN: not in the environment (nor is there a --secrets FILE)"],
    )
    _, warned = names_of(repo, "--secrets", secrets_file(repo, "OTHER=87654321"))
    assert warned == [f"box 1 starts without TOKEN: not in the secrets file {tmp_path / 'secrets'}"]


def test_no_command_line_has_it(tmp_path: Path) -> None:
    repo = Repository(tmp_path)
    repo.box(1, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > $BOX_ARTIFACTS/all; :", block='secrets = ["TOKEN"]')
    logs = tmp_path / "logs"
    repo.runner("run", "--secrets", secrets_file(repo, f"TOKEN={CANARY}"), "--logs", str(logs))
    shown = (logs / "1.1.artifacts" / "all").read_bytes()
    assert b"runner run --secrets" in shown
    assert b"***" not in shown


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        pytest.param("TOKEN=12345678", 0o640, "can be read by others than its owner (chmod 600", id="readable"),
        pytest.param("TOKEN=123", 0o600, "the secret TOKEN has 3 bytes", id="too-short"),
        pytest.param("TOKEN=12345678\nthe-secret-value", 0o600, ":2: not a line NAME=value", id="no-name"),
        pytest.param("TOKEN=12345678\nTOKEN=87654321", 0o600, ":2: TOKEN is there twice", id="twice"),
        pytest.param('{"TOKEN": "the-secret-value",}', 0o600, "begins like JSON and is none", id="no-json"),
        pytest.param('{"TOKEN": ["the-secret-value"]}', 0o600, "one object of names and strings", id="no-strings"),
    ],
)
def test_a_file_that_will_not_do_is_refused_and_not_quoted(tmp_path: Path, text: str, mode: int, said: str) -> None:
    repo = Repository(tmp_path)
    repo.box(1, ":")
    path = Path(secrets_file(repo, text))
    path.chmod(mode)
    ended = repo.runner("run", "--secrets", str(path))
    assert ended.code == 3
    assert said in ended.err
    assert "the-secret-value" not in ended.err
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_directory_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        read_file(str(tmp_path))


def test_a_file_in_json_may_have_values_of_several_lines(tmp_path: Path) -> None:
    repo = Repository(tmp_path)
    repo.box(1, 'printf "%s" "$TOKEN" | tail -n 1; exit 1', block='secrets = ["TOKEN"]')
    path = secrets_file(repo, json.dumps({"TOKEN": "the first line\nthe second line"}))
    (event,) = of("BoxFinished", repo.events("--secrets", path))
    assert event.output == "[secret TOKEN]"
