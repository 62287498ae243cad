"""What we read of GitHub's webhook payloads: few fields, all forgiving.

GitHub adds fields and values without warning, and an Enterprise server sends the shapes of years ago. So unknown fields are
dropped, a null counts as absent, actions and states are open strings, and what cannot be read at all is a value
(`Unreadable`), never an exception. Decisions are taken elsewhere, from `facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import from_json

from bot.domain.deliveries import Facts

MAX_BODY = 25 * 1024 * 1024
"""Bytes of a delivery; GitHub sends none above."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:  # noqa: ANN401 - the outside world.
        """A null field is an absent one, and so is an object that is not an object."""
        if isinstance(value, Mapping):
            return {name: item for name, item in value.items() if item is not None}
        return {}
