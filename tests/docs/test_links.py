"""Every relative link of the documentation leads somewhere."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, links, name, pages


def broken(text: str, folder: Path) -> list[str]:
    """Links of a page in `folder` whose file or heading does not exist."""
    found: list[str] = []
    for link in links(text):
        file, _, anchor = link.partition("#")
        target = (folder / file) if file else None
        if target and not target.exists():
            found.append(link)
        elif anchor and (target is None or target.suffix == ".md"):
            there = target.read_text("utf-8") if target else text
            found += [] if anchor in anchors(there) else [link]
    return found


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page.read_text("utf-8"), page.parent) == []


def test_every_page_is_reached_from_the_index() -> None:
    waiting, reached = [ROOT / "docs" / "README.md"], set[Path]()
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text("utf-8"))]
        waiting += [t for t in targets if t.suffix == ".md" and t.exists() and t not in reached]
    assert sorted(name(page) for page in pages() if page.is_relative_to(ROOT / "docs") and page not in reached) == []


@pytest.mark.parametrize(
    ("text", "links"),
    [
        pytest.param("[a](gone.md)", ["gone.md"], id="no-such-file"),
        pytest.param("![a](gone.png)", ["gone.png"], id="no-such-picture"),
        pytest.param("# Here\n[a](#there)", ["#there"], id="no-such-heading"),
        pytest.param("[a](page.md#nowhere)", ["page.md#nowhere"], id="no-such-heading-there"),
        pytest.param("# It's `x-y`, here\n[a](#its-x-y-here)", [], id="a-heading-with-marks"),
        pytest.param("# A\n# A\n[a](#a-1)", [], id="the-second-of-two-equal-headings"),
        pytest.param("[a](page.md#a-heading) [b](page.md) [c](https://example.test/x)", [], id="fine"),
    ],
)
def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path, text: str, links: list[str]) -> None:
    (tmp_path / "page.md").write_text("## A heading\n")
    assert broken(text, tmp_path) == links
