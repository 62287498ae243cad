"""Plans that a dry run has told, kept so that the real run can say what has changed since."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bot.domain.deploy.plan import Plan, plan_from_json, plan_to_json
from runner.whole_file import write_whole

_HASH = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{7,64}")


def keep(data_dir: Path, plan: Plan) -> None:
    """Remember a plan under its hash."""
    path = _directory(data_dir) / f"{plan.hash}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(str(path), [json.dumps(plan_to_json(plan))])


def read(data_dir: Path, beginning: str) -> Plan | None:
    """The plan whose hash begins so; None if there is none, or more than one."""
    if not _BEGINNING.fullmatch(beginning) or not _directory(data_dir).is_dir():
        return None
    found = [path for path in _directory(data_dir).glob(f"{beginning}*.json") if _HASH.fullmatch(path.stem)]
    return plan_from_json(json.loads(found[0].read_text(encoding="utf-8"))) if len(found) == 1 else None


def _directory(data_dir: Path) -> Path:
    return data_dir / "plans"
