"""Wishes and the question about the gates: files between processes that may not be there at the same time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.deploy.asking import answer, answered, ask, question
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Journal
from bot.deploy.wishes import Wish, pending, wish
from bot.domain.deploy.answers import Deny, Pass, Wait


class Stopped:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> DeployFiles:
    return DeployFiles(tmp_path)


def test_wishes_are_heard_in_their_order(files: DeployFiles) -> None:
    for number, one in enumerate((Wish.PROMOTE, Wish.ROLLBACK, Wish.PROMOTE)):
        before = set(files.wishes.iterdir()) if number else set()
        wish(files, one, "mona", because=f"{number}")
        (newest,) = set(files.wishes.iterdir()) - before
        os.utime(newest, ns=(number, number))
    assert [(one.wish, one.because) for one in pending(files, ())] == [
        (Wish.PROMOTE, "0"),
        (Wish.ROLLBACK, "1"),
        (Wish.PROMOTE, "2"),
    ]


def test_a_wish_with_a_key_is_one_wish_however_often_it_is_repeated(files: DeployFiles) -> None:
    for _ in range(3):
        wish(files, Wish.ROLLBACK, "mona", key="comment-7")
    assert len(pending(files, ())) == 1


def test_a_wish_is_taken_once(files: DeployFiles) -> None:
    wish(files, Wish.ROLLBACK, "mona", key="comment-7")
    (one,) = pending(files, ())
    journal = Journal(files, Stopped())
    journal.append("wish", name=one.name, wish=one.wish.value, by=one.by, effect="rolls back")
    assert pending(files, journal.entries) == ()
    wish(files, Wish.ROLLBACK, "mona", key="comment-7")
    assert pending(files, journal.entries) == ()


def test_what_is_no_wish_is_passed_over(files: DeployFiles) -> None:
    files.wishes.mkdir()
    (files.wishes / "rollback-1.json").write_text("{", "utf-8")
    (files.wishes / "else.json").write_text('{"wish": "everything", "by": "mona"}', "utf-8")
    assert pending(files, ()) == ()


@pytest.mark.parametrize(
    ("gates", "word"),
    [
        pytest.param(Pass("every gate passes"), "pass", id="pass"),
        pytest.param(Wait("frozen until monday"), "wait", id="wait"),
        pytest.param(Deny("mona said no"), "deny", id="deny"),
    ],
)
def test_a_question_is_answered_once(files: DeployFiles, gates: Pass | Wait | Deny, word: str) -> None:
    assert question(files) is None
    ask(files, 7)
    assert question(files) == 7
    assert answered(files, 7) is None
    answer(files, 7, gates)
    assert question(files) is None
    said = answered(files, 7)
    assert said is not None
    assert (said.word, said.because) == (word, gates.because)


def test_an_answer_to_an_older_question_is_none(files: DeployFiles) -> None:
    ask(files, 7)
    answer(files, 7, Pass("every gate passes"))
    ask(files, 9)
    assert answered(files, 9) is None
    assert question(files) == 9
