"""Who says yes or no to what waits for an environment: whether they may is found out at the moment when they say it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.commands.authority import Refused
from bot.domain.deploy.answers import Answer
from bot.domain.deploy.approving import count, entitled, whom
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.environment import ApprovalsGate, Environment
from bot.domain.deploy.gate_facts import Unknown
from bot.domain.deploy.gates import reviewing
from bot.domain.text import code, plain
from bot.flows.commands import under_way
from bot.flows.commands.order import Scene
from bot.flows.deploying.configured import configured
from bot.flows.deploying.entitling import as_who
from bot.flows.deploying.wanting import pushers_of
from bot.flows.permitting import as_sent
from bot.github.environments import reviewers


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What is voted on, by whom.

    Attributes:
        deployment: that waits.
        environment: as the default branch has it now.
        gates: that ask for approvals, GitHub's reviewers among them.
        as_who: what this person is of all that the gates ask for.
        authors: those who wrote the change beside the deployment's author.
    """

    deployment: Deployment
    environment: Environment
    gates: tuple[ApprovalsGate, ...]
    as_who: tuple[str, ...]
    authors: tuple[str, ...] = ()


async def ballot(scene: Scene, named: str, *, at: str) -> Ballot | Refused:
    """The vote, if there is one here and this person has a voice in it.

    Raises:
        GitHubProblem: GitHub did not answer; a repeat is safe.
    """
    deployment = await under_way.waiting(scene, named, at=at)
    if isinstance(deployment, Refused):
        return deployment
    if not await _is_as_sent(scene):
        return Refused("comment_changed", "the comment is not what was sent, so it counts for nothing")
    return await _on(scene, deployment)


async def _on(scene: Scene, deployment: Deployment) -> Ballot | Refused:
    known = await configured(scene.ctx, scene.order)
    environment = known if isinstance(known, Refused) else known.environment(deployment.environment)
    if isinstance(environment, Refused):
        return environment
    gates = await _gates(scene, environment)
    if isinstance(gates, Refused):
        return gates
    if not gates and not deployment.break_glass:
        return Refused("no_approval_needed", f"nobody has to approve what goes to {code(environment.name)}")
    who = await _entitled(scene, environment, gates)
    if isinstance(who, Refused):
        return who
    authors = await pushers_of(scene.ctx, deployment)
    return Ballot(deployment=deployment, environment=environment, gates=gates, as_who=who, authors=authors)


async def _gates(scene: Scene, environment: Environment) -> tuple[ApprovalsGate, ...] | Refused:
    """Those that ask for approvals: the configuration's, and GitHub's own reviewers."""
    required = await reviewers(scene.github, scene.order.repo, environment.name)
    if isinstance(required, Unknown):
        return Refused("permission_unknown", plain(f"{required.because}; {required.way_out}", 600))
    own = [gate for gate in environment.gates if isinstance(gate, ApprovalsGate)]
    return (*own, *reviewing(required, environment))


async def _entitled(
    scene: Scene, environment: Environment, gates: tuple[ApprovalsGate, ...]
) -> tuple[str, ...] | Refused:
    """What this person is of all that is asked for, read from GitHub now."""
    asked = gates or (ApprovalsGate(),)  # the glass alone is asked about: whoever approves by default.
    sources = tuple(dict.fromkeys(source for gate in asked for source in gate.sources))
    actor = scene.order.actor
    found = await as_who(scene.ctx, scene.order, actor, sources)
    if isinstance(found, Unknown):
        return Refused("permission_unknown", plain(f"{found.because}; {found.way_out}", 600))
    if entitled(found, actor, sources):
        return found
    may = plain(" or ".join(dict.fromkeys(whom(gate) for gate in asked)), 600)
    return Refused("not_an_approver", f"what goes to {code(environment.name)} is approved or rejected by {may}")


def vote(scene: Scene, on: Ballot, nth: int, *, approves: bool, glass: bool = False, because: str = "") -> Approval:
    """What is written down: it is bound to commit, artifact and configuration, and to the comment that says it."""
    deployment = on.deployment
    return Approval(
        id=scene.name(nth),
        repo_id=deployment.repo_id,
        environment=deployment.environment,
        deployment=deployment.id,
        sha=deployment.sha,
        artifact=deployment.artifact,
        config=deployment.config,
        by=scene.order.actor,
        as_who=on.as_who,
        approves=approves,
        break_glass=glass,
        because=because,
        comment_id=scene.order.comment.comment_id if scene.order.comment else 0,
        given_at=scene.now,
    )


async def tally(scene: Scene, on: Ballot) -> tuple[Answer, ...]:
    """What the gates make of all that was said by now."""
    deployment = on.deployment
    given = await scene.ctx.approvals.of(deployment.repo_id, deployment.environment, deployment.sha)
    return tuple(count(given, deployment, gate, now=scene.now, authors=on.authors) for gate in on.gates)


async def _is_as_sent(scene: Scene) -> bool:
    comment = scene.order.comment
    return comment is None or await as_sent(scene.ctx, comment) is not None
