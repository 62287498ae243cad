# /// box
# title = "Input Validation: what is not signed starts nothing, and nothing that arrives makes the bot crash"
# timeout = "120s"
#
# [control]
# expect = "what-is-not-signed-is-refused"
#
# [control.edit]
# file = "bot/web/webhooks.py"
# find = "good |= hmac.compare_digest(expected, given)"
# replace = "good |= hmac.compare_digest(expected, given) or bool(expected)"
# ///
import socket
from collections import Counter

from boxes._hostile import PROOF, bodies, requests, unsigned
from boxes._interlock import Bot, Delivery, GitHub, Mailbox, box, flood

ONE_BOX = {"boxes/tier-1/1_green.sh": "#!/bin/sh\nexit 0\n"}
TOO_LARGE = b"{" + b" " * (25 * 1024 * 1024) + b"}"


def say(request: bytes) -> int:
    """The status of the answer to a raw request; 0 when the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", bot.port), timeout=30) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        words = line.makefile("rb").readline().split()
    return int(words[1]) if words else 0


def sign(event: str, body: bytes, number: int) -> Delivery:
    return Delivery.signed(secret, event, body, number)


with Mailbox() as mailbox, GitHub(ONE_BOX, webhooks=mailbox.url) as github, Bot() as bot:
    secret = github.ready["webhook_secret"]
    sha = github.push("one")
    github.settle()
    [push] = mailbox.of("push")
    bot.start(github)

    refused = {name: flood(bot.port, [delivery])[0] for name, delivery in unsigned(push).items()}
    bot.settle()
    started = bot.runs()

    headers = [
        {**push.headers, name: value}
        for name in ("x-github-event", "x-github-delivery")
        for value in ("", "../x", "x" * 5_000, "push;push", "pu\u00e9sh", "0")
    ]
    malformed = flood(bot.port, [Delivery(each, push.body) for each in headers])
    too_large = flood(bot.port, [sign("push", TOO_LARGE, 1)])
    raw = {name: say(request) for name, request in requests(push).items()}
    signed = [sign(event, body, number) for number, (event, body) in enumerate(bodies(push, 39), 100)]
    answers = flood(bot.port, signed)
    bot.settle()
    afterwards = bot.deliver(push)
    bot.settle()
    ended = {run["head_sha"]: run["conclusion"] for run in bot.runs()}

print(refused, malformed, too_large, raw, sep="\n")
box.equal("what-is-not-signed-is-refused", refused, dict.fromkeys(refused, 401))
box.equal("what-is-not-signed-starts-nothing", started, [])
box.equal("headers-that-name-no-delivery-are-malformed", set(malformed), {400})
box.equal("too-large-is-too-large", too_large, [413])
box.ok("no-request-makes-it-crash", all(status < 500 for status in raw.values()), str(raw))
box.equal("no-signed-body-makes-it-crash", Counter(answers), {202: len(signed)})
box.ok("nothing-that-came-in-was-carried-out", not PROOF.exists())
box.equal("afterwards-it-works-as-before", (afterwards, ended.get(sha)), (202, "success"))
box.metric("hostile deliveries", len(refused) + len(malformed) + len(raw) + len(signed))
