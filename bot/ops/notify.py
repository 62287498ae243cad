"""Telling people who do not look at GitHub: a chat's webhook, an e-mail, and whatever else `apprise` speaks.

The owner of the machine lays down who there is to tell, as files, since an address is a secret: whoever knows a webhook
can write to its channel. A configuration knows their names alone.

    secrets/notify/ops      one address a line; lines that begin with # are for people

An https address is a webhook as Slack made them (Mattermost, Rocket.Chat, Discord's /slack and many others take the
same); every other one is read by apprise: mailtos://user:password@example.org?to=ops@example.org.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bot.ops.own_secrets import OWN
from bot.ops.secrets import SecretsUnusable, read_secret

DIRECTORY = "notify"
"""Of the secrets directory."""

MOST = 10
"""Addresses that one name may stand for."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}", re.IGNORECASE)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ONE_AT_A_TIME = threading.Lock()
"""apprise tells why something failed in its log alone; who sends alone knows whose failure it is."""


class NobodyThere(Exception):
    """A name stands for nobody, or what it stands for cannot be used. The sentence says what to mend; no address."""


class NotifierMissing(Exception):
    """The library that speaks to all of them is not installed."""

    def __str__(self) -> str:
        """What to do."""
        return "notifying needs: pip install 'interlock[notify]'"


class NotTaken(Exception):
    """Somebody was not reached, or refused. A repeat is safe: at worst it is told twice."""


def addresses_of(directory: Path | None, name: str) -> tuple[str, ...]:
    """The addresses that a name stands for. They are kept out of all that leaves the process from now on.

    Args:
        directory: the owner's secrets; None where there are none.
        name: as a configuration says it.

    Raises:
        NobodyThere: there is no such name, or its file cannot be used.
    """
    if directory is None:
        message = f"notify: {name!r} stands for nobody, since INTERLOCK_SECRETS_DIR is not set"
        raise NobodyThere(message)
    path = directory / DIRECTORY / name
    if not _NAME.fullmatch(name) or not path.exists():
        message = f"notify: {name!r} stands for nobody: there is no file {DIRECTORY}/{name} among the secrets"
        raise NobodyThere(message)
    try:
        lines = [line.strip() for line in read_secret(path).splitlines()]
    except SecretsUnusable as refused:
        raise NobodyThere(str(refused)) from refused
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not 0 < len(found) <= MOST:
        message = f"notify: {DIRECTORY}/{name} has {len(found)} addresses; it takes one to {MOST}, one a line"
        raise NobodyThere(message)
    for number, address in enumerate(found, 1):
        OWN.learn(f"notify-{name}-{number}", address)
    return found


async def send(address: str, *, title: str, body: str) -> None:
    """Tell one address. It takes seconds at most; nobody but the caller waits.

    Args:
        address: as `addresses_of` gave it.
        title: one line, plain text.
        body: plain text.

    Raises:
        NotifierMissing: the library is not installed.
        NobodyThere: nobody can be told at such an address.
        NotTaken: this time it failed.
    """
    await asyncio.to_thread(_send, address, title, body)


def _send(address: str, title: str, body: str) -> None:
    try:
        import apprise  # noqa: PLC0415 - it takes 0.1 s and 20 MB, and most bots tell nobody.
    except ImportError as missing:
        raise NotifierMissing from missing
    is_webhook = urlsplit(address).scheme in {"http", "https"}
    asset = apprise.AppriseAsset(app_id="Interlock", app_desc="Interlock", app_url="", http_redirects=False)
    told = apprise.Apprise.instantiate(_webhook(address) if is_webhook else address, asset=asset)
    if told is None:
        message = "notify: an address is none that apprise knows; its documentation lists them"
        raise NobodyThere(message)
    everybody = apprise.Apprise(asset=asset)
    everybody.add(told)
    text = _for_chat(title, body) if is_webhook else body
    told.notify_format = apprise.NotifyFormat.TEXT  # an e-mail would be HTML, made of our text.
    with _ONE_AT_A_TIME, apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        done = everybody.notify(
            body=text, title="" if is_webhook else title, body_format=apprise.NotifyFormat.TEXT, interpret_escapes=False
        )
        because = said.getvalue()
    if not done:
        raise NotTaken(OWN.text(" ".join(because.split()))[:300] or "it was not taken")


def _webhook(address: str) -> dict[str, Any]:
    """How apprise posts JSON when it is told to post what Slack takes: `{"text": …}` and nothing else."""
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        message = "notify: an address would be told unencrypted to whoever listens; use https"
        raise NobodyThere(message)
    try:
        port = parts.port
    except ValueError:
        message = "notify: an address has a port that is none"
        raise NobodyThere(message) from None
    return {
        "schema": "jsons" if parts.scheme == "https" else "json",
        "host": parts.hostname or "",
        "port": port,
        "fullpath": unquote(parts.path) or "/",
        "params": dict(parse_qsl(parts.query)),
        "payload": {"message": "text", "title": "", "version": "", "attachments": "", "type": ""},
        "user": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
    }


def _for_chat(title: str, body: str) -> str:
    """Text in which nothing calls anybody: Slack takes what stands in angle brackets for a mention or a link."""
    bare = f"{title}\n{body}".strip()
    return bare.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
