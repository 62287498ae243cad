"""Cut GitHub's own description of its API down to the operations and events that Interlock uses.

    npm pack @octokit/openapi@23.0.2 @octokit/openapi-webhooks@12.1.0
    python tools/cut_openapi.py octokit-openapi-23.0.2.tgz octokit-openapi-webhooks-12.1.0.tgz

writes `rest.json.gz` and `webhooks.json.gz` into `bot/localhub/openapi/`, and GitHub's examples for them, which only
tests read, into `tests/bot/localhub/examples.json.gz`. The same packages always give the same content. To use another
endpoint or event, add it to the lists below and cut again.

What changes on the way: only the `$ref` closure of the lists is kept (and the bare names of all other operations, so
that a call which the cut does not hold can be told from one which GitHub does not have); prose and `x-` extensions
go; references to shared parameters and responses are written out; OpenAPI 3.0's `nullable` becomes what JSON Schema
2020-12 understands. Nothing is corrected: what the description gets wrong stands in
`bot/localhub/openapi/amendments.json`.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
OUT = HERE / "bot" / "localhub" / "openapi"
EXAMPLES = HERE / "tests" / "bot" / "localhub" / "examples.json.gz"
API_VERSION = "2022-11-28"

REPO = "/repos/{owner}/{repo}"
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/app": ("get",),
    "/app/hook/config": ("get", "patch"),
    "/app/hook/deliveries": ("get",),
    "/app/hook/deliveries/{delivery_id}": ("get",),
    "/app/hook/deliveries/{delivery_id}/attempts": ("post",),
    "/app/installations": ("get",),
    "/app/installations/{installation_id}": ("get",),
    "/app/installations/{installation_id}/access_tokens": ("post",),
    "/app-manifests/{code}/conversions": ("post",),
    "/apps/{app_slug}": ("get",),
    "/installation/repositories": ("get",),
    "/installation/token": ("delete",),
    "/orgs/{org}/teams/{team_slug}/memberships/{username}": ("get",),
    "/rate_limit": ("get",),
    "/user": ("get",),
    "/users/{username}": ("get",),
    REPO: ("get",),
    f"{REPO}/actions/runs/{{run_id}}/deployment_protection_rule": ("post",),
    f"{REPO}/actions/runs/{{run_id}}/pending_deployments": ("get", "post"),
    f"{REPO}/branches": ("get",),
    f"{REPO}/branches/{{branch}}": ("get",),
    f"{REPO}/check-runs": ("post",),
    f"{REPO}/check-runs/{{check_run_id}}": ("get", "patch"),
    f"{REPO}/check-runs/{{check_run_id}}/annotations": ("get",),
    f"{REPO}/check-runs/{{check_run_id}}/rerequest": ("post",),
    f"{REPO}/check-suites": ("post",),
    f"{REPO}/check-suites/preferences": ("patch",),
    f"{REPO}/check-suites/{{check_suite_id}}": ("get",),
    f"{REPO}/check-suites/{{check_suite_id}}/check-runs": ("get",),
    f"{REPO}/check-suites/{{check_suite_id}}/rerequest": ("post",),
    f"{REPO}/collaborators": ("get",),
    f"{REPO}/collaborators/{{username}}": ("get", "put", "delete"),
    f"{REPO}/collaborators/{{username}}/permission": ("get",),
    f"{REPO}/commits": ("get",),
    f"{REPO}/commits/{{commit_sha}}/pulls": ("get",),
    f"{REPO}/commits/{{ref}}": ("get",),
    f"{REPO}/commits/{{ref}}/check-runs": ("get",),
    f"{REPO}/commits/{{ref}}/check-suites": ("get",),
    f"{REPO}/commits/{{ref}}/status": ("get",),
    f"{REPO}/commits/{{ref}}/statuses": ("get",),
    f"{REPO}/compare/{{basehead}}": ("get",),
    f"{REPO}/contents/{{path}}": ("get", "put", "delete"),
    f"{REPO}/deployments": ("get", "post"),
    f"{REPO}/deployments/{{deployment_id}}": ("get", "delete"),
    f"{REPO}/deployments/{{deployment_id}}/statuses": ("get", "post"),
    f"{REPO}/deployments/{{deployment_id}}/statuses/{{status_id}}": ("get",),
    f"{REPO}/environments": ("get",),
    f"{REPO}/environments/{{environment_name}}": ("get", "put", "delete"),
    f"{REPO}/environments/{{environment_name}}/deployment_protection_rules": ("get", "post"),
    f"{REPO}/environments/{{environment_name}}/deployment_protection_rules/{{protection_rule_id}}": ("get", "delete"),
    f"{REPO}/forks": ("get", "post"),
    f"{REPO}/git/blobs": ("post",),
    f"{REPO}/git/blobs/{{file_sha}}": ("get",),
    f"{REPO}/git/commits": ("post",),
    f"{REPO}/git/commits/{{commit_sha}}": ("get",),
    f"{REPO}/git/matching-refs/{{ref}}": ("get",),
    f"{REPO}/git/ref/{{ref}}": ("get",),
    f"{REPO}/git/refs": ("post",),
    f"{REPO}/git/refs/{{ref}}": ("patch", "delete"),
    f"{REPO}/git/trees": ("post",),
    f"{REPO}/git/trees/{{tree_sha}}": ("get",),
    f"{REPO}/issues": ("get", "post"),
    f"{REPO}/issues/comments": ("get",),
    f"{REPO}/issues/comments/{{comment_id}}": ("get", "patch", "delete"),
    f"{REPO}/issues/comments/{{comment_id}}/reactions": ("get", "post"),
    f"{REPO}/issues/comments/{{comment_id}}/reactions/{{reaction_id}}": ("delete",),
    f"{REPO}/issues/{{issue_number}}": ("get", "patch"),
    f"{REPO}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{REPO}/issues/{{issue_number}}/labels": ("get", "post"),
    f"{REPO}/issues/{{issue_number}}/reactions": ("get", "post"),
    f"{REPO}/issues/{{issue_number}}/reactions/{{reaction_id}}": ("delete",),
    f"{REPO}/merges": ("post",),
    f"{REPO}/pulls": ("get", "post"),
    f"{REPO}/pulls/{{pull_number}}": ("get", "patch"),
    f"{REPO}/pulls/{{pull_number}}/commits": ("get",),
    f"{REPO}/pulls/{{pull_number}}/files": ("get",),
    f"{REPO}/pulls/{{pull_number}}/merge": ("get", "put"),
    f"{REPO}/pulls/{{pull_number}}/requested_reviewers": ("get", "post"),
    f"{REPO}/pulls/{{pull_number}}/reviews": ("get", "post"),
    f"{REPO}/releases": ("get", "post"),
    f"{REPO}/releases/tags/{{tag}}": ("get",),
    f"{REPO}/statuses/{{sha}}": ("post",),
}
TWIN = f"{REPO}/compare/{{base}}...{{head}}"  # Octokit's second name for compare/{basehead}.
EVENTS = frozenset(
    {
        "check_run",
        "check_suite",
        "create",
        "delete",
        "deployment",
        "deployment_protection_rule",
        "deployment_review",
        "deployment_status",
        "installation",
        "installation_repositories",
        "installation_target",
        "issue_comment",
        "merge_group",
        "ping",
        "pull_request",
        "pull_request_review",
        "push",
        "repository",
        "workflow_run",
    }
)

NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})  # their keys are names, not keywords.
PROSE = frozenset(
    {
        "description",
        "title",
        "example",
        "examples",
        "externalDocs",
        "deprecated",
        "discriminator",
        "readOnly",
        "writeOnly",
    }
)
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
COMBINATORS = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
NESTED = frozenset({"items", "allOf", "anyOf", "oneOf", "not", "additionalProperties", "if", "then", "else"})


def main(argv: list[str]) -> int:
    """Read the two npm tarballs named on the command line and write the three cut files."""
    if len(argv) != 2:
        print(__doc__)
        return 2
    rest, rest_source = read_package(Path(argv[0]))
    hooks, hooks_source = read_package(Path(argv[1]))
    write(OUT / "rest.json.gz", {"x-cut": rest_source, **cut_rest(rest)})
    write(OUT / "webhooks.json.gz", {"x-cut": hooks_source, **cut_webhooks(hooks)})
    examples = {"rest": rest_examples(rest), "webhooks": webhook_examples(hooks)}
    write(EXAMPLES, {"x-cut": [rest_source, hooks_source], **examples})
    return 0


def read_package(tarball: Path) -> tuple[Any, dict[str, str]]:
    """The description inside an npm tarball, and where it came from; its licence is copied beside the cut."""
    with tarfile.open(tarball) as archive:
        package = json.loads(_member(archive, "package/package.json"))
        (OUT / f"LICENSE.{package['name'].split('/')[1]}").write_bytes(_member(archive, "package/LICENSE"))
        description = json.loads(_member(archive, "package/generated/api.github.com.json"))
    return description, {
        "package": package["name"],
        "version": package["version"],
        "license": package["license"],
        "api_version": API_VERSION,
        "tool": "tools/cut_openapi.py",
    }


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        sys.exit(f"{name} is not in the package")
    return file.read()


def write(path: Path, content: Any) -> None:
    """Sorted, compact JSON in a gzip without a clock, so that the same cut is the same bytes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{path.relative_to(HERE)}: {len(text)} characters, {path.stat().st_size} bytes")


