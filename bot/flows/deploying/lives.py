"""What the flows of a deployment are called. One carries it to its end; after a hold or a crash another takes it up."""

from __future__ import annotations

NAME = "deploy"
"""The flow's registered name."""

LIVES = 50
"""Flows that one deployment may use up; a bug that failed that often will fail again."""


def flow_id(deployment_id: str, life: int = 1) -> str:
    """The id of the flow of a deployment's `life`-th life."""
    return f"{NAME}:{deployment_id}" + (f":{life}" if life > 1 else "")
