from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from runner.compare import Change, compare
from runner.model import Box, Control, Expect, Quarantine, Setup, Suite
from tests.runner.boxes import box
from tests.runner.command_line import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def suite(*boxes: Box, **fields: Any) -> Suite:
    return Suite(root="/repository", boxes=boxes, **fields)


def login(number: int = 21, *, tier: int = 1, slug: str = "login", **fields: Any) -> Box:
    file = f"boxes/tier-{tier}/{number}_{slug}.sh"
    return box(number, tier, file=file, source=file, title="Login", **fields)


def entry(number: int, run: str, **fields: Any) -> Box:
    return box(number, kind="command", run=run, source=".github/interlock.yml", **fields)


def edit(find: str = "a + b", expect: Expect | None = None) -> Control:
    spec = {"file": "calc.py", "find": find, "replace": "c"}
    return Control(kind="edit", spec=spec, expect=expect, where="boxes/tier-1/21_login.sh:7")


def told(base: Box, *head: Box) -> list[tuple[str, str]]:
    return [(change.kind, change.says) for change in compare(suite(base), suite(*head))]


def test_an_entry_that_does_something_else_is_told() -> None:
    assert told(entry(3, "pytest -q", title="Unit"), entry(3, "true", title="Unit")) == [
        ("entry_changed", "box 3 runs another command")
    ]
    asks = box(4, kind="http", http=({"get": "https://a.example/", "status": 200},), source=".github/interlock.yml")
    laxer = box(4, kind="http", http=({"get": "https://a.example/"},), source=".github/interlock.yml")
    assert told(asks, laxer) == [("entry_changed", "box 4 makes other requests, or expects other answers")]
    assert told(asks, asks) == []


ADDS, BREAKS = Expect(assertion="adds"), Expect(output="E[0-9]+")


@pytest.mark.parametrize(
    ("before", "after", "kind", "says"),
    [
        pytest.param(
            {"min_asserts": 3},
            {"min_asserts": 1},
            "min_asserts_lowered",
            "needs 1 assertions instead of 3",
            id="min-asserts",
        ),
        pytest.param({}, {"may_skip": True}, "may_skip_added", "may skip itself now", id="may-skip"),
        pytest.param(
            {},
            {"quarantine": Quarantine(until="2026-03-01", reason="slow")},
            "quarantined",
            "does not gate until 2026-03-01: slow",
            id="quarantine",
        ),
        pytest.param(
            {"quarantine": Quarantine(until="2026-03-01", reason="slow")},
            {"quarantine": Quarantine(until="2027-03-01", reason="slow")},
            "quarantined",
            "does not gate until 2027-03-01: slow",
            id="longer-quarantine",
        ),
        pytest.param(
            {}, {"retries": 3}, "retries_raised", "is repeated up to 3 times when it is red, 0 before", id="retries"
        ),
        pytest.param(
            {}, {"flaky": "pass"}, "flaky_passes", "counts as green when only a repetition passed", id="flaky"
        ),
        pytest.param({"timeout": 30}, {"timeout": 60}, "timeout_raised", "may take 60 s instead of 30 s", id="timeout"),
        pytest.param({"tags": ["smoke", "db"]}, {"tags": []}, "tags_lost", "lost the tags smoke, db", id="tags"),
        pytest.param(
            {"inputs": ["a", "b"]},
            {"inputs": ["a"]},
            "inputs_narrowed",
            "does not count as concerned by a change of b any more",
            id="inputs",
        ),
        pytest.param(
            {},
            {"inputs": ["a"]},
            "inputs_narrowed",
            "does not count as concerned by a change of any file any more",
            id="inputs-of-everything",
        ),
        pytest.param({}, {"network": ["pypi"]}, "network_gained", "asks for the network: pypi", id="network"),
        pytest.param(
            {"secrets": ["A"]}, {"secrets": ["A", "B"]}, "secrets_gained", "asks for the secret B", id="secrets"
        ),
        pytest.param(
            {"control": edit()},
            {},
            "control_removed",
            "lost its control: nothing proves that it can fail",
            id="control",
        ),
    ],
)
def test_each_way_to_weaken_a_box_is_told_once(
    before: dict[str, Any], after: dict[str, Any], kind: str, says: str
) -> None:
    assert told(login(**before), login(**after)) == [(kind, f"box 21 {says}")]