def cut_rest(spec: Any) -> dict[str, Any]:
    """The listed operations with everything that they refer to.

    Raises:
        SystemExit: a listed operation is not in the description.
    """
    paths: dict[str, Any] = {}
    for path, methods in OPERATIONS.items():
        for method in methods:
            if method not in spec["paths"].get(path, {}):
                sys.exit(f"{method} {path}: not in the description")
            paths.setdefault(path, {})[method] = _operation(spec, spec["paths"][path][method])
    every = {path: sorted(METHODS & item.keys()) for path, item in spec["paths"].items() if path != TWIN}
    return {"x-all-paths": every, "paths": paths, "components": {"schemas": _closure(spec, paths)}}


def cut_webhooks(spec: Any) -> dict[str, Any]:
    """The schema of each payload of the listed events, by `event` or `event.action`."""
    webhooks: dict[str, Any] = {}
    for item in spec["webhooks"].values():
        operation = item["post"]
        event, _, action = operation["operationId"].replace("-", "_").partition("/")
        if event in EVENTS:
            name = f"{event}.{action}" if action else event
            webhooks[name] = plain(operation["requestBody"]["content"]["application/json"]["schema"])
    if missing := EVENTS - {name.partition(".")[0] for name in webhooks}:
        sys.exit(f"not in the description: {', '.join(sorted(missing))}")
    return {"webhooks": webhooks, "components": {"schemas": _closure(spec, webhooks)}}


