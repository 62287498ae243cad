# /// box
# title = "Rollback Recovery: what cannot serve is never seen, what fails is taken back, and no state is skipped"
# timeout = "180s"
#
# [control]
# expect = "every-illegal-edge-is-refused"
#
# [control.edit]
# file = "bot/domain/deploy/states.py"
# find = "State.PREPARING: frozenset({State.SMOKING, State.ABORTED}),"
# replace = "State.PREPARING: frozenset({State.SMOKING, State.SWITCHING, State.ABORTED}),"
# ///
import json
import sys
from itertools import product

from boxes._interlock import TMP, Bot, GitHub, box, run, until
from boxes._released import (
    SETTINGS,
    Visitors,
    ended,
    environment,
    free_port,
    released,
    repository,
    served,
    states,
)

LEGAL = {
    "requested": ("gated", "denied", "superseded", "expired"),
    "gated": ("locked", "denied", "expired", "superseded"),
    "locked": ("preparing", "aborted"),
    "preparing": ("smoking", "aborted"),
    "smoking": ("switching", "aborted"),
    "switching": ("baking", "rolling_back", "held"),
    "baking": ("retiring", "held", "rolling_back"),
    "held": ("baking", "retiring", "rolling_back"),
    "retiring": ("succeeded", "rolling_back"),
    "rolling_back": ("rolled_back", "rollback_failed", "held"),
    **dict.fromkeys(("succeeded", "denied", "expired", "superseded", "aborted", "rolled_back", "rollback_failed"), ()),
}
legal = {(here, there) for here, reached in LEGAL.items() for there in (*reached, here)}

# No command asks for an illegal edge, so the store is asked itself, in a process of its own.
asked = run(sys.executable, "-m", "boxes._deployed_edges", str(TMP / "states.sqlite"), *LEGAL)
assert asked.returncode == 0, asked.stderr
answers = {(here, there): (said, then) for here, there, said, then in json.loads(asked.stdout)}
refused = {edge for edge, (said, then) in answers.items() if said == "refused" and then == edge[0]}
moved = {edge for edge, (said, then) in answers.items() if said == "moved" and then == edge[1]}

port = free_port()
bot = Bot()
with released(bot), GitHub(repository({"staging": environment(port)}), webhooks=bot.webhooks) as github, bot:
    bot.start(github, **SETTINGS)

    def release(version: str) -> tuple[str, str]:
        """Push a version to main, and wait for how its deployment ends; the commit, and what GitHub was told last."""
        sha = github.write("version", f"{version}\n")
        assert until(lambda: ended(github, "staging", sha)), github.deployments("staging")
        return sha, states(github, "staging", sha)[-1]

    good, began = release("good")
    with Visitors(port) as visitors:
        dead, stillborn = release("dead")
        seen = set(visitors.answers)
        sick, fell = release("sick")
        assert until(lambda: served(port).startswith("good"))
        lost = visitors.lost()
    bot.kill()
    bot.start(github, **SETTINGS)
    bot.settle()
    now = served(port)
    ends = [(one["sha"], one["said"][-1]) for one in github.deployments("staging")]

box.equal("every-illegal-edge-is-refused", sorted(refused), sorted({*product(LEGAL, LEGAL)} - legal))
box.equal("every-legal-edge-is-gone", sorted(moved), sorted(legal))
box.equal("what-serves-is-live", began, "success")
box.equal("what-cannot-serve-is-given-up", (stillborn, seen), ("failure", {f"good {good}"}))
box.contains("and-it-is-said-what-it-printed-last", dict(ends)[dead][1], "given up before a user saw it")
box.equal("what-fails-is-taken-back", (fell, now), ("failure", f"good {good}"))
box.contains("and-it-is-said-why", dict(ends)[sick][1], "rolled back")
box.equal("no-request-is-lost-on-either-way", lost, {})
box.equal("a-killed-bot-changes-nothing", [sha for sha, _ in ends], [sick, dead, good])
