"""`http:` of a box: requests and what must be true of their answers. Text in, plain values out.

`runner/lib/http_box.py` makes the requests. It gets the steps as JSON, so a step is a mapping with every key there:
name, method, url, headers, body, status (patterns), header, contains, matches, json, within (seconds, 0 for none),
follow, insecure. Reference: docs/reference/configuration.md.
"""

from __future__ import annotations

import json
import re

from runner.shapes import SPACES, Anything, Count, Duration, Either, Flag, List, Named, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.fields import Fields

METHODS = ("get", "head", "post", "put", "delete")
LARGEST = 100_000  # characters of all steps as JSON; they are one argument of a process.

_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH_START = re.compile(r"\$?")
_PATH_PART = re.compile(r"""\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\["([^"\]]*)"\]""")


_URL = Text(
    pattern=rf"(?:https?://|\$\{{[A-Za-z_][A-Za-z0-9_]*\}})[^{SPACES}]*",
    sentence="'{key}' must be a URL",
    hint="write https://… or ${TARGET_URL}/…",
)
_STATUS = Either(
    Count(low=100, high=599),
    Text(pattern="[1-5]xx|[1-5][0-9][0-9]"),
    sentence="'{value}' is not a status",
    hint="write 200, 2xx, or a list of such",
)
_TEXT = Text(pattern="")
_MATCHES = Table({"matches": Text("a regular expression", pattern="")}, needed=("matches",))


def _texts(about: str) -> Either:
    return Either(
        Text(),
        List(of=Text(pattern="", least=1), unique=False),
        about=about,
        sentence="'{key}' must be text, or a list of texts",
    )


STEP = Table(
    {
        "name": Text(
            "what the step's assertions begin with",
            pattern=r"[^ \t\r\n:\x00][^\n:\x00]{0,60}",
            sentence="'name' of a step must be short and have no colon",
        ),
        **dict.fromkeys(METHODS, _URL),
        "headers": Named(
            about="headers of the request",
            names="[A-Za-z0-9!#$%&'*+.^_`|~-]+",
            sentence="'{name}' is not a header's name",
            of=Text(pattern=r"[ \t]*[^\x00\r\n \t][^\x00\r\n]*", sentence="header '{key}' must be one line"),
        ),
        "body": Either(
            _TEXT,
            Named(of=Anything()),
            List(of=Anything(), unique=False),
            about="text as it is; a mapping or a list is sent as JSON",
            sentence="'body' must be text, or a mapping or list to be sent as JSON",
            hint="quote it",
        ),
        "status": Either(
            _STATUS,
            List(of=_STATUS, unique=False, least=1),
            about="what will do (200): 302, 2xx, or a list",
            sentence="'{value}' is not a status",
            hint="write 200, 2xx, or a list of such",
        ),
        "header": Named(
            about="headers of the answer, and their values",
            of=Either(_TEXT, _MATCHES, sentence="header '{key}' must be text or {{matches: REGEX}}", hint="quote it"),
        ),
        "contains": _texts("text that is in the body"),
        "matches": _texts("regular expressions that match in the body"),
        "json": Named(about="paths such as $.items[0].name, and their values", of=Anything()),
        "within": Duration("until the last byte of the answer has come"),
        "follow": Flag("follow redirects (false)"),
        "insecure": Flag("take any certificate (false)"),
    },
    one_of=METHODS,
    sentence=f"'http' needs exactly one of {', '.join(METHODS)}",
)
STEPS = Either(
    STEP,
    List(of=STEP, unique=False, least=1),
    about="a request and what must be true of its answer, or a list of them",
    sentence="'{key}' must be a mapping or a list of mappings",
)


def read_steps(fields: Fields) -> tuple[dict[str, object], ...]:
    """The steps under the key `http` of a box: one mapping, or a list of them.

    Raises:
        BadMetadata: a step says something that is not allowed; says where.
    """
    steps = [_step(step) for step in fields.inners("http")]
    names = [str(step["name"]) for step in steps if step["name"]]
    if len(set(names)) < len(names):
        raise fields.bad("http", "two steps of 'http' have the same name", "the ids of assertions begin with it")
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
    method = next(method for method in METHODS if method in fields)
    return {
        "name": fields.text("name"),
        "method": method.upper(),
        "url": _url(fields, method),
        "headers": fields.variables("headers"),
        "body": _body(fields, method),
        "status": _status(fields),
        "header": _conditions(fields, "header"),
        "contains": fields.texts("contains"),
        "matches": [_pattern(fields, "matches", text) for text in fields.texts("matches")],
        "json": [[path, _path(fields, path), wanted] for path, wanted in _conditions(fields, "json")],
        "within": fields.seconds("within", 0.0),
        "follow": fields.flag("follow"),
        "insecure": fields.flag("insecure"),
    }


def _url(fields: Fields, method: str) -> str:
    url = fields.text(method)
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


def _body(fields: Fields, method: str) -> object:
    """Text is sent as it is, a mapping or a list as JSON."""
    body = fields.take("body")
    if body is not None and method in {"get", "head"}:
        raise fields.bad("body", f"'{method}' sends no body")
    return body


def _status(fields: Fields) -> list[str]:
    value = fields.take("status")
    return [str(one) for one in (value if isinstance(value, list) else [200 if value is None else value])]


def _conditions(fields: Fields, key: str) -> list[tuple[str, dict[str, object]]]:
    """Names and what is wanted there: a value to be equal to, or `{matches: REGEX}`."""
    inner = fields.inner(key)
    found: list[tuple[str, dict[str, object]]] = []
    for name in inner.keys() if inner else ():
        assert inner is not None
        wanted = inner.take(name)
        if isinstance(wanted, dict) and set(wanted) == {"matches"}:
            found.append((str(name), {"matches": _pattern(inner, name, wanted["matches"])}))
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