@pytest.mark.parametrize(
    ("before", "after", "kind", "says"),
    [
        pytest.param(
            edit(),
            edit("a * b"),
            "control_changed",
            "the control of box 21 is another edit of calc.py",
            id="another-edit",
        ),
        pytest.param(
            edit(),
            Control(kind="env", spec={"A": "1"}, expect=None, where="x:1"),
            "control_changed",
            "the control of box 21 is env instead of edit of calc.py",
            id="another-kind",
        ),
        pytest.param(
            edit(expect=ADDS),
            edit(),
            "expect_removed",
            "the control of box 21 no longer says what must go red (adds)",
            id="expect-gone",
        ),
        pytest.param(
            edit(expect=ADDS),
            edit(expect=BREAKS),
            "expect_changed",
            "the control of box 21 expects output /E[0-9]+/ instead of adds",
            id="another-expect",
        ),
    ],
)
def test_a_control_that_became_another_is_told_where_it_stands(
    before: Control, after: Control, kind: str, says: str
) -> None:
    [change] = compare(suite(login(control=before)), suite(login(control=after)))
    file, line = ("x", 1) if after.where == "x:1" else ("boxes/tier-1/21_login.sh", 7)
    assert (change.kind, change.says, change.file, change.line) == (kind, says, file, line)


def test_a_patch_with_other_content_is_another_sabotage() -> None:
    patched = login(control=Control(kind="patch", spec={"file": "p.patch"}, expect=None, where="x:1"))
    base, head = suite(patched), Suite(root="/other", boxes=[patched])
    assert [c.kind for c in compare(base, head, digest=lambda of, path: of.root + path)] == ["control_changed"]
    assert compare(base, head, digest=lambda _of, path: path) == ()


def contents(**programs: str) -> Any:
    """Digests: the text given for a file's name, dots and dashes written as underscores."""
    return lambda _suite, path: programs.get(path.rpartition("/")[2].replace(".", "_").replace("-", "_"), "")


def test_a_box_that_is_gone_is_told_with_its_old_place() -> None:
    assert compare(suite(login(), login(22, slug="logout")), suite(login(22, slug="logout"))) == (
        Change("21", "removed", "box 21 (Login) was removed", file="boxes/tier-1/21_login.sh", line=1, gone=True),
    )


