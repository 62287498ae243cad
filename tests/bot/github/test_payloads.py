from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deliveries import Facts
from bot.github.payloads import MODELS, NO_COMMIT, OtherPayload, Payload, PushPayload, Unreadable, parse
from tests.bot.github.corpus import EXAMPLES as CORPUS
from tests.bot.github.corpus import ODD, copy, read_places

EXAMPLES = Path(__file__).parent / "examples"
SHA = "cafe" * 10


def example(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return payload


def facts(event: str, payload: object) -> Facts:
    read = parse(event, json.dumps(payload).encode())
    assert isinstance(read, Payload), read
    return read.facts


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_github_s_own_examples_are_readable(path: Path) -> None:
    event = path.name.partition(".")[0]
    read = parse(event, path.read_bytes())
    assert type(read) is MODELS[event]
    assert ("/" in read.facts.repo) == (event not in {"ping", "installation"})


def test_a_pull_request_says_head_and_base() -> None:
    read = facts("pull_request", example("pull_request.synchronize"))
    assert (read.pr, read.base_ref, read.base_changed, len(read.head_sha)) == (2, "master", False, 40)
    assert (read.repo_id, read.sender, read.sender_is_bot) == (186853002, "Codertocat", False)
    assert read.installation_id


def test_another_base_is_seen() -> None:
    payload = example("pull_request.opened")
    payload["action"] = "edited"
    payload["changes"] = {"base": {"ref": {"from": "main"}, "sha": {"from": SHA}}}
    assert facts("pull_request", payload).base_changed
    payload["changes"] = {"title": {"from": "a"}}
    assert not facts("pull_request", payload).base_changed


def test_a_push_names_its_branch() -> None:
    payload = example("push")
    assert facts("push", payload).base_ref == "master"
    assert facts("push", payload).default_branch == "master"
    payload["ref"] = "refs/tags/master"
    assert facts("push", payload).base_ref == ""
    payload["ref"] = "refs/heads/feature/refs/heads/x"
    assert facts("push", payload).base_ref == "feature/refs/heads/x"


def test_a_removed_branch_has_no_head() -> None:
    payload = {**example("push"), "after": NO_COMMIT, "deleted": True}
    assert (facts("push", payload).deleted, facts("push", payload).head_sha) == (True, "")


def test_a_comment_on_an_issue_is_not_on_a_pull_request() -> None:
    payload = example("issue_comment.created")
    assert facts("issue_comment", payload).pr is None
    payload["issue"]["pull_request"] = {"url": "https://api.github.com/repos/o/r/pulls/1"}
    read = facts("issue_comment", payload)
    assert (read.pr, read.comment, read.commenter_is_bot) == (1, payload["comment"]["body"], False)


@pytest.mark.parametrize(
    "user",
    [pytest.param({"type": "Bot", "login": "x"}, id="type"), pytest.param({"login": "x[bot]"}, id="suffix")],
)
def test_an_app_is_a_bot_by_its_type_or_its_suffix(user: dict[str, str]) -> None:
    payload = example("issue_comment.created")
    payload["comment"]["user"] = user
    assert facts("issue_comment", payload).commenter_is_bot


def test_a_check_names_its_pull_request_only_when_there_is_one() -> None:
    payload = example("check_suite.rerequested")
    pulls = payload["check_suite"]["pull_requests"]
    assert facts("check_suite", payload).pr == pulls[0]["number"]
    payload["check_suite"]["pull_requests"] = [*pulls, *pulls]
    assert facts("check_suite", payload).pr is None
    payload["check_suite"]["pull_requests"] = []
    assert facts("check_suite", payload).pr is None


def test_a_check_run_says_whose_it_is() -> None:
    payload = example("check_run.rerequested")
    read = facts("check_run", payload)
    assert (read.app_id, read.check_name) == (payload["check_run"]["app"]["id"], payload["check_run"]["name"])
    assert read.head_sha == payload["check_run"]["head_sha"]


def test_an_unknown_event_is_read_as_far_as_all_are_alike() -> None:
    read = parse("watch", b'{"action": "started", "repository": {"id": 1, "full_name": "o/r"}}')
    assert type(read) is OtherPayload
    assert (read.action, read.facts.repo) == ("started", "o/r")


@pytest.mark.parametrize(
    ("event", "body", "reason"),
    [
        pytest.param("push", b"", "not JSON", id="empty"),
        pytest.param("push", b"payload=%7B%7D", "not JSON", id="form-encoded"),
        pytest.param("push", b"[1]", "not a JSON object", id="a-list"),
        pytest.param(
            "push",
            b'{"ref": "a", "repository": [1]}',
            "push: repository: input should be an object",
            id="a-list-inside",
        ),
        pytest.param("push", b"[" * 100_000, "not JSON", id="a-nesting-bomb"),
        pytest.param("push", b'{"ref": "\\ud800"}', "not JSON", id="half-a-pair"),
        pytest.param("pull_request", b"{}", "pull_request: pull_request: field required", id="nothing-in-it"),
        pytest.param(
            "issue_comment",
            b'{"issue": {"number": "x"}, "comment": 1}',
            "issue_comment: issue.number: input should be a valid integer, unable to parse string as an integer "
            "(and 1 more)",
            id="odd-values",
        ),
    ],
)
def test_what_cannot_be_read_says_why(event: str, body: bytes, reason: str) -> None:
    assert parse(event, body) == Unreadable(reason)


def test_nulls_count_as_absent() -> None:
    payload = {"action": None, "ref": None, "repository": {"id": 1, "full_name": "o/r", "default_branch": None}}
    read = parse("push", json.dumps({**payload, "sender": None, "installation": None}).encode())
    assert isinstance(read, PushPayload)
    assert (read.ref, read.sender.login, read.facts.installation_id) == ("", "", 0)


SHAPES = {
    "repo": re.compile(r"([\w.-]{1,100}/[\w.-]{1,100})?", re.ASCII),
    "head_sha": re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})?"),
    "base_sha": re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})?"),
    "comment": re.compile(r".{0,262144}", re.DOTALL),
}


