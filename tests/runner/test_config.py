from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.config import SECTIONS, load_config
from runner.errors import BadMetadata
from runner.metadata import BLOCK, BOX_KEYS, Defaults, parse_block, read_box
from runner.model import Box, BoxId, Control, Expect, Quarantine

REFERENCE = Path(__file__).parents[2] / "docs/reference/configuration.md"

DOCUMENTED = """\
setup:
  run: pip install --target $SETUP_DIR -r requirements.txt
  inputs: [requirements.txt]
  network: [packages]
boxes:
  1:
    {tier: 1, title: Lint, run: ruff check .,
     control: {edit: {file: src/app.py, find: "import os\\n", replace: ""}, expect: {output: F401}}}
  2: {tier: 1, title: Unit, run: pytest -q --junitxml=$BOX_JUNIT, timeout: 5m, inputs: [src/**, tests/**]}
  30: {tier: 3, title: Login, http: {get: "${TARGET_URL}/login", status: 200, within: 800ms}, tags: [smoke]}
suites: {api: services/api}
environments:
  staging:
    when: {push: develop}
    target: {kind: process, command: "./serve --port $PORT", health: /health}
    strategy: blue_green
    gates: [{boxes: "tier:1-3"}, not_frozen]
    smoke: "tag:smoke"
"""


def entry(inside: str) -> Box:
    return load_config(f"boxes:\n  7: {{tier: 2, run: make check, {inside}}}").boxes[0]


def block(*lines: str, file: str = "boxes/tier-2/07_x.sh") -> Box:
    fields = parse_block("\n".join(["#!/bin/sh", "# /// box", *(f"# {line}" for line in lines), "# ///"]), file)
    assert fields is not None
    return read_box(
        fields, id=BoxId("", 7), defaults=Defaults(), source=file, title="x", tier=2, kind="file", file=file
    )


def test_the_documented_example_is_read() -> None:
    config = load_config(DOCUMENTED)
    lint, unit, login = config.boxes
    assert config.setup is not None
    assert (config.setup.run, config.setup.inputs) == (
        "pip install --target $SETUP_DIR -r requirements.txt",
        ("requirements.txt",),
    )
    assert (str(lint.id), lint.tier, lint.kind, lint.run, lint.line) == ("1", 1, "command", "ruff check .", 6)
    assert lint.control == Control(
        kind="edit",
        spec={"file": "src/app.py", "find": "import os\n", "replace": ""},
        expect=Expect(output="F401"),
        where=".github/interlock.yml:8",
    )
    assert (unit.timeout, unit.slow, unit.inputs) == (300.0, 150.0, ("src/**", "tests/**"))
    assert (login.kind, login.http[0]["within"], login.tags) == ("http", 0.8, ("smoke",))
    assert config.suites == {"api": "services/api"}
    assert set(config.settings) == {"environments"}


def test_every_key_of_a_box_is_read() -> None:
    box = block(
        'title = "Locks  after\t five"',
        "tier = 2",
        'tags = ["smoke", "db"]',
        'timeout = "5m"',
        "slow = 2.5",
        "retries = 2",
        'flaky = "fail"',
        'after = [3, "api/4"]',
        'needs = ["postgres"]',
        'locks = ["port-8080"]',
        'inputs = ["src/**"]',
        'outputs = ["out/*.png"]',
        'network = ["hooks"]',
        'secrets = ["API_KEY"]',
        "may_skip = true",
        "min_asserts = 3",
        'python = "3.12"',
        "env = {LEVEL = 3, MODE = 'x'}",
        "quarantine = {until = 2026-03-31, reason = 'upstream'}",
        "[control]",
        'expect = "locked"',
        "[control.edit]",
        'file = "a.py"',
        'find = "5"',
        'replace = "500"',
    )
    assert box == Box(
        id=BoxId("", 7),
        tier=2,
        title="Locks after five",
        kind="file",
        source="boxes/tier-2/07_x.sh",
        line=2,
        file="boxes/tier-2/07_x.sh",
        tags=["smoke", "db"],
        timeout=300.0,
        slow=2.5,
        retries=2,
        flaky="fail",
        quarantine=Quarantine(until="2026-03-31", reason="upstream"),
        after=[BoxId("", 3), BoxId("api", 4)],
        needs=["postgres"],
        locks=["port-8080"],
        env={"LEVEL": "3", "MODE": "x"},
        inputs=["src/**"],
        outputs=["out/*.png"],
        network=["hooks"],
        secrets=["API_KEY"],
        may_skip=True,
        min_asserts=3,
        python="3.12",
        control=Control(
            kind="edit",
            spec={"file": "a.py", "find": "5", "replace": "500"},
            expect=Expect(assertion="locked"),
            where="boxes/tier-2/07_x.sh:22",
        ),
    )


