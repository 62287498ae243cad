from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.config import CONFIG, load_config
from runner.config_schema import PUBLISHED, schema, text
from runner.documents import read_yaml
from runner.errors import UserError
from runner.metadata import ENTRY
from runner.shapes import (
    Anything,
    ByKind,
    Choice,
    Count,
    Date,
    Duration,
    Either,
    Flag,
    List,
    Named,
    Number,
    Shape,
    Share,
    Size,
    Table,
    Text,
)

REFERENCE = Path(__file__).parents[2] / "docs/reference"
SCHEMA = jsonschema_rs.validator_for(schema())

# Values that sit at the edges of what some key allows.
EDGES = [
    *("", " ", "x", "a b", "é", "0", "a\nb", "a\x00b", "\u00a0", "yes", "5m", "0m", "800ms", " 1.5 h", "4GiB", "0KiB"),
    *(
        "../x",
        "a/../b",
        "/x",
        "a..b",
        "..",
        "a\\b",
        "src/**",
        "2xx",
        "600",
        "302",
        "2026-02-30",
        "2026-13-01",
        "2026-1-1",
    ),
    *("https://example.org/", "${URL}/x", "ftp://x", "https://a b", "postgres:16", "BOX_ID", "INTERLOCK", "api/7", "7"),
    *("5%", "100%", "0%", "100.5%", " 0.1 % ", "1%%", "fri 16:00", "fri 24:00", "2026-12-20T09:00", "team:release"),
    *("user:mona", "never", "auto", "not_frozen", "process", "127.0.0.1:8100", "Europe/Berlin", 0.001, 100.0, 1.5),
    *("*.example.org", "[::1]:80", "host:99999", "pass", "fail", "blue_green", "ecs", "x" * 101, "x" * 1001, "require"),
    *(0, 1, -1, 10, 11, 50, 250, 251, 999, 1000, 2**63 - 1, 2**63, 0.5, -0.5, 604800.5, True, False, None),
]
JSON = st.recursive(
    st.sampled_from(EDGES) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "matches", "7", "a/1"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def likely(shape: Shape) -> st.SearchStrategy[Any]:
    """Values that fit a shape, or nearly do."""
    return st.one_of(*[_likely(shape)] * 12, st.sampled_from(EDGES), JSON)


def _likely(shape: Shape) -> st.SearchStrategy[Any]:
    match shape:
        case List():
            found: st.SearchStrategy[Any] = st.lists(likely(shape.of), min_size=shape.least, max_size=2)
        case Either():
            found = st.one_of(*map(likely, shape.of))
        case Named():
            names = st.sampled_from(["7", "a/1", "name", "x" * 63, "bad name", "", "A", "BOX_A", "9x", "x-y", "Höhe"])
            fine = names.filter(lambda name: not shape.names or re.fullmatch(shape.names, name) is not None)
            found = st.dictionaries(
                st.one_of(*[fine] * 8, names), likely(shape.of), min_size=shape.only, max_size=shape.only or 2
            )
        case Table():
            found = _tables(shape)
        case ByKind():
            found = st.one_of(*(_tables(shape.table(kind)) for kind in shape.kinds))
        case _:
            found = _simple(shape)
    return found


def _simple(shape: Shape) -> st.SearchStrategy[Any]:
    match shape:
        case Text() | Date():
            words = [edge for edge in EDGES if isinstance(edge, str)]
            good = st.sampled_from([word for word in words if shape.fits(word)])
            found: st.SearchStrategy[Any] = st.one_of(*[good] * 8, st.sampled_from(words), st.text(max_size=4))
        case Count():
            found = st.integers(shape.low, min(shape.high, 300)) | st.sampled_from([shape.low - 1, shape.high + 1])
        case Number():
            edges = (shape.low, shape.high)
            found = st.floats(*edges) | st.sampled_from([*edges, shape.low - 1, shape.high + 1])
        case Choice():
            found = st.sampled_from(shape.words)
        case _:
            assert type(shape) in SAMPLES, shape
            found = SAMPLES[type(shape)]
    return found


SAMPLES: dict[type[Shape], st.SearchStrategy[Any]] = {
    Anything: JSON,
    Flag: st.booleans(),
    Duration: st.sampled_from(["5m", "800ms", 1, 0.5, "1h"]),
    Size: st.sampled_from(["4GiB", "512 MiB", 1024]),
    Share: st.sampled_from(["5%", "100%", "0.1%", 0.5, 1, "101%", 1.5]),
}


@st.composite
def _tables(draw: st.DrawFn, shape: Table) -> dict[str, Any]:
    wanted = [*shape.needed, *([draw(st.sampled_from(shape.one_of))] if shape.one_of else [])]
    others = [key for key in shape.keys if key not in shape.one_of]
    more = draw(st.lists(st.sampled_from([*others, *others, *shape.keys, "other"]), max_size=2))
    left_out = draw(st.sampled_from([*[""] * 8, *wanted]))
    return {key: draw(likely(shape.keys.get(key, Anything()))) for key in {*wanted, *more} - {left_out}}


SECTION = [pytest.param(name, id=name) for name in (*CONFIG.keys, "a box", "the whole")]


def documents(section: str) -> st.SearchStrategy[Any]:
    if section == "the whole":
        return likely(CONFIG)
    if section == "a box":
        return likely(ENTRY).map(lambda entry: {"boxes": {"7": entry}})
    return likely(CONFIG.keys[section]).map(lambda value: {section: value})


@pytest.mark.parametrize("section", SECTION)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_schema_and_the_validator_say_yes_to_the_same_documents(section: str, data: st.DataObject) -> None:
    document = data.draw(documents(section))
    found = list(CONFIG.flaws(document, ("",))) if document is not None else []
    assert SCHEMA.is_valid(document) is (not found), found


@pytest.mark.parametrize(
    ("box", "valid"),
    [
        pytest.param({"tags": ["x" * 100]}, True, id="the-longest-tag"),
        pytest.param({"tags": ["x" * 101]}, False, id="a-tag-too-long"),
        pytest.param({"inputs": ["x" * 1000]}, True, id="the-longest-path"),
        pytest.param({"inputs": ["x" * 1001]}, False, id="a-path-too-long"),
        pytest.param({"inputs": ["a/..b/c..", "..."]}, True, id="dots-that-climb-nowhere"),
        pytest.param({"inputs": ["a/.."]}, False, id="dots-that-climb"),
        pytest.param({"env": {"INTERLOCK_X": "1"}}, True, id="a-name-like-ours"),
        pytest.param({"env": {"INTERLOCK": "1"}}, False, id="our-name"),
        pytest.param({"timeout": 604800}, True, id="a-week"),
        pytest.param({"timeout": 604801}, False, id="more-than-a-week"),
        pytest.param({"timeout": "0.0s"}, False, id="no-time"),
        pytest.param({"timeout": "0.1ms"}, True, id="hardly-any-time"),
        pytest.param({"tags": ["é\u2028"]}, False, id="a-line-separator"),
        pytest.param({"title": "\u00a0"}, True, id="white-space-of-another-kind"),
        pytest.param({"tier": 999}, True, id="the-last-tier"),
        pytest.param({"tier": 1000}, False, id="after-the-last-tier"),
    ],
)
def test_both_draw_the_line_at_the_same_place(box: dict[str, Any], valid: bool) -> None:
    document = {"boxes": {"7": {"tier": 1, "run": "x", **box}}}
    assert (SCHEMA.is_valid(document), CONFIG.fits(document)) == (valid, valid)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(likely(CONFIG))
def test_a_document_that_is_loaded_satisfies_the_schema(document: Any) -> None:
    # JSON is YAML, but for what it calls a number.
    written = json.dumps(document)
    try:
        load_config(written)
    except UserError:
        return
    read, _ = read_yaml(written, file="f")
    assert SCHEMA.is_valid(read), list(SCHEMA.iter_errors(read))


def test_the_published_schema_is_the_one_that_validation_uses() -> None:
    published = (REFERENCE / PUBLISHED).read_text(encoding="utf-8")
    assert published == text(), f"write it anew: interlock config schema > docs/reference/{PUBLISHED}"


def test_the_schema_is_a_schema() -> None:
    jsonschema_rs.meta.validate(schema())


def test_every_example_of_the_reference_satisfies_the_schema() -> None:
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        document, _ = read_yaml(example, file="f")
        plain = json.loads(json.dumps(document))
        assert SCHEMA.is_valid(plain), [error.message for error in SCHEMA.iter_errors(plain)]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("boxes: {1: {tier: 1, run: x, timeout: 169h}}", id="too-long"),
        pytest.param("boxes: {1: {tier: 1, run: x, slow: 2m}}", id="slow-after-the-timeout"),
        pytest.param("boxes: {1: {tier: 1, run: x, needs: [redis, 'redis:7']}}", id="a-service-twice"),
        pytest.param("boxes: {api/1: {tier: 1, run: x}}", id="no-such-suite"),
        pytest.param("environments: {a: {target: {kind: ecs}, smoke: 'tier:'}}", id="a-selection"),
        pytest.param("environments: {a: {target: {kind: ecs}, gates: [after: b]}}", id="no-such-environment"),
        pytest.param("environments: {a: {target: {kind: ecs}, strategy: canary}}", id="a-canary-without-steps"),
    ],
)
def test_what_only_the_validator_knows_passes_the_schema_and_not_the_validator(document: str) -> None:
    read, _ = read_yaml(document, file="f")
    assert SCHEMA.is_valid(json.loads(json.dumps(read)))
    with pytest.raises(UserError):
        load_config(document)
