# /// box
# title = "Quality Gates: evidence that is missing is red, whatever the exit code says, and shuts the next tier's gate"
# timeout = "120s"
#
# [control]
# expect = "what-was-not-measured-is-not-green"
#
# [control.edit]
# file = "runner/protocol.py"
# find = "if asserts < evidence.min_asserts:"
# replace = "if 0 < asserts < evidence.min_asserts:"
# ///
from boxes._interlock import TMP, box, events, run, runner, write

SH = "#!/bin/sh\n"
PROMISES = f"{SH}# /// box\n# min_asserts = 2\n# ///\n"
# Each exits with 0 and says that all is well, or nothing; none shows what it promised.
UNPROVED = {
    "nothing-was-measured": (f"{PROMISES}echo PASS\n", "vacuous"),
    "less-than-promised": (f'{PROMISES}. "$BOX_LIB"\nok one true\n', "vacuous"),
    "an-assertion-that-does-not-hold": (
        f'{SH}echo \'{{"type": "assertion", "id": "p95", "ok": false}}\' >$BOX_REPORT\n',
        "failed",
    ),
    "an-empty-plan": (f"{SH}echo 1..0\n", "vacuous"),
    "a-plan-that-is-missing": (f"{SH}echo TAP version 14; echo ok 1\n", "failed"),
    "a-plan-that-was-not-kept": (f"{SH}echo 1..3; echo ok 1\n", "failed"),
    "a-junit-file-without-tests": (f"{SH}echo '<testsuite tests=\"0\"/>' >$BOX_JUNIT\n", "vacuous"),
    "a-metric-without-value": (f'{SH}echo \'{{"type": "metric", "name": "p95"}}\' >$BOX_REPORT\n', "errored"),
    "a-metric-that-is-no-number": (f'{SH}. "$BOX_LIB"\nmetric p95 "" ms\n', "failed"),
    "a-skip-that-nobody-allowed": (f"{SH}echo '1..0 # SKIP no database'\n", "skipped"),
    "a-tool-that-is-missing": (f"{SH}measure-it\n", "errored"),
    "an-empty-file": ("\n", "vacuous"),
}
PROVED = f'{PROMISES}. "$BOX_LIB"\nok one true\nis two "$((1 + 1))" 2\nmetric p95 12.5 ms\n'
NO_TEST = {"no-test": "def test_it(): pass\n\n\ndel test_it\n"}
ALL_SKIPPED = {"all-skipped": "import pytest\n\n\n@pytest.mark.skip\ndef test_it(): pass\n"}


def gate(name: str, text: str, ending: str = "sh") -> tuple[str, str, int]:
    """What a box comes to, what becomes of the one in the next tier, and the run's exit code."""
    ships = {"boxes/tier-2/2_ships.sh": f"{SH}exit 0\n"}
    repository = write(TMP / name, {f"boxes/tier-1/1_box.{ending}": text, **ships})
    record = TMP / f"{name}.jsonl"
    ended = run(*runner("-C", str(repository), "run", "--jsonl", str(record)))
    told = {event["box"]: event["verdict"] for event in events(record) if event["type"] == "box_finished"}
    return told[1], told[2], ended.returncode


shell = {name: gate(name, text) for name, (text, _) in UNPROVED.items()}
python = {name: gate(name, text, "py") for name, text in {**NO_TEST, **ALL_SKIPPED}.items()}

box.equal("what-was-measured-is-green", gate("proved", PROVED), ("passed", "passed", 0))
box.equal("what-was-not-measured-is-not-green", shell["nothing-was-measured"], ("vacuous", "blocked", 1))
box.equal(
    "each-missing-evidence-has-its-verdict",
    {name: told[0] for name, told in shell.items()},
    {name: verdict for name, (_, verdict) in UNPROVED.items()},
)
box.equal("a-test-file-without-a-test-is-vacuous", {told[0] for told in python.values()}, {"vacuous"})
box.equal("and-shuts-the-gate-each-time", {told[1:] for told in [*shell.values(), *python.values()]}, {("blocked", 1)})
box.metric("kinds of missing evidence", len(shell) + len(python))