@pytest.mark.parametrize("prefix", ["#", "//", "--"])
def test_a_block_may_stand_in_any_of_three_kinds_of_comments(prefix: str) -> None:
    text = f'first\r\n{prefix} /// box\r\n{prefix}\r\n{prefix} title = "T"\r\n{prefix} ///\r\nrest\r\n'
    fields = parse_block(text, "x")
    assert fields is not None
    assert fields.text("title") == "T"
    assert fields.line("title") == 4


def test_only_the_first_block_counts() -> None:
    sample = '# /// box\n# title = "own"\n# ///\ncat > sample.sh <<E\n# /// box\n# titel = broken\nE\n'
    fields = parse_block(sample, "x")
    assert fields is not None
    assert fields.text("title") == "own"
    assert fields.keys() == ["title"]


def test_a_text_without_a_block_has_none() -> None:
    assert parse_block("#!/bin/sh\n#/// box\n  # /// box\n", "x") is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(["timout = 5"], "x.sh:3: unknown key 'timout' (did you mean 'timeout'?)", id="unknown-key"),
        pytest.param(["", "title = "], "x.sh:4: not TOML: invalid value", id="not-toml"),
        pytest.param(["tags = ["], "x.sh:3: not TOML: invalid value", id="toml-that-ends"),
        pytest.param(["retries = 1", "retries = 2"], "x.sh:4: not TOML: cannot overwrite a value", id="key-twice"),
        pytest.param(["run = 'x'"], "x.sh:3: unknown key 'run'", id="run-is-for-entries"),
        pytest.param(
            ["tier = 3"],
            "x.sh:3: the directory says tier 2, the block says tier 3"
            " (move the file to boxes/tier-3, or take the key away)",
            id="another-tier",
        ),
        pytest.param(["title = 5"], "x.sh:3: 'title' must be text (quote it)", id="title"),
        pytest.param(["tags = 'smoke'"], "x.sh:3: 'tags' must be a list (write [smoke])", id="tags-text"),
        pytest.param(["tags = ['a b']"], "x.sh:3: 'a b' in 'tags' is not a tag", id="tags-space"),
        pytest.param(["tags = ['a', 'a']"], "x.sh:3: 'tags' says something twice", id="tags-twice"),
        pytest.param(
            ["timeout = '5 minutes'"],
            "x.sh:3: 'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)",
            id="timeout",
        ),
        pytest.param(
            ["timeout = 0"],
            "x.sh:3: 'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)",
            id="timeout-0",
        ),
        pytest.param(
            ["timeout = inf"],
            "x.sh:3: 'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)",
            id="timeout-inf",
        ),
        pytest.param(
            ["timeout = nan"],
            "x.sh:3: 'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)",
            id="timeout-nan",
        ),
        pytest.param(
            ["timeout = true"],
            "x.sh:3: 'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)",
            id="timeout-true",
        ),
        pytest.param(["slow = '2m'"], "x.sh:3: 'slow' is 120 s, after the timeout of 60 s", id="slow"),
        pytest.param(["retries = 11"], "x.sh:3: 'retries' must be a whole number from 0 to 10", id="retries"),
        pytest.param(["flaky = 'maybe'"], "x.sh:3: 'flaky' must be one of pass, fail", id="flaky"),
        pytest.param(
            ["quarantine = {until = '31.3.2026', reason = 'x'}"],
            "x.sh:3: 'until' must be a date (write 2026-03-31)",
            id="until",
        ),
        pytest.param(["quarantine = {until = 2026-03-31}"], "x.sh:3: 'reason' is missing", id="no-reason"),
        pytest.param(["after = 3"], "x.sh:3: 'after' must be a list (write [7, 8] or [\"api/7\"])", id="after"),
        pytest.param(
            ["after = ['x']"], "x.sh:3: 'x' in 'after' is not a box (write [7, 8] or [\"api/7\"])", id="after-what"
        ),
        pytest.param(
            ["inputs = ['../x']"], "x.sh:3: 'inputs' must be a path inside the tree, not '../x'", id="inputs-outside"
        ),
        pytest.param(
            ["inputs = ['/etc/passwd']"],
            "x.sh:3: 'inputs' must be a path inside the tree, not '/etc/passwd'",
            id="inputs-absolute",
        ),
        pytest.param(
            ["secrets = ['BOX_ID']"],
            "x.sh:3: 'secrets' names what the runner sets itself (BOX_* and INTERLOCK are the runner's)",
            id="secrets-box",
        ),
        pytest.param(
            ["env = {BOX_ID = '3'}"],
            "x.sh:3: 'BOX_ID' in 'env' cannot be set (BOX_* and INTERLOCK are the runner's)",
            id="env-box",
        ),
        pytest.param(["env = {A = true}"], "x.sh:3: 'A' must be text (quote it)", id="env-true"),
        pytest.param(["secrets = ['a-b']"], "x.sh:3: 'a-b' in 'secrets' is not a secret's name", id="secrets"),
        pytest.param(["may_skip = 1"], "x.sh:3: 'may_skip' must be true or false", id="may_skip"),
        pytest.param(
            ["min_asserts = -1"], "x.sh:3: 'min_asserts' must be a whole number from 0 to 1000000", id="min_asserts"
        ),
    ],
)
def test_a_wrong_key_of_a_block_is_named_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        block(*lines, file="x.sh")
    assert str(refused.value).split(" (known:")[0].startswith(said)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ["# title = 1", "code"],
            "x.sh:2: the box block is not closed (end it with a line `# ///`)",
            id="code-inside",
        ),
        pytest.param(["# title = 1"], "x.sh:2: the box block is not closed (end it with a line `# ///`)", id="no-end"),
    ],
)
def test_a_block_that_is_not_closed_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        parse_block("\n".join(["", "# /// box", *lines]), "x.sh")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("control", "kind", "spec", "expect"),
    [
        pytest.param("{patch: a.patch}", "patch", {"file": "a.patch"}, None, id="patch"),
        pytest.param(
            "{patch: {file: a.patch}, expect: x}",
            "patch",
            {"file": "a.patch"},
            Expect(assertion="x"),
            id="patch-mapping",
        ),
        pytest.param("{env: {LIMIT: 0}}", "env", {"LIMIT": "0"}, None, id="env"),
        pytest.param("{run: rm a}", "run", {"command": "rm a"}, None, id="run"),
        pytest.param(
            "{run: {command: rm a}, expect: {output: 'x+'}}",
            "run",
            {"command": "rm a"},
            Expect(output="x+"),
            id="run-mapping",
        ),
        pytest.param(
            "{fault: {service: redis, is: 'latency:200ms'}}, needs: [redis, 'postgres:16']",
            "fault",
            {"service": "redis", "is": "latency:200ms"},
            None,
            id="fault",
        ),
        pytest.param("{target: {is: 503}}", "target", {"is": "503"}, None, id="target"),
        pytest.param("{target: {is: slow 2s}}", "target", {"is": "slow 2s"}, None, id="slow-target"),
    ],
)
def test_each_kind_of_control_is_read(control: str, kind: str, spec: dict[str, str], expect: Expect | None) -> None:
    read = entry(f"control: {control}").control
    assert read == Control(kind=kind, spec=spec, expect=expect, where=".github/interlock.yml:2")


