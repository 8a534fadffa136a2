"""What is told to teams, and what was."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.store.tables.columns import id_column, json_column, moment_column, ref_column, text_column


class ToldStanding(SQLModel, table=True):
    """How a key result stood when it was last told, and the change that waits until it has settled.

    `version` counts what was told: two workers that see the same change tell it once. `opened_by` is the notice that
    told of a problem which is not resolved yet."""

    __tablename__ = "told_standing"
    key_result_id: int = ref_column("key_result", pk=True)
    told: dict[str, Any] = json_column()
    waiting: dict[str, Any] | None = json_column(null=True)
    waiting_since: datetime | None = moment_column(null=True)
    away_since: datetime | None = moment_column(null=True)
    opened_by: str | None = text_column(null=True)
    version: int = 0
    watched_since: datetime = moment_column()


class Notice(SQLModel, table=True):
    """Something worth telling, as it was then. `uid` is what receivers know it by, `key` what makes it one of a
    kind."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_team", "team_id", "id"),)
    id: int = id_column()
    uid: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    team_id: int = ref_column("team")
    kind: str = text_column()
    subject: str | None = text_column(null=True)
    at: datetime = moment_column()
    payload: dict[str, Any] = json_column()
    resolves: str | None = text_column(null=True)


class Outbox(SQLModel, table=True):
    """A notice on its way through one channel. `attempts` is the fencing token of whoever sends it."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("notice_id", "channel"), Index("ix_outbox_due", "state", "next_attempt_at"))
    id: int = id_column()
    notice_id: int = ref_column("notice")
    team_id: int = ref_column("team", index=True)
    channel: str = text_column()
    state: str = text_column()
    attempts: int = 0
    failures: int = 0
    next_attempt_at: datetime = moment_column()
    lease_until: datetime | None = moment_column(null=True)
    sent_at: datetime | None = moment_column(null=True)
    receipt: str | None = text_column(null=True)
    error_code: str | None = text_column(null=True)
    error: str | None = text_column(null=True)
