"""The verbs about environments and deployments in which tests, the demo and the seed tell their stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.acts import deployments, environments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.localhub.forge import Forge
    from bot.localhub.records import (
        App,
        Deployment,
        DeploymentStatus,
        Environment,
        Issue,
        PendingDeployment,
        Release,
        Repository,
        Team,
        WorkflowRun,
    )


class Deploying:
    """What people set up and press on GitHub's pages about deployments, and what they see there."""

    def __init__(self, forge: Forge, own: App) -> None:
        self._forge = forge
        self._own = own

    def team(self, name: str, *members: str) -> Team:
        """Make a team, `organization/slug`, or give it other members."""
        return environments.team(self._forge, name, members)

    def environment(
        self,
        repo: str,
        name: str,
        *,
        reviewers: Sequence[str] = (),
        prevent_self_review: bool = False,
        wait_timer: int = 0,
        branch_policy: str = "",
        asks_us: bool = False,
    ) -> Environment:
        """Say what protects an environment.

        Args:
            repo: `owner/name`.
            name: of the environment.
            reviewers: logins and `organization/team`.
            prevent_self_review: whoever started a job may not let it in.
            wait_timer: minutes.
            branch_policy: "", `protected` or `custom`.
            asks_us: our App's rule is on.
        """
        return environments.protect(
            self._forge,
            self._repository(repo),
            name,
            reviewers=reviewers,
            prevent_self_review=prevent_self_review,
            wait_timer=wait_timer,
            branch_policy=branch_policy,
            custom_rules=[self._own.id] if asks_us else [],
        )

    def want(
        self,
        repo: str,
        environment: str,
        *,
        sha: str,
        by: str,
        ref: str = "",
        run: WorkflowRun | None = None,
        days: float = environments.DAYS,
    ) -> PendingDeployment:
        """A job of a workflow wants to go into an environment; `days` is how long GitHub lets it wait."""
        row = self._repository(repo)
        return environments.want(self._forge, row, environment, sha=sha, by=by, ref=ref, run=run, days=days)

    def waiting(self, pending: PendingDeployment) -> PendingDeployment:
        """How a job that wanted to go somewhere stands now."""
        row = self._forge.state.pending.get(pending.id)
        assert row, "it was made"
        return environments.settle(self._forge, row)

    def workflow_run(self, pending: PendingDeployment) -> WorkflowRun:
        """The run that a waiting job is of."""
        row = self._forge.state.workflow_runs.get(pending.run_id)
        assert row, "a job is of a run"
        return row

    def review(self, pending: PendingDeployment, *, by: str, state: str = "approved", comment: str = "") -> None:
        """Press the button of a reviewer.

        Raises:
            Unanswerable: nothing waits for this person.
        """
        run, repo = self.workflow_run(pending), self._forge.state.repositories.get(pending.repository_id)
        assert repo, "it is of a repository"
        ids = [pending.environment_id]
        environments.review(self._forge, repo, run, ids, by=by, state=state, comment=comment)

    def deployments(self, repo: str, environment: str = "") -> list[Deployment]:
        """The deployments of a repository, or of one environment, oldest first."""
        found = self._forge.state.deployments.where(repository_id=self._repository(repo).id)
        return [row for row in found if environment in {"", row.environment}]

    def statuses(self, deployment: Deployment) -> list[DeploymentStatus]:
        """What was said about a deployment, oldest first."""
        return self._forge.state.deployment_statuses.where(deployment_id=deployment.id)

    def state_of(self, deployment: Deployment) -> str:
        """What was said last, "" for nothing."""
        newest = deployments.newest(self._forge, deployment)
        return newest.state if newest else ""

    def issues(self, repo: str) -> list[Issue]:
        """The issues of a repository that are no pull requests, oldest first."""
        return self._forge.state.issues.where(repository_id=self._repository(repo).id)

    def releases(self, repo: str) -> list[Release]:
        """The releases of a repository, oldest first."""
        return self._forge.state.releases.where(repository_id=self._repository(repo).id)

    def _repository(self, name: str) -> Repository:
        if row := self._forge.state.repository(name):
            return row
        message = f"no repository {name!r}"
        raise LookupError(message)
