# /// box
# title = "Command authorisation: whoever may not steer is refused, it is written down, and nothing runs"
# timeout = "90s"
#
# [control]
# expect = "nothing-ran"
#
# [control.edit]
# file = "bot/flows/authorising.py"
# find = '''return "", Refused(LOOKALIKE, "logins that look like an app's steer nothing")'''
# replace = 'return "admin", None'
# ///
import json
from typing import Any

from boxes._interlock import Bot, Delivery, GitHub, Mailbox, box

ENVIRONMENT = """\
environments:
  staging:
    pull_requests: true
    target: {kind: command, observe: "true", start: "true"}
    gates: [{approvals: {from: ["role:maintain"]}}]
"""
FILES = {"boxes/tier-1/1_green.sh": "#!/bin/sh\nexit 0\n", ".github/interlock.yml": ENVIRONMENT}
ORDER = "/boxes run all"
DEPLOY = "/deploy staging"


def settle() -> None:
    github.settle()
    bot.settle()


def forge(number: int, *, login: str, kind: str, order: str = ORDER) -> int:
    """Deliver the last comment once more, signed, as if an account of another kind had written an order there."""
    payload: dict[str, Any] = json.loads(mailbox.of("issue_comment", "created")[-1].body)
    payload["comment"] |= {"id": 99_000_000 + number, "body": order}
    for account in (payload["comment"]["user"], payload["sender"]):
        account |= {"login": login, "type": kind}
    return deliver("issue_comment", payload, number)


def review(number: int, *, login: str) -> int:
    """Deliver a review that holds an order."""
    told: dict[str, Any] = json.loads(mailbox.of("issue_comment", "created")[-1].body)
    who = told["sender"] | {"login": login, "type": "User"}
    head = {"sha": pull["head"]["sha"], "ref": "topic"}
    payload = {
        **{key: told[key] for key in ("repository", "installation")},
        "sender": who,
        "action": "submitted",
        "pull_request": {"number": pull["number"], "head": head, "base": {"ref": "main"}},
        "review": {"id": 99_000_000 + number, "body": f"Nearly.\n\n{ORDER}", "user": who},
    }
    return deliver("pull_request_review", payload, number)


def deliver(event: str, payload: dict[str, Any], number: int) -> int:
    body = json.dumps(payload).encode()
    return bot.deliver(Delivery.signed(github.ready["webhook_secret"], event, body, number))


TEAM = {"eve": "read", "lena": "maintain"}
with Mailbox() as mailbox, Bot() as bot:
    mailbox.to = bot.deliver
    with GitHub(FILES, webhooks=mailbox.url, team=TEAM, forks=["stranger"]) as github:
        bot.start(github)
        pull = github.propose("topic")
        theirs = github.propose("theirs", by="stranger", repo="stranger/app")
        settle()
        before, said = len(bot.runs()), len(github.call("GET", f"/issues/{pull['number']}/comments"))

        innocent = github.say(pull["number"], "looks good", by="lena")
        settle()
        answers = [
            forge(1, login="lena[bot]", kind="User"),
            forge(2, login="helper[bot]", kind="Bot"),
            review(3, login="eve"),
            forge(4, login="lena[bot]", kind="User", order=DEPLOY),
            forge(5, login="helper[bot]", kind="Bot", order=DEPLOY),
        ]
        settle()
        edited = f"{ORDER}\n{DEPLOY}"
        github.call("PATCH", f"/issues/comments/{innocent['id']}", body=edited)  # by mona, who may write.
        github.say(pull["number"], DEPLOY, by="eve")
        github.say(pull["number"], '/rollback staging because "mine"', by="eve")
        github.say(theirs["number"], f"{DEPLOY} at {theirs['head']['sha']}", by="stranger")
        github.say(pull["number"], "/boxes cancel", by="eve")
        github.say(pull["number"], '/boxes skip 1 because "I say so"', by="eve")
        github.say(pull["number"], '/freeze because "mine"', by="mona")
        github.say(theirs["number"], ORDER, by="stranger")
        github.say(theirs["number"], f"/ok-to-test {theirs['head']['sha']}", by="stranger")
        settle()
        after, deployed = len(bot.runs()), bot.deployments()
        rows = {
            (row["actor"], row["action"]): (row["permission"], row["decision"], row["reason"]) for row in bot.audit()
        }
        theirs_ran = [run["state"] for run in bot.runs() if run["pr"] == theirs["number"]]

        github.say(pull["number"], ORDER, by="mona")
        settle()
        who_may = len(bot.runs()) - after
        github.say(pull["number"], DEPLOY, by="mona")
        settle()
        github.say(pull["number"], "/approve staging", by="eve")
        settle()
        waits = [(one["environment"], one["sha"], one["state"]) for one in bot.deployments()]
        yes = [row["reason"] for row in bot.audit() if row["action"] == "approve"]

box.equal("every-delivery-is-acknowledged", answers, [202] * 5)
box.equal("nothing-ran", after - before, 0)
box.equal("nothing-was-deployed", deployed, [])
box.equal("a-strangers-code-never-did", theirs_ran, ["refused"])
box.equal(
    "each-refusal-is-written-down",
    {key: row for key, row in sorted(rows.items()) if row[1] == "refused"},
    {
        ("eve", "boxes cancel"): ("read", "refused", "not_permitted"),
        ("eve", "boxes run"): ("read", "refused", "not_permitted"),
        ("eve", "boxes skip"): ("read", "refused", "not_permitted"),
        ("eve", "deploy"): ("read", "refused", "not_permitted"),
        ("eve", "rollback"): ("read", "refused", "not_permitted"),
        ("lena[bot]", "boxes run"): ("", "refused", "lookalike"),
        ("lena[bot]", "deploy"): ("", "refused", "lookalike"),
        ("mona", "boxes run"): ("", "refused", "edited"),
        ("mona", "deploy"): ("", "refused", "edited"),
        ("mona", "freeze"): ("write", "refused", "not_permitted"),
        ("stranger", "boxes run"): ("read", "refused", "not_permitted"),
        ("stranger", "deploy"): ("read", "refused", "not_permitted"),
        ("stranger", "ok-to-test"): ("read", "refused", "not_permitted"),
    },
)
box.ok("and-nothing-was-allowed", all(row[1] == "refused" for row in rows.values()), f"{rows}")
box.equal("who-may-is-obeyed", who_may, 1)
box.equal("and-what-they-deploy-waits-for-others", waits, [("staging", pull["head"]["sha"], "gated")])
box.equal("whose-yes-a-reader-cannot-give", yes, ["not_an_approver"])
