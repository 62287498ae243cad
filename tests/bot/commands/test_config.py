from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bot.cli import main
from bot.commands.config_findings import DEPLOYABLE
from bot.deploy.target import Unbuildable
from bot.deploy.targets.opening import capabilities_of
from bot.domain.deploy.environment import TargetSpec
from runner.environment_shapes import TARGETS

CONFIG = ".github/interlock.yml"
VALID = """\
defaults: {timeout: 30s}
trust: {network: [packages], egress: {packages: [packages.example.org]}}
boxes:
  1: {tier: 1, title: Lint, run: ruff check ., network: [packages, other.example], secrets: [KEY]}
  2: {tier: 2, title: Unit, run: pytest, control: {env: {LIMIT: 0}}}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(repository: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_valid_is_said_to_be_with_what_is_probably_not_meant(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, {CONFIG: VALID})
    assert main(["config", "check"]) == 0
    head, *warnings = capsys.readouterr().out.splitlines()
    assert head.startswith(".: valid, 2 boxes in 2 tiers, hash ")
    assert warnings == snapshot(
        [
            "warning: boxes with no control: nothing proves that they can fail: 1",
            "warning: boxes with hosts that pull requests do not reach (trust: network lists what they may): 1",
            "warning: boxes with secrets, which only protected branches get: 1",
        ]
    )


def test_environments_that_nothing_could_reach_are_warned_of(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = "target: {kind: command, observe: ./observe, start: ./start}"
    write(
        repository,
        {
            CONFIG: "boxes:\n  1: {tier: 1, run: x, control: {run: y}, tags: [smoke]}\nenvironments:\n"
            f"  staging: {{{here}, smoke: tag:smok, gates: [boxes: 'tier:1-3']}}\n"
            f"  production: {{{here}, smoke: tag:smoke, gates: [boxes: 'tier:2']}}\n"
            "  elsewhere: {target: {kind: ecs}}\n"
        },
    )
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == snapshot(
        [
            "warning: no box is in 'tag:smok', the smoke of staging: each deployment to it would be aborted",
            "warning: no box is in 'tier:2', which a gate of production asks for: nothing would pass it",
            "warning: elsewhere has a target of kind ecs; this version deploys to process and command",
        ]
    )


@pytest.mark.parametrize("kind", TARGETS)
def test_it_is_known_which_targets_can_be_deployed_to(kind: str) -> None:
    options = {"command": "x", "observe": "x", "start": "x"}
    try:
        capabilities_of(TargetSpec(kind=kind, options=options))
    except Unbuildable:
        assert kind not in DEPLOYABLE
    else:
        assert kind in DEPLOYABLE


def test_every_mistake_is_one_line_with_its_place_and_the_way_out(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        repository,
        {
            CONFIG: "boxs: {}\nreport: {comment: yes}\nboxes:\n  1: {tier: '1', run: x}\n",
            "boxes/tier-1/7_x.sh": "# /// box\n# timout = 3\n# ///\n",
        },
    )
    assert main(["config", "check", "."]) == 3
    assert capsys.readouterr().err == snapshot("""\
