# /// box
# title = "Concurrent Requests: parallel deliveries all become runs, never more at once than INTERLOCK_MAX_RUNS"
# timeout = "90s"
#
# [control]
# expect = "never-more-at-once-than-the-cap"
#
# [control.edit]
# file = "bot/app.py"
# find = "asyncio.Semaphore(settings.max_runs)"
# replace = "asyncio.Semaphore(1000)"
# ///
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

from boxes._interlock import TMP, Bot, GitHub, Mailbox, box, events

PUSHES, CAP = 6, 2
# A run stays until as many have begun as may, and then for two seconds in case that more do.
WAITS = f"""\
#!/bin/sh
cd "{TMP}/arrived" && touch "$BOX_RUN_ID"
have_begun() {{ test "$(ls | wc -l)" -ge "$1"; }}
for _ in $(seq 400); do have_begun {CAP} && break; sleep 0.05; done
for _ in $(seq 40); do have_begun {PUSHES} && break; sleep 0.05; done
"""
(TMP / "arrived").mkdir()

with Mailbox() as mailbox, GitHub({"boxes/tier-1/1_waits.sh": WAITS}, webhooks=mailbox.url) as github, Bot() as bot:
    for number in range(PUSHES):
        github.push(f"{number}.txt")
    github.settle()
    pushes = mailbox.of("push")

    bot.start(github, MAX_RUNS=str(CAP), SANDBOX="off")  # its boxes meet in a directory, which isolated ones cannot.
    with ThreadPoolExecutor(PUSHES) as senders:
        answers = list(senders.map(bot.deliver, pushes))
    bot.settle()
    conclusions = [run["conclusion"] for run in bot.runs()]

records = [events(path) for path in sorted(bot.data_dir.glob("runs/*/events-*.jsonl"))]
steps = {"run_started": 1, "run_finished": -1}
moments = sorted(
    (event["at"], steps[event["type"]]) for record in records for event in record if event["type"] in steps
)
at_once = list(accumulate(step for _, step in moments))

box.equal("every-delivery-is-acknowledged", answers, [202] * PUSHES)
box.equal("every-delivery-became-a-run", (len(records), conclusions), (PUSHES, ["success"] * PUSHES))
box.ok("never-more-at-once-than-the-cap", max(at_once) <= CAP, f"{max(at_once)} runs at once, the cap is {CAP}")
box.ok("they-run-in-parallel", max(at_once) > 1, "one run at a time")
box.metric("runs at once", max(at_once))
