"""`interlock deploys`: list deployments, show one, and see that no record was changed. It works beside a running bot.

Everything is read of the database and of the data directory; nothing is made, changed or locked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.commands.deploys_telling import line, story
from bot.deploy import journal
from bot.deploy.files import DeployFiles
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.journey import journey_of
from bot.domain.deploy.picture import picture
from bot.domain.deploy.plan import plan_from_json
from bot.domain.deploy.record import Broken, Kept, Link, canonical, record_of, verify
from bot.ops.own_secrets import OWN
from bot.ops.settings import BadSettings, where
from bot.store.reading import Found, NotReadable, Reader

DONE, BROKEN, USAGE, CONFIGURATION = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bot keeps things."""

    data_dir: Path
    reader: Reader

    def files(self, number: int) -> DeployFiles:
        """Of a deployment."""
        return DeployFiles(self.data_dir / "deployments" / str(number))


def deploys(arguments: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 done, 1 a record does not hold, 2 usage, 3 nothing can be read."""
    if (arguments.what == "show") != bool(arguments.number) or (arguments.svg and arguments.what != "show"):
        return _complain("`show` takes the number of a deployment, and --svg; the others take neither", USAGE)
    try:
        place = _place(arguments.data_dir)
        match arguments.what:
            case "list":
                return _list(place, arguments)
            case "show":
                return _show(place, arguments)
            case _:
                return _verify(place, arguments)
    except (BadSettings, NotReadable) as obstacle:
        return _complain(str(obstacle), CONFIGURATION)


def _place(data_dir: str) -> Place:
    environ = {**os.environ, **({"INTERLOCK_DATA_DIR": data_dir} if data_dir else {})}
    directory, database = where(environ, cwd=Path.cwd())
    return Place(directory, Reader(database))


def _list(place: Place, arguments: argparse.Namespace) -> int:
    found = place.reader.newest(repo=arguments.repo, environment=arguments.environment, limit=arguments.limit)
    if arguments.json:
        _print_json({"schema": "interlock.deploys/1", "deployments": [_brief(each) for each in found]})
    else:
        _print("\n".join(map(line, found)) or "nothing was deployed yet")
    return DONE


def _show(place: Place, arguments: argparse.Namespace) -> int:
    digits = str(arguments.number).removeprefix("#")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
    found = place.reader.one(number)
    if found is None:
        return _complain(
            f"there is no deployment {arguments.number}; `interlock deploys list` shows those there are", USAGE
        )
    record = _record(place, found)
    if arguments.svg:
        drawn = picture(record, standalone=True)
        if not drawn:
            return _complain(f"the watch of deployment {number} has seen nothing that could be drawn", BROKEN)
        try:
            Path(arguments.svg).write_text(drawn + "\n", encoding="utf-8")
        except OSError as refused:
            return _complain(f"{arguments.svg} cannot be written: {refused.strerror}", USAGE)
    if arguments.json:
        sys.stdout.write(canonical(record))
    elif not arguments.svg:
        _print(story(record))
    return DONE


def _record(place: Place, found: Found) -> dict[str, Any]:
    """As it was kept, or as it would be if the deployment ended now."""
    files = place.files(found.deployment.number)
    text = _text(files.record)
    if text is not None:
        try:
            return dict(json.loads(text))
        except ValueError:
            pass  # `verify` says so; what there is besides can still be shown.
    try:
        plan = plan_from_json(json.loads(_text(files.plan) or ""))
    except (ValueError, KeyError, TypeError):
        plan = None
    record = record_of(
        found.deployment,
        plan=plan,
        journey=journey_of(_lines(files)[0]),
        approvals=found.approvals,
        previous=found.previous,
    )
    return dict(OWN.within(record))


def _verify(place: Place, arguments: argparse.Namespace) -> int:
    chains = place.reader.chains(repo=arguments.repo, environment=arguments.environment)
    found = {name: _check(place, links) for name, links in chains.items()}
    broken = [broken for broken in found.values() if broken]
    if arguments.json:
        said = [
            {
                "repo": repo,
                "environment": environment,
                "records": len(chains[repo, environment]),
                "newest": chains[repo, environment][-1].hash,
                "broken": {"number": at.number, "because": at.because} if at else None,
            }
            for (repo, environment), at in found.items()
        ]
        _print_json({"schema": "interlock.deploys-verify/1", "ok": not broken, "chains": said})
    else:
        for (repo, environment), at in found.items():
            count = len(chains[repo, environment])
            records = f"{count} record{'' if count == 1 else 's'}"
            holds = f"✓ {repo} {environment}: {records}, the newest is {chains[repo, environment][-1].hash}"
            _print(f"✗ {repo} {environment}: deployment {at.number}: {at.because}" if at else holds)
        if not found:
            _print("there are no records yet")
    return BROKEN if broken else DONE


def _check(place: Place, links: Sequence[Link]) -> Broken | None:
    """The first record of a chain that does not hold, or whose journal does not."""
    chain = [Kept(link=link, text=_text(place.files(link.number).record)) for link in links]
    if (broken := verify(chain)) is not None:
        return broken
    for kept in chain:
        if because := _journal_trouble(place.files(kept.link.number), json.loads(kept.text or "{}")):
            return Broken(kept.link.number, because)
    return None


def _journal_trouble(files: DeployFiles, record: Mapping[str, Any]) -> str:
    """What is wrong with the journal that a record was made of; "" for nothing, or when it is gone by now."""
    lines, wrong = _lines(files)
    if not lines and not wrong:
        return ""
    wrong = wrong or journal.verify(lines)
    count = record["journal"]["entries"]
    if not wrong and count and (len(lines) < count or lines[count - 1].hash != record["journal"]["head"]):
        wrong = "it is not the one that the record was made of"  # it may have gone on: wishes that came too late.
    return f"its journal was changed: {wrong}" if wrong else ""


def _lines(files: DeployFiles) -> tuple[tuple[journal.Entry, ...], str]:
    try:
        return journal.read(files), ""
    except journal.JournalDamaged as damaged:
        return (), damaged.because
    except OSError as refused:
        return (), str(refused.strerror)


def _text(path: Path) -> str | None:
    """What a file holds; "" for what is no text, None for nothing."""
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as refused:
        message = f"{path} cannot be read: {refused.strerror}"
        raise NotReadable(message) from refused


def _brief(deployment: Deployment) -> dict[str, object]:
    fields = ("number", "repo", "environment", "kind", "state", "because", "sha", "ref", "pr", "requested_by")
    ended = deployment.finished_at
    return {
        **{name: getattr(deployment, name) for name in fields},
        "created_at": deployment.created_at.isoformat(),
        "finished_at": ended.isoformat() if ended else None,
    }


def _complain(sentence: str, code: int) -> int:
    print(f"interlock: {sentence}", file=sys.stderr)  # noqa: T201 - the command's own output.
    return code


def _print(text: str) -> None:
    print(text)  # noqa: T201 - as above.


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201 - as above.
