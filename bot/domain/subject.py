"""The one thing that every privileged function is about: a commit, on its way into a base, in a repository."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is tested and reported on. Approvals, runs and verdicts bind to exactly this value.

    Attributes:
        repo_id: GitHub's number of the repository; it survives a rename.
        repo: `owner/name`, as GitHub spells it now.
        installation_id: the installation whose token may speak for this repository.
        pr: the pull request's number; None for a push to a branch.
        base_ref: the branch that the head is merged into (for a push: the branch itself), without `refs/heads/`.
        base_sha: where that branch stood; configuration is read there for a pull request and for a merge group. The
            head itself for a push.
        head_sha: the commit that is tested, and on which results are reported.
        config_hash: digest of the configuration in force; "" until it was read.
    """

    repo_id: int
    repo: str
    installation_id: int
    pr: int | None
    base_ref: str
    base_sha: str
    head_sha: str
    config_hash: str = ""

    @property
    def has_base(self) -> bool:
        """Whether configuration and metadata come from another commit than the head."""
        return self.pr is not None or self.base_sha not in ("", self.head_sha)

    @property
    def short(self) -> str:
        """The head's SHA as people quote it."""
        return self.head_sha[:7]
