# /// box
# title = "Webhook dedupe & redelivery: twice, out of order, lost, after a restart: a delivery counts once"
# timeout = "120s"
#
# [control]
# expect = "one-press-is-one-run"
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

with Mailbox() as mailbox, GitHub(ONE_BOX, webhooks=mailbox.url) as github, Bot() as bot:
    older, newer = github.push("one"), github.push("two")
    github.settle()
    first, second = mailbox.of("push")
    mailbox.loses = True
    missed = github.push("three")
    github.settle()
    mailbox.loses = False

    # Two hooks tell one fact under two ids; the signature covers the body alone.
    echo = Delivery({**first.headers, "x-github-delivery": "00000000-another-hook"}, first.body)

    bot.start(github)
    with ThreadPoolExecutor(5) as senders:
        answers = list(senders.map(bot.deliver, [second, first, echo, second, first]))
    bot.settle()

    # The bot has asked GitHub for the one that got lost; it comes under the id that it had, and here it comes twice.
    until(lambda: len(mailbox.of("push")) == 3)
    late = mailbox.of("push")[-1]
    answers += [bot.deliver(late), bot.deliver(late)]
    bot.settle()

    # A pressed button has nothing but the delivery's id that tells one press from two.
    check = github.checks(newer)[OVERALL]["id"]
    github.call("POST", f"/check-runs/{check}/rerequest")
    github.settle()
    [press] = mailbox.of("check_run", "rerequested")
    answers += [bot.deliver(press), bot.deliver(press)]
    bot.settle()

    bot.kill()
    bot.start(github)
    answers += [bot.deliver(delivery) for delivery in (press, late, second, first, echo, press)]
    bot.settle()
    runs = Counter(run["head_sha"] for run in bot.runs())
    executed = len(list(bot.data_dir.glob("runs/*/events-*.jsonl")))

box.equal("every-delivery-is-acknowledged", set(answers), {202})
box.equal("one-push-is-one-run", runs[older], 1)
box.equal("one-press-is-one-run", runs[newer] - 1, 1)
box.equal("a-lost-one-that-comes-again-is-one-run", runs[missed], 1)
box.equal("nothing-else-ran", executed, 4)