@pytest.mark.parametrize(
    ("head", "programs", "expected"),
    [
        pytest.param([login(31)], {}, [("renumbered", "box 21 (Login) became box 31")], id="by-name"),
        pytest.param(
            [login(31, slug="sign-in")],
            {"21_login_sh": "same", "31_sign_in_sh": "same"},
            [("renumbered", "box 21 (Login) became box 31")],
            id="by-content",
        ),
        pytest.param(
            [login(31), login(21, slug="other")],
            {},
            [("renumbered", "box 21 (Login) became box 31")],
            id="its-number-given-away",
        ),
        pytest.param(
            [login(21, slug="other")],
            {"21_login_sh": "one", "21_other_sh": "two"},
            [("replaced", "box 21 is another program: boxes/tier-1/21_other.sh instead of boxes/tier-1/21_login.sh")],
            id="another-program",
        ),
        pytest.param(
            [entry(21, "true")],
            {},
            [("replaced", "box 21 is another program: a command instead of boxes/tier-1/21_login.sh")],
            id="a-command-instead",
        ),
        pytest.param([login(21, slug="renamed")], {"21_login_sh": "a", "21_renamed_sh": "a"}, [], id="only-renamed"),
        pytest.param([login(21)], {"21_login_sh": "whatever"}, [], id="only-rewritten"),
        pytest.param(
            [login(31, slug="a"), login(32, slug="b")],
            {"21_login_sh": "same", "31_a_sh": "same", "32_b_sh": "same"},
            [("removed", "box 21 (Login) was removed")],
            id="two-candidates-are-none",
        ),
    ],
)
def test_a_box_is_known_by_its_program_before_its_number(
    head: list[Box], programs: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = compare(suite(login()), suite(*head), digest=contents(**programs))
    assert [(change.kind, change.says) for change in found] == expected


def test_two_boxes_that_swapped_numbers_are_both_told() -> None:
    base = suite(login(1, slug="a"), login(2, slug="b"))
    head = suite(login(1, slug="b"), login(2, slug="a"))
    assert [(c.box, c.kind) for c in compare(base, head)] == [("1", "renumbered"), ("2", "renumbered")]


def test_a_renumbered_box_is_compared_further() -> None:
    assert [kind for kind, _ in told(login(control=edit()), login(31, tier=4))] == [
        "renumbered",
        "later_tier",
        "control_removed",
    ]


def test_entries_go_by_number_then_by_command() -> None:
    assert told(entry(2, "pytest"), entry(2, "pytest -x")) == [("entry_changed", "box 2 runs another command")]
    assert told(entry(2, "pytest"), entry(9, "pytest")) == [("renumbered", "box 2 (Box 2) became box 9")]


def test_a_new_box_may_come_but_its_wishes_are_told() -> None:
    assert compare(suite(), suite(login())) == ()
    assert [c.says for c in compare(suite(), suite(login(secrets=["KEY"], network=["pypi"])))] == [
        "box 21, which is new, asks for the network: pypi",
        "box 21, which is new, asks for the secret KEY",
    ]


def test_what_a_whole_repository_may_do_is_compared() -> None:
    before = {"trust": {"network": [], "egress": {"pypi": ["a:443"]}}, "report": {"falsify": "require"}}
    after = {"trust": {"network": ["pypi"], "egress": {"pypi": ["a:443", "b:443"]}}, "report": {"falsify": "off"}}
    base = suite(settings=before, setups={"": Setup(run="x")})
    head = suite(settings=after, setups={"": Setup(run="x", network=["pypi"], source="c.yml", line=3)})
    assert [(c.box, c.kind, c.says) for c in compare(base, head)] == [
        ("", "network_gained", "the setup asks for the network: pypi"),
        ("", "network_gained", "the network rule pypi allows b:443 as well"),
        ("", "network_gained", "pull requests may use the network: pypi"),
        ("", "falsify_lowered", "report.falsify is off instead of require"),
    ]


def test_foreign_words_are_cut() -> None:
    [change] = compare(suite(login(tags=["x" * 500])), suite(login()))
    assert change.says == f"box 21 lost the tag {'x' * 80}…"


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "control": st.sampled_from([None, edit(), edit(expect=ADDS), edit("z")]),
        "min_asserts": st.integers(0, 3),
        "may_skip": st.booleans(),
        "retries": st.integers(0, 3),
        "flaky": st.sampled_from(["", "pass", "fail"]),
        "timeout": st.sampled_from([10.0, 30.0, 100.0]),
        "tags": st.lists(st.sampled_from("ab"), unique=True),
        "inputs": st.lists(st.sampled_from("ab"), unique=True),
        "network": st.lists(st.sampled_from("ab"), unique=True),
        "secrets": st.lists(st.sampled_from("AB"), unique=True),
        "tier": st.integers(1, 3),
    },
)


def _login(number: int, slug: str, fields: dict[str, Any]) -> Box:
    return login(number, slug=slug, **fields)


SUITES = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["a", "b", "c"]), FIELDS), unique_by=lambda t: t[0]).map(
    lambda made: suite(*(_login(number, slug, fields) for number, slug, fields in made))
)


