from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt

from bot.domain import checks as made
from bot.domain.checks import Annotation, Check, checks
from bot.domain.diff import NO_LINES, ChangedLines
from bot.domain.progress import Progress
from bot.domain.report import RunState, log_url
from bot.domain.repro import Repro
from bot.domain.scrutiny import Proof, Proofs, Scrutiny, Weakening
from bot.domain.subject import Subject
from bot.domain.text import BUDGET, size
from bot.domain.trust import Untrusted
from runner.errors import BadMetadata, DuplicateNumber
from runner.events import Event, SetupFinished
from runner.model import Failure, Verdict
from tests.bot.domain.story import TIERS, all_green, finished, planned, run_finished, run_started, started, tier_two_red

URL = "https://interlock.example/runs/r1"
SUBJECT = Subject(
    repo_id=1,
    repo="octo/app",
    installation_id=2,
    pr=7,
    base_ref="main",
    base_sha="ba5e" * 10,
    head_sha="cafe" * 10,
)
NOTE = made.note(SUBJECT)
SHOWN = made.Shown(subject_note=NOTE, run_url=URL, has_comments=True)


def of(events: list[Event], state: RunState = RunState.FINISHED) -> tuple[Check, ...]:
    return checks(Progress.of(events), shown=SHOWN, state=state)


def rows(shown: tuple[Check, ...]) -> list[tuple[str, str, str | None, str]]:
    return [(check.name, check.status, check.conclusion, check.title) for check in shown]


def test_a_green_run() -> None:
    assert rows(of(all_green())) == snapshot(
        [
            ("Interlock", "completed", "success", "5 boxes in 3 tiers are green"),
            ("Interlock / tier 1", "completed", "success", "2 passed"),
            ("Interlock / tier 2", "completed", "success", "2 passed"),
            ("Interlock / tier 3", "completed", "success", "1 passed"),
        ]
    )


def test_a_red_tier_and_the_tier_that_did_not_run() -> None:
    assert rows(of(tier_two_red())) == snapshot(
        [
            ("Interlock", "completed", "failure", "tier 2 is red, tier 3 did not run"),
            ("Interlock / tier 1", "completed", "success", "1 passed, 1 cached"),
            ("Interlock / tier 2", "completed", "failure", "1 failed, 1 passed"),
            ("Interlock / tier 3", "completed", "failure", "did not run: 1 blocked"),
        ]
    )


def test_a_run_that_waits() -> None:
    assert rows(of([run_started()], RunState.QUEUED)) == snapshot(
        [
            ("Interlock", "queued", None, "waiting to start"),
            ("Interlock / tier 1", "queued", None, "2 queued"),
            ("Interlock / tier 2", "queued", None, "2 queued"),
            ("Interlock / tier 3", "queued", None, "1 queued"),
        ]
    )


def test_a_run_on_its_way() -> None:
    events: list[Event] = [run_started(), finished(7), finished(12), started(21), started(22)]
    assert rows(of(events, RunState.RUNNING)) == snapshot(
        [
            ("Interlock", "in_progress", None, "2 of 5 boxes done, tier 2 is running"),
            ("Interlock / tier 1", "completed", "success", "2 passed"),
            ("Interlock / tier 2", "in_progress", None, "2 running"),
            ("Interlock / tier 3", "queued", None, "1 queued"),
        ]
    )


def test_the_summary_of_a_red_run_says_what_is_red() -> None:
    assert of(tier_two_red())[0].summary == snapshot("""\
For `cafecaf` merged into `main` at `ba5eba5`

| box | verdict | |
|--|--|--|
| 21 Locks after five failures | failed | `calc.py:3` expected 4, got 0 |

- tier 1: 1 passed, 1 cached
- tier 2: 1 failed, 1 passed
- tier 3: 1 blocked

[Logs and timings of this run](https://interlock.example/runs/r1) (sandbox `full`, trust `T1`)\
""")


def test_the_text_of_a_red_tier_has_what_helps() -> None:
    assert of(tier_two_red())[2].text == snapshot("""\
### 21 Locks after five failures — failed

`boxes/tier-2/21_box.py` · 1.2 s

It failed: 1 of 3 assertions did not hold

- `calc.py:3` **adds two numbers** expected 4, got 0

<details><summary>Its output</summary>

```text
collected 3 items
E  assert 0 == 4
```

</details>

Run it yourself: `runner run 21`\
""")


