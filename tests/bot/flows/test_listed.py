"""Pushes to branches that no configuration lists cost no flow once that is known, and only while it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.flows.listed import FRESH, Listed

HERE, ELSEWHERE = (1, 1), (2, 1)


class Time:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def test_only_what_was_read_a_moment_ago_refuses_a_branch() -> None:
    time = Time()
    listed = Listed(time.now)
    assert not listed.lacks(HERE, "topic")
    listed.note(HERE, {"main", "release"}, change=listed.change(HERE))
    assert listed.lacks(HERE, "topic")
    assert not listed.lacks(HERE, "release")
    assert not listed.lacks(ELSEWHERE, "topic")
    time.at += FRESH - timedelta(seconds=1)
    assert listed.lacks(HERE, "topic")
    time.at += timedelta(seconds=1)
    assert not listed.lacks(HERE, "topic")


def test_a_push_to_the_default_branch_ends_what_was_known_and_what_is_being_read() -> None:
    listed = Listed(Time().now)
    listed.note(HERE, {"main"}, change=listed.change(HERE))
    being_read = listed.change(HERE)
    listed.forget(HERE)
    assert not listed.lacks(HERE, "topic")
    listed.note(HERE, {"main"}, change=being_read)
    assert not listed.lacks(HERE, "topic")
    listed.note(HERE, {"main"}, change=listed.change(HERE))
    assert listed.lacks(HERE, "topic")