@pytest.mark.parametrize(
    ("control", "said"),
    [
        pytest.param(
            "{}",
            "'control' needs exactly one kind of sabotage (one of edit, patch, env, run, fault, target)",
            id="none",
        ),
        pytest.param(
            "{fault: {is: down}}",
            "'fault' hurts a service, and the box needs none (write needs: [redis])",
            id="no-needs",
        ),
        pytest.param(
            "{fault: {service: redys, is: down}}, needs: [redis]",
            "'fault' hurts redys, which the box does not need (did you mean 'redis'?)",
            id="another-service",
        ),
        pytest.param("{fault: {service: redis}}, needs: [redis]", "'is' is missing", id="no-fault"),
        pytest.param(
            "{fault: {is: latency}}, needs: [redis]",
            "'latency': after the first word comes a time such as 200ms or 2s",
            id="no-time",
        ),
        pytest.param("{run: x}, needs: [redis, 'redis:7']", "'needs' names a service twice", id="twice"),
        pytest.param(
            "{run: x}, needs: [Redis]",
            "'Redis' in 'needs' is not a service, such as postgres or postgres:16",
            id="no-service",
        ),
        pytest.param(
            "{target: {is: true}}",
            "'is' must be down, a status such as 503, slow 2s, or wrong-body",
            id="no-target-fault",
        ),
        pytest.param(
            "{env: {A: b}, run: x}", "'control' needs exactly one kind of sabotage (it has env and run)", id="two"
        ),
        pytest.param(
            "{edit: {file: a, find: x, replace: x}}", "'replace' equals 'find', so nothing would change", id="same"
        ),
        pytest.param(
            "{edit: {file: a, find: '', replace: x}}",
            "'find' must be text that occurs exactly once in the file",
            id="find",
        ),
        pytest.param("{edit: {find: a, replace: x}}", "'file' is missing", id="no-file"),
        pytest.param(
            "{edit: {file: ../a, find: a, replace: x}}",
            "'file' must be a path inside the tree, not '../a'",
            id="outside",
        ),
        pytest.param("{edit: {file: a, find: a, replace: x, all: true}}", "unknown key 'all'", id="unknown-inside"),
        pytest.param("{env: {}}", "'env' sets no variable, so nothing would change", id="env"),
        pytest.param("{run: x, expects: y}", "unknown key 'expects' (did you mean 'expect'?)", id="expects"),
        pytest.param(
            "{run: x, expect: {output: '('}}",
            "'output' is not a regular expression: missing ), unterminated subpattern at position 0",
            id="regex",
        ),
        pytest.param("{run: x, expect: {ouput: a}}", "unknown key 'ouput' (did you mean 'output'?)", id="ouput"),
    ],
)
def test_a_control_that_cannot_sabotage_is_refused(control: str, said: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        entry(f"control: {control}")
    assert str(refused.value).removeprefix(".github/interlock.yml:2: ").startswith(said)


def test_what_goes_wrong_in_the_file_is_said_with_its_line() -> None:
    texts = [
        "- 1",
        "boxs: {}",
        "setup: {run: a}\nsetup: {run: b}",
        "boxes:\n  1: {tier: 1, run: x}\n  01: {tier: 1, run: x}",
        "boxes:\n  x: {tier: 1, run: y}",
        "boxes:\n  api/1: {tier: 1, run: y}",
        "boxes:\n  1: {run: y}",
        "boxes:\n  1: {tier: 1}",
        "boxes:\n  1: {tier: 1, run: x, http: {get: y}}",
        "boxes:\n  1: {tier: 1, http: {get: x, post: y}}",
        "boxes:\n  1:",
        "on: push",
        "setup: {run: 010}",
        "setup:\n  run: !!python/name:os.system x",
        "a: &a [*a]",
        "setup: [",
        "boxes:\n\t1: {}",
        "setup: {run: x",
        "report: {comment: yes}",
        "boxes:\n  1: {tier: '1', run: x, tags: smoke, timeout: }",
        'setup: "\x07"',
        "a: 1\n--- \nb: 2",
        "%YAML 1.1\n---\non: 1",
        "suites: {api: ../elsewhere}",
        "suites: {api: x, web: x}",
        "suites: {7: x}",
        "defaults: {title: x}",
        "limits: {memory: 4GB}",
        "limits: {T3: {memory: 4GiB}}",
        "trust: {bots: [renovate]}",
        "report: {comment: sometimes}",
        "report: {falsify: sometimes}",
        "environments: {prod: {strategy: blue_green}}",
        "environments: {prod: {target: {kind: ftp}}}",
        "environments: {prod: {target: {kind: ecs}, smoke: tag}}",
        "environments: {prod: {target: {kind: ecs}, gates: [{boxes: 'tier:'}]}}",
    ]
    errors = []
    for text in texts:
        with pytest.raises(BadMetadata) as refused:
            load_config(text, file="f")
        errors.append(str(refused.value))
    assert errors == snapshot(
        [
            "f:1: the file must be a mapping (begin with `boxes:`)",
            "f:1: unknown key 'boxs' (did you mean 'boxes'?)",
            "f:2: duplicate key `setup` (first in line 1)",
            "f:3: duplicate key `1` (first in line 2)",
            "f:2: 'x' is not the number of a box (a number, or suite/number)",
            "f:2: there is no suite 'api' (suites: none)",
            "f:2: 'tier' is missing",
            "f:2: a box in this file needs either 'run' or 'http' (one of run, http)",
            "f:2: 'get' must be a URL (write https://… or ${TARGET_URL}/…)",
            "f:2: 'get' must be a URL (write https://… or ${TARGET_URL}/…)",
            "f:2: '1' says nothing (it needs 'tier' and one of run, http)",
            (
                "f:1: unknown key 'on'"
                " (known: setup, boxes, suites, defaults, limits, trust, checkout, environments, report)"
            ),
            "f:1: 'run' must be text (quote it)",
            "f:2: tags are not read here",
            "f:1: an alias inside its own anchor",
            "f:1: not YAML: expected the node content, but found '<stream end>' (a bracket or a quote is not closed)",
            "f:2: not YAML: found character '\\t' that cannot start any token (indent with spaces, not with tabs)",
            "f:1: not YAML: expected ',' or '}', but got '<stream end>' (a bracket or a quote is not closed)",
            "f:1: 'comment' must be true or false (write true, unquoted)",
            "f:2: 'tier' must be a whole number from 0 to 999 (write it without quotes)",
            "f:1: not YAML: a character that is not allowed",
            "f:2: not YAML: expected a single document in the stream but found another document",
            "f:1: a `%` directive is not read (this file is YAML 1.2)",
            "f:1: 'api' must be a path inside the tree, not '../elsewhere'",
            "f:1: the directory of suite 'web' must be one of its own",
            "f:1: '7' is not a suite's name (letters, digits, dot, dash, underscore)",
            "f:1: unknown key 'title' (known: timeout, slow, retries, flaky, min_asserts, python, env)",
            "f:1: 'memory' is not a size (write 4GiB, 512MiB or a number of bytes)",
            "f:1: unknown key 'T3' (known: memory, workspace, tmp, processes, T0, T1, T2)",
            "f:1: 'renovate' in 'bots' is not a numeric id (ids cannot be taken over, names can)",
            "f:1: 'comment' must be true or false",
            "f:1: 'falsify' must be one of off, tell, require",
            "f:1: 'target' is missing",
            "f:1: 'kind' must be one of process, command, compose, pm2, ecs",
            "f:1: 'smoke': cannot read `tag` (did you mean `tag:smoke`?)",
            "f:1: 'boxes': `tier` needs a number (tier:4, tier:1-3, tier:..3 or tier:2..)",
        ]
    )


def test_an_alias_bomb_is_refused() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadMetadata, match="more values than can be read"):
        load_config("\n".join(["l0: &l0 [x, x]", *levels]))