def test_a_red_assertion_is_an_annotation_on_its_tier() -> None:
    overall, _, tier, _ = of(tier_two_red())
    assert overall.annotations == ()
    assert tier.annotations == (
        Annotation(
            path="calc.py",
            start_line=3,
            end_line=3,
            level="failure",
            title="box 21 Locks after five failures",
            message="expected 4, got 0",
            raw_details="collected 3 items\nE  assert 0 == 4",
        ),
    )


def test_a_failed_setup_is_red_and_shows_its_output() -> None:
    setup = SetupFinished(suite="", ok=False, seconds=3.2, reason="exit code 2", output="no rule to make deps", at=1.0)
    overall = of([run_started(), setup, run_finished(green=False)])[0]
    assert (overall.conclusion, overall.title) == ("failure", "setup failed, so no box ran")
    assert "no rule to make deps" in overall.summary


@pytest.mark.parametrize(
    ("events", "title"),
    [
        pytest.param([run_started()], "the run ended before 5 boxes had a verdict", id="killed-at-once"),
        pytest.param(all_green()[:-1], "the run was cut off", id="killed-before-the-last-line"),
        pytest.param(
            [*all_green()[:-1], run_finished(green=False, exit_code=6)],
            "the runner stopped with exit code 6",
            id="a-bug-of-the-runner",
        ),
        pytest.param([], "no box ran", id="no-stream"),
        pytest.param(
            [run_started(7), finished(7, Verdict.SKIPPED), run_finished(green=False)], "tier 1 is red", id="skipped"
        ),
        pytest.param(
            [run_started(7), finished(7, Verdict.CANCELLED), run_finished(green=False, exit_code=5)],
            "tier 1 did not run",
            id="interrupted",
        ),
    ],
)
def test_a_run_that_ended_without_being_green_is_a_failure_with_its_reason(events: list[Event], title: str) -> None:
    overall = of(events)[0]
    assert (overall.conclusion, overall.title) == ("failure", title)


def test_a_box_that_nobody_ran_on_this_commit_keeps_the_check_red() -> None:
    progress = Progress.of([run_started(21), finished(21), run_finished()], expected=planned(21, 22))
    overall, tier = checks(progress, shown=SHOWN, state=RunState.FINISHED)
    assert (overall.conclusion, overall.title) == ("failure", "1 box has not run on this commit")
    assert tier.conclusion == "failure"


@given(
    st.lists(st.tuples(st.sampled_from(sorted(TIERS)), st.sampled_from(list(Verdict)), st.booleans())), st.booleans()
)
def test_success_means_that_every_box_ran(told: list[tuple[int, Verdict, bool]], ended: bool) -> None:
    events: list[Event] = [run_started(), *(finished(n, verdict, gating=gating) for n, verdict, gating in told)]
    last = {n: verdict for n, verdict, _ in told}
    ran = {n for n, verdict in last.items() if verdict not in {Verdict.BLOCKED, Verdict.CANCELLED}}
    for check in of([*events, run_finished()] if ended else events):
        assert (check.conclusion is None) == (check.status != "completed")
        if check.conclusion == "success":
            tier = check.name.rpartition(" ")[2]
            assert {n for n in TIERS if check.name == made.NAME or str(TIERS[n]) == tier} <= ran


HOSTILE = (
    "@octo/team `` ``` </details> <!-- interlock:pr=7 --> ![x](http://evil.example/b.png) | a\n\n# b \u202e\x1b[2J"
)


def hostile_run(boxes: int = 1, output: int = 1) -> list[Event]:
    failure = Failure(id=HOSTILE, message=HOSTILE, file="../" + HOSTILE, line=3)
    red = finished(
        21,
        Verdict.FAILED,
        title=HOSTILE,
        reason=HOSTILE,
        failures=(failure,) * boxes,
        output=(HOSTILE + "\n```\n") * output,
        blocked_by=HOSTILE,
    )
    return [run_started(21), red, run_finished(green=False)]


