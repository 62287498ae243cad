"""What is wrong with an installation of the bot, and what mends it. Facts in, findings out; looking is done elsewhere.

A finding is `ok`, `warning` (something works less well, or cannot be judged), `error` (something that people will miss
does not work) or `configuration` (the bot cannot start like this).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import urlsplit

from bot.domain.grants import LEVELS, OPTIONAL, SUBSCRIPTIONS, Tier, allows, missing, permissions, tier_of
from bot.domain.registration import AppFacts, DeliveryFacts, Guarded, HookFacts, InstallationFacts, Quota

SKEW_NOTICED = timedelta(seconds=20)
MOST_AHEAD = timedelta(seconds=60)
"""An assertion is dated a minute back: with a clock further ahead than that it comes from the future."""
MOST_BEHIND = timedelta(minutes=9)
"""It is good for nine minutes: with a clock further behind it has expired when it is made."""
LEAST_FREE = 1024**3
"""Bytes on the disk below which runs begin to fail."""
LITTLE_FREE = 5 * 1024**3
FEW_CALLS = 0.1
"""Share of GitHub's hourly limit below which it is worth a warning."""

Level = Literal["ok", "warning", "error", "configuration"]
_MARKS: dict[str, str] = {"ok": "✓", "warning": "!", "error": "✗", "configuration": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix` is what to do, and never missing where something is to be done."""

    name: str
    level: Level
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        assert self.fix or self.good, "a finding without a way out helps nobody"

    @property
    def good(self) -> bool:
        """Whether there is nothing to do."""
        return self.level == "ok"


def line(finding: Finding) -> str:
    """A finding as people read it."""
    way_out = f" → {finding.fix}" if finding.fix else ""
    return f"{_MARKS[finding.level]} {finding.name}: {finding.found}{way_out}"


def exit_code(findings: Iterable[Finding]) -> int:
    """0 nothing is broken, 1 something is, 3 the bot cannot start as it is configured."""
    levels = {finding.level for finding in findings}
    return 3 if "configuration" in levels else 1 if "error" in levels else 0


class Ping(Protocol):
    """How a signed ping to the public address went; `reach` is one of the words in `_REACHED`."""

    @property
    def reach(self) -> str:
        """The outcome."""

    @property
    def detail(self) -> str:
        """What completes it."""


_REACHED: dict[str, tuple[str, str]] = {
    "name_unknown": ("the name {host} is not known", "add a DNS record for it that points to this server"),
    "not_connected": ("nobody answers at {url} ({detail})", "start the web server in front, and open its port"),
    "not_trusted": (
        "the certificate of {host} is not trusted ({detail})",
        "let the web server get one (Caddy does by itself), or give GitHub one that it trusts",
    ),
    "timed_out": ("{url} does not answer within 10 s", "open the port in the firewall"),
    "redirected": ("{url}/webhooks redirects to {detail}; GitHub does not follow", "use the address it leads to"),
    "proxy_failed": (
        "the web server at {host} does not reach the bot (it answers {detail})",
        "let it pass everything on to the address that the bot listens on",
    ),
    "busy": ("the bot takes no webhooks now: {detail}", "see its log; /health/ready says which part is down"),
    "secret_differs": (
        "the bot at {url} expects another webhook secret",
        "restart it, so that it reads its settings again; is it this one?",
    ),
    "unsigned_accepted": (
        "{url}/webhooks takes webhooks that nobody signed, so it is not Interlock",
        "let the web server pass /webhooks on to the bot, unchanged",
    ),
    "somebody_else": (
        "{url}/webhooks is answered by something else (it says {detail})",
        "let the web server pass /webhooks on to the bot, unchanged",
    ),
}


def reachability(public_url: str, ping: Ping) -> Finding:
    """Whether webhooks get in, judged by a ping to ourselves."""
    if ping.reach == "accepted":
        return Finding("reachable", "ok", f"a signed ping to {public_url}/webhooks was taken in, a forged one was not")
    found, fix = _REACHED[ping.reach]
    host = urlsplit(public_url).hostname or public_url
    return Finding("reachable", "error", found.format(url=public_url, host=host, detail=ping.detail), fix)


def clock(skew: timedelta) -> Finding:
    """Whether our clock agrees with GitHub's; `skew` is theirs minus ours."""
    seconds = round(abs(skew).total_seconds())
    if abs(skew) <= SKEW_NOTICED:
        return Finding("clock", "ok", f"agrees with GitHub's within {max(seconds, 1)} s")
    direction = "behind" if skew > timedelta() else "ahead of"
    found = f"{seconds} s {direction} GitHub's"
    fix = "keep it in step: timedatectl set-ntp true"
    refused = skew > MOST_BEHIND or -skew > MOST_AHEAD
    return Finding("clock", "error" if refused else "warning", found + (", which refuses us for it" * refused), fix)


def app(facts: AppFacts) -> Iterator[Finding]:
    """Whether the App asks for what it needs."""
    tier = tier_of(facts.permissions)
    yield Finding("app", "ok", f"{facts.slug}, owned by {facts.owner}; permissions: {tier}")
    for lacking in missing(facts.permissions, tier):
        yield Finding(
            "permissions",
            "error" if lacking.vital else "warning",
            f"the App does not ask for {lacking.title}: {lacking.level}, so {lacking.without}",
            "add it on GitHub, in the App's settings under Permissions & events, and accept it where it is installed",
        )
    for wish in SUBSCRIPTIONS:
        if tier.covers(wish.tier) and wish.event not in facts.events:
            yield Finding(
                "events",
                "warning",
                f"the App is not subscribed to {wish.event}, so {wish.without}",
                "tick it on GitHub, in the App's settings under Permissions & events",
            )


def webhook(facts: HookFacts, public_url: str) -> Iterator[Finding]:
    """Whether GitHub sends webhooks to us, signed."""
    wanted = f"{public_url}/webhooks"
    settings = "change it on GitHub, in the App's settings under Webhook"
    if not facts.url:
        yield Finding("webhook", "error", "the App has no webhook address", f"set it to {wanted} in the App's settings")
        return
    if public_url and facts.url.rstrip("/") != wanted:
        yield Finding(
            "webhook",
            "error",
            f"GitHub sends webhooks to {facts.url}, the bot is at {wanted}",
            f"{settings}, or set INTERLOCK_PUBLIC_URL to what is right",
        )
    elif not facts.has_secret:
        yield Finding("webhook", "error", "GitHub does not sign webhooks, so none is taken in", f"{settings}: Secret")
    elif not facts.as_json:
        yield Finding("webhook", "error", "GitHub sends webhooks as a form", f"{settings}: application/json")
    else:
        yield Finding("webhook", "ok", f"GitHub sends signed webhooks to {facts.url}")
    if not facts.checks_certificates:
        yield Finding(
            "webhook", "warning", "GitHub does not verify our certificate", f"{settings}: Enable SSL verification"
        )


def deliveries(recent: Iterable[DeliveryFacts], *, now: datetime) -> Finding:
    """How GitHub's last webhooks went; of several attempts at one the newest counts."""
    newest: dict[str, DeliveryFacts] = {}
    for one in recent:
        if one.guid not in newest or newest[one.guid].delivered_at < one.delivered_at:
            newest[one.guid] = one
    if not newest:
        return Finding("deliveries", "ok", "GitHub has sent nothing yet")
    failed = [one for one in newest.values() if not one.arrived]
    if not failed:
        last = max(one.delivered_at for one in newest.values())
        return Finding("deliveries", "ok", f"the last {len(newest)} arrived, the newest {_ago(now - last)} ago")
    worst = max(failed, key=lambda one: one.delivered_at)
    found = (
        f"{len(failed)} of the last {len(newest)} did not arrive; the newest of them, {worst.event}"
        f" {_ago(now - worst.delivered_at)} ago: {worst.status_code or 'no answer'} ({worst.status or 'unknown'})"
    )
    # 503 is our own answer while the bot starts, stops or is being set up; others may have been mended since.
    passing = worst.status_code == 503 or any(one.delivered_at > worst.delivered_at for one in newest.values())
    fix = "the bot asks GitHub for them again by itself; if it stays so, see reachable"
    return Finding("deliveries", "warning" if passing else "error", found, fix)


def _ago(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def installations(found: Iterable[InstallationFacts], app: AppFacts) -> Iterator[Finding]:
    """Whether each account has granted what the App asks for, and what stops working where it has not."""
    tier = tier_of(app.permissions)
    known = tuple(found)
    if not known:
        yield Finding("installations", "error", "the App is installed nowhere", f"install it: {app.install_page}")
    for one in known:
        yield from _installation(one, app, tier)


def _installation(one: InstallationFacts, app: AppFacts, tier: Tier) -> Iterator[Finding]:
    if one.suspended:
        yield Finding(
            "installation", "warning", f"{one.account}: suspended, so nothing runs there", f"unsuspend it: {one.page}"
        )
        return
    # What the App itself does not ask for was told before.
    pending = [
        grant
        for grant in missing(one.permissions, tier)
        if allows(app.permissions, grant) and not (one.is_person and grant.of_organisations)
    ]
    for grant in pending:
        yield Finding(
            "installation",
            "error" if grant.vital else "warning",
            f"{one.account}: {grant.title}: {grant.level} is not granted, so {grant.without}",
            f"an owner accepts the App's new permissions: {one.page}",
        )
    if not pending:
        yield Finding("installation", "ok", f"{one.account}: everything that the App asks for is granted")


def quota(account: str, facts: Quota, *, now: datetime) -> Finding:
    """Whether there are calls left for an account."""
    found = f"{account}: {facts.remaining} of {facts.limit} calls left"
    if facts.limit and facts.remaining < facts.limit * FEW_CALLS:
        fix = f"wait: the limit begins anew in {_ago(facts.resets_at - now)}, and the bot waits by itself"
        return Finding("rate limit", "warning", found, fix)
    return Finding("rate limit", "ok", found)


def protection(repositories: Iterable[Guarded], app: AppFacts) -> Iterator[Finding]:
    """What holds deployments where: GitHub's environments, which ask our rule, or our own gates alone.

    Told only to whom deployments are for. Our own gates are whole by themselves: a deployment of ours passes them all,
    and people open them by `/approve`. The rule makes workflows of GitHub Actions wait for the same gates.

    Source: GitHub docs, "Managing environments for deployment": on private repositories they take an Enterprise plan.
    """
    if tier_of(app.permissions) is not Tier.DEPLOY:
        return
    known = sorted(repositories, key=lambda one: one.repo)
    asking = [f"{one.repo} {name}" for one in known for name in one.asking or ()]
    if asking:
        found = f"GitHub's environments ask Interlock: {_few(asking)}"
        yield Finding("protection rules", "ok", f"{found}; everywhere else `/approve` decides alone")
    elif known:
        yield Finding("protection rules", "ok", "no environment of GitHub's asks Interlock: `/approve` decides alone")
    if unknown := [one.repo for one in known if one.asking is None]:
        found = f"GitHub does not say what protects the environments of {_few(unknown)}"
        yield Finding("protection rules", "warning", found, "grant the App Actions: read there")
    if private := [one.repo for one in known if one.private and not one.asking]:
        found = f"GitHub offers rules on private repositories with an Enterprise plan alone: {_few(private)}"
        yield Finding("protection rules", "ok", f"{found}; `/approve` needs none")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def disk(free: int) -> Finding:
    """Whether runs have room; in bytes."""
    found = f"{free / 1024**3:.1f} GiB free"
    fix = "remove directories of finished runs below runs/ in the data directory, or give it a larger disk"
    if free < LEAST_FREE:
        return Finding("disk", "error", found, fix)
    return Finding("disk", "warning", found, fix) if free < LITTLE_FREE else Finding("disk", "ok", found)


def public_address(public_url: str) -> Finding:
    """Whether people and GitHub can use the address."""
    if not public_url:
        fix = "set INTERLOCK_PUBLIC_URL to the address under which people and GitHub reach the bot"
        return Finding("public address", "warning", "not set: links in checks lead to this machine alone", fix)
    parts = urlsplit(public_url)
    if parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost", "::1"}:
        return Finding("public address", "ok", public_url)
    fix = "put a web server with a certificate in front, see docs/how-to/install-on-a-server.md"
    return Finding("public address", "error", f"{public_url}: webhooks and pages travel unencrypted", fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file or directory that others must not read.

    `mode` is its permission bits, `own` whether it is root's or whoever's who asks, `group` whether its group may read.
    """

    path: str
    mode: int
    own: bool = True
    directory: bool = False
    group: bool = False


def privacy(files: Iterable[FileFacts]) -> Iterator[Finding]:
    """Whether anybody else can read what is secret."""
    open_to_others = False
    for one in files:
        exposed = one.mode & (0o007 if one.group else 0o077)
        open_to_others |= not one.own or bool(exposed)
        if not one.own:
            yield Finding("secrets", "error", f"{one.path} belongs to somebody else", "chown it to the bot's user")
        elif exposed:
            command = f"chmod {'700' if one.directory else '600'} {one.path}"
            yield Finding("secrets", "error", f"{one.path} can be read by others (mode {one.mode:04o})", command)
    if not open_to_others:
        yield Finding("secrets", "ok", "nobody but the bot's user can read them")


def unused_grants(held: AppFacts) -> Iterator[Finding]:
    """Permissions beyond what any set asks for: a stolen key would carry them."""
    tier = tier_of(held.permissions)
    optional = {grant.permission: grant.level for grant in OPTIONAL if tier.covers(grant.tier)}
    used = permissions(Tier.DEPLOY) | optional
    extra = sorted(
        f"{name}: {level}"
        for name, level in held.permissions.items()
        if level not in LEVELS or LEVELS.index(level) > LEVELS.index(used.get(name, "none"))
    )
    if extra:
        yield Finding(
            "permissions",
            "warning",
            f"the App asks for more than Interlock ever uses: {', '.join(extra)}",
            "take it away in the App's settings; whoever stole its key could use it",
        )
