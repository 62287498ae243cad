"""What GitHub knows of the webhooks that it sent us: which of them failed, and asking for one again.

GitHub never repeats a delivery by itself, and forgets deliveries after three days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.github.app import AppItself
from bot.github.errors import UnexpectedAnswer

KEPT = timedelta(days=3)
"""How long GitHub can be asked for a delivery again."""

MOST_READ = 10_000
"""Failed deliveries that are read at once."""

_PATH = "/app/hook/deliveries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of GitHub's to tell us something. `guid` is what the delivery is called in every try."""

    id: int
    guid: str
    delivered_at: datetime
    event: str


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    guid: str
    delivered_at: datetime
    status_code: int = 0
    event: str = ""


async def failed_attempts(app: AppItself, *, since: datetime) -> list[Attempt]:
    """Tries since `since` that we did not answer well, newest first; at most `MOST_READ`.

    Raises:
        UnexpectedAnswer: GitHub's list cannot be read.
    """
    found: list[Attempt] = []
    # A server that does not know the filter lists the good ones too.
    async for said in app.paginate(_PATH, {"status": "failure"}):
        try:
            item = _Item.model_validate(said)
        except ValidationError as bad:
            message = f"GitHub answered GET {_PATH} without a usable {bad.errors()[0]['loc']}"
            raise UnexpectedAnswer(message) from None
        if item.delivered_at < since or len(found) == MOST_READ:
            break
        if not 200 <= item.status_code < 300:
            found.append(Attempt(id=item.id, guid=item.guid, delivered_at=item.delivered_at, event=item.event))
    return found


async def ask_again(app: AppItself, attempt_id: int) -> None:
    """Ask for a delivery again; it comes under the same guid. Asking twice makes it come twice, which is harmless.

    Raises:
        NotFound: GitHub has forgotten it.
        Unprocessable: it cannot be delivered again.
    """
    await app.post(f"{_PATH}/{attempt_id}/attempts", idempotent=True)