def rendered(markdown: str) -> list[str]:
    """The types of all tokens, and the text of all that is not code."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    flat = [inner for token in tokens for inner in (token.children or [token])]
    assert not [token for token in flat if token.type in {"image", "link_open"} and URL not in str(token.attrs)]
    html = [token.content for token in flat if token.type.startswith("html")]
    assert all(re.fullmatch(r"(</?details>|<summary>|</summary>|Last lines of its output|\s)*", part) for part in html)
    return [token.content for token in flat if token.type == "text"]


def test_hostile_output_stays_text_in_every_field() -> None:
    for check in of(hostile_run()):
        for field in (check.summary, check.text):
            assert not re.search(r"@\w|://evil", " ".join(rendered(field)))
            assert "<!--" not in field
            assert "\u202e" not in field
            assert "\x1b" not in field
        assert check.annotations == ()
        assert "\n" not in check.title


def test_a_flood_fits_into_githubs_limits() -> None:
    for check in of(hostile_run(boxes=5_000, output=20_000)):
        assert size(check.summary) <= BUDGET
        assert size(check.text) <= BUDGET
        assert len(check.annotations) <= made.ANNOTATIONS


def test_what_did_not_fit_is_counted() -> None:
    long = "x" * 3_000
    events: list[Event] = [run_started()]
    events += [finished(n, Verdict.FAILED, reason=long, output=(long + "\n") * 3) for n in TIERS]
    text = of([*events, run_finished(green=False)])[0].text
    assert size(text) <= BUDGET
    assert text.count("### ") == len(TIERS)


def test_a_refused_subject_says_who_can_do_what() -> None:
    (check,) = made.refused(Untrusted("its author has no write permission here", "ask a writer"), subject_note=NOTE)
    assert (check.status, check.conclusion, check.title) == snapshot(
        ("completed", "action_required", "needs someone with write permission")
    )
    assert check.summary == snapshot("""\
Nothing ran: its author has no write permission here.

What helps: ask a writer.

For `cafecaf` merged into `main` at `ba5eba5`\
""")


def test_a_configuration_error_points_to_its_lines() -> None:
    errors = [
        BadMetadata("unknown key 'timout'", file=".github/interlock.yml", line=7, hint="did you mean 'timeout'?"),
        DuplicateNumber("box 7 is already taken by boxes/tier-1/07_lint.py", file="boxes/tier-2/07_api.py"),
    ]
    (check,) = made.config_error(errors, subject_note=NOTE)
    assert (check.conclusion, check.title) == ("action_required", "2 configuration errors")
    assert check.summary == snapshot("""\
Nothing ran: the configuration cannot be read.
- `.github/interlock.yml:7` unknown key 'timout' (did you mean 'timeout'?)
- `boxes/tier-2/07_api.py` box 7 is already taken by boxes/tier-1/07\\_lint.py

