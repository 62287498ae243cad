"""The registry as people and programs read it: the answer to `/help`, the reference page, the description in JSON."""

from __future__ import annotations

from bot.domain.buttons import EXPLAIN
from bot.domain.commands.arguments import LONGEST_REASON
from bot.domain.commands.buttons import PRESSED
from bot.domain.commands.entry import Command, places
from bot.domain.commands.registry import MAX_COMMANDS, REGISTRY, TOPICS

SCHEMA = "interlock.commands/1"


def help_text(topic: str = "") -> str:
    """The answer to `/help [command]` as Markdown. An unknown topic gets the overview."""
    if command := TOPICS.get(topic):
        return _entry(command, "###")
    rows = "\n".join(f"| `{_in_table(command.usage)}` | {command.summary} |" for command in REGISTRY)
    return f"| command | |\n|--|--|\n{rows}\n\n{_GRAMMAR}\n"


def reference() -> str:
    """The text of docs/reference/commands.md."""
    entries = "\n".join(_entry(command, "##", elsewhere=True) for command in REGISTRY)
    return "\n\n".join(["# Commands", _GRAMMAR, _LIMITS, _ANSWERS, entries + _buttons(), _OTHERS, _codes(), ""])[:-1]


def description() -> dict[str, object]:
    """What `GET /api/v1/commands` says."""
    return {
        "schema": SCHEMA,
        "commands": [
            {
                "words": list(command.words),
                "usage": command.usage,
                "summary": command.summary,
                "details": command.details,
                "examples": [{"text": text, "meaning": meaning} for text, meaning in command.examples],
                "need": command.need.name.lower(),
                "offered": sorted(command.offered),
                "of_pull": command.of_pull,
            }
            for command in REGISTRY
        ],
        "buttons": [
            {"identifier": button.identifier, "label": button.label, "command": command}
            for button, command in PRESSED.items()
        ],
        "reasons": REASONS,
    }


REASONS = {
    "done": "it was carried out",
    "mistake": "it could not be read",
    "not_permitted": "the person's permission does not suffice",
    "permission_unknown": "GitHub would not say what the person may do, which counts as nothing",
    "lookalike": "the login looks like an app's",
    "edited": "the comment was edited; only new ones are read",
    "comment_edited": "the comment of a permit was edited",
    "comment_deleted": "the comment of a permit was deleted",
    "closed": "the pull request is not open",
    "no_pull_request": "it is about a pull request, and none was named",
    "other_head": "it names a commit that is not the head",
    "short_sha": "a fork's commit was not named with all its digits",
    "no_run": "no run of the head has told its boxes yet",
    "unknown_box": "it names boxes that the head does not have",
    "nothing_green": "no selected box is green, so there is nothing to prove",
    "own_untrusted": "the author of an untrusted pull request cannot excuse its boxes",
    "past": "the moment is not in the future",
    "not_frozen": "there is no such freeze",
    "no_write_permission": "a commit is permitted by people with write permission",
    "comment_changed": "the comment that permits was changed or deleted before it was carried out",
    "not_open": "the pull request of the commit to permit is not open",
    "not_a_sha": "what is to be permitted is no commit",
    "sha_not_in_full": "the commit to permit was not named with all its digits",
    "sha_is_older": "the commit to permit is an older one of the pull request",
    "sha_of_another": "the commit to permit is the head of another pull request",
    "sha_is_not_the_head": "the commit to permit is not the head",
    "unknown_environment": "there is no such environment on the default branch",
    "config_broken": "the default branch's configuration cannot be read",
    "not_from_pull_requests": "the environment takes no heads of pull requests",
    "not_on_branch": "the commit is not on a branch that the environment takes",
    "bad_schema": "what the commit says of the database's schema cannot be read",
    "overtaken": "a newer commit of the branch was taken up already",
    "not_plannable": "the environment's target cannot do what is asked, or does not answer",
    "nothing_live": "Interlock has deployed nothing there",
    "nothing_held": "no deployment is held there, and no canary is under way",
    "nothing_waits": "no deployment of the environment waits, or is under way",
    "not_waiting": "the deployment does not wait any more",
    "other_commit": "the deployment is of another commit than the one named",
    "no_approval_needed": "the environment asks nobody for approval",
    "not_an_approver": "the person is none of those who may approve for the environment",
    "own_change": "the person wrote the change or asked for the deployment, and is excluded from approving it",
    "own_glass": "whoever breaks the glass cannot be the second person",
    "locked": "somebody else holds the environment",
    "not_locked": "nobody holds the environment",
    "not_yours": "the lock is somebody else's",
    "no_way_back": "there is no good release to go back to",
    "approval_void": "the comment of an approval was edited or deleted",
    "unknown_repository": "the bot has not heard of the repository, or another has its name now",
}
"""Machine-readable reasons in the audit and in REST, with what they mean. They only grow."""

