"""Judges exchanges with GitHub by GitHub's own description: what is sent, what is answered, what a webhook holds.

    contract = Contract.load()
    contract.check_request("POST", "/repos/o/r/check-runs", "", {"user-agent": "x"}, b'{"name": "lint"}')
    # [Violation(kind=request body, operation='POST /repos/{owner}/{repo}/check-runs', pointer='', message=…)]

Everything is judged as it is on the wire. What only GitHub's prose says is in `openapi/amendments.json`, where it can
be said as a schema; order, duplicates and rate limits cannot. Validators are compiled on first use, one a schema.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from bot.localhub.description import API_VERSION, Description, Match, NoMatch, Operation, escape, vendored

if TYPE_CHECKING:
    import jsonschema_rs

JSON_MEDIA = "application/json"
REST, WEBHOOKS = "urn:github:rest", "urn:github:webhooks"


class Kind(StrEnum):
    """What a violation is about."""

    UNKNOWN_OPERATION = "unknown operation"
    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    REQUEST_BODY = "request body"
    STATUS = "status"
    RESPONSE_BODY = "response body"
    UNKNOWN_WEBHOOK = "unknown webhook"
    WEBHOOK = "webhook payload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One way in which an exchange differs from the description.

    `operation` is `METHOD /template` (the path as called when there is none) or `event.action`. `pointer` is a JSON
    pointer into what was judged; the parameter's name for path, query and header; empty for the whole.
    """

    kind: Kind
    operation: str
    pointer: str
    message: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.operation}: {self.kind} {self.pointer}: {self.message}".replace(" :", ":")


