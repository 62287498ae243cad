# /// box
# title = "API Failure: GitHub forgets its answers, is away and comes back, and every run has its verdict, once"
# timeout = "200s"
#
# [control]
# expect = "a-run-outlives-an-outage"
#
# [control.edit]
# file = "bot/flows/persevere.py"
# find = "TRIES = 100"
# replace = "TRIES = 1"
# ///
from collections import Counter

from boxes._interlock import OVERALL, TMP, Bot, GitHub, Mailbox, box, until

# A run goes on when it is told to; the machine's directory is its only line, so it is not isolated.
WAITS = f"""\
#!/bin/sh
test -e slow || exit 0
touch "{TMP}/begun"
for _ in $(seq 400); do test -e "{TMP}/go" && exit 0; sleep 0.05; done
exit 1
"""
CHECKS = {OVERALL: "success", "Interlock / tier 1": "success"}


def failures() -> int:
    """How often the bot has noticed that GitHub does not answer."""
    return bot.log.read_text().count("no answer from GitHub")


def ended() -> bool:
    """Whether both runs have."""
    return [run["state"] for run in bot.runs()] == ["finished"] * 2


with Mailbox() as mailbox, GitHub({"boxes/tier-1/1_waits.sh": WAITS}, webhooks=mailbox.url) as github, Bot() as bot:
    bot.start(github, SANDBOX="off")
    # Longer away than one call is patient; and each first answer of these is lost when the deed is done.
    github.spoil("GET", r"/pulls/\d+$", status=502, times=4)
    github.spoil("POST", "/check-runs$", status=502, after_commit=True)
    pull = github.propose("slow")
    github.settle()
    [opened] = mailbox.of("pull_request", "opened")
    answers = [bot.deliver(opened)]
    until(lambda: (TMP / "begun").exists() or any(run["conclusion"] for run in bot.runs()))

    # In the middle of that run GitHub's process is gone, and one more delivery is on its way.
    pushed = github.push("two")
    github.settle()
    [push] = [one for one in mailbox.of("push") if pushed in one.body.decode()]
    github.kill()
    answers.append(bot.deliver(push))
    noticed = until(failures)
    github.start()
    github.spoil("POST", "/comments$", reset=True, after_commit=True)
    (TMP / "go").touch()

    over = until(ended) or until(ended) or until(ended)  # after five refusals in a row it rests for a minute.
    until(bot.is_idle)
    runs = {run["head_sha"]: (run["state"], run["conclusion"]) for run in bot.runs()}
    head = pull["head"]["sha"]
    shown = {sha: github.call("GET", f"/commits/{sha}/check-runs?filter=all")["check_runs"] for sha in (head, pushed)}
    comments = github.call("GET", f"/issues/{pull['number']}/comments")

box.ok("the-outage-was-noticed", noticed, "the bot asked for nothing while GitHub was away")
box.equal("every-delivery-is-acknowledged", answers, [202, 202])
box.equal("a-run-outlives-an-outage", runs.get(head), ("finished", "success"))
box.equal("no-delivery-is-lost", runs.get(pushed), ("finished", "success"))
box.ok("nothing-is-left-open", over, f"runs: {runs}")
for sha, where in ((head, "pull-request"), (pushed, "push")):
    names = Counter(row["name"] for row in shown[sha])
    box.equal(f"each-check-of-the-{where}-is-there-once", names, Counter([*CHECKS]))
    box.equal(f"and-complete-{where}", {row["name"]: row["conclusion"] for row in shown[sha]}, CHECKS)
box.equal("one-comment-says-so", len(comments), 1)
