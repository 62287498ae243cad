"""Which deployment a command means: the one that waits for an environment, or the one that is under way there.

All of it is read from the database, so that the way back needs no word of GitHub's about the environment.
"""

from __future__ import annotations

from bot.domain.commands.authority import Refused
from bot.domain.commands.pinning import WHOLE
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import FINAL, WAITING
from bot.domain.spelling import nearest
from bot.domain.text import code
from bot.flows.commands.order import Scene
from bot.flows.deploying import protecting


async def waiting(scene: Scene, named: str, *, at: str) -> Deployment | Refused:
    """The deployment that waits at the gates of an environment, which may also be named by its number.

    Args:
        scene: where it is asked.
        named: an environment, or a number.
        at: the commit that the person had in mind, "" for none.
    """
    found = await _numbered(scene, named) or await _newest(scene, named, is_waiting=True)
    if found is None:
        # A job of a workflow may wait for the same people: it is voted on in the same words.
        found = await protecting.awaiting(scene.ctx, scene.order.repo_id, named)
    if found is None:
        return await _nothing(scene, named, f"nothing waits for {code(named)}")
    if found.state not in WAITING:
        return begun(found)
    return other_commit(at, found) or found


def begun(deployment: Deployment) -> Refused:
    """What there is to say of a deployment that does not wait any more."""
    because = f"deployment {deployment.number} does not wait any more: it is {deployment.state.replace('_', ' ')}"
    back = "" if deployment.state in FINAL else f"; {code(f'/rollback {deployment.environment}')} takes it back"
    return Refused("not_waiting", because + back)


async def going(scene: Scene, environment: str) -> Deployment | Refused:
    """The deployment that has begun in an environment and has not ended."""
    found = await _newest(scene, environment, is_waiting=False)
    return found or await _nothing(scene, environment, f"no deployment is under way in {code(environment)}")


async def unknown(scene: Scene, environment: str) -> Refused | None:
    """Whether nobody has ever asked for anything to go into an environment of this name."""
    if await scene.ctx.deployments.of_environment(scene.order.repo_id, environment, limit=1):
        return None
    known = {one.environment for one in await scene.ctx.deployments.newest(repo_id=scene.order.repo_id)}
    meant = nearest(environment, known)
    hint = f"did you mean {code(meant)}?" if meant else "nothing was ever deployed there"
    return Refused("unknown_environment", f"there is no environment {code(environment)} here; {hint}")


def other_commit(at: str, deployment: Deployment) -> Refused | None:
    """Why a command that names a commit does not mean a deployment; a part of one is enough where nobody forges it."""
    if not at or deployment.sha == at or (len(at) < WHOLE and deployment.sha.startswith(at)):
        return None
    because = f"deployment {deployment.number} is of {code(deployment.sha)}, and not of {code(at)}"
    return Refused("other_commit", because)


async def _numbered(scene: Scene, named: str) -> Deployment | None:
    if not (named.isascii() and named.isdigit() and len(named) < 10):
        return None
    found = await scene.ctx.deployments.numbered(int(named))
    return found if found and found.repo_id == scene.order.repo_id else None


async def _newest(scene: Scene, environment: str, *, is_waiting: bool) -> Deployment | None:
    open_now = await scene.ctx.deployments.open(scene.order.repo_id, environment)
    return next((one for one in open_now if (one.state in WAITING) is is_waiting), None)


async def _nothing(scene: Scene, named: str, because: str) -> Refused:
    return await unknown(scene, named) or Refused("nothing_waits", because)