.github/interlock.yml:1: unknown key 'boxs' (did you mean 'boxes'?)
.github/interlock.yml:2: 'comment' must be true or false (write true, unquoted)
.github/interlock.yml:4: 'tier' must be a whole number from 0 to 999 (write it without quotes)
boxes/tier-1/7_x.sh:2: unknown key 'timout' (did you mean 'timeout'?)
""")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("boxes:\n\t1: {}\n", "interlock.yml:2: not YAML: found character '\\t' that cannot", id="a-tab"),
        pytest.param("on: push\n", "interlock.yml:1: unknown key 'on' (known: setup", id="another-tool-s-file"),
        pytest.param("report: {comment: off}\n", "must be true or false (write false, unquoted)", id="off"),
        pytest.param(
            "report: {}\nreport: {}\n", "interlock.yml:2: duplicate key `report` (first in line 1)", id="twice"
        ),
        pytest.param("- 1\n", "interlock.yml:1: the file must be a mapping", id="a-list"),
        pytest.param("boxes: {1: {tier: 1, run: x, timeout: 5 minutes}}\n", "write 5m, 30s", id="a-duration"),
        pytest.param(
            "boxes: {1: {tier: 1, run: x, tags: smoke}}\n", "'tags' must be a list (write [smoke])", id="no-list"
        ),
        pytest.param("boxes: {1: {tier: 1, run: x, network: [packages]}}\n", "neither a rule", id="no-rule"),
        pytest.param("setup: {run: x\n", "a bracket or a quote is not closed", id="an-open-brace"),
    ],
)
def test_what_newcomers_type_is_answered_with_a_way_out(
    repository: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    write(repository, {CONFIG: text})
    assert main(["config", "check"]) == 3
    assert says in capsys.readouterr().err


def test_a_place_that_is_not_there_is_a_matter_of_usage_and_an_empty_one_is_not_valid(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", "nowhere"]) == 2
    assert main(["config", "explain", ".", "--default-config", "nowhere.yml"]) == 2
    assert main(["config", "check"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "interlock: there is no nowhere",
        "interlock: there is no nowhere.yml",
        'there is neither .github/interlock.yml nor a box in . (`runner new "Title"` writes a box)',
    ]


def test_a_single_file_can_be_checked_before_it_is_put_anywhere(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, {"draft.yml": VALID, "broken.yml": "boxs: {}\n"})
    assert main(["config", "check", "draft.yml"]) == 0
    assert main(["config", "check", "broken.yml", "--json"]) == 3
    out = capsys.readouterr().out
    document = json.loads(out[out.index("{") :])
    assert document["valid"] is False
    assert document["errors"] == [
        {"file": "broken.yml", "line": 1, "message": "unknown key 'boxs'", "hint": "did you mean 'boxes'?"}
    ]


def test_each_value_is_explained_with_the_line_that_it_comes_from(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, {CONFIG: VALID + "limits: {memory: 3GiB, T1: {processes: 99}}\n"})
    assert main(["config", "explain", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {row["name"]: (row["value"], row["from"]) for row in document["settings"]}
    assert found["defaults.timeout"] == ("30s", f"{CONFIG}:1")
    assert found["defaults.retries"] == (0, "default")
    assert found["trust.egress.packages"] == (["packages.example.org"], f"{CONFIG}:2")
    assert found["limits.T0.memory"] == found["limits.T1.memory"] == (3 << 30, f"{CONFIG}:6")
    assert found["limits.T1.processes"] == (99, f"{CONFIG}:6")
    assert found["limits.T2.memory"] == (1 << 30, "default")  # what members get is not given to strangers by accident.
    assert document["boxes"][0]["levels"] == snapshot(
        {
            "T0": "reaches packages.example.org:443, other.example:443; gets KEY",
            "T1": (
                "reaches packages.example.org:443; does not reach other.example (not in trust.network)"
                "; does not get KEY"
            ),
            "T2": "does not reach packages, other.example; does not get KEY",
        }
    )


def test_the_organisation_s_default_is_where_the_values_come_from_of_a_repository_without_its_own(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, {"org.yml": VALID, "app/boxes/tier-1/7_x.sh": "true\n"})
    assert main(["config", "explain", "app", "--default-config", "org.yml"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("configuration: org.yml, hash ")
    assert "org.yml:1" in told
    assert "7  x  (boxes/tier-1/7_x.sh:1, at most 30 s, no control)" in told


def test_the_text_cannot_be_forged_by_a_title(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository, {CONFIG: 'boxes: {1: {tier: 1, run: x, title: "a\\e[31m\\nT0: reaches everything"}}\n'})
    assert main(["config", "explain"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\nT0: reaches" not in told


def test_it_works_where_the_bot_s_libraries_are_missing(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("boxs: {}\n")
    hide = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name in {'dbos', 'starlette'} else find(name, *more)\n"
        "for name in ('dbos', 'starlette', 'structlog', 'pydantic', 'githubkit'): sys.modules[name] = None\n"
        "from bot.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for words, code in ((["config", "check", "x.yml"], 3), (["config", "schema"], 0), (["serve"], 3)):
        ended = subprocess.run([sys.executable, "-c", hide, *words], cwd=tmp_path, capture_output=True, check=False)
        assert ended.returncode == code, ended.stderr
        assert b"Traceback" not in ended.stderr
