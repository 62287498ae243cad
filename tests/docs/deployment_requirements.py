"""Which test holds which requirement of deployments: `python -m tests.docs.deployment_requirements`.

Prints the table of docs/explanation/deployment-requirements.md, or with `--write` puts it there.
"""

from __future__ import annotations

import sys

from tests.docs.pages import ROOT
from tests.docs.requirements import BEGIN, END, held, short

PAGE = ROOT / "docs" / "explanation" / "deployment-requirements.md"
MARK = "deployment"

REQUIREMENTS = {
    1: "When the head, the artifact or the configuration changes, approvals are void, nothing starts, both are named.",
    2: "Nobody approves their own deployment, and the reason is told.",
    3: "GitHub's question for an environment is answered once, however often it is asked, and before its time is over.",
    4: "Without GitHub's custom rules the same gates work by `/approve` alone, and `doctor` says which of both is on.",
    5: "A foreign callback, a forged signature or an edited comment executes nothing, and leaves a row in the audit.",
    6: "For a fork all digits of the commit are typed; configuration and credentials are never the pull request's.",
    7: "Of two deployments of an environment one begins; the other says who is there, since when, and its place.",
    8: "A lock that was taken for one pull request keeps the same person's other one out.",
    9: "A lease ends by itself within 15 s, and whoever held it is refused at the target.",
    10: "A freeze says when it ends; the way back is always open; breaking the glass takes a reason and two people.",
    11: "A controller that is killed at any point is started again, and users notice nothing.",
    12: "A release that dies at its start is aborted before anybody sees it, with the end of what it printed.",
    13: "A switch to a healthy release loses no request on HAProxy; what Caddy loses is measured and said.",
    14: "A release that turns bad is found and taken back within the times that are promised.",
    15: "A release that is no worse than tolerated is rolled back with the stated probability at most.",
    16: "What nobody could see is never a success: it is held, with how many samples there were and how many it takes.",
    17: "What the release before does as well is not the release's fault: held, and no loop of rollbacks.",
    18: "The way back leads to the newest good release; where there is none it is refused, the environment frozen.",
    19: "A schema that the release before does not know bars the way back, and says so.",
    20: "A rollback that fails is tried three times at most; then the environment is frozen and both slots stay.",
    21: "While GitHub is away deployments and rollbacks go on; what they say arrives later, in order, once.",
    22: "After a success in production, older deployments there are set inactive.",
    23: "A dry run tells the plan; the real run carries out the same one, or says what has changed.",
    25: "Every deployment that has ended has one record, which nobody can change without being noticed.",
    27: "`/rollback` acts at once while the slot before still runs; nobody has to approve, and the audit has it.",
    28: "A crash during the watch loses nothing that was seen, and makes the watch no shorter.",
}
"""Those that this version must hold; numbers are never given twice."""

LATER = {"more targets": (24, 26)}


def table() -> str:
    """The table as Markdown."""
    tests = held(mark=MARK)
    rows = ["| | what holds | held by |", "|--|--|--|"]
    for number, says in REQUIREMENTS.items():
        by = "<br>".join(f"`{short(test)}`" for test in tests.get(str(number), []))
        rows.append(f"| {number} | {says} | {by} |")
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
