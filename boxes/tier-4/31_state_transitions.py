# /// box
# title = "State Transitions: a run goes where it may and nowhere else, and stays as it ended"
# timeout = "90s"
#
# [control]
# expect = "every-illegal-edge-is-refused"
#
# [control.edit]
# file = "bot/domain/run_states.py"
# find = "RunState.CANCELLED: frozenset(),"
# replace = "RunState.CANCELLED: frozenset({RunState.FINISHED}),"
# ///
import json
import sys
from itertools import pairwise, product

from boxes._interlock import TMP, Bot, GitHub, box, run, until

OPEN, ENDS = ("queued", "running"), ("finished", "refused", "cancelled", "superseded")
STATES = (*OPEN, *ENDS)
LEGAL = {*product(OPEN, ENDS), ("queued", "running"), *zip(STATES, STATES, strict=True)}

# No command and no webhook asks for an illegal edge, so the store is asked itself, in a process of its own.
asked = run(sys.executable, "-m", "boxes._edges", str(TMP / "states.sqlite"), *STATES)
assert asked.returncode == 0, asked.stderr
answers = {(now, wanted): (said, then) for now, wanted, said, then in json.loads(asked.stdout)}
refused = {edge for edge, (said, then) in answers.items() if said == "refused" and then == edge[0]}
moved = {edge for edge, (said, then) in answers.items() if said == "moved" and then == edge[1]}

# The same as people live through it.
SLOW = f"""\
#!/bin/sh
test -e stays || exit 0
touch "{TMP}/$BOX_RUN_ID"
sleep 60
"""
bot = Bot()
team = {"eve": "read"}
with GitHub({"boxes/tier-1/1_slow.sh": SLOW}, webhooks=bot.webhooks, team=team, forks=["stranger"]) as github, bot:
    bot.start(github, SANDBOX="off")
    lived: dict[int, list[str]] = {}

    def begun() -> bool:
        """Look at every run; true once as many boxes of theirs have begun as are waited for."""
        return sum(row["state"] == "running" for row in look()) == 1

    def look() -> list[dict[str, object]]:
        rows = bot.runs()
        for row in rows:
            states = lived.setdefault(row["number"], [])
            if states[-1:] != [row["state"]]:
                states.append(row["state"])
        return rows

    github.push("one")  # nothing stands in its way.
    until(lambda: any(row["state"] == "finished" for row in look()))
    foreign = github.propose("theirs", by="stranger", repo="stranger/app")
    pull = github.propose("stays")
    until(begun)
    github.push("more", branch="stays")  # supersedes it
    until(lambda: any(row["state"] == "superseded" for row in look()) and begun())
    github.say(pull["number"], "/boxes cancel")
    until(lambda: any(row["state"] == "cancelled" for row in look()) and bot.is_idle())
    ended = {row["number"]: (row["state"], row["finished_at"]) for row in look()}

    # What has ended is told to end again, by everybody who may.
    github.say(pull["number"], "/boxes cancel")
    github.call("PATCH", f"/pulls/{pull['number']}", state="closed")
    github.call("PATCH", f"/pulls/{foreign['number']}", state="closed")
    github.settle()
    bot.settle()
    bot.kill()
    bot.start(github, SANDBOX="off")
    bot.settle()
    kept = {row["number"]: (row["state"], row["finished_at"]) for row in look()}

steps = {step for states in lived.values() for step in pairwise(states)}
box.equal("every-illegal-edge-is-refused", sorted(refused), sorted({*product(STATES, STATES)} - LEGAL))
box.equal("every-legal-edge-is-gone", sorted(moved), sorted(LEGAL))
box.equal("runs-end-in-every-way", {state for state, _ in ended.values()}, {*ENDS})
box.ok("and-pass-legal-states-only", steps <= LEGAL, f"seen: {sorted(steps)}")
box.equal("what-ended-stays-as-it-ended", kept, ended)