@pytest.mark.parametrize("event", sorted({event for event, _ in CORPUS}))
def test_whatever_is_read_fits_where_it_goes(event: str) -> None:
    """Databases take numbers of 64 bits; addresses and git take names and SHAs in GitHub's own shape."""
    for action in {payload.get("action") for known, payload in CORPUS if known == event}:
        whole = next(payload for known, payload in CORPUS if known == event and payload.get("action") == action)
        for at in range(len(read_places(whole))):
            for odd in ODD:
                payload = copy(whole)
                holder, key = read_places(payload)[at]
                holder[key] = odd
                read = parse(event, json.dumps(payload).encode())
                if isinstance(read, Payload):
                    assert_fits(read.facts)


def assert_fits(read: Facts) -> None:
    for name in Facts.__slots__:
        value = getattr(read, name)
        if isinstance(value, int):
            assert 0 <= value < 2**63, (name, value)
        elif isinstance(value, str):
            assert SHAPES.get(name, re.compile(r".{0,300}", re.DOTALL)).fullmatch(value), (name, value[:400])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A real payload in which some values, at any depth, were dropped or became something else."""
    path = draw(st.sampled_from(sorted(EXAMPLES.glob("*.json"))))
    payload = json.loads(path.read_text())
    for _ in range(draw(st.integers(1, 6))):
        here = payload
        while isinstance(here, dict) and here:
            key = draw(st.sampled_from(sorted(here)))
            if isinstance(here[key], dict) and here[key] and draw(st.booleans()):
                here = here[key]
                continue
            if draw(st.booleans()):
                del here[key]
            else:
                here[key] = draw(JSON)
            break
    return path.name.partition(".")[0], payload


@given(mutated())
def test_no_odd_payload_makes_it_raise(case: tuple[str, dict[str, Any]]) -> None:
    event, payload = case
    read = parse(event, json.dumps(payload).encode())
    assert isinstance(read, Unreadable) or isinstance(read.facts, Facts)


@given(st.sampled_from(sorted(MODELS)) | st.text(), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_it_raise(event: str, body: bytes) -> None:
    assert isinstance(parse(event, body), Payload | Unreadable)


@given(mutated())
def test_unknown_fields_change_nothing(case: tuple[str, dict[str, Any]]) -> None:
    event, payload = case
    more = {**payload, "a field of next year": {"deep": [1]}}
    read, read_more = (parse(event, json.dumps(body).encode()) for body in (payload, more))
    if isinstance(read, Unreadable):
        assert read_more == read
    else:
        assert isinstance(read_more, Payload)
        assert read_more.facts == read.facts
        assert set(read_more.oddities) - set(read.oddities) == {f"field {event} a field of next year"}
