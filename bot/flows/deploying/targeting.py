"""The target of an environment, opened with all that it may know: its token, what releases may, and its secrets."""

from __future__ import annotations

from collections.abc import Mapping

from bot.deploy.target import KeptTarget, Unbuildable
from bot.deploy.targets.opening import open_target
from bot.domain.deploy.deployment import Deployment
from bot.flows.context import Context
from bot.flows.deploying.terms import Terms
from bot.ops.secrets import SecretsUnusable, read_secrets


def open_for(ctx: Context, deployment: Deployment, terms: Terms) -> KeptTarget:
    """The target of a deployment's environment. Nothing is started or changed.

    Raises:
        Unbuildable: it cannot be used on this machine, or may not be.
    """
    return open_target(
        terms.environment(deployment.environment).target,
        ctx.place(deployment.repo_id, deployment.environment),
        token=deployment.token,
        allowance=ctx.allowance,
        secrets=secrets_for(ctx, deployment, terms),
        clock=ctx.clock,
    )


def secrets_for(ctx: Context, deployment: Deployment, terms: Terms) -> Mapping[str, str]:
    """The repository's secrets; none for a stranger's change, whatever the configuration names.

    Raises:
        Unbuildable: they cannot be given to anybody.
    """
    if terms.is_strange:
        return {}
    try:
        return read_secrets(ctx.secrets_dir, deployment.repo_id)
    except SecretsUnusable as unusable:
        message = f"the secrets of this repository cannot be read: {unusable}"
        raise Unbuildable(message) from unusable
