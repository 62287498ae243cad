"""Whether a commit may be deployed to an environment at all: from where it comes, and whether it is still meant. Pure.

Commits of the default branch, and of the branches that the environment lists, may. The head of a pull request may
where the environment says so, as long as it is the head; a stranger's only if somebody typed the whole commit.
"""

from __future__ import annotations

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.gate_facts import GateFacts, Origin, PullRequest, Unknown


def allowed(facts: GateFacts) -> Answer:
    """Whether the commit may be deployed there."""
    deployment, environment, origin = facts.deployment, facts.environment, facts.origin
    sha, short = deployment.sha, deployment.short
    if origin.typed and not sha.startswith(origin.typed.lower()):
        return Deny(f"{origin.typed[:40]} was typed, and this is {short}", way_out="type the commit that is meant")
    if isinstance(origin.pull, Unknown):
        return Wait(origin.pull.because, way_out=origin.pull.way_out)
    on_branch = _on_branch(origin, environment)
    if isinstance(on_branch, Pass):
        return on_branch
    if origin.pull is None or not environment.pull_requests:
        return on_branch
    return _of_pull(origin.pull, sha, origin.typed)


def _on_branch(origin: Origin, environment: Environment) -> Answer:
    names = (origin.default_branch, *(name for name in environment.branches if name != origin.default_branch))
    if isinstance(origin.branches, Unknown):
        return Wait(origin.branches.because, way_out=origin.branches.way_out)
    if on := next((name for name in names if name in origin.branches), ""):
        return Pass(f"it is on {on}")
    return Deny(f"{environment.name} takes commits of {' and '.join(names)} only", way_out="merge it first")


def _of_pull(pull: PullRequest, sha: str, typed: str) -> Answer:
    if not pull.is_open:
        return Deny(f"#{pull.number} is closed", way_out="reopen it, or merge it")
    if pull.head != sha:
        return Deny(
            f"the head of #{pull.number} is {pull.head[:7]} now, and this is {sha[:7]}",
            way_out="a new `/deploy` is for the new head",
        )
    if pull.is_fork and typed.lower() != sha:
        return Deny(
            f"#{pull.number} comes from a fork, and nobody typed the whole commit",
            way_out=f"whoever has read it adds `at {sha}`",
        )
    return Pass(f"it is the head of #{pull.number}")
