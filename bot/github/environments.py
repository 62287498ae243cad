"""GitHub's environments: whom they require, whether our rule is on, and the answer to a job that waits for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot.domain.deploy.gate_facts import Reviewers, Unknown
from bot.github.addresses import origin, repository_path, segment
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import Forbidden, NotFound, UnexpectedAnswer, Unprocessable
from bot.github.pacer import Write
from bot.github.payload_parts import Lenient, Name, Number

MOST_COMMENTS = 10
"""Progress comments on one job that waits. Source: https://docs.github.com/actions/deployment/protecting-deployments"""

_RULE = re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/actions/runs/(?P<run>[0-9]{1,18})/deployment_protection_rule")

_REVIEWED = "already been reviewed"
_NOTHING = "no pending deployment"
"""How GitHub says that a rule was answered before, or that nothing waits for an answer any more."""


class _Who(Lenient):
    login: Name = ""
    slug: Name = ""


class _Reviewer(Lenient):
    type: Name = ""
    reviewer: _Who = _Who()


class _Rule(Lenient):
    type: Name = ""
    wait_timer: Number = 0
    prevent_self_review: bool = False
    reviewers: tuple[_Reviewer, ...] = ()


class _Policy(Lenient):
    protected_branches: bool = False
    custom_branch_policies: bool = False


class _Environment(Lenient):
    name: Name = ""
    protection_rules: tuple[_Rule, ...] = ()
    deployment_branch_policy: _Policy = _Policy()


class _App(Lenient):
    id: Number = 0


class _Custom(Lenient):
    enabled: bool = False
    app: _App = _App()


class _Customs(Lenient):
    custom_deployment_protection_rules: tuple[_Custom, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """What protects an environment on GitHub.

    Attributes:
        reviewers: whom it requires.
        wait_minutes: how long each job waits there.
        branches: `protected` or `custom` where it takes only some branches, "" where it takes all.
    """

    reviewers: Reviewers = field(default_factory=Reviewers)
    wait_minutes: int = 0
    branches: Literal["", "protected", "custom"] = ""


async def protected(gh: Installation, repo: str, environment: str) -> Protected | Unknown:
    """How GitHub protects an environment; not at all when it has none of this name.

    Without the permission nobody can know, so that whatever waits for the answer goes on waiting.

    Raises:
        GitHubUnavailable, RateLimited: GitHub did not answer.
    """
    path = f"{repository_path(repo)}/environments/{segment(environment)}"
    try:
        said = (await gh.get(path, again=True)).json
    except NotFound:
        return Protected()
    except Forbidden:
        return Unknown(
            f"GitHub does not say who reviews {environment}",
            "whoever installed the App gives it the permission `actions: read`",
        )
    try:
        found = _Environment.model_validate(said)
    except ValidationError as bad:
        message = f"GitHub answered GET {path} without a usable {bad.errors()[0]['loc']}"
        raise UnexpectedAnswer(message) from None
    return Protected(
        reviewers=_reviewers(found),
        wait_minutes=max((rule.wait_timer for rule in found.protection_rules), default=0),
        branches=_branches(found.deployment_branch_policy),
    )


async def reviewers(gh: Installation, repo: str, environment: str) -> Reviewers | Unknown:
    """Whom GitHub requires for an environment; nobody when it has no environment of this name.

    Raises:
        GitHubUnavailable, RateLimited: GitHub did not answer.
    """
    found = await protected(gh, repo, environment)
    return found if isinstance(found, Unknown) else found.reviewers


async def asks_us(gh: Installation, repo: str, environment: str) -> bool | Unknown:
    """Whether jobs that go into an environment ask our rule.

    Raises:
        GitHubUnavailable, RateLimited: GitHub did not answer.
    """
    path = f"{repository_path(repo)}/environments/{segment(environment)}/deployment_protection_rules"
    try:
        said = (await gh.get(path, again=True)).json
    except NotFound:
        return False
    except Forbidden:
        return Unknown(
            f"GitHub does not say what protects {environment}",
            "whoever installed the App gives it the permission `actions: read`",
        )
    try:
        rules = _Customs.model_validate(said).custom_deployment_protection_rules
    except ValidationError:
        message = f"GitHub answered GET {path} without usable rules"
        raise UnexpectedAnswer(message) from None
    return any(rule.enabled and rule.app.id == gh.app.app_id for rule in rules)


def run_of(callback: str, *, api_url: str, repo: str) -> int | None:
    """The workflow run that waits, out of the address that GitHub gave for the answer; None for a foreign address.

    The address is never called: whoever can forge a delivery could have our token sent to wherever he likes. It only
    has to be the one that we would make ourselves.

    Args:
        callback: `deployment_callback_url` of the delivery.
        api_url: of the GitHub that we speak to.
        repo: `owner/name` that the delivery is about.
    """
    try:
        parts, base = urlsplit(callback), urlsplit(api_url)
        is_ours = origin(callback) == origin(api_url)
    except ValueError:
        return None
    if not is_ours or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return None
    prefix = base.path.rstrip("/")
    if not parts.path.startswith(prefix):
        return None
    found = _RULE.fullmatch(parts.path[len(prefix) :])
    return int(found["run"]) if found and found["repo"].casefold() == repo.casefold() else None


Said = Literal["said", "said_before", "not_asked"]
"""What came of an answer: GitHub took it; it has one already; or nothing waits for one any more."""


async def answer_rule(
    gh: Installation,
    repo: str,
    workflow_run: int,
    environment: str,
    *,
    state: Literal["approved", "rejected"] | None,
    comment: str,
) -> Said:
    """Answer for our rule; without a state, only say how it stands. A repeat of an answer is `said_before`.

    Raises:
        GitHubUnavailable: when it is `maybe_done`, the answer may have been taken.
        Forbidden: the App lacks `deployments: write`.
        NotFound: the run is gone.
    """
    body = {"environment_name": environment, "comment": comment} | ({"state": state} if state else {})
    path = f"{repository_path(repo)}/actions/runs/{workflow_run}/deployment_protection_rule"
    try:
        # A second comment would be a second comment; a second answer is refused.
        await gh.post(path, body, idempotent=state is not None, write=Write(lane=Lane.GATES))
    except Unprocessable as declined:
        told = str(declined).casefold()
        if _REVIEWED in told:
            return "said_before"
        if _NOTHING in told:
            return "not_asked"
        raise
    return "said"


def _reviewers(found: _Environment) -> Reviewers:
    rules = [rule for rule in found.protection_rules if rule.reviewers]
    who = [one for rule in rules for one in rule.reviewers]
    sources = [f"team:{one.reviewer.slug}" if one.type == "Team" else f"user:{one.reviewer.login}" for one in who]
    return Reviewers(sources=tuple(sources), prevent_self_review=any(rule.prevent_self_review for rule in rules))


def _branches(policy: _Policy) -> Literal["", "protected", "custom"]:
    if policy.protected_branches:
        return "protected"
    return "custom" if policy.custom_branch_policies else ""