def test_an_alias_repeats_its_anchor_and_merges_of_other_dialects_are_refused() -> None:
    with pytest.raises(BadMetadata, match=r"`<<` merges nothing in YAML 1\.2"):
        load_config("boxes:\n  1: &a {tier: 1, run: x}\n  2: {<<: *a, title: y}")
    assert [box.run for box in load_config("boxes:\n  1: &a {tier: 1, run: x}\n  2: *a").boxes] == ["x", "x"]


def test_defaults_are_what_a_box_has_when_it_does_not_say() -> None:
    text = "defaults: {timeout: 2m, slow: 10s, retries: 1, flaky: pass, min_asserts: 1, python: p, env: {A: x, B: y}}\n"
    boxes = load_config(
        text + "boxes:\n  1: {tier: 1, run: x}\n  2: {tier: 1, run: x, timeout: 4s, retries: 0, env: {B: z}}"
    ).boxes
    assert [(box.timeout, box.slow, box.retries, box.flaky, box.min_asserts, box.python, box.env) for box in boxes] == [
        (120.0, 10.0, 1, "pass", 1, "p", {"A": "x", "B": "y"}),
        (4.0, 2.0, 0, "pass", 1, "p", {"A": "x", "B": "z"}),
    ]


def test_the_sections_for_other_layers_are_validated_and_kept() -> None:
    config = load_config(
        "limits: {memory: 2GiB, processes: 99, T2: {tmp: 64MiB}}\n"
        "trust: {bots: [7], protected: [main], network: [packages], egress: {packages: [packages.example.org]}}\n"
        "report: {annotations: 10}\n"
    )
    assert config.settings == {
        "limits": {"memory": 2 * 1024**3, "processes": 99, "T2": {"tmp": 64 * 1024**2}},
        "trust": {
            "bots": [7],
            "protected": ["main"],
            "network": ["packages"],
            "egress": {"packages": ["packages.example.org"]},
        },
        "report": {"comment": True, "annotations": 10, "falsify": "tell"},
    }


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert load_config("") == load_config("# nothing yet\n") == load_config("boxes:\n")


