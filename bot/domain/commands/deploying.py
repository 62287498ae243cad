"""The verbs about environments, as entries of the registry."""

from __future__ import annotations

from bot.domain.commands import arguments as args
from bot.domain.commands.arguments import Argument
from bot.domain.commands.asked import Approve, Deploy, LockUp, Promote, Reject, RollBack, Unlock
from bot.domain.commands.authority import Need
from bot.domain.commands.entry import TYPED, Command, Surface
from bot.domain.text import code

_BREAK_GLASS = '/deploy production break-glass because "the fix of the incident"'
_REJECT = '/reject production because "the migration locks the table"'
_SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_PLAN = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _deploy(argument: Argument) -> Deploy:
    rest, why = args.reason_if_any(argument, _BREAK_GLASS)
    said = args.options(rest, "/deploy staging", valued=("at", "expect"), flags=("dry-run", "break-glass"))
    glass = said.values.get("break-glass")
    if why and glass is None:
        end = argument.at + len(rest.text)
        args.refuse("only `break-glass` takes a reason", f"leave it out, or like so: {code(_BREAK_GLASS)}", end)
    if glass is not None and not why:
        args.refuse("it does not say why", f"end it with a reason: {code(_BREAK_GLASS)}", glass.at)
    return Deploy(
        environment=said.environment,
        at=said.sha(),
        dry_run="dry-run" in said.values,
        expect=said.plan(),
        break_glass=why,
    )


def _approve(argument: Argument) -> Approve:
    said = args.options(argument, "/approve production", valued=("at",), flags=("break-glass",))
    return Approve(environment=said.environment, at=said.sha(), break_glass="break-glass" in said.values)


def _reject(argument: Argument) -> Reject:
    rest, why = args.reason(argument, _REJECT)
    said = args.options(rest, _REJECT, valued=("at",))
    return Reject(environment=said.environment, at=said.sha(), because=why)


def _promote(argument: Argument) -> Promote:
    return Promote(args.options(argument, "/promote production").environment)


def _roll_back(argument: Argument) -> RollBack:
    example = '/rollback production because "checkout is slow"'
    rest, why = args.reason_if_any(argument, example)
    return RollBack(args.options(rest, example).environment, why)


def _lock(argument: Argument) -> LockUp:
    example = '/lock staging for 2h because "a load test"'
    rest, why = args.reason_if_any(argument, example)
    said = args.options(rest, example, valued=("for",))
    return LockUp(environment=said.environment, seconds=said.seconds(), because=why)


def _unlock(argument: Argument) -> Unlock:
    return Unlock(args.options(argument, "/unlock staging").environment)


VERBS = (
    Command(
        words=("deploy",),
        argument='<environment> [at <sha>] [--dry-run] [expect <hash>] [break-glass because "<why>"]',
        kind=Deploy,
        read=_deploy,
        need=Need.WRITE,
        offered=TYPED,
        of_pull=False,
        summary="put a commit into an environment",
        details=(
            "On an open pull request it is about the head, and the environment must allow pull requests. Any other "
            "environment takes the head of the default branch, asked for on a merged pull request or with `interlock "
            "command`. What the environment is, and how it is deployed, is read from the default branch, whatever the "
            "pull request says. Of a fork the whole SHA is needed. It waits at the environment's gates; a newer "
            "deployment takes the place of one that waits. `--dry-run` tells what would be done, in order, with a "
            "hash; with `expect` and that hash nothing else is done. `break-glass` passes a freeze, once a second "
            "person has said `/approve <environment> break-glass`."
        ),
        examples=(
            ("/deploy staging", "the head of this pull request"),
            (f"/deploy staging at {_SHA}", "if that is still the head"),
            ("/deploy production --dry-run", "only the plan"),
            (f"/deploy production expect {_PLAN}", "if the plan is still that one"),
            (_BREAK_GLASS, "although it is frozen"),
        ),
    ),
    Command(
        words=("approve",),
        argument="<environment> [at <sha>] [break-glass]",
        kind=Approve,
        read=_approve,
        need=Need.APPROVE,
        offered=frozenset({Surface.COMMENT}),
        of_pull=False,
        summary="say yes to what waits for an environment",
        details=(
            "Counts for the deployment that waits, and for nothing else: another commit, another build or another "
            "configuration needs approvals of its own. Who may approve stands in the environment's configuration, or "
            "they are required reviewers of GitHub's environment of the same name; it is read again whenever approvals "
            "are counted. Who is excluded (as a rule the author and whoever asked for the deployment) does not count. "
            "Editing or deleting the comment takes the approval back. The number of a deployment may stand in place of "
            "the environment. An approving review on GitHub is about the code and approves no deployment."
        ),
        examples=(
            ("/approve production", "what waits for production"),
            (f"/approve production at {_SHA}", "if it is that commit"),
            ("/approve 12", "deployment 12"),
            ("/approve production break-glass", "also that it passes a freeze"),
        ),
    ),
    Command(
        words=("reject",),
        argument='<environment> [at <sha>] because "<why>"',
        kind=Reject,
        read=_reject,
        need=Need.APPROVE,
        offered=frozenset({Surface.COMMENT}),
        of_pull=False,
        summary="say no to what waits for an environment",
        details=(
            "Ends the deployment that waits: it is denied, with the reason, and must be asked for anew. It takes back "
            "an approval of the same person. Who may approve may reject."
        ),
        examples=((_REJECT, "what waits for production"),),
    ),
    Command(
        words=("promote",),
        argument="<environment>",
        kind=Promote,
        read=_promote,
        need=Need.WRITE,
        offered=TYPED,
        of_pull=False,
        summary="let a release that is held, or a canary, go on",
        details=(
            "A deployment is held when nobody can say whether its release is good. This accepts it as good. A canary "
            "goes on to its next share without waiting longer."
        ),
        examples=(("/promote production", "accept what is held"),),
    ),
    Command(
        words=("rollback",),
        argument='<environment> [because "<why>"]',
        kind=RollBack,
        read=_roll_back,
        need=Need.WRITE,
        offered=TYPED,
        of_pull=False,
        summary="bring an environment back to its last good release",
        details=(
            "Needs no approval and passes every freeze and lock. What is being deployed is taken back; else the newest "
            "good release of before takes its place, never one that was rolled back itself. While the one of before "
            "is still running, that is one switch."
        ),
        examples=(
            ("/rollback production", "at once"),
            ('/rollback production because "checkout is slow"', "with a reason for the record"),
        ),
    ),
    Command(
        words=("lock",),
        argument='<environment> [for <time>] [because "<why>"]',
        kind=LockUp,
        read=_lock,
        need=Need.WRITE,
        offered=TYPED,
        of_pull=False,
        summary="keep others out of an environment",
        details=(
            "Deployments of others wait until it ends. As the configuration says, it is this pull request's or the "
            "person's who asks. It ends by itself, after the time that is said here or in the configuration. Saying it "
            "again gives it a new end. A rollback passes it."
        ),
        examples=(
            ("/lock staging", "for as long as the configuration says"),
            ('/lock staging for 2h because "a load test"', "for two hours"),
        ),
    ),
    Command(
        words=("unlock",),
        argument="<environment>",
        kind=Unlock,
        read=_unlock,
        need=Need.WRITE,
        offered=TYPED,
        of_pull=False,
        summary="let others into an environment again",
        details=(
            "Ends a lock of one's own. People who maintain the repository can end those of others, and the one that "
            "Interlock itself puts on an environment after two rollbacks within an hour."
        ),
        examples=(("/unlock staging", "what waits is looked at again at once"),),
    ),
)
"""In the order in which the reference page shows them."""
