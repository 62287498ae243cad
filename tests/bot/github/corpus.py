"""GitHub's own example webhooks, and ways to spoil them that a seed makes repeatable."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

Json = dict[str, Any]

EXAMPLES: list[tuple[str, Json]] = [
    (each["event"], each["payload"])
    for each in json.loads(gzip.decompress((Path(__file__).parent / "examples" / "webhooks.json.gz").read_bytes()))
]


def _rule() -> Json:
    """GitHub gives no example of this event; this is one of another, with what the description says of this one."""
    _, like = next(each for each in EXAMPLES if each[0] == "deployment" and each[1].get("installation"))
    api = f"https://api.github.com/repos/{like['repository']['full_name']}"
    own = {
        "environment": "production",
        "event": "push",
        "deployment_callback_url": f"{api}/actions/runs/15/deployment_protection_rule",
        "pull_requests": [],
    }
    shared = {name: like[name] for name in ("deployment", "repository", "sender", "installation")}
    return {"action": "requested", **own, **shared}


EXAMPLES.append(("deployment_protection_rule", _rule()))

ODD: tuple[object, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 10**40, 1.5, float("nan"), float("inf")),
    *("", "x", "\x00", "\u202e", "a\nb", "../../etc/passwd", "-oProxyCommand=id", "$(id)", "x" * 100_000),
    *([], {}, [[]], [{}] * 1000, {"login": []}, {"id": {}}, ["a", 1, None]),
)


def copy(payload: Json) -> Json:
    """A payload that may be changed."""
    changed: Json = json.loads(json.dumps(payload))
    return changed


def adopted(payload: Json, *, app_id: int, installation_id: int, repo_id: int, repo: str) -> Json:
    """The payload as if it were about our App's own repository."""
    own = copy(payload)
    own["installation"] = {**(own.get("installation") or {}), "id": installation_id, "app_id": app_id}
    if own.get("repository"):
        own["repository"] |= {"id": repo_id, "full_name": repo}
    for check in ("check_run", "check_suite"):
        if check in own:
            own[check]["app"] = {**(own[check].get("app") or {}), "id": app_id}
    return own


def places(value: object) -> list[tuple[Any, Any]]:
    """Every container and key in a payload."""
    found = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            found += places(value[key])
    return found


def _drop(payload: Json, random: Random) -> bytes:
    holder, key = random.choice(places(payload))
    del holder[key]
    return json.dumps(payload).encode()


def _replace(payload: Json, random: Random) -> bytes:
    for _ in range(random.randint(1, 4)):
        holder, key = random.choice(places(payload))
        holder[key] = random.choice(ODD)
    return json.dumps(payload).encode()


READ = (
    *("action", "ref", "after", "deleted", "forced", "ref_type", "reason", "sender.login", "sender.type"),
    *("repository.id", "repository.full_name", "repository.default_branch", "installation.id", "installation.app_id"),
    *("pull_request.number", "pull_request.head.sha", "pull_request.base.ref", "review.id", "review.body"),
    *("issue.number", "issue.pull_request", "comment.id", "comment.body", "comment.user", "merge_group.head_sha"),
    *("check_run.id", "check_run.name", "check_run.head_sha", "check_run.app.id", "check_run.pull_requests"),
    *("check_suite.head_sha", "check_suite.app.id", "check_suite.pull_requests", "requested_action.identifier"),
    *("repositories", "repositories_added", "repositories_removed", "changes"),
    *("environment", "deployment.id", "deployment.sha", "deployment.ref", "deployment_callback_url", "pull_requests"),
)
"""Everything that is read of a payload: the odd values that might go on are these."""


def read_places(payload: Json) -> list[tuple[Json, str]]:
    """Where in a payload there is something that is read."""
    there = []
    for path in READ:
        holder: Any = payload
        *way, key = path.split(".")
        for name in way:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and key in holder:
            there.append((holder, key))
    return there


def _replace_what_we_read(payload: Json, random: Random) -> bytes:
    holder, key = random.choice(read_places(payload))
    holder[key] = random.choice(ODD)
    return json.dumps(payload).encode()


def _new_things(payload: Json, random: Random) -> bytes:
    payload["action"] = random.choice(["frobnicated", "Opened", "opened ", "créé", "a" * 5000])
    payload[f"field_{random.random()}"] = {"deep": [1]}
    payload["sender"] = {"login": "robot", "id": 1, "type": "Automaton"}
    return json.dumps(payload).encode()


def _nested(payload: Json, random: Random) -> bytes:
    opened, closed = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    bomb = opened * 100_000 + b"1" + closed * 100_000
    _, key = random.choice(places(dict.fromkeys(payload, 0)))
    whole = json.dumps({**payload, key: "BOMB"}).encode()
    return whole.replace(b'"BOMB"', bomb)


def _twice(payload: Json, random: Random) -> bytes:
    """The same names again, with other values: which of both counts is the reader's choice."""
    name = random.choice(sorted(payload))
    return json.dumps(payload).encode()[:-1] + f', "{name}": {json.dumps(random.choice(ODD))}}}'.encode()


def _surrogate(payload: Json, random: Random) -> bytes:
    holder, key = random.choice(places(payload))
    holder[key] = "half \ud83d of a pair"
    return json.dumps(payload).encode()


def _bytes(payload: Json, random: Random) -> bytes:
    whole = bytearray(json.dumps(payload).encode())
    for _ in range(random.randint(1, 20)):
        whole[random.randrange(len(whole))] = random.randrange(256)
    return bytes(whole[: random.choice([len(whole), random.randrange(len(whole))])])


def _long_lists(payload: Json, random: Random) -> bytes:
    lists = [(holder, key) for holder, key in places(payload) if isinstance(holder[key], list)]
    holder, key = random.choice(lists or [(payload, "repositories")])
    holder[key] = [{"id": number, "full_name": f"o/r{number}", "number": number + 1} for number in range(30_000)]
    return json.dumps(payload).encode()


SPOILERS: tuple[Callable[[Json, Random], bytes], ...] = (
    *(_drop, _replace, _new_things, *[_replace_what_we_read] * 8),
    *(_nested, _twice, _surrogate, _bytes, _long_lists),
)
