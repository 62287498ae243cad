# /// box
# title = "Release Candidate: what users get is the commit that was tested, however far the branch has moved since"
# timeout = "120s"
#
# [control]
# expect = "users-have-the-tested-tree"
#
# [control.edit]
# file = "bot/flows/deploying/planning.py"
# find = """
#     if await mirror.has(deployment.sha):
#         await mirror.export(deployment.sha, files.tree)
# """
# replace = """
#     from bot.github.pulls import branch_head
#     head = await branch_head(ctx.github.installation(deployment.installation_id), deployment.repo, deployment.ref)
#     if await mirror.has(head):
#         await mirror.export(head, files.tree)
# """
# ///
from boxes._interlock import OVERALL, Bot, GitHub, box, until
from boxes._released import (
    APPROVER,
    SETTINGS,
    TEAM,
    ended,
    environment,
    free_port,
    released,
    repository,
    served,
    states,
)

TESTS = '#!/bin/sh\ntest ! -e broken || { echo "broken:1: this must not go out"; exit 1; }\n'

port = free_port()
production = environment(port)
production["gates"] += [{"approvals": {"count": 1, "from": [f"user:{APPROVER}"]}}]
files = repository({"production": production}, more={"boxes/tier-1/2_tests.sh": TESTS})
bot = Bot()
with released(bot), GitHub(files, webhooks=bot.webhooks, team=TEAM) as github, bot:
    bot.start(github, **SETTINGS)

    # The candidate is tested, and waits for a yes. Meanwhile main moves on to what is not fit to go out.
    number = github.change({"version": "tested\n"}, "candidate")["number"]
    candidate = github.merge(number)
    assert until(lambda: states(github, "production", candidate)[-1:] == ["pending"]), bot.log.read_text()[-2000:]
    github.write("broken", "yes\n")
    moved = github.write("version", "untested\n")
    assert until(lambda: github.checks(moved).get(OVERALL, {}).get("conclusion") == "failure")

    github.say(number, f"/approve production at {candidate}", by=APPROVER)
    assert until(lambda: ended(github, "production", candidate)), github.deployments("production")
    told = {one["sha"]: one["said"][-1][0] for one in github.deployments("production")}
    tested = github.checks(candidate)[OVERALL]["conclusion"]
    users = served(port)

version, _, sha = users.partition(" ")
box.equal("the-candidate-was-green", tested, "success")
box.equal("users-have-the-tested-tree", version, "tested")
box.equal("and-its-commit-says-so", sha, candidate)
box.equal("github-was-told-of-that-commit-and-no-other", told, {candidate: "success"})
