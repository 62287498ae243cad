from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action.origin import stranger

pytestmark = pytest.mark.requirement("S-10")

OWN, FORK = {"id": 1, "full_name": "octo/app"}, {"id": 2, "full_name": "octo/app"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def pull_request(head: object) -> dict[str, object]:
    return {"repository": OWN, "pull_request": {"head": {"repo": head}}}


def caused_by(head: object) -> dict[str, object]:
    return {"repository": OWN, "workflow_run": {"head_repository": head}}


@pytest.mark.parametrize(
    ("event", "payload", "is_stranger"),
    [
        pytest.param("pull_request_target", pull_request(OWN), False, id="own-branch"),
        pytest.param("pull_request_target", pull_request(FORK), True, id="fork-of-the-same-name"),
        pytest.param("pull_request_target", pull_request(None), True, id="deleted-fork"),
        pytest.param("pull_request_target", pull_request({"id": "1"}), True, id="an-id-that-is-text"),
        pytest.param("pull_request_target", {"pull_request": {"head": {"repo": {}}}}, True, id="no-ids-at-all"),
        pytest.param("pull_request_target", None, True, id="no-payload"),
        pytest.param("workflow_run", caused_by(OWN), False, id="run-of-our-own"),
        pytest.param("workflow_run", caused_by(FORK), True, id="run-of-a-fork"),
        pytest.param("workflow_run", caused_by(None), True, id="run-of-a-deleted-fork"),
        pytest.param("issue_comment", {"issue": {"number": 1}}, False, id="comment-on-an-issue"),
        pytest.param("issue_comment", {"issue": {"pull_request": {"url": "…"}}}, True, id="comment-on-a-pull-request"),
        pytest.param("issue_comment", {}, True, id="comment-on-nothing-known"),
        pytest.param("check_run", {"check_run": {"check_suite": {"head_branch": "topic"}}}, False, id="own-check-run"),
        pytest.param("check_run", {"check_run": {"check_suite": {"head_branch": None}}}, True, id="a-fork-s-check-run"),
        pytest.param("check_suite", {"check_suite": {"head_branch": "topic"}}, False, id="own-check-suite"),
        pytest.param("check_suite", {"check_suite": {}}, True, id="a-fork-s-check-suite"),
        pytest.param("status", {"branches": [{"name": "topic"}]}, False, id="status-of-a-branch"),
        pytest.param("status", {"branches": []}, True, id="status-of-a-fork-s-commit"),
        pytest.param("pull_request", pull_request(FORK), False, id="no-rights-to-misuse"),
        pytest.param("push", None, False, id="push"),
    ],
)
def test_code_with_rights_is_a_stranger_s_unless_the_event_says_otherwise(
    event: str, payload: object, is_stranger: bool
) -> None:
    assert bool(stranger(event, payload)) is is_stranger


@given(st.sampled_from(["issue_comment", "pull_request_target", "workflow_run"]), JSON)
def test_a_payload_of_any_shape_is_judged_and_none_is_trusted_by_mistake(event: str, payload: object) -> None:
    why = stranger(event, payload)
    assert why or (event == "issue_comment" and isinstance(payload, dict) and isinstance(payload["issue"], dict))


@given(st.sampled_from(["pull_request_target", "workflow_run"]), JSON)
def test_only_the_repository_s_own_id_makes_a_head_its_own(event: str, head: object) -> None:
    payload = {**pull_request(head), **caused_by(head)}
    is_own = isinstance(head, dict) and head.get("id") == 1
    assert bool(stranger(event, payload)) is not is_own
