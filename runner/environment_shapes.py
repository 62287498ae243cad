"""What `environments` of interlock.yml looks like. Only shapes: `runner.environments` knows what they mean together."""

from __future__ import annotations

from runner.metadata import words
from runner.shapes import (
    SPACES,
    ByKind,
    Choice,
    Count,
    Duration,
    Either,
    Flag,
    List,
    Named,
    Number,
    Share,
    Table,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.shapes import Shape

STRATEGIES = ("recreate", "rolling", "blue_green", "canary")
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = rf"({'|'.join(DAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9])?"

_WORD = rf"[^{SPACES}]+"
_PATH = rf"/[^{SPACES}]*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
_ADDRESS = r"(?:[0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}"
_MOST_COMMANDS = 20


def _branches(about: str) -> Shape:
    branch = Text(pattern=_WORD, most=255, sentence="'{value}' is not the name of a branch")
    return Either(branch, List(of=branch, what="branch", least=1), about=about)


def _commands(about: str) -> Shape:
    return Either(Text(), List(of=Text(), what="command"), about=about)


def _duration_or_never(about: str) -> Shape:
    return Either(Duration(), Choice(words=("never",)), about=about)


_ENV = Named(
    of=Either(Text(pattern=r"[^\x00]*", most=4000), Count(high=2**63 - 1)),
    names=_VARIABLE,
    about="variables of the processes",
    sentence="'{name}' in '{key}' is not a variable's name",
)
_SECRETS = words("names of secrets, which become variables", what="secret's name", pattern=_VARIABLE)
_USER = Text("the user that it runs as", pattern=rf"[^{SPACES}:/]+", most=64)
_PROCESS = Table(
    {
        "command": Text("what serves requests at $PORT"),
        "build": Text("a command in the files of the release, before it is started"),
        "health": Text("a path that answers 200 when it is ready", pattern=_PATH, sentence="'{key}' must be a path"),
        "listen": Text(
            "where users come in, host:port (127.0.0.1:8000)", pattern=_ADDRESS, sentence="'{key}' must be host:port"
        ),
        "slots": Table(
            {"blue": Count("port", low=1, high=65535), "green": Count("port", low=1, high=65535)},
            needed=("blue", "green"),
            about="ports of the two slots (free ones)",
        ),
        "router": Choice("what divides the requests (auto)", words=("auto", "haproxy", "caddy")),
        "env": _ENV,
        "secrets": _SECRETS,
        "user": _USER,
        "start_timeout": Duration("until it must be ready (30s)"),
        "stop_timeout": Duration("until it is killed (10s)"),
    },
    needed=("command",),
    about="two slots on this machine behind a router",
)
VERBS = ("observe", "start", "ready", "route", "drain", "stop", "counts", "logs")
_COMMAND = Table(
    {
        **{verb: Text(f"the command that does `{verb}`") for verb in VERBS},
        "shares": Flag("whether `route` can divide requests in any way, which a canary needs (false)"),
        "env": _ENV,
        "secrets": _SECRETS,
        "user": _USER,
        "timeout": Duration("of each command but `start` (60s)"),
        "start_timeout": Duration("of `start` (5m)"),
    },
    needed=("observe", "start"),
    about="commands of your own for each thing that a deployment does",
)
_LATER = Table({}, more=True)
TARGETS = {"process": _PROCESS, "command": _COMMAND, "compose": _LATER, "pm2": _LATER, "ecs": _LATER}

_STRATEGY = Either(
    Choice(words=STRATEGIES),
    Table(
        {
            "kind": Choice(words=STRATEGIES),
            "steps": List("a canary's shares, rising to 100%", of=Share(), what="share", least=1),
            "pause": Duration("how long each step but the last is watched (1m)"),
        },
        needed=("kind",),
    ),
    about="how a release takes the place of another (blue_green where the target can, else recreate)",
)
_GATE = Table(
    {
        "boxes": Text("a selection; they are green on exactly that commit"),
        "after": Text("an environment where the same release is good"),
        "soaked": Table(
            {"in": Text("an environment"), "for": Duration("how long the same release is live and well there")},
            needed=("in", "for"),
        ),
        "approvals": Table(
            {
                "count": Count("how many (1)", low=1, high=20),
                "from": List(
                    "who may (role:maintain)",
                    of=Text(
                        pattern=r"(?:team:[a-z0-9][a-z0-9_-]{0,99}|user:[A-Za-z0-9-]{1,39}|role:(?:write|maintain|admin))"
                    ),
                    what="source of approvals",
                    least=1,
                    hint="write team:release, user:mona or role:maintain",
                ),
                "not": List(
                    "who may not (author, requester)",
                    of=Choice(words=("author", "requester")),
                    what="person",
                    hint="author and requester can be left out",
                ),
                "expires": Duration("how long one counts (4h)"),
            },
        ),
    },
    one_of=("boxes", "after", "soaked", "approvals"),
    sentence="a gate is either not_frozen or has exactly one key",
)
_MOMENT = Text(
    pattern=f"(?:{DAY}|{DATE})",
    sentence="'{key}' is not a moment",
    hint="write fri 16:00, 2026-12-20 or 2026-12-20T09:00",
)
_WINDOW = Table(
    {
        "from": _MOMENT,
        "until": _MOMENT,
        "tz": Text("a time zone, such as Europe/Berlin (UTC)", pattern=r"[A-Za-z0-9_+/-]{1,60}"),
        "because": Text("shown to whoever waits", most=200),
    },
    needed=("from", "until"),
)
_PROBE = Table(
    {
        "http": Text("a path of what users see", pattern=_PATH, sentence="'{key}' must be a path"),
        "prometheus": Either(
            Text(),
            Table({"url": Text(), "query": Text()}, needed=("query",)),
            about="a query, or its server and a query",
        ),
        "every": Duration("time between two questions (1s; of Prometheus 5s)"),
        "timeout": Duration("an answer after it is a failure (500ms)"),
        "slow": Duration("so is one after this"),
        "status": Count("what it must answer (200)", low=100, high=599),
        "max": Number("a value above it is a failure", low=-1e15, high=1e15),
    },
    one_of=("http", "prometheus"),
    sentence="a probe asks either by 'http' or by 'prometheus'",
)
_WATCH = Table(
    {
        "for": Duration("how long (1m)"),
        "probes": List("what is asked", of=_PROBE, unique=False),
        "prometheus": Text("the server that queries are asked of"),
        "traffic": Flag("whether the answers to users count (true)"),
        "on_bad": Choice("what follows (rollback)", words=("rollback", "hold")),
        "no_data": Choice("what follows when nothing was seen (hold)", words=("hold", "rollback", "accept")),
        "false_rollback": Share("how likely a good release is rolled back, at most (0.001)"),
        "tolerated": Either(
            Choice(words=("auto",)), Share(), about="the share of failures that is no reason (auto: as it was before)"
        ),
    },
    about="how a release is judged after the switch",
)
ENVIRONMENT = Table(
    {
        "when": Table({"push": _branches("deploys each green push to these")}, about="what is deployed by itself"),
        "pull_requests": Flag("whether heads of pull requests may be deployed here (false)"),
        "target": ByKind("kind", TARGETS, what="how it is reached", about="where releases run"),
        "strategy": _STRATEGY,
        "gates": List("what must hold first", of=Either(Choice(words=("not_frozen",)), _GATE), unique=False),
        "freeze": List("when nothing is deployed", of=_WINDOW, unique=False),
        "smoke": Text("a selection of boxes that ask the slot before the switch, and the environment after it"),
        "watch": _WATCH,
        "rollback": Table(
            {
                "keep_old": _duration_or_never("how long the release before stays running (30m)"),
                "schema": Text("a command that prints the version of the database's schema"),
                "drain": Duration("how long requests under way get (5s)"),
            },
            about="the way back",
        ),
        "lock": Table(
            {
                "scope": Choice("whom a lock binds (pull_request)", words=("pull_request", "user")),
                "ttl": Duration("how long it holds (8h)"),
            },
        ),
        "on": Table(
            {
                "before_switch": _commands("commands before users are sent there"),
                "after_switch": _commands("commands after it"),
                "after_rollback": _commands("commands after the way back"),
            },
            about="commands of your own",
        ),
        "expires": Duration("how long a deployment waits at its gates (24h)"),
        "url": Text("what people open", pattern=rf"https?://[^{SPACES}]+", sentence="'{key}' must be a URL"),
        "notify": words("whom the operator configured to be told", what="name of a notice", pattern=NAME),
        "release": Flag("whether a success makes a release on GitHub (false)"),
    },
    needed=("target",),
)
