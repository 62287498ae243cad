"""Everything the hub knows but the commits: tables of frozen rows, written through to a store when there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from bot.localhub.records import (
    ROLES,
    App,
    CheckRun,
    CheckSuite,
    Comment,
    Delivery,
    Deployment,
    DeploymentStatus,
    Environment,
    Installation,
    Issue,
    MergeGroup,
    PendingDeployment,
    PullRequest,
    Reaction,
    Registration,
    Release,
    Repository,
    Status,
    Team,
    Token,
    User,
    WorkflowRun,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.localhub.store import Store


class Row(Protocol):
    """A record with a key."""

    @property
    def id(self) -> int | str:
        """Unique in its table, and never used again."""
        ...


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """The rows of one kind, in the order in which they came.

    Ids of different kinds never meet (`first_id` differs), so that a mix-up of two ids is a 404 and not a coincidence.
    """

    def __init__(self, kind: str, row_type: type[R], store: Store | None, *, first_id: int = 0) -> None:
        self._kind = kind
        self._store = store
        self._rows: dict[int | str, R] = {}
        self._next_id = first_id
        for body in store.rows(kind) if store else ():
            self._keep(row_type(**body))

    def _keep(self, row: R) -> None:
        self._rows[row.id] = row
        if isinstance(row.id, int):
            self._next_id = max(self._next_id, row.id + 1)

    def new_id(self) -> int:
        """An id that no row of this table has or had."""
        self._next_id += 1
        return self._next_id - 1

    def put(self, row: R) -> R:
        """Keep a new row, or the new version of one."""
        self._keep(row)
        if self._store:
            self._store.put(self._kind, row)
        return row

    def change(self, row: R, **changes: object) -> R:
        """Put `row` with these fields changed, and return it."""
        return self.put(replace(row, **changes))  # type: ignore[type-var]  # every row is a dataclass.

    def drop(self, row: R) -> None:
        """Forget a row."""
        self._rows.pop(row.id, None)
        if self._store:
            self._store.drop(self._kind, row.id)

    def get(self, key: int | str) -> R | None:
        """The row with this id."""
        return self._rows.get(key)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, **equal: Any) -> list[R]:
        """The rows whose fields have these values, oldest first."""
        wanted = tuple(equal.items())
        return [row for row in self._rows.values() if all(getattr(row, name) == value for name, value in wanted)]

    def first(self, **equal: Any) -> R | None:
        """The oldest of `where`."""
        return next(iter(self.where(**equal)), None)


class State:
    """The tables, and the questions that span them."""

    def __init__(self, store: Store | None = None) -> None:
        self.users = Table("user", User, store, first_id=1001)
        self.apps = Table("app", App, store, first_id=2001)
        self.installations = Table("installation", Installation, store, first_id=30_001)
        self.tokens = Table("token", Token, store)
        self.registrations = Table("registration", Registration, store)
        self.repositories = Table("repository", Repository, store, first_id=400_001)
        self.issues = Table("issue", Issue, store, first_id=5_000_001)
        self.pulls = Table("pull", PullRequest, store, first_id=6_000_001)
        self.groups = Table("merge_group", MergeGroup, store, first_id=65_000_001)
        self.comments = Table("comment", Comment, store, first_id=70_000_001)
        self.reactions = Table("reaction", Reaction, store, first_id=8_000_001)
        self.suites = Table("check_suite", CheckSuite, store, first_id=900_000_001)
        self.runs = Table("check_run", CheckRun, store, first_id=1_000_000_001)
        self.statuses = Table("status", Status, store, first_id=1_100_000_001)
        self.teams = Table("team", Team, store, first_id=20_001)
        self.environments = Table("environment", Environment, store, first_id=1_200_000_001)
        self.deployments = Table("deployment", Deployment, store, first_id=1_300_000_001)
        self.deployment_statuses = Table("deployment_status", DeploymentStatus, store, first_id=1_400_000_001)
        self.workflow_runs = Table("workflow_run", WorkflowRun, store, first_id=15_000_000_001)
        self.pending = Table("pending_deployment", PendingDeployment, store, first_id=1_600_000_001)
        self.releases = Table("release", Release, store, first_id=1_700_001)
        self.deliveries = Table("delivery", Delivery, store, first_id=12_000_000_001)

    def user(self, login: str) -> User | None:
        """An account by its login, in any case."""
        wanted = login.lower()
        return next((user for user in self.users if user.login.lower() == wanted), None)

    def account(self, login: str) -> User:
        """An account that must exist.

        Raises:
            LookupError: nobody has this login.
        """
        if user := self.user(login):
            return user
        message = f"no user {login!r} (create_user first)"
        raise LookupError(message)

    def repository(self, full_name: str) -> Repository | None:
        """A repository by `owner/name`, in any case."""
        wanted = full_name.lower()
        return next((repo for repo in self.repositories if repo.full_name.lower() == wanted), None)

    def repository_of_old(self, full_name: str) -> Repository | None:
        """The repository that had this name last and gave it up."""
        wanted = full_name.lower()
        return next((repo for repo in self.repositories if wanted in map(str.lower, repo.old_names)), None)

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """The issue or pull request with this number."""
        return self.pull(repo, number) or self.issues.first(repository_id=repo.id, number=number)

    def pull(self, repo: Repository, number: int) -> PullRequest | None:
        """The pull request with this number."""
        return self.pulls.first(repository_id=repo.id, number=number)

    def team(self, name: str) -> Team | None:
        """A team by `organization/slug`, in any case."""
        wanted = name.lower()
        return next((team for team in self.teams if f"{team.organization}/{team.slug}".lower() == wanted), None)

    def environment(self, repo: Repository, name: str) -> Environment | None:
        """An environment of a repository; GitHub does not tell capitals from small letters."""
        found = self.environments.where(repository_id=repo.id)
        return next((one for one in found if one.name.lower() == name.lower()), None)

    def new_number(self, repo: Repository) -> int:
        """The next number of a repository, shared by issues and pull requests."""
        taken = [issue.number for table in (self.issues, self.pulls) for issue in table.where(repository_id=repo.id)]
        return max(taken, default=0) + 1

    def role(self, repo: Repository, login: str) -> str:
        """What an account may do: its own role, else `read` on a public repository, else `none`."""
        if login.lower() == repo.owner.lower():
            return "admin"
        own = next((role for who, role in repo.collaborators.items() if who.lower() == login.lower()), "none")
        return own if own != "none" or repo.private else "read"

    def may(self, repo: Repository, login: str, role: str) -> bool:
        """Whether an account's role is at least `role`."""
        return ROLES.index(self.role(repo, login)) >= ROLES.index(role)

    def installed(self, repo: Repository) -> list[Installation]:
        """The installations that see a repository."""
        return [one for one in self.installations if covers(one, repo)]

    def app_of(self, installation: Installation) -> App:
        """The App that is installed."""
        app = self.apps.get(installation.app_id)
        assert app, "an installation belongs to an App"
        return app


def covers(installation: Installation, repo: Repository) -> bool:
    """Whether an installation includes a repository of its account; one that is suspended includes nothing."""
    if installation.suspended_at:
        return False
    if installation.account.lower() != repo.owner.lower():
        return False
    return installation.repository_selection == "all" or repo.id in installation.repository_ids
