"""One story under each fault: afterwards GitHub shows what it shows in good weather, and nothing was done twice."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from pprint import pformat

import pytest

from bot.engine import Flow
from bot.github import app
from tests.fakes.tape import FAULTS, Fault, begin, open_tape, state_of, table, tell

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-survives.md"
CALM = Fault(what="nothing", so="nothing")


async def told(directory: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Tell the story under a fault, and say what the world looks like then."""
    real = Flow.sleep

    async def hurried(self: Flow, seconds: float) -> None:
        await real(self, seconds / fault.speed)

    with monkeypatch.context() as patched:
        patched.setattr(Flow, "sleep", hurried)
        patched.setattr(app, "DEADLINE", fault.deadline)
        async with open_tape(directory, speed=fault.speed, bot_is_ahead=fault.bot_is_ahead) as tape:
            await begin(tape)
            await tape.pass_by()
            fault.arrange(tape)
            await tell(tape, before=fault.before, after=fault.after)
            return await state_of(tape)


CALM_STATES: list[dict[str, object]] = []


@pytest.fixture
async def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the world looks like when nothing went wrong; told once for each process of the tests."""
    if not CALM_STATES:
        CALM_STATES.append(await told(tmp_path / "calm", CALM, monkeypatch))
    return CALM_STATES[0]


async def test_in_good_weather_the_story_ends_as_one_would_expect(calm: dict[str, object]) -> None:
    assert calm["runs"] == [
        ((0, "head0", "all", "success"), 1),
        ((0, "head4", "all", "success"), 1),
        ((1, "head1", "1", "success"), 1),
        ((1, "head1", "all", "success"), 1),
        ((1, "head2", "all", "failure"), 1),
        ((2, "head3", "all", "success"), 1),
    ]
    assert calm["reactions"] == [["eyes", "rocket"], ["confused", "eyes"]]
    comments = calm["comments"]
    assert isinstance(comments, dict)
    assert {number: [author for author, _ in said] for number, said in comments.items()} == {
        1: ["eve", "interlock[bot]", "interlock[bot]", "mona"],
        2: ["interlock[bot]"],
    }
    assert calm["left open"] == 0


@pytest.mark.requirement("S-22", "S-23", "S-24")
@pytest.mark.parametrize("name", FAULTS)
async def test_after_the_fault_everything_is_as_without_it(
    calm: dict[str, object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await told(tmp_path / "told", FAULTS[name], monkeypatch)
    expected, seen = (pformat(state, width=120).splitlines() for state in (calm, found))
    difference = "\n".join(unified_diff(expected, seen, "in good weather", name, lineterm=""))
    assert not difference, difference


def test_the_page_about_it_lists_every_fault() -> None:
    assert table() in PAGE.read_text("utf-8")
