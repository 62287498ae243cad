"""The states of a deployment as docs/explanation/deployments.md has them: `python -m tests.docs.states_table`.

Prints the table, or with `--write` puts it there. The edges are those of the code; what a state means is said here.
"""

from __future__ import annotations

import sys

from bot.domain.deploy.states import EDGES, FINAL, State
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "explanation" / "deployments.md"
BEGIN, END = "<!-- states -->", "<!-- end of states -->"

MEANINGS = {
    State.REQUESTED: "somebody asked, or a green push did; nobody has looked at its gates yet",
    State.GATED: "a gate waits; they are asked again whenever something may have changed, and every half minute",
    State.LOCKED: "all gates pass, and it holds the environment: no other deployment is at work there",
    State.PREPARING: "the release is started where no user is",
    State.SMOKING: "it is tried there, and the gates are asked once more",
    State.SWITCHING: "users are sent to it",
    State.BAKING: "users have it, and it is watched",
    State.HELD: "nobody can say whether it is good; a person decides, with `/promote` or `/rollback`",
    State.RETIRING: "it is good; the release before is drained, and kept for a while or stopped",
    State.SUCCEEDED: "it is live",
    State.DENIED: "a gate said never",
    State.EXPIRED: "its gates did not pass in time",
    State.SUPERSEDED: "a newer one has taken its place before it began",
    State.ABORTED: "it was given up before any user saw it",
    State.ROLLING_BACK: "users are sent back to the release before",
    State.ROLLED_BACK: "they are there",
    State.ROLLBACK_FAILED: "they could not be sent back; the environment is frozen and a person is called",
}


def table() -> str:
    """The table as Markdown."""
    rows = ["| state | what it means | what may follow |", "|--|--|--|"]
    order = list(State)
    for state in order:
        after = sorted(EDGES[state], key=order.index)
        follows = "nothing: it is final" if state in FINAL else ", ".join(f"`{there}`" for there in after)
        rows.append(f"| `{state}` | {MEANINGS[state]} | {follows} |")
    return "\n".join(rows)


def page() -> str:
    """The page with the table of now."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(table())  # noqa: T201 - that is what it is asked for.