For `cafecaf` merged into `main` at `ba5eba5`\
""")
    assert [(note.path, note.start_line, note.message) for note in check.annotations] == snapshot(
        [
            (".github/interlock.yml", 7, "unknown key 'timout' (did you mean 'timeout'?)"),
            ("boxes/tier-2/07_api.py", 1, "box 7 is already taken by boxes/tier-1/07_lint.py"),
        ]
    )


def test_a_mistake_of_the_organisation_is_linked_where_it_stands_and_noted_nowhere() -> None:
    mistake = BadMetadata("unknown key 'timout'", file="organisation/.github/interlock.yml", line=7)
    mistake.place = "default"
    (check,) = made.config_error([mistake], places={"default": "https://github.example/octo/.github/blob/cafe/"})
    assert "](https://github.example/octo/.github/blob/cafe/.github/interlock.yml#L7)" in check.summary
    assert check.annotations == ()


OUTSIDE = ["", "/etc/passwd", "../other.py", "src/../../other.py", "two\nlines.py", " src/app.py", "a\u202eb.py"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_is_no_path_of_the_repository_gets_no_note_and_no_link(path: str) -> None:
    (check,) = made.config_error([BadMetadata("no", file=path, line=1)], places={"": "https://github.example/"})
    assert "https://github.example" not in check.summary
    assert check.annotations == ()
    red = finished(7, Verdict.FAILED, failures=(Failure(message="no", file=path, line=1),))
    assert of([run_started(7), red, run_finished(green=False)])[1].annotations == ()


def test_a_weakening_is_noted_where_the_change_has_it() -> None:
    there = replace(SLOWER, file="boxes/7.sh", line=4, gone=False)
    known = Scrutiny(weakened=(there, replace(there, gone=True), replace(there, file="../7.sh")))
    shown = checks(Progress.of(all_green()), shown=SHOWN, state=RunState.FINISHED, scrutiny=known)
    assert [(note.path, note.start_line, note.level) for note in shown[0].annotations] == [("boxes/7.sh", 4, "warning")]


def test_a_green_check_offers_to_run_all_again_and_a_red_one_more() -> None:
    assert [[button.identifier for button in of(events)[0].buttons] for events in (all_green(), tier_two_red())] == [
        ["rerun_all"],
        ["rerun_failed", "rerun_all", "explain"],
    ]


def test_one_configuration_error_is_in_the_title() -> None:
    (check,) = made.config_error([BadMetadata("box 7 waits for itself", file="boxes/7.sh")])
    assert check.title == "configuration: box 7 waits for itself"


def test_a_conflict_is_red_and_names_its_files() -> None:
    (check,) = made.conflict(["src/app.py", "docs/a|b.md"], base_ref="main", subject_note=NOTE)
    assert (check.conclusion, check.title) == ("failure", "conflicts with main in 2 files")
    assert check.summary == snapshot("""\
Nothing ran: the head does not merge into `main`. In conflict:
- `src/app.py`
- `docs/a|b.md`

What helps: merge or rebase onto `main`, and push.

For `cafecaf` merged into `main` at `ba5eba5`\
""")


def test_a_superseded_run_leaves_no_check_open_and_what_was_over_as_it_was() -> None:
    progress = Progress.of([run_started(), finished(7), finished(12), started(21)])
    assert rows(made.superseded("f00d" * 10, progress=progress)) == snapshot(
        [
            ("Interlock", "completed", "cancelled", "superseded by f00df00"),
            ("Interlock / tier 1", "completed", "success", "2 passed"),
            ("Interlock / tier 2", "completed", "cancelled", "superseded by f00df00"),
            ("Interlock / tier 3", "completed", "cancelled", "superseded by f00df00"),
        ]
    )


def test_a_cancelled_run_says_who_did_it_and_how_to_start_again() -> None:
    (check,) = made.cancelled("mona")
    assert (check.conclusion, check.title) == ("cancelled", "cancelled by mona")
    assert check.summary == snapshot("Cancelled by mona. Start it again with `/boxes run all` or the re-run button.")


def test_a_fault_of_interlock_is_not_green_and_not_blamed_on_the_change() -> None:
    (check,) = made.internal_error("01J-42")
    assert check.conclusion == "action_required", "what did not run is not green, nor red"
    assert check.summary == snapshot("""\
Interlock could not run the boxes. The change is not to blame. Incident `01J-42`.

What helps: the re-run button; if it happens again, whoever runs Interlock finds the incident in its log.\
""")


def test_what_cannot_run_here_needs_an_action() -> None:
    (check,) = made.unable("no sandbox is available on this machine", hint="install bubblewrap")
    assert (check.conclusion, check.title) == ("action_required", "cannot run here")
    assert check.summary == snapshot("""\
Nothing ran: no sandbox is available on this machine.

