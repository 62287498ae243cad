"""What only people can do about a requirement, the pages that they follow tell them."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT


@pytest.mark.requirement("S-32")
@pytest.mark.parametrize("page", ["how-to/install-on-a-server.md", "tutorial/01-protect-your-first-repository.md"])
def test_who_requires_the_check_is_told_to_choose_the_app_as_its_source(page: str) -> None:
    text = " ".join((ROOT / "docs" / page).read_text("utf-8").split())
    (advice,) = [part for part in text.split("## ") if part.partition(" ")[2].startswith("Require it ")]
    assert "choose your App as its source" in advice
    assert "*any source*" in advice
