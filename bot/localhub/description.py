"""GitHub's own description of its API, as vendored in `openapi/`: which operation a call means, and with which schemas.

It only reads and looks up; `bot.localhub.contract` judges. `tools/cut_openapi.py` makes the files.
"""

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any
from urllib.parse import unquote

API_VERSION = "2022-11-28"

# GitHub takes these with slashes in them: `contents/docs/index.md`, `git/ref/heads/fix/7`, `compare/main...fix/7`.
GREEDY = frozenset({"path", "ref", "basehead", "branch"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the cut. `pointer` leads to it in the REST document."""

    method: str
    template: str
    pointer: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def parameters(self, place: str) -> Mapping[str, Mapping[str, Any]]:
        """The parameters in `path`, `query` or `header`, by name."""
        return {item["name"]: item for item in self.body["parameters"] if item["in"] == place}


@dataclass(frozen=True, slots=True)
class Match:
    """A call's operation and its path parameters, percent-decoded."""

    operation: Operation
    path_parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No operation for a call, and whose mistake that is."""

    because: str


@dataclass(frozen=True, slots=True)
class _Template:
    path: str
    pattern: re.Pattern[str]
    methods: frozenset[str]

    @property
    def rank(self) -> tuple[int, int, int]:
        """Most specific first: no greedy parameter, few parameters, many segments."""
        names = re.findall(r"{(\w+)}", self.path)
        return (len(GREEDY.intersection(names)), len(names), -self.path.count("/"))


class Description:
    """The two vendored documents, amended where they are known to be wrong.

    Args:
        rest: the cut of the REST description.
        webhooks: the cut of the webhooks' description.
    """

    def __init__(self, rest: Mapping[str, Any], webhooks: Mapping[str, Any]) -> None:
        self.rest = rest
        self.webhooks = webhooks

    @property
    def sources(self) -> tuple[str, str]:
        """The npm packages that the documents were cut from, as `name@version`."""
        rest, webhooks = self.rest["x-cut"], self.webhooks["x-cut"]
        return f"{rest['package']}@{rest['version']}", f"{webhooks['package']}@{webhooks['version']}"

    def find(self, method: str, path: str) -> Match | NoMatch:
        """The operation that a call means. `path` is as on the wire: percent-encoded, without the query."""
        method = "GET" if method == "HEAD" else method.upper()
        path = path.removeprefix("/api/v3")  # how GitHub Enterprise Server names its API.
        for template in self._templates.get(_bucket(path), ()):
            if (found := template.pattern.fullmatch(path)) and method in template.methods:
                return self._match(method, template.path, found.groupdict(""))
        return NoMatch(f"GitHub has no {method} {path}")

    def _match(self, method: str, template: str, parameters: Mapping[str, str]) -> Match | NoMatch:
        body = self.rest["paths"].get(template, {}).get(method.lower())
        if body is None:
            return NoMatch(f"{method} {template} is not in the cut (add it to tools/cut_openapi.py)")
        pointer = f"/paths/{escape(template)}/{method.lower()}"
        values = {name: unquote(value) for name, value in parameters.items()}
        return Match(Operation(method, template, pointer, body), values)

    @cached_property
    def _templates(self) -> Mapping[tuple[str, str], Sequence[_Template]]:
        """Every path that GitHub has, not only the cut's: `commits/x/comments` is no commit named `x/comments`."""
        buckets: dict[tuple[str, str], list[_Template]] = {}
        for path, methods in self.rest["x-all-paths"].items():
            template = _Template(path, _pattern(path), frozenset(method.upper() for method in methods))
            buckets.setdefault(_bucket(path), []).append(template)
        return {key: sorted(bucket, key=lambda template: template.rank) for key, bucket in buckets.items()}


@cache
def vendored() -> Description:
    """The description that ships with Interlock."""
    rest, webhooks = _read("rest.json.gz"), _read("webhooks.json.gz")
    folder = resources.files("bot.localhub.openapi")
    for amendment in json.loads(folder.joinpath("amendments.json").read_text("utf-8")):
        amend({"rest": rest, "webhooks": webhooks}[amendment["document"]], amendment)
    return Description(rest, webhooks)


def amend(document: Any, amendment: Mapping[str, Any]) -> None:
    """Change `document` in place: `remove` or `add` values of the list at `at`, or `set` keys of the object there.

    Raises:
        ValueError: the amendment changes nothing, so a newer description no longer needs it.
    """
    here = document
    for part in pointer_parts(amendment["at"]):
        here = here[int(part)] if isinstance(here, list) else here[part]
    if "remove" in amendment:
        missing = [value for value in amendment["remove"] if value not in here]
        here[:] = [value for value in here if value not in amendment["remove"]]
    elif "add" in amendment:
        missing = [value for value in amendment["add"] if value in here]
        here += amendment["add"]
    else:
        missing = [key for key, value in amendment["set"].items() if here.get(key) == value]
        here.update(amendment["set"])
    if missing:
        msg = f"{amendment['at']}: {missing} needs no amendment any more"
        raise ValueError(msg)


def pointer_parts(pointer: str) -> Iterable[str]:
    """The decoded parts of a JSON pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def escape(part: str) -> str:
    """A part of a JSON pointer, encoded for a URI fragment: only what `$ref` needs."""
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _read(name: str) -> Any:
    return json.loads(gzip.decompress(resources.files("bot.localhub.openapi").joinpath(name).read_bytes()))


def _pattern(template: str) -> re.Pattern[str]:
    def parameter(found: re.Match[str]) -> str:
        name = found[1]
        return f"(?P<{name}>{'.+' if name in GREEDY else '[^/]+'})"

    pattern = re.sub(r"{(\w+)}", parameter, re.sub(r"[.\-+]", r"\\\g<0>", template))
    # `contents` and `contents/` both mean the root directory.
    return re.compile(pattern.replace("/(?P<path>.+)", "(?:/(?P<path>.*))?"))


def _bucket(path: str) -> tuple[str, str]:
    """A cheap first cut of the 800 templates: the first segment, and below /repos/o/r the one after it."""
    parts = path.split("/")
    return parts[1] if len(parts) > 1 else "", parts[4] if len(parts) > 4 and parts[1] == "repos" else ""
