"""`http:` of a box: requests and what must be true of their answers. Text in, plain values out.

`runner/lib/http_box.py` makes the requests. It gets the steps as JSON, so a step is a mapping with every key there:
name, method, url, headers, body, status (patterns), header, contains, matches, json, within (seconds, 0 for none),
follow, insecure. Reference: docs/reference/configuration.md.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.fields import Fields

METHODS = ("get", "head", "post", "put", "delete")
LARGEST = 100_000  # characters of all steps as JSON; they are one argument of a process.

_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(?:https?://|\$\{[A-Za-z_][A-Za-z0-9_]*\})[^\s]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_STATUS = re.compile(r"[1-5]xx|[1-5][0-9][0-9]")
_NAME = re.compile(r"[^\s:][^\n:]{0,60}")
_PATH_START = re.compile(r"\$?")
_PATH_PART = re.compile(r"""\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\["([^"\]]*)"\]""")


def read_steps(fields: Fields) -> tuple[dict[str, object], ...]:
    """The steps under the key `http` of a box: one mapping, or a list of them.

    Raises:
        BadMetadata: a step says something that is not allowed; says where.
    """
    steps = [_step(step) for step in fields.inners("http")]
    names = [str(step["name"]) for step in steps if step["name"]]
    if len(set(names)) < len(names):
        raise fields.bad("http", "two steps of 'http' have the same name", "the ids of assertions begin with it")
    if not steps:
        raise fields.bad("http", "'http' says nothing", "it needs a request, such as {get: URL}")
    if len(json.dumps(steps)) > LARGEST:
        raise fields.bad("http", f"'http' is longer than {LARGEST} characters")
    return tuple(steps)


def title_of(steps: tuple[dict[str, object], ...]) -> str:
    """What such a box is called when it does not say: its first request."""
    return f"{steps[0]['method']} {steps[0]['url']}"[:80]


def origins(steps: Sequence[Mapping[str, object]], env: Mapping[str, str]) -> tuple[str, ...]:
    """The origins (`https://example.org:8443`) that steps ask, in order; without those whose variables are not set."""
    from urllib.parse import urlsplit

    found: dict[str, None] = {}
    for step in steps:
        url = _VARIABLE.sub(lambda match: env.get(match[1], ""), str(step["url"]))
        try:
            parts = urlsplit(url)
            if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
                found[f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"] = None
        except ValueError:
            continue
    return tuple(found)


def ends(steps: Sequence[Mapping[str, object]], env: Mapping[str, str]) -> tuple[str, ...]:
    """The same as `host:port`, which is what a box may be let to."""
    from urllib.parse import urlsplit

    found: dict[str, None] = {}
    for origin in origins(steps, env):
        parts = urlsplit(origin)
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        found[f"{host}:{parts.port or _PORTS[parts.scheme]}"] = None
    return tuple(found)


def _step(fields: Fields) -> dict[str, object]:
    methods = [method for method in METHODS if method in fields]
    if len(methods) != 1:
        raise fields.bad("", f"'http' needs exactly one of {', '.join(METHODS)}")
    name = fields.text("name")
    if name and not _NAME.fullmatch(name):
        raise fields.bad("name", "'name' of a step must be short and have no colon")
    step = {
        "name": name,
        "method": methods[0].upper(),
        "url": _url(fields, methods[0]),
        "headers": _headers(fields),
        "body": _body(fields, methods[0]),
        "status": _status(fields),
        "header": _conditions(fields, "header"),
        "contains": fields.texts("contains"),
        "matches": [_pattern(fields, "matches", text) for text in fields.texts("matches")],
        "json": [[path, _path(fields, path), wanted] for path, wanted in _conditions(fields, "json")],
        "within": fields.seconds("within", 1.0) if "within" in fields else 0.0,
        "follow": fields.flag("follow"),
        "insecure": fields.flag("insecure"),
    }
    fields.done()
    return step


def _url(fields: Fields, method: str) -> str:
    url = fields.text(method, needed=True)
    if not _URL.fullmatch(url):
        hint = "write https://… or ${TARGET_URL}/…"
        raise fields.bad(method, f"'{method}' must be a URL", hint)
    if "${" not in url:
        _check_place(fields, method, url)
    return url


def _check_place(fields: Fields, method: str, url: str) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0
    except ValueError as error:
        raise fields.bad(method, f"'{method}' is no URL: {error}") from error
    if not named:
        raise fields.bad(method, f"'{method}' names no host and port to ask", "write https://example.org/…")


def _headers(fields: Fields) -> dict[str, str]:
    headers = fields.inner("headers")
    found: dict[str, str] = {}
    for name in headers.keys() if headers else ():
        assert headers is not None
        if not _HEADER.fullmatch(str(name)):
            raise headers.bad(name, f"'{str(name)[:60]}' is not a header's name")
        value = headers.text(str(name), needed=True)
        if "\n" in value or "\r" in value:
            raise headers.bad(name, f"header '{name}' must be one line")
        found[str(name)] = value
    return found


def _body(fields: Fields, method: str) -> object:
    """Text is sent as it is, a mapping or a list as JSON."""
    body = fields.take("body")
    if body is None or isinstance(body, str):
        pass
    elif not isinstance(body, dict | list):
        raise fields.bad("body", "'body' must be text, or a mapping or list to be sent as JSON", "quote it")
    if body is not None and method in {"get", "head"}:
        raise fields.bad("body", f"'{method}' sends no body")
    return body


def _status(fields: Fields) -> list[str]:
    value = fields.take("status")
    found = [str(one) for one in (value if isinstance(value, list) else [200 if value is None else value])]
    for one in found:
        if not _STATUS.fullmatch(one):
            raise fields.bad("status", f"'{one[:60]}' is not a status", "write 200, 2xx, or a list of such")
    if not found:
        raise fields.bad("status", "'status' names none, so nothing would do")
    return found


def _conditions(fields: Fields, key: str) -> list[tuple[str, dict[str, object]]]:
    """Names and what is wanted there: a value to be equal to, or `{matches: REGEX}`."""
    inner = fields.inner(key)
    found: list[tuple[str, dict[str, object]]] = []
    for name in inner.keys() if inner else ():
        assert inner is not None
        wanted = inner.take(name)
        if isinstance(wanted, dict) and set(wanted) == {"matches"}:
            found.append((str(name), {"matches": _pattern(inner, name, wanted["matches"])}))
        elif key == "header" and not isinstance(wanted, str):
            raise inner.bad(name, f"header '{name}' must be text or {{matches: REGEX}}", "quote it")
        else:
            found.append((str(name), {"is": wanted}))
    return found


def _pattern(fields: Fields, key: str | int, text: object) -> str:
    if not isinstance(text, str):
        raise fields.bad(key, "'matches' must be a regular expression")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise fields.bad(key, f"'{text[:60]}' is not a regular expression: {error}") from error
    return text


def _path(fields: Fields, text: str) -> list[str | int]:
    """The keys and indexes of `$.items[0].name`; `$` alone is the whole answer."""
    keys: list[str | int] = []
    start = _PATH_START.match(text)
    at = start.end() if start else 0
    while at < len(text):
        part = _PATH_PART.match(text, at)
        if part is None:
            hint = 'write $.items[0].name, or ["a key"] where it is no plain word'
            raise fields.bad("json", f"'{text[:60]}' is not a path in JSON", hint)
        keys.append(int(part[2]) if part[2] is not None else part[1] if part[1] is not None else part[3])
        at = part.end()
    return keys
