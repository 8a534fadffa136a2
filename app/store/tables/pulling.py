"""What is asked of tools, when, and how that went."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import id_column, json_column, moment_column, ref_column, text_column
from app.store.types import BigId


class Plan(SQLModel, table=True):
    """What to pull and when: one row per connection and dataset, or per connection, query, window and cycle."""

    __tablename__ = "plan"
    __table_args__ = (
        Index("ix_plan_due", "next_due_at"),
        Index("ix_plan_query", "query_digest", "cycle"),
    )
    id: int = id_column()
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    connection_id: int = ref_column("connection", index=True)
    dataset_id: int | None = ref_column("dataset", null=True, index=True)
    query_digest: str | None = text_column(null=True)
    cycle: str = text_column()
    query: dict[str, Any] | None = json_column(null=True)
    link: str | None = text_column(null=True)
    cadence_seconds: int = 300
    next_due_at: datetime | None = moment_column(null=True)
    full_due_at: datetime | None = moment_column(null=True)
    #: When the next sweep is due, and the next read of what changed; before that the plan is due for hints alone.
    sweep_due_at: datetime | None = moment_column(null=True)
    read_due_at: datetime | None = moment_column(null=True)
    #: So many entities went at once that a person has to say that it is right; and whether one has.
    held_drop: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))
    is_drop_confirmed: bool = Field(
        default=False, sa_column=Column(Boolean, default=False, server_default=text("false"), nullable=False)
    )
    lease_owner: str | None = text_column(null=True)
    lease_until: datetime | None = moment_column(null=True)
    fence: int = 0
    cursor: dict[str, Any] | None = json_column(null=True)
    failures: int = 0
    failing_code: str | None = text_column(null=True)
    failing_reason: str | None = text_column(null=True)
    paused_code: str | None = text_column(null=True)
    last_attempt_at: datetime | None = moment_column(null=True)
    last_success_at: datetime | None = moment_column(null=True)


class Run(SQLModel, table=True):
    __tablename__ = "run"
    __table_args__ = (Index("ix_run_plan", "plan_id", "id"),)
    id: int = id_column()
    plan_id: int = ref_column("plan")
    fence: int
    is_full: bool = False
    started_at: datetime = moment_column()
    finished_at: datetime | None = moment_column(null=True)
    outcome: str = text_column()
    calls: int = 0
    records: int = 0
    changed: int = 0
    #: `full`, `sweep`, `changes`, `hints`; `query` for a number that the tool computes.
    kind: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    #: How many of the changed records no webhook had told of; None where none is expected to.
    untold: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    warnings: list[Any] | None = json_column(null=True)
    error_code: str | None = text_column(null=True)
    error: str | None = text_column(null=True)


class Hint(SQLModel, table=True):
    """An entity of which a webhook told that it changed, or (`is_deleted`) that it is gone: to be read by its id."""

    __tablename__ = "hint"
    __table_args__ = (UniqueConstraint("plan_id", "entity"),)
    id: int = id_column()
    plan_id: int = ref_column("plan")
    entity: str = text_column()
    is_deleted: bool = False
    told_at: datetime = moment_column()


class StagedChange(SQLModel, table=True):
    """A page's record, kept under its run until the read is complete."""

    __tablename__ = "staged_change"
    __table_args__ = (Index("ix_staged_change_run", "run_id", "id"),)
    id: int = id_column()
    run_id: int = ref_column("run")
    change: dict[str, Any] = json_column()


class BackfillJob(SQLModel, table=True):
    """A wish for history from before there were samples, worked off metric by metric, day by day.

    `metrics` are the ids still to do, `day` the next day of the first of them; `done` of `total` days; `notes` say what
    could not be reconstructed, and why."""

    __tablename__ = "backfill_job"
    __table_args__ = (Index("ix_backfill_job_team", "team_id", "id"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    since: str = text_column()
    metrics: list[int] = json_column()
    day: str | None = text_column(null=True)
    state: str = Field(sa_column=Column(Text, nullable=False, index=True))
    done: int = 0
    total: int = 0
    samples: int = 0
    notes: list[str] = json_column()
    created_at: datetime = moment_column()
    created_by: str = text_column()
    finished_at: datetime | None = moment_column(null=True)
