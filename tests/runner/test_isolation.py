from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from runner.errors import UserError
from runner.isolation import GIB, MIB, Egress, Level, Limits, Rung, choose, egress_of, limits_for

NOTHING = (
    Rung(Level.BUBBLEWRAP, why="bwrap is not installed", fix="apt install bubblewrap"),
    Rung(Level.CONTAINER, why="no engine answers"),
    Rung(Level.LANDLOCK, why="the kernel has none"),
)
LANDLOCK = (*NOTHING[:2], Rung(Level.LANDLOCK))
BUBBLEWRAP = (Rung(Level.BUBBLEWRAP), *LANDLOCK[1:])


@pytest.mark.parametrize(
    ("asked", "trust", "rungs", "level"),
    [
        pytest.param("", "", BUBBLEWRAP, Level.OFF, id="a-local-run-is-not-isolated-unless-asked"),
        pytest.param("auto", "", BUBBLEWRAP, Level.BUBBLEWRAP, id="auto-takes-the-best"),
        pytest.param("auto", "", LANDLOCK, Level.LANDLOCK, id="auto-takes-what-there-is"),
        pytest.param("auto", "", NOTHING, Level.OFF, id="auto-takes-nothing-where-there-is-nothing"),
        pytest.param("full", "", BUBBLEWRAP, Level.BUBBLEWRAP, id="full"),
        pytest.param("", "T0", BUBBLEWRAP, Level.BUBBLEWRAP, id="a-trusted-commit-is-isolated-too"),
        pytest.param("", "T1", LANDLOCK, Level.LANDLOCK, id="a-members-commit-may-run-on-a-lower-rung"),
        pytest.param("", "T2", BUBBLEWRAP, Level.BUBBLEWRAP, id="strangers"),
        pytest.param("off", "T1", BUBBLEWRAP, Level.OFF, id="off-is-off"),
    ],
)
def test_a_run_gets_the_level_that_was_asked_for(asked: str, trust: str, rungs: Sequence[Rung], level: Level) -> None:
    assert choose(asked, trust, rungs) is level


@pytest.mark.parametrize(
    ("asked", "trust", "rungs"),
    [
        pytest.param("full", "", LANDLOCK, id="full-is-never-degraded"),
        pytest.param("", "T2", LANDLOCK, id="strangers-without-a-full-sandbox"),
        pytest.param("auto", "T2", NOTHING, id="strangers-and-auto"),
        pytest.param("off", "T2", BUBBLEWRAP, id="strangers-and-off"),
    ],
)
def test_what_cannot_be_isolated_as_it_must_be_is_refused(asked: str, trust: str, rungs: Sequence[Rung]) -> None:
    with pytest.raises(UserError):
        choose(asked, trust, rungs)


def test_a_refusal_says_what_is_missing_and_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"bubblewrap: bwrap is not installed; container: no engine answers") as refusal:
        choose("full", "", NOTHING)
    assert "apt install bubblewrap" in str(refusal.value)


@pytest.mark.parametrize(
    ("trust", "section", "memory"),
    [
        pytest.param("T1", {}, 4 * GIB, id="members"),
        pytest.param("T2", {}, GIB, id="strangers"),
        pytest.param("T1", {"memory": 5 * MIB}, 5 * MIB, id="configured-for-all"),
        pytest.param("T2", {"memory": 5 * MIB}, GIB, id="strangers-do-not-get-what-members-get"),
        pytest.param("T2", {"memory": 5 * MIB, "T2": {"memory": 6 * MIB}}, 6 * MIB, id="configured-for-strangers"),
        pytest.param("T1", {"memory": 5 * MIB, "T1": {"tmp": 6 * MIB}}, 5 * MIB, id="the-levels-own-keys-come-first"),
    ],
)
def test_limits_are_the_configurations_or_the_levels_own(trust: str, section: dict[str, object], memory: int) -> None:
    assert limits_for(trust, {"limits": section}).memory == memory


def test_every_limit_has_a_default() -> None:
    assert limits_for("T2", {}) == Limits(memory=GIB, processes=256, workspace=256 * MIB, tmp=256 * MIB)


RULES: Mapping[str, object] = {
    "trust": {"egress": {"packages": ["packages.example:443", "mirror.example"]}, "network": ["packages"]}
}


@pytest.mark.parametrize(
    ("names", "trust", "setup", "egress"),
    [
        pytest.param(
            ["packages"], "T0", False, Egress(["packages.example:443", "mirror.example:443"]), id="a-rule-is-its-hosts"
        ),
        pytest.param(["a.example:8443"], "", False, Egress(["a.example:8443"]), id="a-host-and-port"),
        pytest.param(["a.example"], "T1", False, Egress([], ["a.example"]), id="members-get-what-the-base-lists"),
        pytest.param(
            ["packages"], "T1", False, Egress(["packages.example:443", "mirror.example:443"]), id="listed-for-members"
        ),
        pytest.param(["a.example"], "T1", True, Egress(["a.example:443"]), id="the-bases-setup-gets-what-it-declares"),
        pytest.param(["packages"], "T2", True, Egress([], ["packages"]), id="strangers-get-nothing"),
    ],
)
def test_egress_is_what_is_declared_and_allowed(names: list[str], trust: str, *, setup: bool, egress: Egress) -> None:
    assert egress_of(names, trust, RULES, setup=setup) == egress


def test_a_name_that_is_neither_a_rule_nor_a_host_is_an_error() -> None:
    with pytest.raises(UserError, match="'pypi' is neither a rule"):
        egress_of(["pypi"], "T0", {})
