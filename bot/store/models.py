"""The bot's tables. Only `bot.store` imports this module."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # GitHub's delivery id: the unique insert is the claim
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("flow_done", sa.Boolean, nullable=False, default=False),
    sa.Column("outcome", sa.String(200), nullable=False, default=""),
    sa.Index("deliveries_open", "flow_done", "received_at"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),  # also the id of its flow
    sa.Column("number", sa.Integer, nullable=False, unique=True),  # what people see
    sa.Column("installation_id", sa.BigInteger, nullable=False),
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("pr", sa.Integer),
    sa.Column("title", sa.String(300), nullable=False, default=""),
    sa.Column("author", sa.String(100), nullable=False, default=""),
    sa.Column("base_ref", sa.String(300), nullable=False),
    sa.Column("base_sha", sa.String(64), nullable=False),
    sa.Column("head_sha", sa.String(64), nullable=False),
    sa.Column("config_hash", sa.String(64), nullable=False, default=""),
    sa.Column("selection", sa.Text, nullable=False, default="all"),
    sa.Column("kept_from", sa.String(200), nullable=False, default=""),
    sa.Column("trust", sa.String(4), nullable=False, default=""),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("conclusion", sa.String(20), nullable=False, default=""),
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("stop_because", sa.Text, nullable=False, default=""),
    sa.Column("delivery", sa.String(64), nullable=False, default=""),
    sa.Column("cause", sa.String(20), nullable=False, default="", server_default=""),
    sa.Column("tree", sa.String(64), nullable=False, default="", server_default=""),
    sa.Column("prove", sa.Text, nullable=False, default="", server_default=""),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Index("runs_of_a_pull_request", "repo_id", "pr", "number"),
    sa.Index("runs_of_a_head", "repo_id", "head_sha"),
)

checks = sa.Table(
    "checks",
    metadata,
    sa.Column("run_id", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("check_run_id", sa.BigInteger, nullable=False),
    sa.Column("sent_annotations", sa.Integer, nullable=False, default=0),
    sa.Column("digest", sa.String(64), nullable=False, default=""),
)

comments = sa.Table(
    "comments",
    metadata,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("pr", sa.Integer, primary_key=True),
    sa.Column("comment_id", sa.BigInteger, nullable=False),
)

permits = sa.Table(
    "permits",
    metadata,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("pr", sa.Integer, primary_key=True),
    sa.Column("head_sha", sa.String(64), primary_key=True),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("comment_id", sa.BigInteger, nullable=False),
    sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("void_because", sa.Text, nullable=False, default=""),
    sa.Column("covers", sa.Text, nullable=False, default=""),
    sa.Index("permits_of_a_comment", "repo_id", "comment_id"),
)

excuses = sa.Table(
    "excuses",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),  # of the command that gave it: the insert is the claim
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("pr", sa.Integer, nullable=False),
    sa.Column("head_sha", sa.String(64), nullable=False),
    sa.Column("selection", sa.Text, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("excuses_of_a_head", "repo_id", "pr", "head_sha"),
)

freezes = sa.Table(
    "freezes",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),  # of the command that made it
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("branch", sa.String(300), nullable=False),  # "" is every branch
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True)),
    sa.Column("lifted_by", sa.String(100), nullable=False, default=""),
    sa.Column("lifted_at", sa.DateTime(timezone=True)),
    sa.Index("freezes_of_a_repository", "repo_id", "lifted_at"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),  # of what was decided: a repeated step writes once
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("permission", sa.String(20), nullable=False, default=""),
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("pr", sa.Integer),
    sa.Column("head_sha", sa.String(64), nullable=False, default=""),
    sa.Column("action", sa.String(100), nullable=False),
    sa.Column("decision", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(60), nullable=False, default=""),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Index("audit_of_a_repository", "repo_id", "number"),
)

installations = sa.Table(
    "installations",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("account", sa.String(100), nullable=False, default=""),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
)

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("installation_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("repositories_of_an_installation", "installation_id"),
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),  # also begins the ids of its flows
    sa.Column("number", sa.Integer, nullable=False, unique=True),  # what people see
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("installation_id", sa.BigInteger, nullable=False),
    sa.Column("environment", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("sha", sa.String(64), nullable=False),
    sa.Column("typed", sa.String(64), nullable=False, default=""),
    sa.Column("ref", sa.String(300), nullable=False, default=""),
    sa.Column("artifact", sa.String(200), nullable=False, default=""),
    sa.Column("config", sa.String(64), nullable=False, default=""),
    sa.Column("config_sha", sa.String(64), nullable=False, default=""),
    sa.Column("release_id", sa.String(64), nullable=False, default=""),
    sa.Column("pr", sa.Integer),
    sa.Column("author", sa.String(100), nullable=False, default=""),
    sa.Column("requested_by", sa.String(100), nullable=False, default=""),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("gates", sa.Text, nullable=False, default=""),
    sa.Column("plan_hash", sa.String(64), nullable=False, default=""),
    sa.Column("break_glass", sa.Text, nullable=False, default=""),
    sa.Column("token", sa.Integer, nullable=False, default=0),
    sa.Column("github_id", sa.BigInteger, nullable=False, default=0),
    sa.Column("told", sa.Integer, nullable=False, default=0),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Index("deployments_of_an_environment", "repo_id", "environment", "number"),
    sa.Index("deployments_by_state", "state"),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("sha", sa.String(64), nullable=False),
    sa.Column("artifact", sa.String(200), nullable=False),
    sa.Column("config", sa.String(64), nullable=False),
    sa.Column("schema_min", sa.Integer),
    sa.Column("schema_max", sa.Integer),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("releases_of_a_commit", "repo_id", "sha"),
)

standings = sa.Table(
    "standings",
    metadata,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("environment", sa.String(100), primary_key=True),
    sa.Column("release_id", sa.String(64), primary_key=True),
    sa.Column("standing", sa.String(10), nullable=False),  # good or bad
    sa.Column("deployment", sa.String(200), nullable=False),  # that showed it
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("live_since", sa.DateTime(timezone=True)),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),  # of the command that gave it: the insert is the claim
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("environment", sa.String(100), nullable=False),
    sa.Column("deployment", sa.String(200), nullable=False),
    sa.Column("sha", sa.String(64), nullable=False),
    sa.Column("artifact", sa.String(200), nullable=False),
    sa.Column("config", sa.String(64), nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("as_who", sa.Text, nullable=False, default=""),
    sa.Column("approves", sa.Boolean, nullable=False, default=True),
    sa.Column("break_glass", sa.Boolean, nullable=False, default=False),
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("comment_id", sa.BigInteger, nullable=False, default=0),
    sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("void_because", sa.Text, nullable=False, default=""),
    sa.Index("approvals_of_an_environment", "repo_id", "environment", "sha"),
    sa.Index("approvals_of_a_comment", "repo_id", "comment_id"),
)

locks = sa.Table(
    "locks",
    metadata,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("environment", sa.String(100), primary_key=True),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("pr", sa.Integer),
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),  # "" when nobody holds it; the token stays
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)

protections = sa.Table(
    "protections",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),  # repo and GitHub's deployment: it asks once for each
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("installation_id", sa.BigInteger, nullable=False),
    sa.Column("environment", sa.String(300), nullable=False),
    sa.Column("workflow_run", sa.BigInteger, nullable=False),
    sa.Column("sha", sa.String(64), nullable=False),
    sa.Column("ref", sa.String(300), nullable=False, default=""),
    sa.Column("requested_by", sa.String(100), nullable=False, default=""),
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("pr", sa.Integer),
    sa.Column("told", sa.Text, nullable=False, default=""),  # how it stands, as GitHub was told last
    sa.Column("comments", sa.Integer, nullable=False, default=0),  # how often it was told
    sa.Column("answer", sa.String(20), nullable=False, default=""),  # approved, rejected, or "" while it waits
    sa.Column("because", sa.Text, nullable=False, default=""),
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    sa.Index("protections_open", "answered_at", "due_at"),
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("environment", sa.String(100), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),  # in the environment's chain: the insert is the claim
    sa.Column("deployment", sa.String(100), nullable=False, unique=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
