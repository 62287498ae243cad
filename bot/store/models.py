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
