# /// box
# title = "Code Freeze: nothing into a frozen branch is green, whatever its boxes say, until the freeze ends"
# timeout = "90s"
#
# [control]
# expect = "a-freeze-holds-what-was-green"
#
# [control.edit]
# file = "bot/flows/holds.py"
# find = 'return sentence(freeze) if freeze else ""'
# replace = 'return ""'
# ///
import sqlite3
from contextlib import closing

from boxes._interlock import OVERALL, Bot, GitHub, box, until

ONE_BOX = {"boxes/tier-1/1_green.sh": "#!/bin/sh\nexit 0\n"}


def verdicts() -> list[str]:
    """What the required check of each pull request says."""
    return [github.checks(pull["head"]["sha"])[OVERALL]["conclusion"] for pull in pulls]


def rest() -> list[str]:
    """The same, when everything has come to rest."""
    github.settle()
    bot.settle()
    return verdicts()


def says(words: str, by: str) -> list[str]:
    """The same, after somebody has commented on the first pull request."""
    github.say(pulls[0]["number"], words, by=by)
    return rest()


bot = Bot()
with GitHub(ONE_BOX, webhooks=bot.webhooks, team={"lena": "maintain"}) as github, bot:
    bot.start(github)
    pulls = [github.propose("first")]
    green = rest()
    writers = says('/freeze main because "mine is next"', by="mona")
    frozen = says('/freeze main because "the release is being cut"', by="lena")
    title = github.checks(pulls[0]["head"]["sha"])[OVERALL]["output"]["title"]
    pulls.append(github.propose("second"))
    both = rest()
    ran = len(bot.runs())
    lifted = says("/unfreeze main", by="lena")

    elsewhere = says('/freeze develop because "not this one"', by="lena")
    again = says('/freeze until 2999-01-01T00:00Z because "holidays"', by="lena")
    bot.kill()  # nobody is there when the moment comes; it comes in the table, because nobody waits for 2999.
    with closing(sqlite3.connect(bot.data_dir / "app.sqlite")) as table, table:
        table.execute("UPDATE freezes SET until = since WHERE lifted_at IS NULL")
    bot.start(github)
    over = until(lambda: verdicts() == ["success"] * 2)
    bot.settle()
    executed = len(bot.runs())

box.equal("it-was-green", green, ["success"])
box.equal("a-writer-freezes-nothing", writers, ["success"])
box.equal("a-freeze-holds-what-was-green", frozen, ["action_required"])
box.equal("the-check-says-why", title, "frozen: the release is being cut (by @lena)")
box.equal("what-comes-during-a-freeze-is-held", both, ["action_required"] * 2)
box.equal("unfreeze-gives-the-verdicts-back", lifted, ["success"] * 2)
box.equal("another-branch-is-another-matter", elsewhere, ["success"] * 2)
box.equal("a-freeze-with-an-end-holds", again, ["action_required"] * 2)
box.ok("and-ends-by-itself", over, "the pull requests stay frozen")
box.equal("no-box-ran-for-any-of-it", executed, ran)
