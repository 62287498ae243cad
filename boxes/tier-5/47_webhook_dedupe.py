# /// box
# title = "Webhook dedupe & redelivery: twice, out of order, lost, after a restart: a delivery counts once"
# timeout = "120s"
#
# [control]
# expect = "one-press-is-written-down-once"
#
# [control.edit]
# file = "bot/web/webhooks.py"
# find = "Delivery(delivery_id, event, body, self._clock.now())"
# replace = "Delivery(f'{delivery_id}-{self._clock.now().timestamp()}', event, body, self._clock.now())"
# ///
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from boxes._interlock import OVERALL, Bot, Delivery, GitHub, Mailbox, box, until

ONE_BOX = {"boxes/tier-1/1_green.sh": "#!/bin/sh\nexit 0\n"}


def by_another_hook(delivery: Delivery) -> Delivery:
    """The same fact under another id; the signature covers the body alone."""
    name = f"{delivery.headers['x-github-delivery']}-another-hook"
    return Delivery({**delivery.headers, "x-github-delivery": name}, delivery.body)


with Mailbox() as mailbox, GitHub(ONE_BOX, webhooks=mailbox.url) as github, Bot() as bot:
    older, newer = github.push("one"), github.push("two")
    github.settle()
    first, second = mailbox.of("push")
    mailbox.loses = True
    missed = github.push("three")
    github.settle()
    mailbox.loses = False

    echo = by_another_hook(first)

    bot.start(github)
    with ThreadPoolExecutor(5) as senders:
        answers = list(senders.map(bot.deliver, [second, first, echo, second, first]))
    bot.settle()

    # The bot has asked GitHub for the one that got lost; it comes under the id that it had, and here it comes twice.
    until(lambda: len(mailbox.of("push")) == 3)
    late = mailbox.of("push")[-1]
    answers += [bot.deliver(late), bot.deliver(late)]
    bot.settle()

    # "Re-run" asks for another run of the same commit: each time that somebody does, and no more often.
    check = github.checks(newer)[OVERALL]["id"]
    github.call("POST", f"/check-runs/{check}/rerequest")
    github.settle()
    [rerun] = mailbox.of("check_run", "rerequested")
    answers += [bot.deliver(rerun), bot.deliver(rerun), bot.deliver(by_another_hook(rerun))]
    bot.settle()

    # Who pressed one of our buttons is written down; only the delivery's id tells whether it is told again.
    github.press(github.checks(missed)[OVERALL]["id"], "rerun_all")
    github.settle()
    [press] = mailbox.of("check_run", "requested_action")
    answers += [bot.deliver(press), bot.deliver(press)]
    bot.settle()

    bot.kill()
    bot.start(github)
    answers += [bot.deliver(delivery) for delivery in (press, rerun, late, second, first, echo, press)]
    bot.settle()
    runs = Counter(run["head_sha"] for run in bot.runs())
    pressed = len(bot.audit())
    executed = len(list(bot.data_dir.glob("runs/*/events-*.jsonl")))

box.equal("every-delivery-is-acknowledged", set(answers), {202})
box.equal("one-push-is-one-run", runs[older], 1)
box.equal("one-rerun-is-one-run", runs[newer] - 1, 1)
box.equal("a-lost-one-that-comes-again-is-one-run", runs[missed] - 1, 1)
box.equal("one-press-is-written-down-once", pressed, 1)
box.equal("nothing-else-ran", executed, 5)
