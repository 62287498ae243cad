"""On what terms a run's boxes are executed here."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.trust import TrustLevel
from bot.flows.child import Terms
from bot.flows.context import Context
from bot.ops.secrets import read_secrets
from bot.store.runs import Run


def terms_of(ctx: Context, run: Run) -> Terms:
    """The terms, with the secrets as they are at this moment.

    Raises:
        SecretsUnusable: they cannot be given to anybody.
    """
    return Terms(
        trust=run.trust,
        sandbox=ctx.sandbox.asked,
        image=ctx.sandbox.image,
        cache=ctx.cache(run.repo_id, run.trust),
        setups=ctx.setups(run.repo_id, run.trust),
        secrets=secrets_for(ctx, run.repo_id, run.trust),
    )


def secrets_for(ctx: Context, repo_id: int, trust: str) -> Mapping[str, str]:
    """A repository's own secrets, for what its default branch has; everybody else's code never starts with any.

    Raises:
        SecretsUnusable: they cannot be given to anybody.
    """
    return read_secrets(ctx.secrets_dir, repo_id) if trust == TrustLevel.T0 else {}
