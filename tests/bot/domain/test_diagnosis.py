"""What the doctor says about what it was shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from inline_snapshot import snapshot

from bot.domain import diagnosis
from bot.domain.diagnosis import FileFacts, Finding
from bot.domain.grants import Tier, events, permissions
from bot.domain.registration import AppFacts, DeliveryFacts, Guarded, HookFacts, InstallationFacts, Quota
from bot.ops.self_ping import Ping, Reach

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
URL = "https://bot.example"
APP = AppFacts(
    slug="interlock-bot",
    name="Interlock bot",
    owner="octo",
    page="https://github.com/apps/interlock-bot",
    permissions=permissions(Tier.OPERATE),
    events=events(Tier.OPERATE),
)
HOOK = HookFacts(url=f"{URL}/webhooks", has_secret=True)
OCTO = InstallationFacts(
    id=1,
    account="octo",
    page="https://github.com/settings/installations/1",
    permissions=permissions(Tier.OPERATE),
    events=events(Tier.OPERATE),
)


def lines(findings: object) -> list[str]:
    return [diagnosis.line(one) for one in findings]  # type: ignore[attr-defined]


def without(held: dict[str, str], *names: str) -> dict[str, str]:
    return {name: level for name, level in held.items() if name not in names}


def test_an_app_as_setup_registers_it_has_nothing_to_mend() -> None:
    assert lines([*diagnosis.app(APP), *diagnosis.unused_grants(APP)]) == [
        "✓ app: interlock-bot, owned by octo; permissions: operate"
    ]


def test_what_the_app_lacks_is_told_with_what_stops_without_it() -> None:
    app = replace(APP, permissions=without(permissions(Tier.OPERATE), "checks", "issues"), events=("push", "delete"))
    told = list(diagnosis.app(app))
    assert [one.level for one in told[:4]] == ["ok", "error", "warning", "warning"]
    assert [one.found.removeprefix("the App ") for one in told[1:4]] == snapshot(
        [
            "does not ask for Checks: write, so nothing is reported, and a required check waits for ever",
            "does not ask for Issues: read, so commands in comments are not heard",
            "is not subscribed to pull_request, so pull requests are only found by looking, minutes later",
        ]
    )


def test_a_permission_that_nothing_uses_is_told() -> None:
    app = replace(APP, permissions={**APP.permissions, "contents": "write", "administration": "read"})
    (told,) = diagnosis.unused_grants(app)
    assert "administration: read, contents: write" in told.found


@pytest.mark.parametrize(
    ("facts", "level", "says"),
    [
        pytest.param(HOOK, "ok", "sends signed webhooks", id="as-it-should-be"),
        pytest.param(
            replace(HOOK, url="https://old.example/webhooks"), "error", "to https://old.example", id="elsewhere"
        ),
        pytest.param(replace(HOOK, url=""), "error", "no webhook address", id="nowhere"),
        pytest.param(replace(HOOK, has_secret=False), "error", "does not sign", id="unsigned"),
        pytest.param(replace(HOOK, as_json=False), "error", "as a form", id="a-form"),
    ],
)
def test_the_webhook_is_judged(facts: HookFacts, level: str, says: str) -> None:
    (told,) = diagnosis.webhook(facts, URL)
    assert told.level == level
    assert says in told.found


def test_an_unverified_certificate_is_a_second_finding() -> None:
    told = [one.level for one in diagnosis.webhook(replace(HOOK, checks_certificates=False), URL)]
    assert told == ["ok", "warning"]


def delivery(minutes_ago: int, code: int, guid: str = "", event: str = "push") -> DeliveryFacts:
    at = NOW - timedelta(minutes=minutes_ago)
    status = "OK" if code < 300 else "Bad Gateway"
    return DeliveryFacts(
        id=minutes_ago, guid=guid or str(minutes_ago), event=event, status=status, status_code=code, delivered_at=at
    )


@pytest.mark.parametrize(
    ("recent", "level", "found"),
    [
        pytest.param([], "ok", "GitHub has sent nothing yet", id="none"),
        pytest.param([delivery(1, 202), delivery(9, 202)], "ok", "the last 2 arrived, the newest 1 min ago", id="all"),
        pytest.param(
            [delivery(1, 502), delivery(9, 202)],
            "error",
            "1 of the last 2 did not arrive; the newest of them, push 1 min ago: 502 (Bad Gateway)",
            id="the-newest-is-lost",
        ),
        pytest.param(
            [delivery(1, 202), delivery(90, 502)],
            "warning",
            "1 of the last 2 did not arrive; the newest of them, push 1 h ago: 502 (Bad Gateway)",
            id="it-works-again",
        ),
        pytest.param(
            [delivery(1, 503)],
            "warning",
            "1 of the last 1 did not arrive; the newest of them, push 1 min ago: 503 (Bad Gateway)",
            id="we-said-later",
        ),
        pytest.param(
            [delivery(1, 202, "a"), delivery(9, 502, "a")],
            "ok",
            "the last 1 arrived, the newest 1 min ago",
            id="lost-and-brought-again",
        ),
    ],
)
def test_of_several_attempts_at_one_webhook_the_newest_counts(
    recent: list[DeliveryFacts], level: str, found: str
) -> None:
    told = diagnosis.deliveries(recent, now=NOW)
    assert (told.level, told.found) == (level, found)


@pytest.mark.parametrize(
    ("seconds", "level", "says"),
    [
        pytest.param(0, "ok", "within 1 s", id="equal"),
        pytest.param(-15, "ok", "within 15 s", id="a-little"),
        pytest.param(-45, "warning", "45 s ahead of GitHub's", id="ahead"),
        pytest.param(-61, "error", "61 s ahead of GitHub's, which refuses us for it", id="from-the-future"),
        pytest.param(300, "warning", "300 s behind GitHub's", id="behind"),
        pytest.param(541, "error", "541 s behind GitHub's, which refuses us for it", id="expired-when-made"),
    ],
)
def test_a_clock_is_judged_by_what_github_does_with_our_assertion(seconds: int, level: str, says: str) -> None:
    told = diagnosis.clock(timedelta(seconds=seconds))
    assert told.level == level
    assert says in told.found


@pytest.mark.parametrize("reach", Reach)
def test_every_way_a_ping_can_go_has_a_finding(reach: Reach) -> None:
    told = diagnosis.reachability(URL, Ping(reach, "the detail"))
    assert told.level == ("ok" if reach is Reach.ACCEPTED else "error")
    assert "{" not in diagnosis.line(told)


def test_an_account_that_has_not_accepted_is_told_where_and_what_stops() -> None:
    held = without(permissions(Tier.OPERATE), "issues")
    (told,) = diagnosis.installations([replace(OCTO, permissions=held)], APP)
    assert told.level == "warning"
    assert told.found == snapshot("octo: Issues: read is not granted, so commands in comments are not heard")
    assert told.fix == snapshot(
        "an owner accepts the App's new permissions: https://github.com/settings/installations/1"
    )


def test_what_the_app_does_not_ask_for_is_not_blamed_on_the_account() -> None:
    less = without(permissions(Tier.OPERATE), "issues")
    told = list(diagnosis.installations([replace(OCTO, permissions=less)], replace(APP, permissions=less)))
    assert [one.level for one in told] == ["ok"]


def test_without_an_account_there_is_nothing_to_do_but_install_it() -> None:
    (told,) = diagnosis.installations([], APP)
    assert (told.level, told.fix) == ("error", "install it: https://github.com/apps/interlock-bot/installations/new")


def test_a_suspended_account_is_told_once() -> None:
    (told,) = diagnosis.installations([replace(OCTO, suspended=True, permissions={})], APP)
    assert "suspended" in told.found


@pytest.mark.parametrize(
    ("remaining", "level"), [pytest.param(501, "ok", id="enough"), pytest.param(499, "warning", id="few")]
)
def test_few_calls_are_told(remaining: int, level: str) -> None:
    facts = Quota(remaining=remaining, limit=5000, resets_at=NOW + timedelta(minutes=20))
    assert diagnosis.quota("octo", facts, now=NOW).level == level


def test_protection_rules_are_told_only_to_whom_deployments_are_for() -> None:
    assert list(diagnosis.protection([Guarded(repo="octo/secret", private=True)], APP)) == []


def test_a_persons_own_account_has_no_teams_to_grant() -> None:
    deploy = permissions(Tier.DEPLOY)
    app = replace(APP, permissions=deploy)
    mona = replace(OCTO, account="mona", permissions=without(deploy, "members"), is_person=True)
    assert [one.level for one in diagnosis.installations([mona], app)] == ["ok"]
    assert [one.level for one in diagnosis.installations([replace(mona, is_person=False)], app)] == ["warning"]


def test_writing_contents_is_asked_for_by_nobody_and_allowed_to_who_wants_releases() -> None:
    deploy = permissions(Tier.DEPLOY)
    assert deploy["contents"] == "read"
    assert lines(diagnosis.unused_grants(replace(APP, permissions={**deploy, "contents": "write"}))) == []


@pytest.mark.deployment(4)
def test_it_is_said_where_githubs_environments_ask_and_where_approve_decides_alone() -> None:
    deploy = replace(APP, permissions=permissions(Tier.DEPLOY))
    repositories = [
        Guarded(repo="octo/app", private=False, asking=("production",)),
        Guarded(repo="octo/own", private=True, asking=None),
        *(Guarded(repo=f"octo/s{n}", private=True) for n in range(4)),
    ]
    said = list(diagnosis.protection(repositories, deploy))
    assert [one.level for one in said] == ["ok", "warning", "ok"]
    assert [part for one in said for part in re.split("; |: ", one.found)] == snapshot(
        [
            "GitHub's environments ask Interlock",
            "octo/app production",
            "everywhere else `/approve` decides alone",
            "GitHub does not say what protects the environments of octo/own",
            "GitHub offers rules on private repositories with an Enterprise plan alone",
            "octo/own, octo/s0, octo/s1 and 2 more",
            "`/approve` needs none",
        ]
    )
    (alone, _) = diagnosis.protection(repositories[2:3], deploy)
    assert alone.found == "no environment of GitHub's asks Interlock: `/approve` decides alone"


@pytest.mark.parametrize(
    ("gib", "level"),
    [
        pytest.param(0.9, "error", id="too-little"),
        pytest.param(4.9, "warning", id="little"),
        pytest.param(5.0, "ok", id="enough"),
    ],
)
def test_room_on_the_disk_is_judged(gib: float, level: str) -> None:
    assert diagnosis.disk(int(gib * 1024**3)).level == level


@pytest.mark.parametrize(
    ("url", "level"),
    [
        pytest.param("https://bot.example", "ok", id="https"),
        pytest.param("http://127.0.0.1:8080", "ok", id="this-machine"),
        pytest.param("http://bot.example", "error", id="unencrypted"),
        pytest.param("", "warning", id="unset"),
    ],
)
def test_the_public_address_is_judged(url: str, level: str) -> None:
    assert diagnosis.public_address(url).level == level


@pytest.mark.requirement("S-28")
@pytest.mark.parametrize(
    ("facts", "fix"),
    [
        pytest.param(FileFacts(path="k", mode=0o600), "", id="private"),
        pytest.param(FileFacts(path="k", mode=0o640), "chmod 600 k", id="its-group"),
        pytest.param(FileFacts(path="k", mode=0o640, group=True), "", id="its-group-may"),
        pytest.param(FileFacts(path="k", mode=0o644, group=True), "chmod 600 k", id="everybody"),
        pytest.param(FileFacts(path="d", mode=0o755, directory=True), "chmod 700 d", id="a-directory"),
        pytest.param(FileFacts(path="k", mode=0o600, own=False), "chown it to the bot's user", id="somebody-elses"),
    ],
)
def test_a_secret_that_others_can_read_is_an_error_with_the_command_that_mends_it(facts: FileFacts, fix: str) -> None:
    (told,) = diagnosis.privacy([facts])
    assert told.fix == fix
    assert told.level == ("error" if fix else "ok")


@dataclass(frozen=True)
class Case:
    levels: tuple[diagnosis.Level, ...]
    code: int


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case((), 0), id="nothing"),
        pytest.param(Case(("ok", "warning"), 0), id="a-warning"),
        pytest.param(Case(("warning", "error"), 1), id="something-is-broken"),
        pytest.param(Case(("error", "configuration"), 3), id="it-cannot-start"),
    ],
)
def test_the_exit_code_is_that_of_the_worst(case: Case) -> None:
    assert diagnosis.exit_code([Finding("x", level, "y", "z") for level in case.levels]) == case.code


def test_a_finding_without_a_way_out_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="helps nobody"):
        Finding("x", "warning", "y")