@given(st.text() | st.text(alphabet="abox: \n-[]{},'\"&*!#|>%?~19.<"))
def test_no_text_raises_anything_but_bad_metadata(text: str) -> None:
    try:
        config = load_config(text)
    except BadMetadata as refused:
        assert refused.line >= 0  # noqa: PT017 - any refusal will do.
    else:
        assert config.boxes == ()


@given(st.text(alphabet="abt=[]{}'\"\n#1.:-_ \\", max_size=60))
def test_no_block_raises_anything_but_bad_metadata(text: str) -> None:
    lines = [f"# {line}" for line in text.split("\n")]
    try:
        fields = parse_block("\n".join(["# /// box", *lines, "# ///"]), "x")
        assert fields is not None
        assert all(1 <= mistake.line <= len(lines) + 2 for mistake in fields.mistakes(BLOCK))
    except BadMetadata as refused:
        assert 1 <= refused.line <= len(lines) + 2  # noqa: PT017 - any refusal will do.


def test_the_reference_lists_every_key_and_section() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    keys = page[page.index("## Keys of a box") : page.index("### Controls")]
    assert re.findall(r"^\| `([a-z_]+)` \|", keys, re.MULTILINE) == list(BOX_KEYS)
    assert set(re.findall(r"^### `([a-z_]+)`", page, re.MULTILINE)) == set(SECTIONS)


def test_the_examples_of_the_reference_are_valid() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        load_config(example)


@pytest.mark.parametrize("opener", ["[", "{a: ", "- "])
def test_nesting_without_end_is_refused_at_its_beginning(opener: str) -> None:
    with pytest.raises(BadMetadata, match="more than 64 values inside one another"):
        load_config("boxes: " + ("" if opener != "- " else "\n  ") + opener * 20_000, file="f")