def _operation(spec: Any, operation: Any) -> dict[str, Any]:
    """One operation: its parameters in path, query and header, request schemas and response schemas by media type."""
    cut: dict[str, Any] = {
        "operationId": operation["operationId"],
        "parameters": [
            {
                "name": parameter["name"],
                "in": parameter["in"],
                "required": parameter.get("required", False),
                "schema": plain(parameter["schema"]),
            }
            for parameter in (_resolve(spec, item) for item in operation.get("parameters", ()))
        ],
        "responses": {
            status: {"content": _content(_resolve(spec, response))}
            for status, response in operation["responses"].items()
        },
    }
    if "requestBody" in operation:
        body = _resolve(spec, operation["requestBody"])
        cut["requestBody"] = {"required": body.get("required", False), "content": _content(body)}
    return cut


def _content(holder: Any) -> dict[str, Any]:
    return {media: {"schema": plain(item["schema"])} for media, item in holder.get("content", {}).items()}


def _resolve(spec: Any, item: Any) -> Any:
    while "$ref" in item:
        here = spec
        for part in item["$ref"].removeprefix("#/").split("/"):
            here = here[part]
        item = here
    return item


def _closure(spec: Any, roots: Any) -> dict[str, Any]:
    """Every schema that `roots` reach through `$ref`, plain."""
    schemas: dict[str, Any] = {}
    waiting = [roots]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in schemas:
                schemas[name] = plain(spec["components"]["schemas"][name])
                waiting.append(schemas[name])
    return schemas


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
    return here + [name for item in node.values() for name in _references(item)]


def plain(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 or 3.1 as JSON Schema 2020-12, without prose."""
    if not isinstance(schema, dict):
        return schema
    cut: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMED:
            cut[key] = {name: plain(item) for name, item in value.items()}
        elif key in NESTED:
            cut[key] = [plain(item) for item in value] if isinstance(value, list) else plain(value)
        elif key not in PROSE and not key.startswith("x-") and key != "nullable":
            cut[key] = value
    return _or_null(cut) if schema.get("nullable") is True else cut


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`nullable: true` in the words of JSON Schema."""
    if not schema:
        return schema  # anything is allowed already.
    if isinstance(schema.get("type"), str) and not COMBINATORS & schema.keys():
        with_null: dict[str, Any] = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema and None not in schema["enum"]:
            with_null["enum"] = [*schema["enum"], None]
        return with_null
    return {"anyOf": [schema, {"type": "null"}]}


def rest_examples(spec: Any) -> list[dict[str, Any]]:
    """GitHub's own example of each listed request and response body."""
    found: list[dict[str, Any]] = []
    for path, methods in OPERATIONS.items():
        for method in methods:
            operation = spec["paths"][path][method]
            where = {"method": method.upper(), "path": path}
            request = operation.get("requestBody", {})
            found += [{**where, "status": None, **example} for example in _examples(spec, request)]
            for status, response in operation["responses"].items():
                found += [
                    {**where, "status": int(status), **example} for example in _examples(spec, _resolve(spec, response))
                ]
    return found


def webhook_examples(spec: Any) -> list[dict[str, Any]]:
    """GitHub's own example payloads of the listed events."""
    found: list[dict[str, Any]] = []
    for item in spec["webhooks"].values():
        event, _, action = item["post"]["operationId"].replace("-", "_").partition("/")
        if event in EVENTS:
            found += [
                {"event": event, "action": action or None, **example}
                for example in _examples(spec, item["post"]["requestBody"])
            ]
    return found


def _examples(spec: Any, holder: Any) -> list[dict[str, Any]]:
    examples = holder.get("content", {}).get("application/json", {}).get("examples", {})
    found: list[dict[str, Any]] = []
    for name, item in examples.items():
        value = _resolve(spec, item).get("value")
        if isinstance(value, dict) and "$ref" in value:  # a reference one level too deep, in two places.
            value = _resolve(spec, value)["value"]
        found.append({"name": name, "body": value})
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