What helps: install bubblewrap.\
""")


def noted(*failures: Failure, changed: ChangedLines = NO_LINES, most: int = 250) -> list[tuple[str, int, str]]:
    """Place and message of the notes of a red box."""
    events: list[Event] = [run_started(21), finished(21, Verdict.FAILED, failures=failures), run_finished(green=False)]
    shown = made.Shown(changed=changed, annotations=most)
    notes = checks(Progress.of(events), shown=shown, state=RunState.FINISHED)[1].annotations
    return [(note.path, note.start_line, note.message) for note in notes]


def test_failing_lines_of_the_change_are_noted_first() -> None:
    changed = ChangedLines({"calc.py": ((3, 2),)})
    other, ours = Failure(message="old", file="web.py", line=9), Failure(message="new", file="calc.py", line=4)
    assert noted(other, ours, changed=changed, most=1) == [("calc.py", 4, "new")]


def test_nothing_is_noted_twice() -> None:
    same = Failure(message="no", file="calc.py", line=4)
    assert noted(same, same, Failure(message="no", file="calc.py", line=5)) == [
        ("calc.py", 4, "no"),
        ("calc.py", 5, "no"),
    ]


def test_a_check_has_at_most_250_notes() -> None:
    assert len(noted(*(Failure(message=str(n), file="calc.py", line=n) for n in range(1, 400)))) == made.ANNOTATIONS


@pytest.mark.parametrize("state", list(RunState))
def test_only_a_finished_check_has_buttons_and_never_more_than_three(state: RunState) -> None:
    overall, *tiers = of(tier_two_red(), state)
    assert len(overall.buttons) == (3 if state is RunState.FINISHED else 0)
    assert not any(tier.buttons for tier in tiers)
    for button in overall.buttons:
        assert (len(button.label) <= 20, len(button.identifier) <= 20, len(button.description) <= 40) == (True,) * 3


def test_a_failure_says_how_it_was_run_and_where_its_whole_log_is() -> None:
    repro = Repro.of(SUBJECT, replace(Progress.of(tier_two_red()), sandbox="bubblewrap"))
    shown = made.Shown(run_url=f"{URL}?t=abc", repro=repro)
    text = checks(Progress.of(tier_two_red()), shown=shown, state=RunState.FINISHED)[2].text
    assert f"`runner run 21 --sandbox full --trust T1 --base {SUBJECT.base_sha[:12]}`" in text
    assert f"git merge --quiet --no-commit --no-ff {SUBJECT.head_sha}" in text


def test_the_whole_log_is_on_the_runs_own_pages_under_the_same_signature() -> None:
    assert log_url(f"{URL}?t=abc", "/somewhere/logs/api/21.1.log") == f"{URL}/logs/21.1.log?t=abc"
    assert log_url("", "21.1.log") == log_url(URL, "") == ""


@pytest.mark.parametrize(
    ("waits", "ends"),
    [
        pytest.param(True, ("in_progress", None), id="waits-for-the-other"),
        pytest.param(False, ("completed", "failure"), id="red-by-the-other"),
    ],
)
def test_green_is_not_green_before_it_is_for_every_pull_request_of_the_head(waits: bool, ends: tuple[str, str]) -> None:
    held = made.held_by(of(all_green())[0], 9, waits=waits)
    assert (held.status, held.conclusion) == ends
    assert "#9" in held.title


PROVED = Proof(box="7", title="Lint", answer="proven", reason="", reused=False)
BLIND = replace(PROVED, answer="blind")
SLOWER = Weakening(box="7", says="box 7 may take longer", file="", line=0, gone=True)


@pytest.mark.parametrize(
    ("known", "ends"),
    [
        pytest.param(Scrutiny(falsify="require"), ("in_progress", None), id="proofs-are-awaited"),
        pytest.param(
            Scrutiny(falsify="require", proofs=Proofs(boxes=(BLIND,))),
            ("completed", "failure"),
            id="a-proof-is-missing",
        ),
        pytest.param(
            Scrutiny(falsify="require", proofs=Proofs(boxes=(PROVED,))), ("completed", "success"), id="all-is-proved"
        ),
        pytest.param(
            Scrutiny(falsify="tell", proofs=Proofs(boxes=(BLIND,))), ("completed", "success"), id="proofs-are-told-only"
        ),
        pytest.param(
            Scrutiny(weakened=(SLOWER,), accepted=frozenset(), line="/ok-to-test x"),
            ("completed", "action_required"),
            id="a-stranger-weakens",
        ),
    ],
)
def test_a_green_run_ends_as_what_else_is_known_of_it_allows(known: Scrutiny, ends: tuple[str, str]) -> None:
    shown = checks(Progress.of(all_green()), shown=SHOWN, state=RunState.FINISHED, scrutiny=known)
    assert (shown[0].status, shown[0].conclusion) == ends
