"""The JSON Schema of interlock.yml, made from the shapes that validation uses. Never on the run path.

The schema and the validator say yes to the same documents, but for what a schema cannot say: see `BEYOND`.
"""

from __future__ import annotations

from runner.config import CONFIG
from runner.http_steps import STEP
from runner.metadata import CONTROL, ENTRY, VARIABLES
from runner.shapes import (
    LARGEST_SIZE,
    LONGEST_TIME,
    SHARE,
    SIZE,
    TIME,
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
    Share,
    Size,
    Table,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.shapes import Shape

    Schema = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = "interlock.schema.json"  # below docs/reference
_DEFINED = {"box": ENTRY, "control": CONTROL, "step": STEP, "variables": VARIABLES}
BEYOND = (
    "a duration written as text is at most 168h",
    "`1.0` is no whole number",
    "a key occurs once, also when one is written as a number and one as text",
    "`slow` is not after `timeout`",
    "`needs` names a service once, and a fault hurts one that the box needs",
    "`secrets` names nothing that the runner sets itself",
    "a fault, a selection, a path in JSON and a regular expression can be read, and a URL names a host",
    "`get` and `head` send no body, and no two steps of a box have the same name",
    "an edit changes something, and so does a control's `env`",
    "a box's suite is one of `suites`, and no two suites share a directory",
    "boxes of `after` exist and do not wait for each other",
    "environments of `after` and `soaked` exist and do not wait for each other, and no two use the same port",
    "the steps of a canary rise to 100 % in whole percents",
    "as many people may approve as must, where all of them are named",
    "a window of `freeze` has two days of the calendar, or two of the week, in a time zone that there is",
    "a watch has something to judge by, is longer than a probe, and a probe has the keys of its kind",
)
"""What only the validator knows."""


def schema() -> Schema:
    """The JSON Schema, draft 2020-12."""
    return {
        "$schema": DIALECT,
        "$id": PUBLISHED,
        "title": ".github/interlock.yml",
        **_or_nothing(_of(CONFIG)),
        "$defs": {name: _of(shape) for name, shape in _DEFINED.items()},
    }


def text() -> str:
    """The JSON Schema as it is published."""
    import json

    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _of(shape: Shape) -> Schema:
    said: Schema = {"description": shape.about} if shape.about else {}
    return said | _rules(shape)


def _inside(shape: Shape) -> Schema:
    """The shape where another one holds it: what has a name is only referred to."""
    name = next((name for name, defined in _DEFINED.items() if defined is shape), "")
    return {"$ref": f"#/$defs/{name}"} if name else _of(shape)


def _rules(shape: Shape) -> Schema:
    rules: Schema
    match shape:
        case List():
            rules = _list(shape)
        case Table():
            rules = _table(shape)
        case Named():
            rules = _named(shape)
        case Either():
            rules = {"anyOf": [_inside(one) for one in shape.of]}
        case ByKind():
            rules = {"anyOf": [_inside(shape.table(kind)) for kind in shape.kinds]}
        case _:
            rules = _simple(shape)
    return rules


def _simple(shape: Shape) -> Schema:
    rules: Schema = {}  # of what may be anything.
    match shape:
        case Text() | Date():
            return _text(shape) if isinstance(shape, Text) else {"type": "string", "pattern": _whole(shape.PATTERN)}
        case Flag():
            rules = {"type": "boolean"}
        case Count():
            rules = {"type": "integer", "minimum": shape.low, "maximum": shape.high}
        case Choice():
            rules = {"enum": list(shape.words)}
        case Duration():
            number = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIME}
            rules = {"anyOf": [{"type": "string", "pattern": _whole(TIME)}, number]}
        case Number():
            rules = {"type": "number", "minimum": shape.low, "maximum": shape.high}
        case Share():
            part = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
            rules = {"anyOf": [{"type": "string", "pattern": _whole(SHARE)}, part]}
        case Size():
            whole = {"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}
            rules = {"anyOf": [{"type": "string", "pattern": _whole(SIZE)}, whole]}
        case _:
            assert isinstance(shape, Anything), f"there is no schema for {type(shape).__name__}"
    return rules


def _text(shape: Text) -> Schema:
    rules: Schema = {"type": "string"}
    if shape.pattern:
        rules["pattern"] = _whole(shape.pattern)
    if shape.least:
        rules["minLength"] = shape.least
    if shape.most:
        rules["maxLength"] = shape.most
    return rules


def _list(shape: List) -> Schema:
    rules: Schema = {"type": "array", "items": _inside(shape.of)}
    if shape.unique:
        rules["uniqueItems"] = True
    if shape.least:
        rules["minItems"] = shape.least
    return rules


def _table(shape: Table) -> Schema:
    keys = {key: _inside(inner) for key, inner in shape.keys.items()}
    if shape.or_nothing:
        keys = {key: _or_nothing(rules) for key, rules in keys.items()}
    rules: Schema = {"type": "object", "properties": keys, "additionalProperties": shape.more}
    if shape.needed:
        rules["required"] = list(shape.needed)
    if shape.one_of:
        rules["oneOf"] = [{"required": [key]} for key in shape.one_of]
    return rules


def _named(shape: Named) -> Schema:
    inner = _inside(shape.of)
    rules: Schema = {"type": "object"}
    if shape.names:
        rules |= {"patternProperties": {_whole(shape.names): inner}, "additionalProperties": False}
    else:
        rules["additionalProperties"] = inner
    if shape.only:
        rules |= {"minProperties": shape.only, "maxProperties": shape.only}
    return rules


def _or_nothing(rules: Schema) -> Schema:
    """A mapping that may also be left empty, as a section is whose keys are all commented out."""
    return {**rules, "type": ["object", "null"]}


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