_GRAMMAR = (
    "A command is a line of plain text that begins with `/`. Upper and lower case are the same. "
    "Code, quotes, lists, headings, tables, links and HTML are not read."
)
_LIMITS = (
    f"A comment or a review may hold up to {MAX_COMMANDS} commands, one on each line. All of them are read and "
    "authorised before the first is carried out, and if one cannot be, none is. Only new comments and newly submitted "
    "reviews are read: editing one does nothing. Comments of bots are not read, and neither is what stands below the "
    "line with which a mail program introduces a quoted mail. A line with invisible characters is refused. Whoever "
    "writes the command needs the permission, read from GitHub at that moment; what the pull request's author may do "
    "does not matter. Every command leaves a row in the audit (`GET /api/v1/audit`), carried out or not."
)
_ANSWERS = (
    "The bot reacts to a comment with 👀 when it has read a command in it, with 🚀 when all of it is carried out, and "
    "with 😕 when nothing is; then it answers with the reason. 👀 stays beside the other. A review has no reactions on "
    "GitHub, so there only what needs saying is said. A command that names no commit is about the head that the pull "
    "request has when it is carried out; with `at <sha>` it is refused if that is another. "
    f"Reasons have at most {LONGEST_REASON} characters."
)
_OTHERS = (
    "## From the machine\n\n"
    'Whoever sits at the machine gives the same commands with `interlock command octo/app#12 "/boxes rerun"`, or over '
    "REST: `GET /api/v1/commands` describes them all, and `POST /api/v1/commands` with the JSON object "
    '`{"repo": "octo/app", "pr": 12, "command": "/boxes rerun"}` carries one out. What is about an environment or a '
    'branch needs no pull request: `interlock command octo/app "/rollback production"`, and no `pr`. The answer is '
    '`{"schema": "interlock.command/1", "done": …, "reason": …, "said": …, "runs": […]}`. Requests from elsewhere are '
    "refused, and so is a body that is not declared as JSON. A command needs the key in `operator.key` of the data "
    "directory, sent as `Authorization: Bearer …`: released code may run on the same machine, and only the bot's user "
    "can read that file. The audit names the actor `operator`."
)


def _buttons() -> str:
    rows = "\n".join(f"| {button.label} | `{command}` | {button.description} |" for button, command in PRESSED.items())
    rows += f"\n| {EXPLAIN.label} | | {EXPLAIN.description} |"
    return (
        "\n## Buttons\n\n"
        f"| button of a check | command | |\n|--|--|--|\n{rows}\n\n"
        "*Re-run* on the check of a tier runs that tier's boxes again and keeps the verdicts of the others. *Re-run* "
        "on the check `Interlock`, and *Re-run all checks*, run every box. GitHub offers the buttons to people with "
        "write permission; it is read again when one is pressed."
    )


def _codes() -> str:
    rows = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in REASONS.items())
    return (
        f"## Reasons\n\nThe audit and REST give one of these words for each command.\n\n| reason | |\n|--|--|\n{rows}\n"
    )


def _entry(command: Command, heading: str, *, elsewhere: bool = False) -> str:
    rows = "\n".join(f"| `{_in_table(text)}` | {meaning} |" for text, meaning in command.examples)
    where = f" Where: {places(command)}." if elsewhere else ""
    return (
        f"{heading} `{command.usage}`\n\n{command.details}\n\nWho: {command.need}.{where}\n\n"
        f"| example | |\n|--|--|\n{rows}\n"
    )


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")
