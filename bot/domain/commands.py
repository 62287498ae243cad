"""What people can ask for in a comment: one registry from which parsing, help and the reference page come.

A command is a line of a plain paragraph whose first character is `/`. Code, quotes, lists, headings, tables, links and
HTML are somebody showing something, not asking for it. Other bots' commands are none of our business and stay silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.domain.spelling import nearest
from bot.domain.text import code, one_line
from bot.domain.trust import WRITERS
from runner.errors import BadSelection
from runner.select import parse as parse_selection

MAX_COMMANDS = 5
"""Commands that one comment may hold."""

MAX_BODY = 65_536
"""Characters of a comment that are read; GitHub stores no more."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run the boxes that `selection` names; it was read without a mistake, but may name boxes that do not exist."""

    selection: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """End what runs for this pull request."""


@dataclass(frozen=True, slots=True)
class OkToTest:
    """Let a commit of a stranger run; `sha` is what was written, and may be anything."""

    sha: str


@dataclass(frozen=True, slots=True)
class Help:
    """Explain `topic`, a key of `TOPICS`; "" asks for the overview."""

    topic: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that was meant for us and cannot be done. Both sentences are plain text without a full stop."""

    text: str
    because: str
    hint: str


Parsed = Run | Cancel | OkToTest | Help | Mistake


@dataclass(frozen=True, slots=True)
class Allowed:
    """The commenter may steer runs."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The commenter may not; `because` is a sentence without a full stop."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An entry of the registry. `read` gets what follows the words, and the whole line for its mistakes."""

    words: tuple[str, ...]
    argument: str
    summary: str
    details: str
    examples: tuple[tuple[str, str], ...]
    who: str
    read: Callable[[str, str], Parsed]

    @property
    def usage(self) -> str:
        """The command as one types it."""
        return f"/{' '.join(self.words)} {self.argument}".strip()

    @property
    def topic(self) -> str:
        """Its key for help: the last word."""
        return self.words[-1]


def may_command(permission: str) -> Allowed | Refused:
    """Whether someone with this permission in the repository, read now, may steer runs. Asking for help needs none."""
    if permission in WRITERS:
        return Allowed()
    return Refused("only people with write permission in this repository can steer runs")


def parse(body: str) -> tuple[Parsed, ...]:
    """The commands of a comment in order; empty when it holds none.

    No text makes it raise. More than `MAX_COMMANDS` is one mistake and nothing else, so that nobody has to guess which
    of them were carried out.
    """
    if "/" not in body:
        return ()
    found = tuple(parsed for line in _lines(body[:MAX_BODY]) if (parsed := _command(line)) is not None)
    if len(found) > MAX_COMMANDS:
        because = f"there are {len(found)} commands in one comment, and {MAX_COMMANDS} is the most"
        return (Mistake("", because, "nothing was started; send fewer at a time"),)
    return found


def help_text(topic: str = "") -> str:
    """The answer to `/help [command]` as Markdown. An unknown topic gets the overview."""
    if command := TOPICS.get(topic):
        return _entry(command)
    rows = "\n".join(f"| `{command.usage}` | {command.summary} |" for command in REGISTRY)
    return f"| command | |\n|--|--|\n{rows}\n\n{_GRAMMAR}\n"


def reference() -> str:
    """The text of docs/reference/commands.md."""
    entries = "\n".join(_entry(command).replace("### ", "## ", 1) for command in REGISTRY)
    return f"# Comment commands\n\n{_GRAMMAR}\n\n{_LIMITS}\n\n{_ANSWERS}\n\n{entries}\n{_BUTTONS}\n"


def _run(argument: str, line: str) -> Parsed:
    if not argument:
        return Mistake(line, "it does not say which boxes", "try `/boxes run all` or `/boxes run failed`")
    try:
        parse_selection(argument)
    except BadSelection as bad:
        return Mistake(line, bad.message, bad.hint or "see `/help run`")
    return Run(argument)


def _cancel(argument: str, line: str) -> Parsed:
    if argument:
        return Mistake(line, "`/boxes cancel` takes no argument", "it ends all that runs for this pull request")
    return Cancel()


def _ok_to_test(argument: str, line: str) -> Parsed:
    if len(argument.split()) != 1:
        return Mistake(line, "it needs one commit SHA, in full", "the check `Interlock` has the line ready to copy")
    return OkToTest(argument)


def _help(argument: str, line: str) -> Parsed:
    words = argument.lower().removeprefix("/").split()
    if words[:1] == ["boxes"]:
        words = words[1:]
    topic = " ".join(words)
    if not topic or topic in TOPICS:
        return Help(topic)
    return Mistake(line, f"there is no help on {code(topic, 60)}", _did_you_mean(topic, TOPICS, "/help "))


REGISTRY = (
    Command(
        words=("boxes", "run"),
        argument="<selection>",
        summary="run boxes of this pull request",
        details=(
            "Runs the selected boxes on the current head, merged into its base. Verdicts of other boxes on the same "
            "head stay in force, so a part is tested on the base that they are about, and `all` on the base of now. "
            "It begins when earlier runs of this head have ended. `changed:` is not for comments: "
            "the bot tests a copy without history."
        ),
        examples=(
            ("/boxes run all", "every box"),
            ("/boxes run failed", "the boxes that were not green last time"),
            ("/boxes run 21", "one box"),
            ("/boxes run 21-41, tier:4", "a range and a tier"),
            ("/boxes run tag:smoke and not 30", "smoke boxes, without box 30"),
        ),
        who="write, maintain or admin",
        read=_run,
    ),
    Command(
        words=("boxes", "cancel"),
        argument="",
        summary="end what runs for this pull request",
        details=("Ends what runs or waits for this pull request. Its checks conclude `cancelled`, which is not green."),
        examples=(("/boxes cancel", "end it now"),),
        who="write, maintain or admin",
        read=_cancel,
    ),
    Command(
        words=("ok-to-test",),
        argument="<sha>",
        summary="let a stranger's commit run",
        details=(
            "Lets this commit run although nobody with write permission has written it: in a full sandbox, without "
            "network and secrets. The SHA must be the head's, in full. The next push needs another permit. It also "
            "accepts what the check has listed as weakened by then."
        ),
        examples=(("/ok-to-test 3f785c7a1d9e40d1b8e3c9a9f6b2f0a1c5d7e8f9", "let this commit run, and no other"),),
        who="write, maintain or admin",
        read=_ok_to_test,
    ),
    Command(
        words=("help",),
        argument="[command]",
        summary="explain the commands",
        details="Answers with the list of commands, or with one of them in full.",
        examples=(("/help", "the list"), ("/help run", "one command")),
        who="everyone who can comment",
        read=_help,
    ),
)
TOPICS = {command.topic: command for command in REGISTRY}
_FIRST_WORDS = frozenset(command.words[0] for command in REGISTRY)

_GRAMMAR = (
    "A command is a line of plain text that begins with `/`. Upper and lower case are the same. "
    "Code, quotes, lists, headings, tables, links and HTML are not read."
)
_LIMITS = (
    f"A comment may hold up to {MAX_COMMANDS} commands, one on each line. All of them are read and authorised before "
    "the first is carried out. Only new comments are read: editing one does nothing. Comments of bots are not read."
)

_ANSWERS = (
    "The bot reacts to a comment with 👀 when it has read a command in it, with 🚀 when all of it is carried out, and "
    "with 😕 when nothing is; then it answers with the reason."
)
_BUTTONS = (
    "## Re-run buttons\n\n"
    "*Re-run* on the check of a tier runs that tier's boxes again and keeps the verdicts of the others. *Re-run* on "
    "the check `Interlock`, and *Re-run all checks*, run every box. GitHub offers the buttons to people with write "
    "permission."
)


def _entry(command: Command) -> str:
    rows = "\n".join(f"| `{text}` | {meaning} |" for text, meaning in command.examples)
    return f"### `{command.usage}`\n\n{command.details}\n\nWho: {command.who}.\n\n| example | |\n|--|--|\n{rows}\n"


def _command(line: _Line) -> Parsed | None:
    first, _, rest = line.text.removeprefix("/").partition(" ")
    first, rest = first.lower(), rest.strip()
    shown = one_line(line.text, 100)
    if first not in _FIRST_WORDS:
        meant = nearest(first, _FIRST_WORDS) if first.isalpha() else None
        return (
            Mistake(shown, f"there is no command {code(f'/{first}')}", f"did you mean `/{meant}`?") if meant else None
        )
    if not line.is_plain:
        return Mistake(shown, "a command cannot hold formatting, code or links", "write it as plain text")
    for command in REGISTRY:
        if (first, *rest.lower().split()[: len(command.words) - 1]) == command.words:
            argument = rest.split(maxsplit=len(command.words) - 1)[len(command.words) - 1 :]
            return command.read(argument[0].strip() if argument else "", shown)
    verbs = [command.words[1] for command in REGISTRY if command.words[0] == first and len(command.words) > 1]
    verb = rest.split(maxsplit=1)[0].lower() if rest else ""
    because = f"{code(f'/{first}')} does not know {code(verb, 60)}" if verb else f"{code(f'/{first}')} needs a verb"
    return Mistake(shown, because, _did_you_mean(verb, verbs, f"/{first} "))


def _did_you_mean(word: str, known: object, prefix: str) -> str:
    choices = sorted(str(one) for one in known) if isinstance(known, dict | list) else []
    if meant := nearest(word, choices):
        return f"did you mean `{prefix}{meant}`?"
    return "there is " + ", ".join(f"`{prefix}{choice}`" for choice in choices)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a paragraph that begins with `/`; `is_plain` when all of it is text."""

    text: str
    is_plain: bool


# Escapes and entities stay tokens of their own without text_join: `\/boxes` is somebody who does not want a command.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("text_join")


def _lines(body: str) -> Iterator[_Line]:
    tokens = _MARKDOWN.parse(body)
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0 and token.type == "inline":
            yield from _lines_of(token.children or [])


def _lines_of(children: list[Token]) -> Iterator[_Line]:
    if any(child.type == "html_inline" for child in children):
        return  # a tag may span lines, and what stands inside it is not ours to guess.
    line: list[Token] = []
    depth = 0
    for child in [*children, Token("softbreak", "", 0)]:
        if child.type in {"softbreak", "hardbreak"}:
            if found := _as_line(line, depth):
                yield found
            line = []
        else:
            line.append(child)
        depth += child.nesting


def _as_line(tokens: list[Token], depth_after: int) -> _Line | None:
    """The line, if it begins with a slash outside of any emphasis or link."""
    depth_before = depth_after - sum(token.nesting for token in tokens)
    if depth_before or not tokens or tokens[0].type != "text" or not tokens[0].content.lstrip().startswith("/"):
        return None
    text = "".join(token.content for token in tokens).strip()
    return _Line(text, all(token.type in {"text", "text_special"} for token in tokens))
