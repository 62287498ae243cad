"""The reference page lists what the hub answers, and what it lists is all there is."""

from __future__ import annotations

from pathlib import Path

from bot.localhub.rest.api import ENDPOINTS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "localhub.md"


def row(method: str, path: str, needs: str) -> str:
    return f"| {method} | `{path}` | {needs} |"


def test_every_endpoint_is_in_the_reference_with_what_it_needs() -> None:
    rows = []
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace(":int", "").replace(":rest", "")
        who = {"app": "the App's JWT", "installation": "an installation token"}.get(endpoint.who)
        named = " or ".join(endpoint.needs)
        outside = named if path.startswith("/orgs/") else "anybody"
        needs = who or (f"{named}; {endpoint.role}" if "{repo}" in path else outside)
        rows.append(row(endpoint.method, path, needs))
    listed = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(("| GET", "| P", "| DELETE"))]
    assert listed == rows
