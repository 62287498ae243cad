from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.commands.asked import (
    Approve,
    Cancel,
    Deploy,
    Explain,
    Falsify,
    Freeze,
    Help,
    LockUp,
    Mistake,
    Parsed,
    Promote,
    Reject,
    Rerun,
    RollBack,
    Run,
    Skip,
    Status,
    Unfreeze,
    Unlock,
    Why,
)
from bot.domain.commands.authority import Need
from bot.domain.commands.entry import Command, Surface
from bot.domain.commands.registry import MAX_BODY, REGISTRY, need_of, parse, parse_line, words_of
from bot.domain.commands.telling import description, help_text, reference

REPOSITORY = Path(__file__).parents[4]
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
PLAN = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CHRISTMAS = datetime(2026, 12, 24, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("comment", "parsed"),
    [
        pytest.param("/boxes run all", (Run("all"),), id="all"),
        pytest.param("/boxes run 21-41, tier:4", (Run("21-41, tier:4"),), id="a-selection-with-spaces"),
        pytest.param("/boxes run tier 4", (Run("tier 4"),), id="two-word-tier"),
        pytest.param("  /BOXES   Run   failed  ", (Run("failed"),), id="case-and-spaces"),
        pytest.param("/boxes cancel", (Cancel(),), id="cancel"),
        pytest.param(f"/boxes run all at {SHA}", (Run("all", SHA),), id="a-commit"),
        pytest.param(f"/boxes run 21 AT {SHA[:8].upper()}", (Run("21", SHA[:8]),), id="a-part-of-a-commit"),
        pytest.param("/boxes rerun", (Rerun("failed"),), id="rerun-takes-what-failed"),
        pytest.param("/boxes rerun all", (Rerun("all"),), id="rerun-all"),
        pytest.param(f"/boxes rerun at {SHA}", (Rerun("failed", SHA),), id="rerun-at-a-commit"),
        pytest.param('/boxes skip 21 because "clock is off"', (Skip("21", "clock is off"),), id="skip"),
        pytest.param("/boxes skip 21, 22 BECAUSE “so”", (Skip("21, 22", "so"),), id="curly-quotes-of-a-phone"),
        pytest.param(
            '/boxes skip 21 because "it says "no", see #7"', (Skip("21", 'it says "no", see #7'),), id="quotes"
        ),
        pytest.param(f'/boxes skip 21 at {SHA} because "x"', (Skip("21", "x", SHA),), id="skip-at-a-commit"),
        pytest.param("/boxes status", (Status(),), id="status"),
        pytest.param("/boxes why", (Why(),), id="why"),
        pytest.param("/boxes why api/21", (Why("api/21"),), id="why-of-a-box"),
        pytest.param("/boxes explain 21", (Explain("21"),), id="explain"),
        pytest.param("/boxes falsify", (Falsify("all"),), id="falsify"),
        pytest.param("/boxes falsify tier:2", (Falsify("tier:2"),), id="falsify-a-tier"),
        pytest.param('/freeze because "cut"', (Freeze("", None, "cut"),), id="freeze-all"),
        pytest.param('/freeze release/1.x because "cut"', (Freeze("release/1.x", None, "cut"),), id="freeze-a-branch"),
        pytest.param(
            '/freeze main until 2026-12-24T18:00+01:00 because "x"',
            (Freeze("main", CHRISTMAS, "x"),),
            id="freeze-until",
        ),
        pytest.param('/freeze until 2026-12-24 17:00 UTC because "x"', (Freeze("", CHRISTMAS, "x"),), id="until-utc"),
        pytest.param('/freeze until 2026-12-24t17:00z because "x"', (Freeze("", CHRISTMAS, "x"),), id="until-z"),
        pytest.param(
            '/freeze until 2026-12-24 because "x"',
            (Freeze("", datetime(2026, 12, 24, tzinfo=UTC), "x"),),
            id="a-date-is-its-first-moment",
        ),
        pytest.param("/unfreeze", (Unfreeze(),), id="unfreeze"),
        pytest.param("/unfreeze main", (Unfreeze("main"),), id="unfreeze-a-branch"),
        pytest.param("/deploy staging", (Deploy(environment="staging"),), id="deploy"),
        pytest.param(
            f"/deploy eu-west.1 --dry-run AT {SHA.upper()}",
            (Deploy(environment="eu-west.1", at=SHA, dry_run=True),),
            id="what-a-deployment-would-do",
        ),
        pytest.param(
            f"/deploy staging expect {PLAN} dry-run",
            (Deploy(environment="staging", expect=PLAN, dry_run=True),),
            id="a-plan-and-no-dashes",
        ),
        pytest.param("/deploy staging \u2014dry-run", (Deploy(environment="staging", dry_run=True),), id="long-dash"),
        pytest.param(
            '/deploy production break-glass at 4b825dc because "at last, for good"',
            (Deploy(environment="production", at="4b825dc", break_glass="at last, for good"),),
            id="break-glass",
        ),
        pytest.param("/approve production", (Approve(environment="production"),), id="approve"),
        pytest.param("/Approve 12", (Approve(environment="12"),), id="approve-by-number"),
        pytest.param(
            f"/approve production at {SHA} break-glass",
            (Approve(environment="production", at=SHA, break_glass=True),),
            id="approve-a-commit-and-a-broken-glass",
        ),
        pytest.param(
            f'/reject production at {SHA} because "no"',
            (Reject(environment="production", at=SHA, because="no"),),
            id="reject",
        ),
        pytest.param("/promote production", (Promote("production"),), id="promote"),
        pytest.param("/rollback production", (RollBack("production"),), id="rollback"),
        pytest.param('/rollback production because "slow"', (RollBack("production", "slow"),), id="rollback-why"),
        pytest.param("/lock staging", (LockUp(environment="staging"),), id="lock"),
        pytest.param(
            '/lock staging for 90m because "load"',
            (LockUp(environment="staging", seconds=5400.0, because="load"),),
            id="lock-for-a-time",
        ),
        pytest.param("/unlock staging", (Unlock("staging"),), id="unlock"),
        pytest.param("/help", (Help(""),), id="help"),
        pytest.param("/help run", (Help("run"),), id="help-on-a-verb"),
        pytest.param("/help /boxes run", (Help("run"),), id="help-on-a-whole-command"),
        pytest.param("Thanks!\n/boxes run 21\nand then\n/help", (Run("21"), Help("")), id="lines-of-a-paragraph"),
        pytest.param("/boxes run 1\r\n/boxes run 2\r\n", (Run("1"), Run("2")), id="windows-line-ends"),
        pytest.param("please /boxes run all", (), id="not-at-the-beginning"),
        pytest.param("/test all\n/lgtm\n/retest", (), id="other-bots"),
        pytest.param("/hold", (), id="another-bots-command-near-help"),
        pytest.param("/", (), id="a-slash"),
        pytest.param("//boxes run all", (), id="two-slashes"),
        pytest.param("/usr/bin/boxes run", (), id="a-path"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_what_a_comment_asks_for(comment: str, parsed: tuple[Parsed, ...]) -> None:
    assert parse(comment) == parsed


@pytest.mark.parametrize(
    "comment",
    [
        pytest.param("```\n/boxes run all\n```", id="fenced"),
        pytest.param("~~~sh\n/boxes run all\n~~~", id="fenced-with-tildes"),
        pytest.param("```\n/boxes run all", id="fenced-and-never-closed"),
        pytest.param("text\n\n    /boxes run all\n", id="indented"),
        pytest.param("`/boxes run all`", id="inline"),
        pytest.param("`a\n/boxes run all\nb`", id="inline-over-lines"),
        pytest.param("\\``\n/boxes run all\n`", id="inline-after-an-escaped-tick"),
        pytest.param("> /boxes run all", id="quote"),
        pytest.param("> somebody wrote\n/boxes run all", id="lazy-line-of-a-quote"),
        pytest.param("<!-- \n/boxes run all\n-->", id="html-comment"),
        pytest.param("see <!--\n/boxes run all\n--> this", id="html-comment-in-a-paragraph"),
        pytest.param("<details>\n/boxes run all\n</details>", id="html-block"),
        pytest.param("a <b>\n/boxes run all\n</b>", id="html-in-a-paragraph"),
        pytest.param("[so\n/boxes run all\n](http://x)", id="link-text"),
        pytest.param("[a]: \n/boxes\n'run all'", id="link-definition"),
        pytest.param("# /boxes run all", id="heading"),
        pytest.param("/boxes run all\n===", id="underlined-heading"),
        pytest.param("- /boxes run all", id="list"),
        pytest.param("1. a\n   /boxes run all", id="numbered-list"),
        pytest.param("| /boxes run all |\n|--|\n| /boxes run all |", id="table"),
        pytest.param("*so\n/boxes run all\nthere*", id="emphasis-over-lines"),
        pytest.param("\\/boxes run all", id="escaped"),
        pytest.param("&#47;boxes run all", id="entity"),
        pytest.param("On Mon, 2 Nov 2026 at 9:00, mona wrote:\n\n> /boxes run all", id="a-mail-that-quotes"),
        pytest.param("On Mon, 2 Nov 2026 mona <m@example.test> wrote:\n\n/boxes run all", id="a-mail-without-marks"),
        pytest.param(
            "ok\n\nOn Mon, 2 Nov 2026\nmona ***@***.***> wrote:\n\n/boxes run all", id="a-wrapped-introduction"
        ),
        pytest.param("On 2 November 2026 mona wrote:\n/boxes run all", id="a-mail-in-one-paragraph"),
        pytest.param("Am 2. November 2026 schrieb mona:\n\n/boxes run all", id="a-german-mail"),
        pytest.param("-----Original Message-----\nFrom: mona\n\n/boxes run all", id="the-other-kind-of-mail"),
    ],
)
@pytest.mark.requirement("S-18")
def test_a_command_that_is_only_shown_does_not_run(comment: str) -> None:
    assert parse(comment) == ()


@pytest.mark.requirement("S-16")
@pytest.mark.parametrize(
    ("comment", "said"),
    [
        pytest.param(
            "/boxes rnu all",
            ("/boxes rnu all", "`/boxes` does not know `rnu`", "did you mean `/boxes run`?", 8),
            id="a-slip-in-the-verb",
        ),
        pytest.param(
            "/boxs run all",
            ("/boxs run all", "there is no command `/boxs`", "did you mean `/boxes`?", 1),
            id="a-slip-in-the-name",
        ),
        pytest.param(
            "/boxes run",
            ("/boxes run", "it does not say which boxes", "try `/boxes run all` or `/boxes run failed`", 11),
            id="no-selection",
        ),
        pytest.param(
            "/boxes run all --force",
            ("/boxes run all --force", "there is no flag `--force`", "commands take none", 16),
            id="a-flag",
        ),
        pytest.param(
            '/freeze --all because "x"',
            ('/freeze --all because "x"', "there is no flag `--all`", "commands take none", 9),
            id="a-flag-for-a-branch",
        ),
        pytest.param(
            "/unfreeze main.lock",
            ("/unfreeze main.lock", "`main.lock` is not the name of a branch", "name one branch, or none for all", 11),
            id="what-git-takes-for-no-branch",
        ),
        pytest.param(
            '/boxes skip 1 because "' + "x" * 301 + '"',
            (None, "the reason has 301 characters", "300 is the most", 23),
            id="a-reason-that-is-too-long",
        ),
        pytest.param(
            "/boxes run 1-",
            ("/boxes run 1-", "cannot read `1-`", None, 12),
            id="half-a-range",
        ),
        pytest.param(
            "/boxes run changed:main",
            (
                "/boxes run changed:main",
                "`changed:` needs a working copy with its history, and the bot has none",
                "name the boxes, a tier or a tag",
                12,
            ),
            id="what-only-a-working-copy-knows",
        ),
        pytest.param(
            "/boxes run all at HEAD",
            ("/boxes run all at HEAD", "`head` is not the SHA of a commit", None, 16),
            id="a-commit-that-is-none",
        ),
        pytest.param(
            "/boxes run all at abc",
            ("/boxes run all at abc", "`abc` is not the SHA of a commit", None, 16),
            id="too-little-of-a-commit",
        ),
        pytest.param(
            "/boxes run **all**",
            ("/boxes run all", "a command cannot hold formatting, code or links", "write it as plain text", 0),
            id="formatting-inside",
        ),
        pytest.param(
            "/boxes run `21`",
            ("/boxes run 21", "a command cannot hold formatting, code or links", "write it as plain text", 0),
            id="code-inside-is-not-a-shorter-command",
        ),
        pytest.param(
            "/boxes run 2\u202e1",
            ("/boxes run 21", "it holds characters that nobody can see", "type it anew, in plain letters", 0),
            id="text-that-reads-the-other-way-round",
        ),
        pytest.param(
            "/boxes run 1\u2028/boxes run 2",
            ("/boxes run 1 /boxes run 2", "it holds characters that nobody can see", None, 0),
            id="a-line-end-that-markdown-does-not-know",
        ),
        pytest.param(
            "/boxes cancel all",
            ("/boxes cancel all", "`/boxes cancel` takes no argument", "leave it out", 15),
            id="cancel-with-an-argument",
        ),
        pytest.param("/boxes skip 21", ("/boxes skip 21", "it does not say why", None, 15), id="skip-without-a-reason"),
        pytest.param(
            "/boxes skip 21 because it is red",
            ("/boxes skip 21 because it is red", "the reason stands in no quotes, or something follows it", None, 24),
            id="a-reason-without-quotes",
        ),
        pytest.param(
            '/boxes skip 21 because ""', ('/boxes skip 21 because ""', "the reason is empty", None, 24), id="no-reason"
        ),
        pytest.param(
            '/boxes skip because "x"',
            ('/boxes skip because "x"', "it does not say which boxes", None, 13),
            id="skip-of-nothing",
        ),
        pytest.param("/boxes explain", ("/boxes explain", "it does not say which box", None, 15), id="explain-what"),
        pytest.param(
            "/boxes explain tier:1",
            ("/boxes explain tier:1", "`tier:1` is not the number of a box", None, 16),
            id="explain-a-tier",
        ),
        pytest.param(
            "/boxes explain ٢١",
            ("/boxes explain ٢١", "`٢١` is not the number of a box", None, 16),
            id="digits-of-another-alphabet",
        ),
        pytest.param(
            '/freeze main develop because "x"',
            ('/freeze main develop because "x"', "`develop` is one word too many", None, 14),
            id="two-branches",
        ),
        pytest.param(
            '/freeze ../main because "x"',
            ('/freeze ../main because "x"', "`../main` is not the name of a branch", None, 9),
            id="a-path-for-a-branch",
        ),
        pytest.param(
            '/freeze $(id) until 2026-12-24 because "x"',
            ('/freeze $(id) until 2026-12-24 because "x"', "`$(id)` is not the name of a branch", None, 9),
            id="a-shell-for-a-branch",
        ),
        pytest.param(
            '/freeze main until 2026-12-24T18:00 because "x"',
            ('/freeze main until 2026-12-24T18:00 because "x"', "`2026-12-24T18:00` has no time zone", None, 20),
            id="a-time-of-nowhere",
        ),
        pytest.param(
            '/freeze main until friday because "x"',
            ('/freeze main until friday because "x"', "`friday` is not a moment", None, 20),
            id="a-word-for-a-moment",
        ),
        pytest.param(
            '/freeze main until 2026-02-30 because "x"',
            ('/freeze main until 2026-02-30 because "x"', "`2026-02-30` is not in the calendar", None, 20),
            id="a-day-that-does-not-exist",
        ),
        pytest.param(
            '/freeze main until 0001-01-01T00:00+14:00 because "x"',
            (None, "`0001-01-01T00:00+14:00` is not in the calendar", None, 20),
            id="a-moment-before-time",
        ),
        pytest.param(
            "/deploy", ("/deploy", "it does not say which environment", "like so: `/deploy staging`", 8), id="nowhere"
        ),
        pytest.param(
            "/deploy ../staging",
            ("/deploy ../staging", "`../staging` is not the name of an environment", None, 9),
            id="a-path-for-an-environment",
        ),
        pytest.param(
            "/deploy staging production",
            ("/deploy staging production", "`production` is not understood here", None, 17),
            id="two-environments",
        ),
        pytest.param("/deploy staging at", ("/deploy staging at", "nothing follows `at`", None, 17), id="at-nothing"),
        pytest.param(
            "/deploy staging at main",
            ("/deploy staging at main", "`main` is not the SHA of a commit", None, 20),
            id="a-branch-for-a-commit",
        ),
        pytest.param(
            "/deploy staging dry-run --dry-run",
            ("/deploy staging dry-run --dry-run", "`--dry-run` is there twice", "write it once", 25),
            id="twice",
        ),
        pytest.param(
            f"/deploy staging expect {PLAN[:16]}",
            (
                f"/deploy staging expect {PLAN[:16]}",
                f"`{PLAN[:16]}` is not the whole hash of a plan",
                "a dry run tells it; it has 64 digits",
                24,
            ),
            id="a-part-of-a-plan",
        ),
        pytest.param(
            "/deploy staging break-glass",
            ("/deploy staging break-glass", "it does not say why", None, 17),
            id="a-glass-broken-for-nothing",
        ),
        pytest.param(
            '/deploy staging because "x"',
            ('/deploy staging because "x"', "only `break-glass` takes a reason", None, 16),
            id="a-reason-for-nothing",
        ),
        pytest.param("/reject production", ("/reject production", "it does not say why", None, 19), id="no-why"),
        pytest.param(
            "/lock staging for ever",
            (None, "`ever` is no such time", "write it like `30m`, `2h` or `3d`; 30 days are the most", 19),
            id="locked-for-ever",
        ),
        pytest.param("/lock staging for 31d", (None, "`31d` is no such time", None, 19), id="locked-for-too-long"),
        pytest.param("/lock staging for 0m", (None, "`0m` is no such time", None, 19), id="locked-for-nothing"),
        pytest.param(
            "/unlock staging for 2h", (None, "`for` is not understood here", None, 17), id="unlocked-for-a-time"
        ),
        pytest.param(
            "/help rnu", ("/help rnu", "there is no help on `rnu`", "did you mean `/help run`?", 7), id="help-on-a-slip"
        ),
    ],
)
def test_a_slip_gets_its_place_and_the_way_out(
    comment: str, said: tuple[str | None, str | None, str | None, int]
) -> None:
    (mistake,) = parse(comment)
    assert isinstance(mistake, Mistake)
    found = (mistake.text, mistake.because, mistake.hint, mistake.column)
    assert [left for left, right in zip(found, said, strict=True) if right is not None] == [
        right for right in said if right is not None
    ]


@pytest.mark.parametrize(
    "comment",
    [
        pytest.param('/boxes s\u212aip 1 because "x"', id="kelvin"),
        pytest.param("/boxe\u017f run all", id="long-s"),
        pytest.param("/b\u043exes run all", id="cyrillic-o"),
        pytest.param("\uff0fboxes run all", id="a-wide-slash"),
        pytest.param("/boxes r\u200bun all", id="an-invisible-space"),
        pytest.param("\u200b/boxes run all", id="an-invisible-space-in-front"),
    ],
)
@pytest.mark.requirement("S-16")
def test_what_only_looks_like_a_command_is_none(comment: str) -> None:
    assert [parsed for parsed in parse(comment) if not isinstance(parsed, Mistake)] == []


def test_a_selection_that_cannot_be_read_says_why() -> None:
    (mistake,) = parse("/boxes run tier:x")
    assert isinstance(mistake, Mistake)
    assert mistake.text == "/boxes run tier:x"
    assert mistake.because
    assert mistake.hint


def test_five_commands_are_carried_out_and_six_are_one_mistake() -> None:
    assert len(parse("\n".join(["/help"] * 5))) == 5
    (mistake,) = parse("\n".join(["/boxes run 1"] * 6))
    assert isinstance(mistake, Mistake)
    assert mistake.because == "there are 6 commands in one comment, and 5 is the most"
    assert need_of(mistake) is Need.WRITE


def test_a_mistake_shows_a_long_line_short() -> None:
    (mistake,) = parse("/boxes run " + "21 " * 3000 + "(")
    assert isinstance(mistake, Mistake)
    assert len(mistake.text) <= 100


MARKS = ["`", "```", "> ", "\n", " ", "<!--", "*", "[", "](x)", "\\", "\x00", "\u202e"]
PARTS = [
    "because",
    '"why"',
    "at",
    SHA,
    "until",
    "2026-12-24",
    "skip",
    "/deploy",
    "/lock",
    "for",
    "2h",
    "--dry-run",
    "break-glass",
    "expect",
    "/freeze",
    "explain",
    "--flag",
    "\u2028",
    "\ufeff",
]
WORDS = st.sampled_from(
    ["/", "/boxes", "/BOXES", "run", "cancel", "/help", "all", "21", "tier:", "(", "not", *MARKS, *PARTS]
)


@pytest.mark.requirement("S-16")
@given(st.text() | st.lists(WORDS, max_size=20).map("".join) | st.lists(WORDS, max_size=20).map(" ".join))
@example("/")
@example("/\n/")
@example("/boxes run \x00")
@example("/boxes run " + "(" * 5000)
@example("/boxes run " + "not " * 5000)
@example("[" * 5000 + "/boxes")
@example("> " * 5000 + "/boxes run all")
@example("/boxes run $(id)")
@example("/boxes run `x`; rm -rf /")
@example("/boxes run ../../etc/passwd")
@example("/boxes run -rf")
@example("/boxes run \u202eall")
@example("/boxes run 1\r/boxes run 2")
@example("/boxes skip 1 because " + '"' * 9)
@example('/freeze until 9999-12-31T23:59-14:00 because "x"')
@example("/boxes run " + "1" * 65_600)
@example("/" * 65_536)
def test_no_comment_can_make_the_parser_raise(comment: str) -> None:
    for parsed in parse(comment):
        assert isinstance(parsed, Mistake) or type(parsed) in {command.kind for command in REGISTRY}


@pytest.mark.requirement("S-18")
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_nothing_after_a_quote_mark_on_its_line_is_a_command(line: str) -> None:
    quoted = "\n".join(f"> {part}" for part in f"/boxes run all {line}".splitlines())
    assert parse(quoted) == ()


def test_the_overview_lists_every_command() -> None:
    assert help_text() == snapshot("""\
| command | |
|--|--|
| `/boxes run <selection> [at <sha>]` | run boxes of this pull request |
| `/boxes rerun [failed\\|all\\|<selection>] [at <sha>]` | run again what is red and what it held back |
| `/boxes cancel` | end what runs for this pull request |
| `/boxes skip <selection> [at <sha>] because "<why>"` | let boxes not gate on this commit |
| `/boxes status` | tell how the runs of the head stand |
| `/boxes why [box]` | tell what holds this pull request, and who can change it |
| `/boxes explain <box>` | tell all that is known of one box |
| `/boxes falsify [selection] [at <sha>]` | prove now that boxes can turn red |
| `/ok-to-test <sha>` | let the boxes of one commit of a stranger run |
| `/freeze [branch] [until <moment>] because "<why>"` | hold every pull request into a branch |
| `/unfreeze [branch]` | lift a freeze |
| `/deploy <environment> [at <sha>] [--dry-run] [expect <hash>] [break-glass because "<why>"]` | put a commit into an environment |
| `/approve <environment> [at <sha>] [break-glass]` | say yes to what waits for an environment |
| `/reject <environment> [at <sha>] because "<why>"` | say no to what waits for an environment |
| `/promote <environment>` | let a release that is held, or a canary, go on |
| `/rollback <environment> [because "<why>"]` | bring an environment back to its last good release |
| `/lock <environment> [for <time>] [because "<why>"]` | keep others out of an environment |
| `/unlock <environment>` | let others into an environment again |
| `/help [command]` | explain the commands |

A command is a line of plain text that begins with `/`. Upper and lower case are the same. Code, quotes, lists, headings, tables, links and HTML are not read.
""")  # noqa: E501 - prose has no line ends.


def test_help_on_a_command_shows_examples() -> None:
    assert help_text("run") == snapshot("""\
### `/boxes run <selection> [at <sha>]`

Runs the selected boxes on the current head, merged into its base. Verdicts of other boxes on the same head stay in force, so a part is tested on the base that they are about, and `all` on the base of now. It begins when earlier runs of this head have ended. With `at`, it runs only if that commit is the head; on a fork's pull request the whole SHA is needed. `changed:` is not for comments: the bot tests a copy without history.

Who: write, maintain or admin.

| example | |
|--|--|
| `/boxes run all` | every box |
| `/boxes run failed` | the boxes that were not green last time |
| `/boxes run 21` | one box |
| `/boxes run 21-41, tier:4` | a range and a tier |
| `/boxes run tag:smoke and not 30` | smoke boxes, without box 30 |
| `/boxes run all at 4b825dc642cb6eb9a060e54bf8d69288fbee4904` | every box, if that is still the head |
""")  # noqa: E501 - prose has no line ends.


@pytest.mark.parametrize("command", REGISTRY, ids=lambda command: command.topic)
def test_every_example_in_the_help_is_a_command_that_works(command: Command) -> None:
    for text, _ in command.examples:
        (parsed,) = parse(text)
        assert not isinstance(parsed, Mistake)


def test_the_reference_page_is_what_the_registry_says() -> None:
    page = REPOSITORY / "docs" / "reference" / "commands.md"
    assert page.read_text() == reference(), "write what bot.domain.commands.telling.reference() returns to it"


SHOWN_INSIDE = {
    "a fence": lambda text: f"```\n{text}\n```",
    "a quote": lambda text: "\n".join(f"> {line}" for line in text.splitlines()),
    "indentation": lambda text: "\n".join(f"    {line}" for line in text.splitlines()),
    "an HTML comment": lambda text: f"<!--\n{text}\n-->",
    "a mail": lambda text: f"On 2 November 2026 mona wrote:\n\n{text}",
}
COMMAND_LINES = st.sampled_from([text for command in REGISTRY for text, _ in command.examples])


@pytest.mark.requirement("S-18")
@pytest.mark.parametrize("inside", SHOWN_INSIDE)
@given(said=st.lists(COMMAND_LINES, min_size=1, max_size=4))
def test_no_command_is_read_out_of(inside: str, said: list[str]) -> None:
    assert parse(SHOWN_INSIDE[inside]("\n".join(said))) == ()


@given(said=st.lists(COMMAND_LINES, min_size=1, max_size=5), before=st.sampled_from(["", "Thanks!\n\n", "ok\n"]))
def test_each_of_several_lines_is_read_as_it_is_alone(said: list[str], before: str) -> None:
    assert parse(before + "\n".join(said)) == tuple(parse(line)[0] for line in said)


def test_the_longest_comment_of_commands_is_read_in_time_that_its_length_explains() -> None:
    began = time.process_time()
    [parsed] = parse("/x\n" * 1_000 + "/help\n" * 6)
    short = time.process_time() - began
    assert isinstance(parsed, Mistake)
    parse("/x\n" * 20_000)
    assert time.process_time() - began - short < max(20 * short * 4, 2.0)


def test_what_is_longer_than_a_comment_can_be_is_not_read() -> None:
    assert parse("x" * MAX_BODY + "\n\n/boxes run all") == ()


@pytest.mark.parametrize(
    ("text", "because"),
    [
        pytest.param("boxes run all", "it is not one command", id="no-slash"),
        pytest.param("/boxes run 1\n/boxes run 2", "it is not one command", id="two-lines"),
        pytest.param("/hold production", "there is no command `/hold`", id="somebody-elses"),
    ],
)
def test_who_types_one_command_hears_of_every_slip(text: str, because: str) -> None:
    mistake = parse_line(text, Surface.REST)
    assert isinstance(mistake, Mistake)
    assert mistake.because == because


def test_one_command_may_hold_what_markdown_would_take_for_formatting() -> None:
    assert parse_line('/boxes skip 21 because "see `x` and *y*"', Surface.REST) == Skip("21", "see `x` and *y*")


def test_a_verb_that_a_place_does_not_offer_is_refused_there() -> None:
    mistake = parse_line("/boxes cancel", Surface.BUTTON)
    assert isinstance(mistake, Mistake)
    assert mistake.because == "`/boxes cancel` is not offered here"
    assert mistake.hint == "it is for comments and reviews, `interlock command`, REST"


def test_a_slip_needs_what_its_verb_needs() -> None:
    (slip,) = parse("/boxes skip 21")
    (harmless,) = parse("/boxes explain")
    assert (need_of(slip).name, need_of(harmless).name) == ("WRITE", "NOTHING")


def test_every_verb_is_told_by_its_words() -> None:
    assert {words_of(parse(command.examples[0][0])[0]) for command in REGISTRY} == {" ".join(c.words) for c in REGISTRY}


def test_the_description_names_every_verb_with_what_it_needs() -> None:
    told = description()
    assert isinstance(told["commands"], list)
    assert [(" ".join(one["words"]), one["need"]) for one in told["commands"]] == [
        (" ".join(command.words), command.need.name.lower()) for command in REGISTRY
    ]
