from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.environment import AfterGate, SoakedGate
from bot.domain.deploy.release import Standing
from tests.bot.domain.deploy.story import (
    CAFE,
    HOUR,
    NOBODY,
    NOW,
    RELEASE,
    answer,
    known,
    release,
    staged,
)


@pytest.mark.requirement("S-33")
@pytest.mark.parametrize(
    ("stands", "said"),
    [
        pytest.param((staged(),), Pass("cafe123 is good in staging since 2026-03-02 12:00 UTC"), id="good"),
        pytest.param(
            (staged(Standing.UNKNOWN),),
            Wait("cafe123 is in staging, and not known to be good", "its watch says so"),
            id="still-watched",
        ),
        pytest.param(
            (staged(at=NOW - HOUR), staged(Standing.BAD, at=NOW, because="7 of 9 failed")),
            Deny("cafe123 is bad in staging: 7 of 9 failed", "a commit that mends it"),
            id="its-newest-deployment-there-decides",
        ),
        pytest.param(
            (known(release("b", artifact=RELEASE.artifact), environment="staging"),),
            Wait("cafe123 was not deployed to staging", "deploy it there: `/deploy staging`"),
            id="the-same-artifact-of-another-commit",
        ),
        pytest.param(
            (known(release("b", sha=CAFE), environment="staging"),),
            Wait("cafe123 was not deployed to staging", "deploy it there: `/deploy staging`"),
            id="another-artifact-of-the-same-commit",
        ),
        pytest.param(
            (known(release("b"), environment="staging"),),
            Wait("cafe123 was not deployed to staging", "deploy it there: `/deploy staging`"),
            id="another-commit-is-good",
        ),
        pytest.param(
            (known(release("b", sha=CAFE), environment="staging"),),
            Wait("cafe123 was not deployed to staging", "deploy it there: `/deploy staging`"),
            id="the-commit-but-another-artifact",
        ),
        pytest.param(
            (known(release("b", sha=CAFE, artifact=RELEASE.artifact), environment="staging"),),
            Pass("cafe123 is good in staging since 2026-03-02 12:00 UTC"),
            id="by-the-configuration-of-staging",
        ),
        pytest.param(NOBODY, Wait("GitHub did not say", "it is asked again within a minute"), id="unknown"),
    ],
)
def test_the_release_has_to_be_good_where_it_goes_first(stands: Any, said: Answer) -> None:
    assert answer("order", AfterGate("staging"), standings={"production": (), "staging": stands}) == said


SOAK = SoakedGate("staging", 1800.0)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        pytest.param(
            (staged(live_since=NOW - 30 * MINUTE),), Pass("cafe123 was well in staging for 30 min"), id="long"
        ),
        pytest.param(
            (staged(live_since=NOW - 29 * MINUTE),),
            Wait(
                "cafe123 has been well in staging for 29 min of 30 min",
                "it passes by itself 2026-03-02 12:01 UTC",
            ),
            id="not-long-enough",
        ),
        pytest.param(
            (
                staged(live_since=NOW - 60 * MINUTE),
                known(release("b"), environment="staging", live_since=NOW - 55 * MINUTE),
            ),
            Wait(
                "cafe123 was live in staging for 5 min of 30 min before bbbbbbb took its place",
                "deploy it there: `/deploy staging`",
            ),
            id="replaced-before-it-was-long-enough",
        ),
        pytest.param(
            (
                staged(live_since=NOW - 60 * MINUTE),
                known(release("b"), environment="staging", live_since=NOW - 10 * MINUTE),
            ),
            Pass("cafe123 was well in staging for 50 min"),
            id="replaced-after-it-was-long-enough",
        ),
        pytest.param(
            (staged(live_since=None),),
            Wait("nobody has seen cafe123 in staging", "deploy it there: `/deploy staging`"),
            id="never-live",
        ),
        pytest.param(
            (staged(Standing.BAD, live_since=NOW - 60 * MINUTE),),
            Deny("cafe123 is bad in staging", "a commit that mends it"),
            id="long-and-bad",
        ),
    ],
)
def test_the_release_has_to_have_been_well_for_so_long(stands: Any, said: Answer) -> None:
    assert answer("soaked", SOAK, standings={"production": (), "staging": stands}) == said