@given(SUITES)
def test_a_suite_is_not_weaker_than_itself(one: Suite) -> None:
    assert compare(one, one) == ()


@given(SUITES, SUITES)
def test_every_box_of_the_base_is_kept_or_told(base: Suite, head: Suite) -> None:
    numbers = {item.id for item in head.boxes}
    said = {change.box for change in compare(base, head) if change.kind in {"removed", "renumbered", "replaced"}}
    assert all(item.id in numbers or str(item.id) in said for item in base.boxes)
    assert all(change.says and change.file for change in compare(base, head))


def test_the_command_tells_people_and_programs(repository: Repository, tmp_path: Path) -> None:
    base = tmp_path / "base"
    block = "# /// box\n# may_skip = true\n# ///\n"
    for root, number, text in ((base, 21, "true\n"), (repository.root, 31, block + "true\n"), (base, 22, "date\n")):
        (root / "boxes/tier-1").mkdir(parents=True, exist_ok=True)
        (root / f"boxes/tier-1/{number}_login{number % 10}.sh").write_text(f"#!/bin/sh\n{text}")
    (repository.root / "boxes/tier-1/31_login1.sh").chmod(0o755)
    ended = repository.runner("compare", "--base", str(base))
    assert (ended.code, ended.err, ended.out) == snapshot(
        (
            1,
            "",
            """\
boxes/tier-1/31_login1.sh:2: box 21 (login1) became box 31
boxes/tier-1/31_login1.sh:2: box 21 may skip itself now
boxes/tier-1/22_login2.sh:1: box 22 (login2) was removed
""",
        )
    )
    document = json.loads(repository.runner("compare", "--base", str(base), "--json").out)
    assert document["schema"] == "runner.compare/1"
    assert document["changes"][2] == {
        "box": "22",
        "now": "",
        "kind": "removed",
        "says": "box 22 (login2) was removed",
        "file": "boxes/tier-1/22_login2.sh",
        "line": 1,
        "gone": True,
    }
    same = repository.runner("compare", "--base", str(repository.root))
    assert (same.code, same.out) == (0, "nothing is weaker than before\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param([], 2, "compare needs --base DIR", id="no-base"),
        pytest.param(["--base", "nowhere"], 2, "there is no directory nowhere", id="no-directory"),
        pytest.param(["--base", ".", "21"], 2, "compare takes no selection", id="a-selection"),
    ],
)
def test_what_cannot_be_compared_is_refused(repository: Repository, words: list[str], code: int, said: str) -> None:
    ended = repository.runner("compare", *words)
    assert (ended.code, said in ended.err) == (code, True)


def test_a_tree_that_cannot_be_read_is_no_tree_without_changes(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    repository.write(".github/interlock.yml", "boxes: [")
    ended = repository.runner("compare", "--base", str(tmp_path / "base"), "--json")
    assert (ended.code, ended.out) == (3, "")


def test_a_program_that_is_a_pipe_or_leads_out_is_not_read(repository: Repository, tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "boxes/tier-1").mkdir(parents=True)
    (base / "boxes/tier-1/21_patched.sh").write_text('#!/bin/sh\n# /// box\n# control.patch = "p"\n# ///\n')
    (base / "p").write_text("same")
    repository.write("boxes/tier-1/21_patched.sh", '#!/bin/sh\n# /// box\n# control.patch = "p"\n# ///\n')
    (tmp_path / "outside").write_text("same")
    (repository.root / "p").symlink_to(tmp_path / "outside")
    assert "is another patch of p" in repository.runner("compare", "--base", str(base)).out
    (repository.root / "p").unlink()
    os.mkfifo(repository.root / "p")
    assert "is another patch of p" in repository.runner("compare", "--base", str(base)).out
    (repository.root / "p").unlink()
    (repository.root / "p").write_text("same")
    assert repository.runner("compare", "--base", str(base)).code == 0
