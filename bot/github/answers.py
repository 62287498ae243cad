"""What an HTTP answer means, and whether the call may be repeated. Pure: an answer in, a problem or a decision out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import httpx

from bot.github.errors import (
    BadCredentials,
    Forbidden,
    GitHubProblem,
    GitHubUnavailable,
    NotFound,
    RateLimited,
    Unprocessable,
)
from bot.github.their_clock import date_of

ATTEMPTS = 3
"""How often one call is sent at most; with `pause` a call never waits longer than 2 seconds in all."""

_BY_STATUS = {401: BadCredentials, 403: Forbidden, 404: NotFound, 410: NotFound}
_WITHOUT_ADVICE = timedelta(seconds=60)
_LONGEST = timedelta(days=1)
SAFE = frozenset({"GET", "HEAD"})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


def problem(response: httpx.Response, now: datetime) -> GitHubProblem | None:
    """The problem that a read answer states; None below 400.

    Args:
        response: its body was read.
        now: aware; the base of `Retry-After`.

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    status = response.status_code
    if status < 400:
        return None
    said, errors = _explanation(response)
    asked = f"GitHub answered {status} to {response.request.method} {response.request.url.path}"
    message = f"{asked}: {said}" if said else asked
    if status >= 500:
        return GitHubUnavailable(message, response.request.method not in SAFE)
    if status in (403, 429) and (limited := _limited(status, response.headers, said, now)):
        return limited
    if named := _BY_STATUS.get(status):
        return named(message)
    return Unprocessable(message, errors, status)


def transport_problem(error: Exception, method: str, path: str) -> GitHubUnavailable:
    """No answer came. A write may have been carried out unless the connection was never made."""
    maybe_done = method not in SAFE and not isinstance(error, _NOT_SENT)
    return GitHubUnavailable(f"no answer from GitHub to {method} {path}: {_said(error)}", maybe_done)


def may_repeat(trouble: GitHubProblem, *, attempt: int, idempotent: bool) -> bool:
    """True when the call may be sent again at once.

    Args:
        trouble: what came of the last attempt.
        attempt: how often it was sent already, from 1.
        idempotent: doing it twice is the same as doing it once.
    """
    if attempt >= ATTEMPTS or not isinstance(trouble, GitHubUnavailable):
        return False
    return idempotent or not trouble.maybe_done


def pause(attempt: int, random: Random) -> float:
    """Seconds before the next attempt: 0.2 to 0.4, then 0.6 to 1.2; spread, so that callers do not return in step."""
    base = 0.2 * 3.0 ** (attempt - 1)
    return base * (1 + random.random())


def _limited(status: int, headers: Mapping[str, str], said: str, now: datetime) -> RateLimited | None:
    """The limit that an answer states. What it dates is by GitHub's clock, and is told by ours."""
    told: datetime | None = None
    theirs = date_of(headers.get("date", "")) or now
    if "retry-after" in headers:
        told = _retry_after(headers["retry-after"], theirs)
    elif headers.get("x-ratelimit-remaining") == "0":
        told = _reset(headers.get("x-ratelimit-reset", ""))
    elif status != 429 and "rate limit" not in said.lower():  # a secondary limit sometimes says so in words only.
        return None
    wait = min(max(told - theirs, timedelta()), _LONGEST) if told else _WITHOUT_ADVICE
    return RateLimited(now + wait, told is not None)


def _retry_after(text: str, theirs: datetime) -> datetime | None:
    """Seconds, or an HTTP date (RFC 9110 §10.2.3); None when it is neither."""
    if text.strip().isdecimal():
        return theirs + timedelta(seconds=min(int(text), 86_400))
    return date_of(text)


def _reset(text: str) -> datetime | None:
    return datetime.fromtimestamp(min(int(text), 2**40), UTC) if text.strip().isdecimal() else None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {_one_line(error)}" if str(error) else type(error).__name__


def _explanation(response: httpx.Response) -> tuple[str, tuple[str, ...]]:
    """GitHub's sentence and its list of errors; empty when the body is something else."""
    try:
        body = response.json()
    except ValueError:
        return "", ()
    if not isinstance(body, dict):
        return "", ()
    errors = body.get("errors")
    listed = errors[:20] if isinstance(errors, list) else [errors] if isinstance(errors, str) else []
    lines = tuple(_error_line(error) for error in listed)
    return _one_line(body.get("message", "")), lines


def _error_line(error: object) -> str:
    if not isinstance(error, dict):
        return _one_line(error)
    field, why = error.get("field"), error.get("message") or error.get("code") or "invalid"
    return _one_line(f"{field}: {why}" if field else why)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]
