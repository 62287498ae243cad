# /// box
# title = "Deadlock Prevention: what hangs ends at its deadline, a circle is refused, crossed locks get past each other"
# timeout = "60s"
#
# [control]
# expect = "a-circle-is-refused"
#
# [control.edit]
# file = "runner/plan.py"
# find = "if len(order) < len(boxes):"
# replace = "if len(order) > len(boxes):"
# ///
from boxes._interlock import TMP, box, events, run, runner, write

CONFIGURATION_ERROR = 3
ROUNDS = 3
# Two wait for each other, each for a word that only the other one would say.
HANGS = """\
#!/bin/sh
# /// box
# timeout = "1s"
# ///
mkfifo "{mine}" 2>/dev/null
cat "{mine}" && echo word >"{other}"
"""
# One that needs both locks says so when it holds them, and is alone with them for a moment.
CROSSED = """\
#!/bin/sh
# /// box
# locks = {locks}
# timeout = "20s"
# ///
mkdir "{held}" || exit 1
sleep 0.1
rmdir "{held}"
"""


def suite(name: str, texts: dict[int, str]) -> str:
    """A repository with these boxes, all in one tier."""
    return str(write(TMP / name, {f"boxes/tier-1/{number}_box.sh": text for number, text in texts.items()}))


def verdicts(name: str) -> dict[int, str]:
    return {event["box"]: event["verdict"] for event in events(TMP / name) if event["type"] == "box_finished"}


one, two = TMP / "one", TMP / "two"
waiting = {1: HANGS.format(mine=one, other=two), 2: HANGS.format(mine=two, other=one), 3: "#!/bin/sh\nexit 0\n"}
hung = run(*runner("-C", suite("hung", waiting), "run", "-j", "2", "--jsonl", str(TMP / "hung.jsonl")))
box.equal("what-hangs-ends-at-its-deadline", verdicts("hung.jsonl"), {1: "timed_out", 2: "timed_out", 3: "passed"})
box.equal("and-the-run-is-red", hung.returncode, 1)

circle = {number: f"#!/bin/sh\n# /// box\n# after = [{3 - number}]\n# ///\necho >>'{TMP}/ran'\n" for number in (1, 2)}
refused = run(*runner("-C", suite("circle", circle), "run"))
box.equal("a-circle-is-refused", refused.returncode, CONFIGURATION_ERROR)
box.contains("with-its-place", refused.stderr, "boxes/tier-1/1_box.sh:2: boxes wait for each other: 1 → 2 → 1")
box.ok("and-nothing-of-it-ran", not (TMP / "ran").exists(), "a box of the circle ran")

locks = [["left", "right"], ["right", "left"]] * ROUNDS
crossed = {n: CROSSED.format(locks=pair, held=TMP / "held") for n, pair in enumerate(locks, 1)}
passed = run(*runner("-C", suite("crossed", crossed), "run", "-j", "4", "--jsonl", str(TMP / "crossed.jsonl")))
box.equal("crossed-locks-get-past-each-other", verdicts("crossed.jsonl"), dict.fromkeys(crossed, "passed"))
box.equal("and-that-run-is-green", passed.returncode, 0)