class Contract:
    """GitHub's description as a judge. Every `check_…` returns what is wrong; an empty list means: as GitHub would."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._registry: jsonschema_rs.Registry | None = None

    @classmethod
    def load(cls) -> "Contract":
        """The contract over the description that ships with Interlock."""
        return cls(vendored())

    def check_request(
        self, method: str, path: str, query: str | bytes, headers: Mapping[str, str], body: bytes
    ) -> list[Violation]:
        """Judge a request.

        Args:
            method: in any case; HEAD is judged as GET.
            path: percent-encoded, without the query; `/api/v3` before it is allowed.
            query: the raw query string, without `?`.
            headers: names in any case.
            body: as sent; empty for none.
        """
        found = self.description.find(method, path)
        if isinstance(found, NoMatch):
            return [unknown_operation(method, path, found.because)]
        operation = found.operation
        text = query.decode("latin-1") if isinstance(query, bytes) else query
        return [
            *self._check_path(found),
            *self._check_query(operation, parse_qsl(text, keep_blank_values=True)),
            *_check_headers(operation, {name.lower(): value for name, value in headers.items()}),
            *self._check_request_body(operation, body),
        ]

    def check_response(
        self, method: str, path: str, status: int, body: bytes, *, content_type: str = JSON_MEDIA
    ) -> list[Violation]:
        """Judge an answer to a call.

        GitHub answers 4xx where its description lists none, or lists no body, so those pass when they look like its
        usual errors; an unlisted 2xx does not. A 5xx may be anything. Custom media types, `application/vnd.github.diff`
        for one, are not described and not judged. No body is read as `{}`, as in GitHub's own examples.
        """
        found = self.description.find(method, path)
        if isinstance(found, NoMatch):
            return [] if status == 404 else [unknown_operation(method, path, found.because)]
        operation = found.operation
        if method.upper() == "HEAD" or status == 304 or status >= 500 or "vnd.github" in content_type:
            return []
        listed = operation.body["responses"].get(str(status), {"content": {}})
        if JSON_MEDIA not in listed["content"]:
            return _check_undescribed(operation, status, body)
        if body and not content_type.startswith(JSON_MEDIA):
            return [_response(operation, f"is {content_type or 'untyped'}, where GitHub sends {JSON_MEDIA}")]
        pointer = f"{REST}#{operation.pointer}/responses/{status}/content/{escape(JSON_MEDIA)}/schema"
        return self._judge(Kind.RESPONSE_BODY, str(operation), pointer, body or b"{}")

    def check_webhook(self, event: str, action: str | None, payload: bytes | Mapping[str, Any]) -> list[Violation]:
        """Judge a webhook's payload. `action` is None for events without one (`push`, `ping`)."""
        name = f"{event}.{action}" if action else event
        if name not in self.description.webhooks["webhooks"]:
            return [Violation(kind=Kind.UNKNOWN_WEBHOOK, operation=name, pointer="", message="not in the cut")]
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self._judge(Kind.WEBHOOK, name, f"{WEBHOOKS}#/webhooks/{escape(name)}", body)

    def _check_path(self, found: Match) -> Iterable[Violation]:
        for name, parameter in found.operation.parameters("path").items():
            yield from self._check_parameter(found.operation, Kind.PATH, parameter, found.path_parameters.get(name, ""))

    def _check_query(self, operation: Operation, query: Sequence[tuple[str, str]]) -> Iterable[Violation]:
        known = operation.parameters("query")
        sent = dict(query)
        for name, value in sent.items():
            if parameter := known.get(name):
                yield from self._check_parameter(operation, Kind.QUERY, parameter, value)
            else:
                yield _violation(Kind.QUERY, operation, name, f"unknown parameter; there are: {_names(known)}")
        for name, parameter in known.items():
            if parameter["required"] and name not in sent:
                yield _violation(Kind.QUERY, operation, name, "required, and missing")

    def _check_parameter(
        self, operation: Operation, kind: Kind, parameter: Mapping[str, Any], text: str
    ) -> Iterable[Violation]:
        index = operation.body["parameters"].index(parameter)
        validator = self._validator(f"{REST}#{operation.pointer}/parameters/{index}/schema")
        if not any(validator.is_valid(value) for value in _readings(text)):
            message = f"{text!r} is not what {json.dumps(parameter['schema'], sort_keys=True)} asks for"
            yield _violation(kind, operation, parameter["name"], message)

    def _check_request_body(self, operation: Operation, body: bytes) -> list[Violation]:
        described = operation.body.get("requestBody")
        if described is None or (not body and not described["required"]):
            return []
        content = described["content"].get(JSON_MEDIA)
        if content is None:
            return []
        pointer = f"{REST}#{operation.pointer}/requestBody/content/{escape(JSON_MEDIA)}/schema"
        violations = self._judge(Kind.REQUEST_BODY, str(operation), pointer, body)
        return violations or self._unknown_members(operation, content["schema"], json.loads(body))

    def _unknown_members(self, operation: Operation, schema: Any, body: Any) -> list[Violation]:
        """GitHub ignores a member that it does not know, so a typo would go unseen for ever."""
        known = self._members(schema)
        if not known or not isinstance(body, dict):
            return []
        return [
            _violation(Kind.REQUEST_BODY, operation, f"/{name}", f"unknown member; there are: {_names(known)}")
            for name in body
            if name not in known
        ]

    def _members(self, schema: Any) -> set[str]:
        """Names that an object of `schema` may have; empty when it may have any."""
        if "$ref" in schema:
            schema = self.description.rest["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        branches = [branch for key in ("allOf", "anyOf", "oneOf") for branch in schema.get(key, ())]
        return set(schema.get("properties", ())).union(*(self._members(branch) for branch in branches))

    def _judge(self, kind: Kind, operation: str, pointer: str, body: bytes) -> list[Violation]:
        try:
            value = json.loads(body)
        except ValueError as error:
            message = f"not JSON: {error}" if body else "missing"
            return [Violation(kind=kind, operation=operation, pointer="", message=message)]
        return [
            Violation(
                kind=kind, operation=operation, pointer=_pointer(error.instance_path), message=_short(error.message)
            )
            for error in self._validator(pointer).iter_errors(value)
        ]

    def _validator(self, pointer: str) -> "jsonschema_rs.Validator":
        if pointer not in self._validators:
            # A dev dependency: the contract is for tests and boxes, not for a bot in service.
            import jsonschema_rs  # noqa: PLC0415

            draft = jsonschema_rs.Draft202012
            if self._registry is None:
                documents = [(REST, dict(self.description.rest)), (WEBHOOKS, dict(self.description.webhooks))]
                self._registry = jsonschema_rs.Registry(documents, draft=draft)
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(
                {"$ref": pointer}, registry=self._registry, validate_formats=True, formats=UNJUDGED_FORMATS
            )
        return self._validators[pointer]


def unknown_operation(method: str, path: str, because: str) -> Violation:
    """The violation of a call that the description does not hold."""
    return Violation(kind=Kind.UNKNOWN_OPERATION, operation=f"{method.upper()} {path}", pointer="", message=because)


# GitHub puts templates and scp-like addresses into fields of these formats; the address of an app that pushes
# (49699333+dependabot[bot]@users.noreply.github.com) is none by the letter, since brackets want quotes there.
UNJUDGED_FORMATS: dict[str, Callable[[str], bool]] = {
    "uri": lambda _: True,
    "uri-template": lambda _: True,
    "email": lambda text: "@" in text,
}


def _check_headers(operation: Operation, headers: Mapping[str, str]) -> Iterable[Violation]:
    if not headers.get("user-agent"):
        # Source: docs.github.com/rest, "Getting started": requests without one are rejected.
        yield _violation(Kind.HEADER, operation, "user-agent", "missing, and GitHub refuses such requests")
    version = headers.get("x-github-api-version", API_VERSION)
    if version != API_VERSION:
        message = f"{version} is asked for, but this describes {API_VERSION}"
        yield _violation(Kind.HEADER, operation, "x-github-api-version", message)


def _check_undescribed(operation: Operation, status: int, body: bytes) -> list[Violation]:
    """Judge an answer without a schema: an error is GitHub's usual one, anything else is listed and empty."""
    if status >= 400:
        return _check_error(operation, status, body)
    described = operation.body["responses"]
    if str(status) not in described:
        return [_violation(Kind.STATUS, operation, "", f"{status} is not described; there are: {_names(described)}")]
    return [_response(operation, "has a body, where GitHub sends none")] if body else []


def _check_error(operation: Operation, status: int, body: bytes) -> list[Violation]:
    try:
        error = json.loads(body)
    except ValueError:
        return [_response(operation, f"a {status} that is not JSON")]
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return [_response(operation, f"a {status} without a message")]
    return []


def _violation(kind: Kind, operation: Operation, pointer: str, message: str) -> Violation:
    return Violation(kind=kind, operation=str(operation), pointer=pointer, message=message)


def _response(operation: Operation, message: str) -> Violation:
    return _violation(Kind.RESPONSE_BODY, operation, "", message)


def _readings(text: str) -> Iterable[object]:
    """What a parameter's text can mean: a URL has no types."""
    yield text
    if text.removeprefix("-").isdecimal():
        yield int(text)
    if text in {"true", "false"}:
        yield text == "true"
    yield text.split(",")


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _short(message: str, limit: int = 300) -> str:
    """A validator quotes the whole value; its end says what was wrong with it."""
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 2 :]}"
