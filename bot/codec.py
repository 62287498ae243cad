"""JSON for what a flow remembers: plain values, registered frozen dataclasses and enums, an allow-list of exceptions.

Never pickle: whoever can write the engine's database must not be able to run code. And an exception must come back as
the type it was, because a replayed flow has to take the branch that it took the first time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any

TAG = "!"


class StepFailed(Exception):
    """A step raised something that is not on the allow-list: a bug, or a library's own error.

    Args:
        kind: the class name of what was raised.
        message: its text.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.message = message
        super().__init__(kind, message)


class Unencodable(TypeError):
    """A value cannot be remembered; the message names its type and place."""


class Codec:
    """Encode and decode what flows pass to steps and get from them.

    Args:
        values: frozen dataclasses and enums that may appear, by class name.
        errors: exceptions whose `args` rebuild them.
    """

    def __init__(self, values: Iterable[type], errors: Iterable[type[Exception]]) -> None:
        self._values = {cls.__name__: cls for cls in values}
        self._errors: dict[str, type[Exception]] = {cls.__name__: cls for cls in (*errors, StepFailed)}

    def knows(self, error: Exception) -> bool:
        """Whether `error` comes back as the type that it is."""
        return self._errors.get(type(error).__name__) is type(error)

    def dumps(self, value: object) -> str:
        """The JSON text of `value`.

        Raises:
            Unencodable: it holds a type that is neither JSON's nor registered.
        """
        return json.dumps(self._encode(value, "value"), ensure_ascii=False, separators=(",", ":"))

    def loads(self, text: str) -> Any:
        """The value of a text made by `dumps`."""
        return self._decode(json.loads(text))

    def _encode(self, value: object, place: str) -> object:
        if value is None or isinstance(value, bool | int | float) or type(value) is str:
            return value
        if isinstance(value, list):
            return [self._encode(item, f"{place}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, tuple):
            return {TAG: "tuple", "items": [self._encode(item, f"{place}[{i}]") for i, item in enumerate(value)]}
        if isinstance(value, dict):
            return self._encode_dict(value, place)
        return self._encode_object(value, place)

    def _encode_dict(self, value: dict[Any, object], place: str) -> object:
        if not all(isinstance(key, str) for key in value):
            message = f"{place}: a mapping with keys that are not text"
            raise Unencodable(message)
        encoded = {key: self._encode(item, f"{place}.{key}") for key, item in value.items()}
        return {TAG: "dict", "items": encoded} if TAG in encoded else encoded

    def _encode_object(self, value: object, place: str) -> object:
        if isinstance(value, datetime):
            return {TAG: "datetime", "iso": value.isoformat()}
        if isinstance(value, BaseException):
            known = isinstance(value, Exception) and self.knows(value)
            args = value.args if known else (type(value).__name__, str(value))
            name = type(value).__name__ if known else StepFailed.__name__
            return {TAG: "error", "type": name, "args": self._encode(list(args), place)}
        name = type(value).__name__
        if self._values.get(name) is not type(value):
            message = f"{place}: {name} is not registered with the engine"
            raise Unencodable(message)
        if isinstance(value, Enum):
            return {TAG: name, "value": value.value}
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        return {TAG: name, **{f.name: self._encode(getattr(value, f.name), f"{place}.{f.name}") for f in fields}}

    def _decode(self, raw: Any) -> Any:
        if isinstance(raw, list):
            return [self._decode(item) for item in raw]
        if not isinstance(raw, dict):
            return raw
        tag = raw.get(TAG)
        if tag is None:
            return {key: self._decode(item) for key, item in raw.items()}
        return self._decode_tagged(tag, raw)

    def _decode_tagged(self, tag: str, raw: dict[str, Any]) -> Any:
        match tag:
            case "tuple":
                return tuple(self._decode(item) for item in raw["items"])
            case "dict":
                return {key: self._decode(item) for key, item in raw["items"].items()}
            case "datetime":
                return datetime.fromisoformat(raw["iso"])
            case "error":
                return self._errors.get(raw["type"], StepFailed)(*self._decode(raw["args"]))
            case _:
                return self._decode_object(tag, raw)

    def _decode_object(self, tag: str, raw: dict[str, Any]) -> Any:
        cls = self._values.get(tag)
        if cls is None:
            message = f"{tag} is not registered with the engine"
            raise Unencodable(message)
        if issubclass(cls, Enum):
            return cls(raw["value"])
        return cls(**{key: self._decode(item) for key, item in raw.items() if key != TAG})
