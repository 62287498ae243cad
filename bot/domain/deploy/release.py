"""What is deployed: a commit, what was built of it, and the configuration that it is deployed by. Never changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum


class Standing(StrEnum):
    """What is known of a release."""

    UNKNOWN = ""
    GOOD = "good"  # a bake passed.
    BAD = "bad"  # it was rolled back; sticky for its artifact.


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release.

    Attributes:
        repo_id: GitHub's number of the repository.
        sha: the commit, all 40 digits.
        artifact: digest of what was built of it, with its kind before a colon: `tree:<git tree>`, `sha256:<image>`.
        config: digest of the environment's configuration that it is deployed by.
        schema_min: the oldest version of the database's schema that it works with; None for any.
        schema_max: the newest; None for any.
    """

    repo_id: int
    sha: str
    artifact: str
    config: str
    schema_min: int | None = None
    schema_max: int | None = None

    @property
    def id(self) -> str:
        """Its name: the same for the same commit, artifact and configuration."""
        return digest([self.repo_id, self.sha, self.artifact, self.config])[:16]

    @property
    def short(self) -> str:
        """The commit as people quote it."""
        return self.sha[:7]

    @property
    def names_schemas(self) -> bool:
        """Whether it works with some versions of the schema only."""
        return self.schema_min is not None or self.schema_max is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A release, and how it stands in an environment.

    Attributes:
        deployment: id of the deployment that showed it.
        because: how, a sentence.
        live_since: when users first saw it there; None if they never did.
        at: when it came to stand so.
    """

    release: Release
    environment: str
    standing: Standing
    deployment: str
    because: str = ""
    live_since: datetime | None = None
    at: datetime


def digest(value: object) -> str:
    """SHA-256, in hex, of a JSON value in its canonical form."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def release_to_json(release: Release) -> dict[str, object]:
    """All of it, for plans and records."""
    return {**asdict(release), "id": release.id}
