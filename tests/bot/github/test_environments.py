"""GitHub's environments as we read them, and the answers that we give there."""

from __future__ import annotations

import pytest

from bot.domain.deploy.gate_facts import Reviewers, Unknown
from bot.github.environments import Protected, answer_rule, asks_us, protected, reviewers, run_of
from bot.github.errors import Forbidden
from bot.github.teams import is_member
from bot.localhub.records import PendingDeployment
from tests.bot.github.conftest import REPO, Connected
from tests.bot.github.wire import Wire, answer

GITHUB = "https://api.github.com"
RULE = "/repos/octo/app/actions/runs/15/deployment_protection_rule"


def narrowed(connected: Connected, **levels: str) -> None:
    """The installation has only these permissions from now on."""
    row = connected.hub.installation("octo")
    connected.hub.state.installations.change(row, permissions={"metadata": "read", **levels})


async def test_what_protects_an_environment_is_read(connected: Connected) -> None:
    hub = connected.hub
    hub.deploying.team("octo/release")
    hub.deploying.environment(
        REPO,
        "production",
        reviewers=["mona", "octo/release"],
        prevent_self_review=True,
        wait_timer=5,
        branch_policy="custom",
    )
    required = Reviewers(sources=("user:mona", "team:release"), prevent_self_review=True)
    assert await protected(connected.gh, REPO, "production") == Protected(
        reviewers=required, wait_minutes=5, branches="custom"
    )
    assert await reviewers(connected.gh, REPO, "production") == required


async def test_an_environment_that_github_does_not_have_requires_nobody(connected: Connected) -> None:
    assert await reviewers(connected.gh, REPO, "no/such place") == Reviewers()
    assert await asks_us(connected.gh, REPO, "production") is False


async def test_without_the_permission_nobody_knows_who_reviews(connected: Connected) -> None:
    connected.hub.deploying.environment(REPO, "production", reviewers=["mona"])
    narrowed(connected, deployments="write")
    found = await reviewers(connected.gh, REPO, "production")
    assert isinstance(found, Unknown)
    assert "actions: read" in found.way_out
    assert isinstance(await asks_us(connected.gh, REPO, "production"), Unknown)


async def test_our_rule_is_told_from_those_of_others(connected: Connected) -> None:
    hub = connected.hub
    stranger, _ = hub.create_app("stranger", account="octo")
    staging = hub.deploying.environment(REPO, "staging")
    hub.state.environments.change(staging, custom_rules=[stranger.id])
    hub.deploying.environment(REPO, "production", asks_us=True)
    assert await asks_us(connected.gh, REPO, "production") is True
    assert await asks_us(connected.gh, REPO, "staging") is False


async def test_who_is_in_a_team_is_asked_each_time(connected: Connected) -> None:
    connected.hub.deploying.team("octo/release", "Ada")
    assert await is_member(connected.gh, "octo", "release", "ada")
    assert not await is_member(connected.gh, "octo", "release", "mona")
    assert not await is_member(connected.gh, "octo", "../x", "ada")
    connected.hub.deploying.team("octo/release")
    assert not await is_member(connected.gh, "octo", "release", "ada")


@pytest.mark.parametrize(
    ("said", "is_in"),
    [
        pytest.param({"role": "maintainer", "state": "active"}, True, id="active"),
        pytest.param({"role": "member", "state": "pending"}, False, id="invited-and-not-there-yet"),
        pytest.param({"role": "member"}, False, id="no-state"),
        pytest.param(["active"], False, id="a-list"),
    ],
)
async def test_only_an_active_membership_of_a_team_counts(said: object, is_in: bool) -> None:
    async with Wire([answer(said)]).app() as app:
        assert await is_member(app.installation(5), "octo", "release", "ada") is is_in


async def test_without_the_permission_nobody_knows_who_is_in_a_team(connected: Connected) -> None:
    connected.hub.deploying.team("octo/release", "ada")
    narrowed(connected, deployments="write")
    with pytest.raises(Forbidden):
        await is_member(connected.gh, "octo", "release", "ada")


