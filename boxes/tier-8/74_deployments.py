# /// box
# title = "Blue-green, canary, auto-rollback: no yes, no users; no request is lost; what turns bad is taken back"
# timeout = "180s"
#
# [control]
# expect = "the-old-version-is-back"
#
# [control.edit]
# file = "bot/deploy/probing.py"
# find = "if status != probe.status:"
# replace = "if status != probe.status != 200:"
# ///
from boxes._interlock import Bot, GitHub, box, until
from boxes._released import (
    APPROVER,
    SETTINGS,
    TEAM,
    Visitors,
    ended,
    environment,
    free_port,
    released,
    repository,
    served,
    states,
)

BOUND = 5.0
"""Seconds for which users may have a release that answers nothing but errors."""

port = free_port()
production = environment(port, strategy="blue_green")
production["gates"] += [{"approvals": {"count": 1, "from": [f"user:{APPROVER}"]}}]
bot = Bot()
with released(bot), GitHub(repository({"production": production}), webhooks=bot.webhooks, team=TEAM) as github, bot:
    bot.start(github, **SETTINGS)

    def release(version: str) -> tuple[int, str]:
        """Merge a version, and wait until production waits for somebody's yes to it."""
        number = github.change({"version": f"{version}\n"}, version)["number"]
        sha = github.merge(number)
        assert until(lambda: states(github, "production", sha)[-1:] == ["pending"]), github.deployments("production")
        return number, sha

    def approve(number: int, sha: str) -> list[str]:
        """Say yes, and wait until the deployment has ended; what GitHub was told."""
        github.say(number, "/approve production", by=APPROVER)
        assert until(lambda: ended(github, "production", sha)), github.deployments("production")
        return states(github, "production", sha)

    pull, first = release("good")
    unapproved = served(port)
    well = approve(pull, first)
    pull, second = release("better")
    with Visitors(port) as switched:
        assert until(lambda: switched.answers.total() > 50)
        held = served(port)
        better = approve(pull, second)
        before = switched.answers.total()
        assert until(lambda: switched.answers.total() > before + 50)
    pull, third = release("sick")
    with Visitors(port) as troubled:
        bad = approve(pull, third)
        until(lambda: served(port).startswith("better"))
        before = troubled.answers["sick"]
        since = troubled.answers.total()
        assert until(lambda: troubled.answers.total() > since + 50)
        after = troubled.answers["sick"]
    now = served(port)

box.equal("without-a-yes-nobody-has-it", (unapproved, held), ("ConnectionRefusedError", f"good {first}"))
box.equal("approved-it-is-live", (well[-1], better[-1]), ("success", "success"))
box.equal("the-switch-loses-no-request", switched.lost(), {})
box.equal("users-had-both-and-nothing-else", set(switched.answers), {f"good {first}", f"better {second}"})
box.equal("the-old-version-is-back", (bad[-1], now), ("failure", f"better {second}"))
box.equal("neither-way-loses-a-request", troubled.lost(), {})
box.equal("after-the-way-back-all-is-well", after, before)
took = troubled.sick[1] - troubled.sick[0] if troubled.sick else BOUND
box.ok("it-was-back-in-time", took < BOUND, f"users had errors for {took:.1f} s")
box.metric("requests in the switch", switched.answers.total(), "requests")
box.metric("errors until the way back", took, "s")
