"""Caddy, told by a file that it reads for every request: a switch is the renaming of a file.

Caddy's admin interface would load a new configuration for a switch, which closes idle connections under their users. So
the configuration stays as it is, and compares a random number of each request with what the file says: the share of
green, as the beginning of a number in hex. Tried with Caddy 2.11.

Source: Caddy's placeholders `{file.*}` and `{http.request.uuid}`, and its `expression` matcher.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.deploy import wire
from bot.deploy.durable import put
from bot.deploy.ports import is_free
from bot.deploy.residents import Resident, Wanted
from bot.deploy.routers.router import NOBODY, Front, answering
from bot.deploy.target import Counts, Slot, TargetUnreachable

_WITHIN = 5.0
_FILES = 65536
_ALL = "g"
"""After every digit in hex."""

_HANDLERS = {"blue": "reverse_proxy", "green": "subroute"}
"""Caddy counts by handler, so each slot has one of another kind."""

_METRIC = re.compile(r"^caddy_http_request_duration_seconds_count\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')


class Caddy:
    """One Caddy.

    Args:
        program: its path.
        directory: its own.
        front: what it is to do.
    """

    counters = True
    promise = "no request is lost in a switch"

    def __init__(self, program: str, directory: Path, front: Front) -> None:
        self._program = program
        self._directory = directory
        self._config = json.dumps(config(front), indent=1)
        self._listen = front.listen
        self._resident = Resident(directory)

    async def up(self) -> None:
        """Have it run; one with another configuration is ended first, which closes its users' connections."""
        nonce = hashlib.sha256(self._config.encode()).hexdigest()[:16]
        life = self._resident.look()
        if life.alive and life.nonce == nonce:
            return
        if life.alive:
            await self._resident.stop(_WITHIN)
        if not is_free(*self._listen):
            # Caddy would share it with whoever has it, and the kernel would divide users between them.
            message = f"{self._listen[0]}:{self._listen[1]} is taken by another program"
            raise TargetUnreachable(message)
        self._write()
        argv = ["/bin/sh", "-c", 'eval "$(cat)"; exec "$@" </dev/null', "sh"]
        argv += [self._program, "run", "--config", "caddy.json"]
        said = f"export HOME={shlex.quote(str(self._directory))} XDG_DATA_HOME={shlex.quote(str(self._directory))}\n"
        wanted = Wanted(argv=argv, directory=self._directory, said=said, files=_FILES)
        await self._resident.start(wanted, nonce=nonce, intent={"argv": argv})
        await self._answers()

    async def share(self) -> int | None:
        """What a request to the running Caddy is decided by."""
        if not self._resident.look().alive:
            return None
        return share_from((await self._ask("truth.sock", "/")).strip())

    async def give(self, share: int) -> None:
        """Replace the file."""
        self._decide(share)
        await self.up()

    async def counts(self) -> Mapping[Slot, Counts]:
        """What its metrics say."""
        if not self._resident.look().alive:
            return {}
        answers: Counter[str] = Counter()
        failures: Counter[str] = Counter()
        for text, number in _METRIC.findall(await self._ask("admin.sock", "/metrics")):
            labels = dict(_LABEL.findall(text))
            if labels["server"] == "users":
                answers[labels["handler"]] += int(float(number))
                # 0: it could not be told, since the answer broke off.
                failures[labels["handler"]] += int(float(number)) if labels["code"][0] in "05" else 0
        return {slot: Counts(answers[handler], failures[handler]) for slot, handler in _HANDLERS.items()}

    async def under_way(self, slot: Slot) -> int:
        """Requests that a slot is answering."""
        if not self._resident.look().alive:
            return 0
        label = f'handler="{_HANDLERS[slot]}",server="users"'
        metrics = await self._ask("admin.sock", "/metrics")
        found = re.search(rf"^caddy_http_requests_in_flight\{{{label}\}} ([0-9.e+]+)$", metrics, re.MULTILINE)
        return int(float(found[1])) if found else 0

    async def down(self) -> None:
        """End it."""
        await self._resident.stop(1.0)
        self._resident.forget()

    def _decide(self, share: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        put(self._directory / "share", written(share))

    def _write(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        put(self._directory / "caddy.json", self._config)
        for name in ("admin.sock", "truth.sock"):
            (self._directory / name).unlink(missing_ok=True)
        if not (self._directory / "share").exists():
            self._decide(NOBODY)

    async def _answers(self) -> None:
        """Wait until it answers.

        Raises:
            TargetUnreachable: it ended, or took too long.
        """
        await answering("caddy", self._resident, self._says_something, _WITHIN)

    async def _says_something(self) -> bool:
        try:
            await self._ask("truth.sock", "/")
            await self._ask("admin.sock", "/config/admin")
        except TargetUnreachable:
            return False
        return True

    async def _ask(self, name: str, path: str) -> str:
        try:
            reply = await wire.get(self._directory / name, path, timeout=_WITHIN)
        except wire.NoAnswer as refused:
            message = f"caddy does not answer: {refused}"
            raise TargetUnreachable(message) from refused
        return reply.body.decode(errors="replace")


def written(share: int) -> str:
    """The number below which a request's random one makes it green's, in hex; nothing when nobody serves."""
    if share == NOBODY:
        return ""
    return _ALL if share == 100 else f"{share * 65536 // 100:04x}"


def share_from(written: str) -> int:
    """What `written` made of a share."""
    if not written:
        return NOBODY
    return 100 if written == _ALL else round(int(written, 16) * 100 / 65536)


def config(front: Front) -> dict[str, Any]:
    """Its configuration; names of files are relative to its directory."""
    host, port = front.listen
    proxies = {
        slot: {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": f"127.0.0.1:{number}"}],
            "transport": {"protocol": "http", "dial_timeout": "1s", "response_header_timeout": "60s"},
        }
        for slot, number in front.ports.items()
    }
    nobody = {
        "handler": "static_response",
        "status_code": 503,
        "headers": {"Retry-After": ["5"]},
        "body": "no release serves here",
    }
    routes = [
        {"handle": [{"handler": "vars", "share": "{file.share}"}]},
        {"match": [{"expression": '{http.vars.share} == ""'}], "handle": [nobody], "terminal": True},
        {
            "match": [{"expression": "{http.request.uuid} < {http.vars.share}"}],
            "handle": [{"handler": "subroute", "routes": [{"handle": [proxies["green"]]}]}],
            "terminal": True,
        },
        {"handle": [proxies["blue"]]},
    ]
    plain = {"automatic_https": {"disable": True}, "protocols": ["h1"]}
    users = {"listen": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"], "routes": routes, **plain}
    truth = [{"handle": [{"handler": "static_response", "body": "{file.share}"}]}]
    return {
        "admin": {"listen": "unix/admin.sock|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {
            "http": {
                "metrics": {},
                "servers": {"users": users, "truth": {"listen": ["unix/truth.sock|0600"], "routes": truth, **plain}},
            }
        },
    }
