"""What becomes of installations and repositories after they came: suspended, removed, renamed, transferred, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.acts import accounts
from bot.localhub.state import covers
from bot.localhub.views import people, repositories

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Installation, Json, Repository


def suspend(forge: Forge, installation: Installation, by: str) -> Installation:
    """Let an installation rest: its tokens are refused, and it hears of nothing but of this."""
    seen = _covered(forge, installation)
    row = forge.state.installations.change(installation, suspended_at=forge.clock.stamp(), suspended_by=by)
    _tell(forge, row, "installation", "suspend", by, repositories=_listed(forge, seen))
    return row


def unsuspend(forge: Forge, installation: Installation, by: str) -> Installation:
    """Let it work again."""
    row = forge.state.installations.change(installation, suspended_at=None, suspended_by="")
    _tell(forge, row, "installation", "unsuspend", by, repositories=_listed(forge, _covered(forge, row)))
    return row


def uninstall(forge: Forge, installation: Installation, by: str) -> None:
    """Remove the App from an account; its tokens are worth nothing from now on."""
    payload = _payload(forge, installation, "deleted", by, repositories=_listed(forge, _covered(forge, installation)))
    for token in forge.state.tokens.where(installation_id=installation.id):
        forge.state.tokens.drop(token)
    forge.state.installations.drop(installation)
    app = forge.state.app_of(installation)
    forge.hooks.queue(app, "installation", payload, repository_id=None, installation_id=installation.id)


def select(forge: Forge, installation: Installation, chosen: list[Repository], by: str) -> Installation:
    """Choose which repositories the App sees; it is told of those that came and of those that went."""
    before = {repo.id: repo for repo in _covered(forge, installation)}
    ids = [repo.id for repo in chosen]
    row = forge.state.installations.change(installation, repository_selection="selected", repository_ids=ids)
    came = [repo for repo in chosen if repo.id not in before]
    went = [repo for repo_id, repo in before.items() if repo_id not in ids]
    for action, some in (("added", came), ("removed", went)):
        if some:
            about: Json = {
                "repository_selection": "selected",
                "repositories_added": _listed(forge, came if action == "added" else []),
                "repositories_removed": _listed(forge, went if action == "removed" else []),
                "requester": None,
            }
            _tell(forge, row, "installation_repositories", action, by, **about)
    return row


def rename_account(forge: Forge, login: str, new: str) -> None:
    """Give an account another name; everything of it goes along."""
    user = forge.state.account(login)
    forge.state.users.change(user, login=new)
    for repo in forge.state.repositories.where(owner=login):
        forge.state.repositories.change(repo, owner=new, old_names=[*repo.old_names, repo.full_name])
    for installation in forge.state.installations.where(account=login):
        row = forge.state.installations.change(installation, account=new)
        shown = people.simple_user(forge, forge.state.account(new))
        payload: Json = {
            "action": "renamed",
            "account": shown,
            "changes": {"login": {"from": login}},
            "installation": {"id": row.id, "node_id": f"MDIz{row.id}"},
            "target_type": user.type,
            "sender": shown,
        }
        app = forge.state.app_of(row)
        forge.hooks.queue(app, "installation_target", payload, repository_id=None, installation_id=row.id)


def rename(forge: Forge, repo: Repository, name: str, by: str) -> Repository:
    """Give a repository another name; the old one leads to it until somebody takes it."""
    row = forge.state.repositories.change(repo, name=name, old_names=[*repo.old_names, repo.full_name])
    _repository(forge, row, "renamed", by, changes={"repository": {"name": {"from": repo.name}}})
    return row


def transfer(forge: Forge, repo: Repository, owner: str, by: str) -> Repository:
    """Give a repository to another account."""
    former = people.by_login(forge, repo.owner)
    accounts.create_user(forge, owner, kind="Organization")
    row = forge.state.repositories.change(repo, owner=owner, old_names=[*repo.old_names, repo.full_name])
    _repository(forge, row, "transferred", by, changes={"owner": {"from": {"user": former}}})
    return row


def archive(forge: Forge, repo: Repository, by: str) -> Repository:
    """Make a repository read-only."""
    row = forge.state.repositories.change(repo, archived=True)
    _repository(forge, row, "archived", by)
    return row


def delete(forge: Forge, repo: Repository, by: str) -> None:
    """Delete a repository; the last that is heard of it is this."""
    hearing = forge.state.installed(repo)
    body = {
        "action": "deleted",
        "repository": repositories.repository(forge, repo),
        "sender": people.by_login(forge, by),
    }
    forge.state.repositories.drop(repo)
    for installation in hearing:
        full = {**body, "installation": {"id": installation.id, "node_id": f"MDIz{installation.id}"}}
        app = forge.state.app_of(installation)
        if "repository" in app.events:
            forge.hooks.queue(app, "repository", full, repository_id=repo.id, installation_id=installation.id)


def _repository(forge: Forge, repo: Repository, action: str, by: str, **more: Json) -> None:
    def payload() -> Json:
        shown = repositories.repository(forge, repo)
        return {"action": action, **more, "repository": shown, "sender": people.by_login(forge, by)}

    forge.emit("repository", payload, repo=repo)


def _covered(forge: Forge, installation: Installation) -> list[Repository]:
    return [repo for repo in forge.state.repositories if covers(installation, repo)]


def _listed(forge: Forge, some: list[Repository]) -> list[Json]:
    return [accounts.listed(forge, repo) for repo in some]


def _payload(forge: Forge, row: Installation, action: str, by: str, **more: object) -> Json:
    shown = people.installation(forge, row)
    return {"action": action, "installation": shown, **more, "sender": people.by_login(forge, by)}


def _tell(forge: Forge, row: Installation, event: str, action: str, by: str, **more: object) -> None:
    app = forge.state.app_of(row)
    payload = _payload(forge, row, action, by, **more)
    forge.hooks.queue(app, event, payload, repository_id=None, installation_id=row.id)
