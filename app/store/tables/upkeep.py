"""Who may do what, who did what, and what was touched."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import id_column, json_column, moment_column, ref_column, text_column
from app.store.types import BigId, Bytes


class Token(SQLModel, table=True):
    __tablename__ = "token"
    id: int = id_column()
    name: str = text_column()
    digest: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    scopes: list[str] = json_column()
    team_id: int | None = ref_column("team", null=True)
    created_at: datetime = moment_column()
    created_by: str = text_column()
    revoked_at: datetime | None = moment_column(null=True)


class Audit(SQLModel, table=True):
    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_object", "object_kind", "object_id"),)
    id: int = id_column()
    at: datetime = moment_column()
    actor: str = text_column()
    action: str = text_column()
    object_kind: str = text_column()
    object_id: str = text_column()
    before: Any = json_column(null=True)
    after: Any = json_column(null=True)
    reason: str | None = text_column(null=True)


class IdempotencyKey(SQLModel, table=True):
    __tablename__ = "idempotency_key"
    token_id: int = ref_column("token", pk=True)
    key: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = text_column()
    status: int
    body: bytes = Field(sa_column=Column(Bytes, nullable=False))
    created_at: datetime = moment_column()


class Touch(SQLModel, table=True):
    """A word of a write to what judgements are made of, left by a trigger (`app.store.touch_triggers`): the kind of
    what was touched, and which. `at` in seconds since 1970; `writer` is PostgreSQL's id of the transaction."""

    __tablename__ = "touch"
    id: int = id_column()
    kind: str = text_column()
    ref: str = text_column()
    at: int = Field(sa_column=Column(BigId, nullable=False))
    writer: int | None = Field(default=None, sa_column=Column(BigId, nullable=True, index=True))
