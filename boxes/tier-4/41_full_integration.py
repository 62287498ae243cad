# /// box
# title = "Full Integration: from a git push to a verdict, a comment, a command, the merge queue, users, and back"
# timeout = "240s"
#
# [control]
# expect = "a-broken-push-is-red"
#
# [control.edit]
# file = "bot/domain/checks.py"
# find = 'return "completed", "success" if green else "failure"'
# replace = 'return "completed", "success"'
# ///
import sys
from typing import Any

from boxes._interlock import OVERALL, REPO, TMP, Bot, GitHub, box, run, until
from boxes._released import SETTINGS, ended, environment, free_port, released, repository, served, states

ADDS = '#!/bin/sh\ntest "$(cat sum)" = 4 || { echo "sum:1: expected 4, got $(cat sum)"; exit 1; }\n'
BOXES = {"sum": "4\n", "boxes/tier-1/1_adds.sh": ADDS, "boxes/tier-2/2_ships.sh": "#!/bin/sh\nexit 0\n"}
CHECKS = (OVERALL, "Interlock / tier 1", "Interlock / tier 2")


def git(*arguments: str) -> str:
    """What a git command in the clone prints."""
    who = ("-c", "user.name=mona", "-c", "user.email=mona@example.com")
    done = run("git", *who, *arguments, cwd=TMP / "clone")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def push(total: int, message: str) -> str:
    """Change the sum and push it to the branch; the commit's SHA."""
    (TMP / "clone" / "sum").write_text(f"{total}\n")
    git("commit", "--quiet", "--all", f"--message={message}")
    git("push", "--quiet", "origin", "HEAD:refs/heads/topic")
    return git("rev-parse", "HEAD")


def seen(sha: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What GitHub shows when everything has come to rest: a commit's conclusions, the pull request's comments."""
    github.settle()
    bot.settle()
    conclusions = {name: check["conclusion"] for name, check in github.checks(sha).items()}
    return conclusions, github.call("GET", f"/issues/{number}/comments")


port = free_port()
files = repository({"staging": environment(port)}, more=BOXES)
bot = Bot()
with released(bot), GitHub(files, webhooks=bot.webhooks) as github, bot:
    bot.start(github, **SETTINGS)
    (TMP / "clone").mkdir()
    git("clone", "--quiet", github.ready["url"].replace("://", f"://mona:{github.token}@") + f"/{REPO}.git", ".")

    broken = push(5, "Break the sum")
    number = github.call("POST", "/pulls", head="topic", base="main", title="Add up")["number"]
    red, warned = seen(broken)
    if not box.equal("a-broken-push-is-red", red, dict.fromkeys(CHECKS, "failure")):
        sys.exit(1)  # with verdicts that lie, what comes after says nothing, and may wait for ever.
    mended = push(4, "Mend it")
    green, relieved = seen(mended)
    box.equal("the-fix-is-green", green, dict.fromkeys(CHECKS, "success"))
    box.equal("one-comment-says-so", [row["user"]["login"] for row in warned], ["interlock[bot]"])
    box.equal("it-stays-the-only-one", [row["id"] for row in relieved], [row["id"] for row in warned])
    box.contains("it-speaks-of-the-new-head", relieved[0]["body"], mended[:7])

    ran = len(bot.runs())
    order = github.say(number, "/boxes rerun all")
    again, answered = seen(mended)
    ran_again = len(bot.runs()) - ran
    reactions = [row["content"] for row in github.call("GET", f"/issues/comments/{order['id']}/reactions")]

    # Alone it is green, and so is what the base has become meanwhile; the queue has both to judge.
    github.push("meanwhile")
    proposed = github.enqueue(number)
    merging, _ = seen(proposed)
    merged = github.call("GET", f"/pulls/{number}")["merged"]
    base = github.call("GET", "/git/ref/heads/main")["object"]["sha"]
    causes = [run["cause"] for run in bot.runs() if run["head_sha"] == proposed]

    # What was merged goes to its users, then what comes after it; and back again when somebody says so.
    assert until(lambda: ended(github, "staging", proposed)), github.deployments("staging")
    first = states(github, "staging", proposed)[-1], served(port)
    later = github.write("version", "later\n")
    assert until(lambda: ended(github, "staging", later)), github.deployments("staging")
    second = states(github, "staging", later)[-1], served(port)
    github.say(number, '/rollback staging because "it is too new"')
    returned = until(lambda: served(port).endswith(proposed))
    back = served(port)

box.equal("a-command-runs-them-again", (ran_again, again), (1, dict.fromkeys(CHECKS, "success")))
box.equal("and-is-acknowledged", reactions, ["eyes", "rocket"])
box.equal("without-another-word", [row["user"]["login"] for row in answered], ["interlock[bot]", "mona"])
box.equal("the-merge-queue-has-its-verdict", merging, dict.fromkeys(CHECKS, "success"))
box.contains("as-a-run-of-its-own", causes, "merge_group")
box.equal("and-merges-what-was-tested", (merged, base), (True, proposed))
box.equal("what-was-merged-has-its-users", first, ("success", f"none {proposed}"))
box.equal("and-so-has-what-comes-after", second, ("success", f"later {later}"))
box.equal("and-a-command-takes-it-back", (returned, back), (True, f"none {proposed}"))
