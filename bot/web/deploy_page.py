"""The page of one deployment and the list of deployments, as HTML without any outside asset. All is read of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from bot.domain.deploy.picture import CSS, picture
from bot.domain.deploy.record import reasons
from bot.domain.deploy.states import FINAL, State
from bot.domain.text import one_line
from bot.web.run_page import TEMPLATES

_TONES: Mapping[State, str] = {
    State.REQUESTED: "idle",
    State.GATED: "idle",
    State.SUCCEEDED: "good",
    **dict.fromkeys((State.ABORTED, State.DENIED, State.ROLLED_BACK, State.ROLLBACK_FAILED), "bad"),
    State.ROLLING_BACK: "bad",
    State.HELD: "warn",
    **dict.fromkeys((State.EXPIRED, State.SUPERSEDED), "held"),
}
"""The others live."""

_WORDS: Mapping[State, str] = {
    State.REQUESTED: "waits",
    State.GATED: "waits at its gates",
    State.HELD: "is held: somebody has to decide",
    State.DENIED: "was denied",
    State.EXPIRED: "has expired",
    State.SUPERSEDED: "was superseded",
    State.ABORTED: "was given up before anybody saw it",
    State.ROLLED_BACK: "was rolled back",
    State.ROLLBACK_FAILED: "could not be rolled back",
}

_GATES = {"pass": ("good", "passes"), "wait": ("idle", "waits"), "deny": ("bad", "denies")}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPage:
    """What the page shows.

    Attributes:
        record: of the deployment, as it is now.
        now: Unix time of this rendering.
        web_url: the repository on GitHub; "" leaves the links out.
        index_url: the list; "" leaves the link out.
        json_url: where the record is, as JSON.
        svg_url: where the picture is; "" where there is none.
    """

    record: Mapping[str, Any]
    now: float
    web_url: str = ""
    index_url: str = ""
    json_url: str = ""
    svg_url: str = ""

    @property
    def state(self) -> State:
        """Where it is."""
        return State(self.record["state"])

    @property
    def live(self) -> bool:
        """Whether the page refreshes itself."""
        return self.state not in FINAL

    @property
    def tone(self) -> str:
        """For colour and glyph."""
        return tone(self.state)

    @property
    def headline(self) -> str:
        """The sentence above everything."""
        what = "Rollback" if self.record["kind"] == "rollback" else "Deployment"
        return f"{what} to {one_line(self.record['environment'], 100)} {words(self.state)}"

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        end = self.record["finished_at"]
        return (moment(end) if end else self.now) - moment(self.record["created_at"])

    @property
    def because(self) -> Sequence[str]:
        """Why it is where it is."""
        return reasons(self.record)

    @property
    def stays(self) -> Sequence[Mapping[str, Any]]:
        """The states with how long each lasted; the present one lasts until now."""
        return [
            {**stay, "seconds": self._lasted(stay), "tone": tone(State(stay["state"]))}
            for stay in self.record["states"]
        ]

    def _lasted(self, stay: Mapping[str, Any]) -> float | None:
        if stay["seconds"] is not None or not self.live:
            return None if stay["seconds"] is None else float(stay["seconds"])
        return max(0.0, self.now - moment(stay["at"]))

    @property
    def picture(self) -> Markup:
        """Of the watch; "" where it has seen nothing."""
        return Markup(picture(self.record))  # noqa: S704 - our own geometry; its words are escaped.


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """A deployment in the list."""

    number: int
    url: str
    repo: str
    environment: str
    kind: str
    state: State
    sha: str
    because: str
    at: float
    seconds: float | None


def render_deployment(page: DeploymentPage, *, nonce: str = "", fragment: bool = False) -> str:
    """The page, or with `fragment` only the part that the page replaces while the deployment lives."""
    template = TEMPLATES.get_template("_deployment.html" if fragment else "deployment.html")
    return template.render(page=page, nonce=nonce, picture_css=Markup(CSS), gates=_GATES)  # noqa: S704 - a constant.


def render_deployments(rows: Sequence[DeploymentRow], *, nonce: str = "") -> str:
    """The list, in the order given."""
    return TEMPLATES.get_template("deployments.html").render(rows=rows, nonce=nonce, tone=tone, words=words)


def tone(state: State) -> str:
    """How a state looks."""
    return _TONES.get(state, "live")


def words(state: State) -> str:
    """What a deployment in this state does, after its name."""
    return _WORDS.get(state, "is " + state.replace("_", " ") if state not in FINAL else str(state))


def moment(text: str) -> float:
    """Unix time of a record's moment."""
    return datetime.fromisoformat(text).timestamp()


def arguments(given: Mapping[str, object]) -> str:
    """A call's arguments on one line; what is long is cut, and the record has it whole."""
    return one_line(", ".join(f"{name} {_argument(value)}" for name, value in given.items()), 200)


def _argument(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={part}" for name, part in value.items())
    return str(value)


TEMPLATES.filters.update(moment=moment, arguments=arguments)