@pytest.mark.requirement("S-29")
@pytest.mark.parametrize(
    ("callback", "api_url", "run"),
    [
        pytest.param(f"{GITHUB}{RULE}", GITHUB, 15, id="ours"),
        pytest.param(f"{GITHUB}:443{RULE}", f"{GITHUB}/", 15, id="the-usual-port"),
        pytest.param(f"https://API.github.com{RULE}", GITHUB, 15, id="capitals"),
        pytest.param(f"https://ghe.example/api/v3{RULE}", "https://ghe.example/api/v3", 15, id="an-enterprise-server"),
        pytest.param(f"https://ghe.example{RULE}", "https://ghe.example/api/v3", None, id="beside-the-api"),
        pytest.param(f"https://evil.example{RULE}", GITHUB, None, id="another-host"),
        pytest.param(f"https://api.github.com.evil.example{RULE}", GITHUB, None, id="a-longer-host"),
        pytest.param(f"https://api.github.com@evil.example{RULE}", GITHUB, None, id="the-host-as-a-name"),
        pytest.param(f"https://u:p@api.github.com{RULE}", GITHUB, None, id="credentials"),
        pytest.param(f"http://api.github.com{RULE}", GITHUB, None, id="unencrypted"),
        pytest.param(f"https://api.github.com:8443{RULE}", GITHUB, None, id="another-port"),
        pytest.param(f"{GITHUB}{RULE.replace('octo/app', 'octo/other')}", GITHUB, None, id="another-repository"),
        pytest.param(
            f"{GITHUB}/repos/octo/app/../other/actions/runs/15/deployment_protection_rule", GITHUB, None, id="up"
        ),
        pytest.param(f"{GITHUB}{RULE}?x=1", GITHUB, None, id="a-query"),
        pytest.param(f"{GITHUB}{RULE}/", GITHUB, None, id="something-behind"),
        pytest.param(f"{GITHUB}{RULE.replace('15', '15a')}", GITHUB, None, id="no-number"),
        pytest.param(f"{GITHUB}{RULE.replace('15', '1' * 30)}", GITHUB, None, id="too-long-a-number"),
        pytest.param("https://[::1", GITHUB, None, id="no-address"),
        pytest.param("https://api.github.com:x/", GITHUB, None, id="no-port"),
        pytest.param("", GITHUB, None, id="nothing"),
    ],
)
def test_only_an_address_that_we_would_make_ourselves_names_a_run(callback: str, api_url: str, run: int | None) -> None:
    assert run_of(callback, api_url=api_url, repo="octo/app") == run


def waiting(connected: Connected) -> PendingDeployment:
    connected.hub.deploying.environment(REPO, "production", asks_us=True)
    return connected.hub.deploying.want(REPO, "production", sha=connected.head, by="mona")


async def test_an_answer_is_taken_once(connected: Connected) -> None:
    gh, job = connected.gh, waiting(connected)
    where = (gh, REPO, job.run_id, "production")
    assert await answer_rule(*where, state=None, comment="waits for ada") == "said"
    assert await answer_rule(*where, state="approved", comment="all gates pass") == "said"
    assert await answer_rule(*where, state="rejected", comment="no") == "said_before"
    ended = connected.hub.deploying.waiting(job)
    assert (ended.state, [one["comment"] for one in ended.comments]) == (
        "approved",
        ["waits for ada", "all gates pass"],
    )


async def test_an_answer_that_was_lost_was_said(connected: Connected) -> None:
    job = waiting(connected)
    connected.hub.faults.next("POST", "/deployment_protection_rule$", status=502, after_commit=True)
    said = await answer_rule(connected.gh, REPO, job.run_id, "production", state="approved", comment="yes")
    assert said == "said_before"
    assert connected.hub.deploying.waiting(job).state == "approved"


async def test_where_nothing_waits_nothing_is_answered(connected: Connected) -> None:
    job = waiting(connected)
    assert await answer_rule(connected.gh, REPO, job.run_id, "staging", state="approved", comment="") == "not_asked"
