"""Everything that GitHub, or git, can answer instead of what was asked; translated once, here.

    GitHubProblem
    ├── GitHubUnavailable    5xx, time-outs, resets, half an answer; `maybe_done`: a write may have been carried out
    │   └── NotAsked         our own breaker leaves GitHub alone for a while; nothing was sent; repeat it after `until`
    ├── RateLimited          a primary or secondary limit; nothing was done; repeat it after `until`
    │   └── Paced            our own pacer asks for patience, so that GitHub never has to
    ├── Overtaken            our own pacer did not send it: a newer write to the same place is, or progress had no turn
    ├── BadCredentials       401 with a fresh token: a wrong key, or an app that was deleted
    ├── Forbidden            403: the installation lacks a permission, or is suspended
    ├── NotFound             404 or 410: not there, or not visible to this installation
    │   └── CommitNotFound   the repository has no such commit (force-pushed away and collected, or of another network)
    ├── Unprocessable        400, 409, 422 and other 4xx: GitHub understood and declined; `errors` says what
    ├── UnexpectedAnswer     not GitHub's API: a redirect to another host, JSON of another shape
    └── GitFailed            git itself ended badly: out of disk, a hostile tree, a time-out of a local command

A repeat is safe after every one of these but `GitHubUnavailable` with `maybe_done`: look before you write again.
No message, argument or cause's text ever holds a token. `type(problem)(*problem.args)` makes an equal problem, so that
a journal can keep {type, args}.
"""

from __future__ import annotations

from datetime import datetime


class GitHubProblem(Exception):
    """The root of the tree above."""

    def __str__(self) -> str:
        """The sentence, without the other arguments."""
        return str(self.args[0]) if self.args else ""


class GitHubUnavailable(GitHubProblem):
    """GitHub did not answer, or answered that it cannot, or with something that is not its API's (a proxy's page).

    Args:
        message: what was asked and what came back.
        maybe_done: true when a write may have been carried out although its answer was lost.
    """

    def __init__(self, message: str, maybe_done: bool = False) -> None:
        self.maybe_done = maybe_done
        super().__init__(message, maybe_done)


class NotAsked(GitHubUnavailable):
    """GitHub was away a moment ago, so nothing was sent. It says nothing about how long it has been away.

    Args:
        message: what was not sent.
        until: when to ask again, aware, by this machine's clock.
    """

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until
        self.args = (message, until)


class RateLimited(GitHubProblem):
    """GitHub asks to be left alone until `until` (aware, UTC, by this machine's clock). The call was not carried out.

    Args:
        until: when to ask again.
        advised: GitHub said so itself; otherwise it is the least that it asks for.
    """

    def __init__(self, until: datetime, advised: bool = True) -> None:
        self.until = until
        self.advised = advised
        super().__init__(until, advised)

    def __str__(self) -> str:
        """Says until when."""
        return f"GitHub's rate limit is used up until {self.until.isoformat(timespec='seconds')}"


class Paced(RateLimited):
    """More is to be written than GitHub allows in an hour or a minute. GitHub was not asked; come again at `until`."""

    def __str__(self) -> str:
        """Says until when."""
        return f"writes to GitHub are paced until {self.until.isoformat(timespec='seconds')}"


class Overtaken(GitHubProblem):
    """A write of `target` was not sent because a newer one is, or because progress had no turn. Nothing was done."""

    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(target)

    def __str__(self) -> str:
        """Names the target."""
        return f"a write of {self.target or 'GitHub'} was overtaken"


class BadCredentials(GitHubProblem):
    """GitHub does not accept who we say we are, even with a token made a moment ago. Nothing was done."""


class Forbidden(GitHubProblem):
    """The installation may not do this. Nothing was done."""


class NotFound(GitHubProblem):
    """The thing is not there, or this installation may not see it. Nothing was done."""


class CommitNotFound(NotFound):
    """The repository has no commit `sha`, or not all of what it needs."""

    def __init__(self, sha: str) -> None:
        self.sha = sha
        super().__init__(sha)

    def __str__(self) -> str:
        """Names the commit."""
        return f"commit {self.sha} is not in the repository"


class Unprocessable(GitHubProblem):
    """GitHub understood the request and declined it. Nothing was done; the same request will be declined again.

    Args:
        message: what was asked and GitHub's own sentence.
        errors: one line for each field that GitHub names, such as `head_sha: is not a commit`.
        status: the HTTP status; 409 when the state of the repository is in the way.
    """

    def __init__(self, message: str, errors: tuple[str, ...] = (), status: int = 422) -> None:
        self.errors = tuple(errors)
        self.status = status
        super().__init__(message, self.errors, status)

    def __str__(self) -> str:
        """The sentence and the fields."""
        return "; ".join((str(self.args[0]), *self.errors))


class UnexpectedAnswer(GitHubProblem):
    """Something answered, but not as GitHub's API does. Nothing secret was sent anywhere else."""


class GitFailed(GitHubProblem):
    """A local git command ended badly. The mirror is as usable as before."""
