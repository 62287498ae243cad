"""`interlock command`: give the bot on this machine a command, as a comment would."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import httpx

from bot.ops.links import KeyUnusable
from bot.ops.operator_key import FILE, OperatorKey
from bot.ops.settings import BadSettings, where
from runner import __version__

SUBJECT = re.compile(r"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)(?:#([1-9][0-9]{0,8}))?")
SECONDS = 60.0
"""How long the bot may take: it asks GitHub, and starts things without waiting for them."""

DONE, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


def command(*, subject: str, text: str, url: str, as_json: bool, data_dir: str = "") -> int:
    """Send it and print the answer; returns the exit code of `interlock command`."""
    found = SUBJECT.fullmatch(subject)
    if found is None:
        print(f"interlock: {subject!r} names no pull request; write it like octo/app#12, or octo/app", file=sys.stderr)  # noqa: T201 - the command's own output.
        return USAGE
    try:
        key = _key(data_dir)
    except _NoKey as lacking:
        print(f"interlock: {lacking}", file=sys.stderr)  # noqa: T201 - as above.
        return USAGE
    body = {"repo": found[1], "pr": int(found[2]) if found[2] else None, "command": text}
    try:
        # No proxy is asked: the bot answers to this machine alone, and a proxy is another.
        with httpx.Client(
            trust_env=False, timeout=SECONDS, headers={"user-agent": f"interlock/{__version__}", "authorization": key}
        ) as client:
            answer = client.post(f"{url.rstrip('/')}/api/v1/commands", json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as lost:
        hint = "is `interlock serve` running? (--url says where)"
        print(f"interlock: no bot answers at {url} ({lost}); {hint}", file=sys.stderr)  # noqa: T201 - as above.
        return UNREACHABLE
    said = _object(answer)
    if said is None:
        print(f"interlock: {url} answered {answer.status_code}: {_foreign(answer)}", file=sys.stderr)  # noqa: T201 - as above.
        return UNREACHABLE
    _tell(said, as_json=as_json)
    return DONE if said["done"] else REFUSED


class _NoKey(Exception):
    """The bot would not believe that we sit at its machine; the sentence says what helps."""


def _key(data_dir: str) -> str:
    environ = {**os.environ, **({"INTERLOCK_DATA_DIR": data_dir} if data_dir else {})}
    try:
        directory, _ = where(environ, cwd=Path.cwd())
        if not (directory / FILE).is_file():
            message = (
                f"{directory / FILE} is not there or not yours to read: run this as the bot's user, and name its data "
                "directory with --data-dir or INTERLOCK_DATA_DIR"
            )
            raise _NoKey(message)
        return OperatorKey(directory).header
    except (BadSettings, KeyUnusable) as bad:
        raise _NoKey(str(bad)) from bad
    except OSError as refused:
        message = f"{refused.filename} cannot be read ({refused.strerror}): run this as the bot's user"
        raise _NoKey(message) from refused


def _object(answer: httpx.Response) -> dict[str, object] | None:
    try:
        said = answer.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) and "done" in said else None


def _foreign(answer: httpx.Response) -> str:
    """One line about an answer that is not to a command: the bot's own refusals are text, another server's a page."""
    text = " ".join(answer.text[:200].split())
    is_ours = answer.headers.get("content-type", "").startswith("text/plain") and text
    return text if is_ours else "no answer of a bot's; give --url the address that `interlock serve` listens on"


def _tell(said: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(said))  # noqa: T201 - as above.
        return
    runs = said["runs"] if isinstance(said["runs"], list) else []
    lines = [str(said["said"]).rstrip(), *(f"run {number} was started" for number in runs)]
    shown = "\n".join(line for line in lines if line) or ("done" if said["done"] else str(said["reason"]))
    print(shown, file=sys.stdout if said["done"] else sys.stderr)
