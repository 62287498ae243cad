# /// box
# title = "Message Delivery: what was acknowledged is done and what was lost comes back, each once"
# timeout = "120s"
#
# [control]
# expect = "what-was-acknowledged-is-done"
#
# [control.edit]
# file = "bot/flows/dispatch.py"
# find = "for delivery in await self._ctx.inbox.open():"
# replace = "for delivery in ():"
# ///
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from boxes._interlock import OVERALL, Bot, Delivery, GitHub, Mailbox, box, until

ONE_BOX = {"boxes/tier-1/1_green.sh": "#!/bin/sh\nexit 0\n"}


def hand_in(*deliveries: Delivery) -> list[int]:
    """Send some at once; the statuses of the answers."""
    with ThreadPoolExecutor(len(deliveries)) as senders:
        return list(senders.map(bot.deliver, deliveries))


def ran() -> Counter[str]:
    """How many runs each commit has."""
    return Counter(run["head_sha"] for run in bot.runs())


with Mailbox() as mailbox, GitHub(ONE_BOX, webhooks=mailbox.url) as github, Bot() as bot:
    acknowledged = [github.push("one"), github.push("two")]
    github.settle()
    pushes = mailbox.of("push")
    bot.start(github)

    # The engine cannot write, so no flow begins; then the bot dies, right between its answer and what it promised.
    with closing(sqlite3.connect(bot.data_dir / "engine.sqlite", timeout=30)) as engine:
        engine.execute("BEGIN IMMEDIATE")
        answers = hand_in(*pushes)
        bot.kill()
        engine.rollback()

    # Nobody is there for these; GitHub lists them as failed.
    mailbox.loses = True
    lost = [github.push("three"), github.push("four")]
    github.settle()
    mailbox.loses = False

    bot.start(github)
    came_back = until(lambda: len(mailbox.of("push")) >= len(acknowledged) + len(lost))
    github.settle()
    again = mailbox.of("push")[len(pushes) :]
    answers += hand_in(*again, *again)
    until(lambda: {*lost} <= {*ran()} and bot.has_come_to_rest())
    before = ran()

    # The line breaks once more, and whoever is not sure says it again.
    bot.kill()
    bot.start(github)
    answers += hand_in(*again, *pushes)
    until(bot.has_come_to_rest)
    done = bot.is_idle()
    runs = ran()
    shown = [github.checks(sha).get(OVERALL, {}).get("conclusion") for sha in (*acknowledged, *lost)]

box.equal("every-delivery-is-acknowledged", set(answers), {202})
box.equal("what-was-acknowledged-is-done", [before[sha] for sha in acknowledged], [1, 1])
box.ok("what-was-lost-is-asked-for-again", came_back, "GitHub was not asked for what failed")
box.equal("and-is-done", [before[sha] for sha in lost], [1, 1])
box.ok("nothing-is-left-open", done, "the bot does not come to rest")
box.equal("saying-it-again-changes-nothing", runs, before)
box.equal("each-has-its-verdict", shown, ["success"] * 4)
