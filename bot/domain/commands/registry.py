"""Every verb that people have, and how a line of text becomes what it asks for. A verb that does not work is not here.

Comments, review bodies, buttons, REST and the command line are read by this module and by no other.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.commands import arguments as args
from bot.domain.commands.arguments import Argument, Slip
from bot.domain.commands.asked import (
    Asked,
    Cancel,
    Explain,
    Falsify,
    Freeze,
    Help,
    Mistake,
    OkToTest,
    Parsed,
    Rerun,
    Run,
    Skip,
    Status,
    Unfreeze,
    Why,
)
from bot.domain.commands.authority import Need
from bot.domain.commands.deploying import VERBS
from bot.domain.commands.entry import TYPED, Command, Surface, places
from bot.domain.commands.markdown import Line, lines
from bot.domain.spelling import nearest
from bot.domain.text import clean, code, one_line

MAX_COMMANDS = 5
"""Commands that one comment may hold."""

MAX_BODY = 65_536
"""Characters of a comment that are read; GitHub stores no more."""


def parse(body: str) -> tuple[Parsed, ...]:
    """The commands of a comment or a review in order; empty when it holds none.

    No text makes it raise. More than `MAX_COMMANDS` is one mistake and nothing else, so that nobody has to guess which
    of them were carried out.
    """
    if "/" not in body:
        return ()
    found = tuple(parsed for line in lines(body[:MAX_BODY]) if (parsed := _command(line, Surface.COMMENT)) is not None)
    if len(found) > MAX_COMMANDS:
        because = f"there are {len(found)} commands in one comment, and {MAX_COMMANDS} is the most"
        return (Mistake("", because, "nothing was done; send fewer at a time", need=Need.WRITE),)
    return found


def parse_line(text: str, surface: Surface) -> Parsed:
    """The one command that `text` is, as somebody typed it who wants a command and nothing else."""
    line = text.strip()
    if not line.startswith("/") or "\n" in line:
        return Mistake(one_line(text, 100), "it is not one command", "one line that begins with `/`; see `/help`")
    parsed = _command(Line(line[:MAX_BODY], is_plain=True), surface)
    if parsed is not None:
        return parsed
    first = line.split(maxsplit=1)[0]
    return Mistake(one_line(line, 100), f"there is no command {code(first, 60)}", _choices(_FIRST_WORDS, "/"), 1)


def need_of(parsed: Parsed) -> Need:
    """What somebody needs for this."""
    if isinstance(parsed, Mistake):
        return parsed.need
    return next(command.need for command in REGISTRY if command.kind is type(parsed))


def is_of_pull(asked: Asked) -> bool:
    """Whether it is about a pull request, and so cannot be asked of a repository."""
    return next(command.of_pull for command in REGISTRY if command.kind is type(asked))


def words_of(parsed: Parsed) -> str:
    """How the verb is called where people look it up (`boxes run`); `mistake` for what could not be read."""
    if isinstance(parsed, Mistake):
        return "mistake"
    return next(" ".join(command.words) for command in REGISTRY if command.kind is type(parsed))


def _run(argument: Argument) -> Run:
    which, at = args.at_commit(argument)
    return Run(args.selection(which, missing="try `/boxes run all` or `/boxes run failed`"), at)


def _rerun(argument: Argument) -> Rerun:
    which, at = args.at_commit(argument)
    return Rerun(args.selection(which, default="failed"), at)


def _cancel(argument: Argument) -> Cancel:
    args.nothing(argument, "/boxes cancel")
    return Cancel()


def _skip(argument: Argument) -> Skip:
    example = '/boxes skip 21 because "the clock of the test machine is off"'
    rest, why = args.reason(argument, example)
    which, at = args.at_commit(rest)
    return Skip(args.selection(which, missing=f"like so: {code(example)}"), why, at)


def _status(argument: Argument) -> Status:
    args.nothing(argument, "/boxes status")
    return Status()


def _why(argument: Argument) -> Why:
    return Why(args.box(argument, optional=True))


def _explain(argument: Argument) -> Explain:
    return Explain(args.box(argument))


def _falsify(argument: Argument) -> Falsify:
    which, at = args.at_commit(argument)
    return Falsify(args.selection(which, default="all"), at)


def _ok_to_test(argument: Argument) -> OkToTest:
    return OkToTest(args.commit(argument, "/ok-to-test <sha>"))


def _freeze(argument: Argument) -> Freeze:
    rest, why = args.reason(argument, '/freeze main until 2026-12-24T18:00Z because "the release is being cut"')
    where, until = args.until(rest)
    return Freeze(args.branch(where), until, why)


def _unfreeze(argument: Argument) -> Unfreeze:
    return Unfreeze(args.branch(argument))


def _help(argument: Argument) -> Help:
    words = argument.text.lower().removeprefix("/").split()
    if words[:1] == ["boxes"]:
        words = words[1:]
    topic = " ".join(words)
    if topic and topic not in TOPICS:
        args.refuse(f"there is no help on {code(topic, 60)}", _did_you_mean(topic, TOPICS, "/help "), argument.at)
    return Help(topic)


REGISTRY = (
    Command(
        words=("boxes", "run"),
        argument="<selection> [at <sha>]",
        kind=Run,
        read=_run,
        need=Need.WRITE,
        offered=TYPED | {Surface.ACTION},
        summary="run boxes of this pull request",
        details=(
            "Runs the selected boxes on the current head, merged into its base. Verdicts of other boxes on the same "
            "head stay in force, so a part is tested on the base that they are about, and `all` on the base of now. "
            "It begins when earlier runs of this head have ended. With `at`, it runs only if that commit is the head; "
            "on a fork's pull request the whole SHA is needed. `changed:` is not for comments: "
            "the bot tests a copy without history."
        ),
        examples=(
            ("/boxes run all", "every box"),
            ("/boxes run failed", "the boxes that were not green last time"),
            ("/boxes run 21", "one box"),
            ("/boxes run 21-41, tier:4", "a range and a tier"),
            ("/boxes run tag:smoke and not 30", "smoke boxes, without box 30"),
            ("/boxes run all at 4b825dc642cb6eb9a060e54bf8d69288fbee4904", "every box, if that is still the head"),
        ),
    ),
    Command(
        words=("boxes", "rerun"),
        argument="[failed|all|<selection>] [at <sha>]",
        kind=Rerun,
        read=_rerun,
        need=Need.WRITE,
        offered=TYPED | {Surface.BUTTON},
        summary="run again what is red and what it held back",
        details="Like `/boxes run`, and without a selection it takes `failed`.",
        examples=(
            ("/boxes rerun", "what is red, and what it held back"),
            ("/boxes rerun all", "every box"),
            ("/boxes rerun tier:2", "one tier"),
        ),
    ),
    Command(
        words=("boxes", "cancel"),
        argument="",
        kind=Cancel,
        read=_cancel,
        need=Need.WRITE,
        offered=TYPED,
        summary="end what runs for this pull request",
        details="Ends what runs or waits for this pull request. Its checks conclude `cancelled`, which is not green.",
        examples=(("/boxes cancel", "end it now"),),
    ),
    Command(
        words=("boxes", "skip"),
        argument='<selection> [at <sha>] because "<why>"',
        kind=Skip,
        read=_skip,
        need=Need.WRITE,
        offered=TYPED,
        summary="let boxes not gate on this commit",
        details=(
            "The boxes still run and are listed with their verdicts, and a red one does not make this commit red. The "
            "checks, the comment and the run's page say who excused it and why. It holds for the current head alone: a "
            "push withdraws it. What was held back by an excused box runs at once. A box that did not run is not made "
            "green by it. The author of an untrusted pull request cannot excuse its boxes."
        ),
        examples=(
            ('/boxes skip 21 because "the clock of the test machine is off"', "one box"),
            ('/boxes skip failed because "the mirror is down, see the incident"', "what is red now"),
        ),
    ),
    Command(
        words=("boxes", "status"),
        argument="",
        kind=Status,
        read=_status,
        need=Need.NOTHING,
        offered=TYPED,
        summary="tell how the runs of the head stand",
        details=(
            "Answers with the newest run of the current head, tier by tier, and what waits behind it; and with "
            "where the newest deployment of the pull request to each environment stands."
        ),
        examples=(("/boxes status", "the state of the head"),),
    ),
    Command(
        words=("boxes", "why"),
        argument="[box]",
        kind=Why,
        read=_why,
        need=Need.NOTHING,
        offered=TYPED,
        summary="tell what holds this pull request, and who can change it",
        details=(
            "Answers with everything that keeps `Interlock` from being green: red boxes, boxes that did not run, "
            "missing proofs, a freeze, a missing permit, and for each of them who can do what. Of a deployment that "
            "waits it lists every gate, with what it goes by."
        ),
        examples=(("/boxes why", "all that holds it"), ("/boxes why 21", "what one box has to do with it")),
    ),
    Command(
        words=("boxes", "explain"),
        argument="<box>",
        kind=Explain,
        read=_explain,
        need=Need.NOTHING,
        offered=TYPED,
        summary="tell all that is known of one box",
        details=(
            "Answers with its title, its tier, its file, its control, its last verdict on this head with what did not "
            "hold, the line that runs it on your machine, and whether it was proved that it can turn red."
        ),
        examples=(("/boxes explain 21", "box 21"), ("/boxes explain api/21", "box 21 of the suite `api`")),
    ),
    Command(
        words=("boxes", "falsify"),
        argument="[selection] [at <sha>]",
        kind=Falsify,
        read=_falsify,
        need=Need.WRITE,
        offered=TYPED | {Surface.ACTION},
        summary="prove now that boxes can turn red",
        details=(
            "Runs the selected green boxes of the current head under their own sabotage, whatever the configuration "
            "says of it, and shows the answers on the check. Verdicts are not made again. Where proofs are required, "
            "every green box is proved."
        ),
        examples=(("/boxes falsify", "every green box"), ("/boxes falsify tier:2", "one tier")),
    ),
    Command(
        words=("ok-to-test",),
        argument="<sha>",
        kind=OkToTest,
        read=_ok_to_test,
        need=Need.WRITE,
        offered=frozenset({Surface.COMMENT}),
        summary="let the boxes of one commit of a stranger run",
        details=(
            "Boxes of a fork, or of an author without write permission, do not run until someone with write permission "
            "has looked at the change and permitted exactly its head. All 40 digits of the SHA are needed; the check's "
            "text has the line ready to copy. They run in a full sandbox, without network and secrets. It also accepts "
            "what the check had listed as weakened by then. A push withdraws it."
        ),
        examples=(("/ok-to-test 4b825dc642cb6eb9a060e54bf8d69288fbee4904", "permit that commit"),),
    ),
    Command(
        words=("freeze",),
        argument='[branch] [until <moment>] because "<why>"',
        kind=Freeze,
        read=_freeze,
        need=Need.MAINTAIN,
        of_pull=False,
        offered=TYPED,
        summary="hold every pull request into a branch",
        details=(
            "While it holds, `Interlock` concludes `action_required` on every pull request into the branch, or into "
            "any branch if none is named. Boxes run as usual and their verdicts are kept, so that the end of the "
            "freeze shows them without running anything again. A moment is a date, or a date and a time with its zone; "
            "a date alone is its first moment in UTC. A second freeze of the same branch takes the place of the first. "
            "A branch that is yet to come can be frozen; the answer says that there is none of this name."
        ),
        examples=(
            ('/freeze main because "the release is being cut"', "until somebody lifts it"),
            ('/freeze until 2026-12-24T18:00+01:00 because "holidays"', "every branch, until a moment"),
        ),
    ),
    Command(
        words=("unfreeze",),
        argument="[branch]",
        kind=Unfreeze,
        read=_unfreeze,
        need=Need.MAINTAIN,
        of_pull=False,
        offered=TYPED,
        summary="lift a freeze",
        details="Lifts the freeze of the branch, or without one the freeze of every branch. The checks follow.",
        examples=(("/unfreeze main", "the freeze of one branch"), ("/unfreeze", "the freeze of every branch")),
    ),
    *VERBS,
    Command(
        words=("help",),
        argument="[command]",
        kind=Help,
        read=_help,
        need=Need.NOTHING,
        of_pull=False,
        offered=TYPED,
        summary="explain the commands",
        details="Answers with the list of commands, or with one of them in full.",
        examples=(("/help", "the list"), ("/help run", "one command")),
    ),
)
TOPICS = {command.topic: command for command in REGISTRY}
_FIRST_WORDS = tuple(dict.fromkeys(command.words[0] for command in REGISTRY))


def _command(line: Line, surface: Surface) -> Parsed | None:
    """What a line asks for; None when it is somebody else's."""
    words = Argument(line.text).words()
    shown = one_line(line.text, 100)
    first = _folded(words[0].text.removeprefix("/"))
    if first not in _FIRST_WORDS:
        # One slip alone: `/retest`, which other bots read, is two edits from `/reject`.
        meant = nearest(first, _FIRST_WORDS, most=1) if first.replace("-", "").isalpha() else None
        if meant is None:
            return None
        return Mistake(shown, f"there is no command {code(f'/{first}', 60)}", f"did you mean `/{meant}`?", 1)
    if not line.is_plain:
        return Mistake(shown, "a command cannot hold formatting, code or links", "write it as plain text")
    if clean(line.text) != line.text:
        return Mistake(shown, "it holds characters that nobody can see", "type it anew, in plain letters")
    spoken = (first, *(_folded(word.text) for word in words[1:]))
    for command in REGISTRY:
        if spoken[: len(command.words)] == command.words:
            return _read(command, line.text, words, shown, surface)
    verbs = [command.words[1] for command in REGISTRY if command.words[0] == first and len(command.words) > 1]
    verb = spoken[1] if len(spoken) > 1 else ""
    because = f"{code(f'/{first}')} does not know {code(verb, 60)}" if verb else f"{code(f'/{first}')} needs a verb"
    column = words[1].at + 1 if verb else len(line.text)
    return Mistake(shown, because, _did_you_mean(verb, verbs, f"/{first} "), column)


def _read(command: Command, text: str, words: tuple[Argument, ...], shown: str, surface: Surface) -> Parsed:
    if surface not in command.offered:
        because = f"{code('/' + ' '.join(command.words))} is not offered here"
        return Mistake(shown, because, f"it is for {places(command)}", need=command.need)
    last = words[len(command.words) - 1]
    start = last.at + len(last.text)
    try:
        return command.read(Argument(text).part(start))
    except Slip as slip:
        return Mistake(shown, slip.because, slip.hint, slip.at + 1, command.need)


def _folded(word: str) -> str:
    """In lower case, if all of it is ASCII: some letters of other alphabets become ours when they are folded."""
    return word.lower() if word.isascii() else word


def _did_you_mean(word: str, known: Iterable[str], prefix: str) -> str:
    choices = sorted(known)
    if meant := nearest(word, choices):
        return f"did you mean `{prefix}{meant}`?"
    return _choices(choices, prefix)


def _choices(known: Iterable[str], prefix: str) -> str:
    return "there is " + ", ".join(f"`{prefix}{choice}`" for choice in sorted(known))
