from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain import commands
from bot.domain.commands import Allowed, Cancel, Help, Mistake, Refused, Run, help_text, may_command, parse

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("comment", "parsed"),
    [
        pytest.param("/boxes run all", (Run("all"),), id="all"),
        pytest.param("/boxes run 21-41, tier:4", (Run("21-41, tier:4"),), id="a-selection-with-spaces"),
        pytest.param("/boxes run tier 4", (Run("tier 4"),), id="two-word-tier"),
        pytest.param("  /BOXES   Run   failed  ", (Run("failed"),), id="case-and-spaces"),
        pytest.param("/boxes cancel", (Cancel(),), id="cancel"),
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
def test_what_a_comment_asks_for(comment: str, parsed: tuple[commands.Parsed, ...]) -> None:
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
    ],
)
def test_a_command_that_is_only_shown_does_not_run(comment: str) -> None:
    assert parse(comment) == ()


@pytest.mark.parametrize(
    ("comment", "mistake"),
    [
        pytest.param(
            "/boxes rnu all",
            Mistake("/boxes rnu all", "`/boxes` does not know `rnu`", "did you mean `/boxes run`?"),
            id="a-slip-in-the-verb",
        ),
        pytest.param(
            "/boxs run all",
            Mistake("/boxs run all", "there is no command `/boxs`", "did you mean `/boxes`?"),
            id="a-slip-in-the-name",
        ),
        pytest.param(
            "/boxes",
            Mistake("/boxes", "`/boxes` needs a verb", "there is `/boxes cancel`, `/boxes run`"),
            id="no-verb",
        ),
        pytest.param(
            "/boxes explain",
            Mistake("/boxes explain", "`/boxes` does not know `explain`", "there is `/boxes cancel`, `/boxes run`"),
            id="an-unknown-verb",
        ),
        pytest.param(
            "/boxes run",
            Mistake("/boxes run", "it does not say which boxes", "try `/boxes run all` or `/boxes run failed`"),
            id="no-selection",
        ),
        pytest.param(
            "/boxes run **all**",
            Mistake("/boxes run all", "a command cannot hold formatting, code or links", "write it as plain text"),
            id="formatting-inside",
        ),
        pytest.param(
            "/boxes run `21`",
            Mistake("/boxes run 21", "a command cannot hold formatting, code or links", "write it as plain text"),
            id="code-inside-is-not-a-shorter-command",
        ),
        pytest.param(
            "/boxes cancel all",
            Mistake(
                "/boxes cancel all",
                "`/boxes cancel` takes no argument",
                "it ends all that runs for this pull request",
            ),
            id="cancel-with-an-argument",
        ),
        pytest.param(
            "/help rnu",
            Mistake("/help rnu", "there is no help on `rnu`", "did you mean `/help run`?"),
            id="help-on-a-slip",
        ),
    ],
)
def test_a_slip_gets_the_way_out(comment: str, mistake: Mistake) -> None:
    assert parse(comment) == (mistake,)


def test_a_selection_that_cannot_be_read_says_why() -> None:
    (mistake,) = parse("/boxes run tier:x")
    assert isinstance(mistake, Mistake)
    assert mistake.text == "/boxes run tier:x"
    assert mistake.because
    assert mistake.hint


def test_five_commands_are_carried_out_and_six_are_one_mistake() -> None:
    assert len(parse("\n".join(["/help"] * 5))) == 5
    assert parse("\n".join(["/boxes run 1"] * 6)) == (
        Mistake(
            "", "there are 6 commands in one comment, and 5 is the most", "nothing was started; send fewer at a time"
        ),
    )


def test_a_mistake_shows_a_long_line_short() -> None:
    (mistake,) = parse("/boxes run " + "21 " * 3000 + "(")
    assert isinstance(mistake, Mistake)
    assert len(mistake.text) <= 100


MARKS = ["`", "```", "> ", "\n", " ", "<!--", "*", "[", "](x)", "\\", "\x00", "\u202e"]
WORDS = st.sampled_from(["/", "/boxes", "/BOXES", "run", "cancel", "/help", "all", "21", "tier:", "(", "not", *MARKS])


@given(st.text() | st.lists(WORDS, max_size=20).map("".join) | st.lists(WORDS, max_size=20).map(" ".join))
@example("/")
@example("/\n/")
@example("/boxes run \x00")
@example("/boxes run " + "(" * 5000)
@example("/boxes run " + "not " * 5000)
@example("[" * 5000 + "/boxes")
@example("> " * 5000 + "/boxes run all")
@example("/boxes run $(id)")
def test_no_comment_can_make_the_parser_raise(comment: str) -> None:
    for parsed in parse(comment):
        assert isinstance(parsed, Run | Cancel | Help | Mistake)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_nothing_after_a_quote_mark_on_its_line_is_a_command(line: str) -> None:
    quoted = "\n".join(f"> {part}" for part in f"/boxes run all {line}".splitlines())
    assert parse(quoted) == ()


@pytest.mark.parametrize("permission", ["admin", "maintain", "write"])
def test_writers_may_steer_runs(permission: str) -> None:
    assert may_command(permission) == Allowed()


@pytest.mark.parametrize("permission", ["triage", "read", "none", "", "OWNER", "Write"])
def test_nobody_else_may(permission: str) -> None:
    assert may_command(permission) == Refused("only people with write permission in this repository can steer runs")


def test_the_overview_lists_every_command() -> None:
    assert help_text() == snapshot("""\
| command | |
|--|--|
| `/boxes run <selection>` | run boxes of this pull request |
| `/boxes cancel` | end what runs for this pull request |
| `/ok-to-test <sha>` | let a stranger's commit run |
| `/help [command]` | explain the commands |

A command is a line of plain text that begins with `/`. Upper and lower case are the same. Code, quotes, lists, headings, tables, links and HTML are not read.
""")  # noqa: E501 - prose has no line ends.


def test_help_on_a_command_shows_examples() -> None:
    assert help_text("run") == snapshot("""\
### `/boxes run <selection>`

Runs the selected boxes on the current head, merged into its base. Verdicts of other boxes on the same head stay in force, so a part is tested on the base that they are about, and `all` on the base of now. It begins when earlier runs of this head have ended. `changed:` is not for comments: the bot tests a copy without history.

Who: write, maintain or admin.

| example | |
|--|--|
| `/boxes run all` | every box |
| `/boxes run failed` | the boxes that were not green last time |
| `/boxes run 21` | one box |
| `/boxes run 21-41, tier:4` | a range and a tier |
| `/boxes run tag:smoke and not 30` | smoke boxes, without box 30 |
""")  # noqa: E501 - prose has no line ends.


@pytest.mark.parametrize("command", commands.REGISTRY, ids=lambda command: command.topic)
def test_every_example_in_the_help_is_a_command_that_works(command: commands.Command) -> None:
    for text, _ in command.examples:
        (parsed,) = parse(text)
        assert not isinstance(parsed, Mistake)


def test_the_reference_page_is_what_the_registry_says() -> None:
    page = REPOSITORY / "docs" / "reference" / "commands.md"
    assert page.read_text() == commands.reference(), "write what bot.domain.commands.reference() returns to it"
