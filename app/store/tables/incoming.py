"""What came in: deliveries and what became of them, records and events."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import id_column, json_column, moment_column, ref_column, text_column
from app.store.types import BigId, Bytes


class Delivery(SQLModel, table=True):
    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("connection_id", "dedupe_key"),
        Index(
            "ix_delivery_pending",
            "id",
            sqlite_where=text("is_pending"),
            postgresql_where=text("is_pending"),
        ),
    )
    id: int = id_column()
    connection_id: int = ref_column("connection")
    dedupe_key: str = text_column()
    digest: str = text_column()
    received_at: datetime = moment_column()
    headers: list[list[str]] = json_column()
    body: bytes = Field(sa_column=Column(Bytes, nullable=False))
    is_pending: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    conflicts: int = 0
    encoding: str | None = text_column(null=True)


class Intake(SQLModel, table=True):
    """What became of a delivery for one dataset it feeds: applied, ignored (why) or dead (why)."""

    __tablename__ = "intake"
    delivery_id: int = ref_column("delivery", pk=True)
    dataset_id: int = ref_column("dataset", pk=True)
    outcome: str = Field(sa_column=Column(Text, nullable=False, index=True))
    reason: str | None = text_column(null=True)
    event: str | None = text_column(null=True)
    recorded_at: datetime = moment_column()


class Refusal(SQLModel, table=True):
    """What the door did not take of a connection, by reason: how often, and when first and last."""

    __tablename__ = "refusal"
    connection_id: int = ref_column("connection", pk=True)
    code: str = Field(sa_column=Column(Text, primary_key=True))
    count: int = Field(sa_column=Column(BigId, nullable=False))
    first_at: datetime = moment_column()
    last_at: datetime = moment_column()


class Record(SQLModel, table=True):
    """An entity's newest version with its transitions, and how often complete sweeps have missed it."""

    __tablename__ = "record"
    __table_args__ = (UniqueConstraint("dataset_id", "entity"),)
    id: int = id_column()
    dataset_id: int = ref_column("dataset")
    entity: str = text_column()
    name: str = text_column()
    version: int = Field(sa_column=Column(BigId, nullable=False))
    created: datetime | None = moment_column(null=True)
    fields: dict[str, Any] = json_column()
    transitions: list[Any] = json_column()
    link: str | None = text_column(null=True)
    is_deleted: bool = False
    #: The tool still has it, but the dataset's query does not take it any more.
    is_out_of_scope: bool = Field(
        default=False, sa_column=Column(Boolean, default=False, server_default=text("false"), nullable=False)
    )
    missed_sweeps: int = 0
    recorded_at: datetime = moment_column()


class Event(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("dataset_id", "key"), Index("ix_event_entity", "dataset_id", "entity"))
    id: int = id_column()
    dataset_id: int = ref_column("dataset")
    delivery_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    entity: str = text_column()
    key: str = text_column()
    at: datetime = moment_column()
    at_is_receipt: bool = False
    is_deletion: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    event: str | None = text_column(null=True)
    body: Any = json_column(null=True)
    headers: dict[str, Any] = json_column()
    link: str | None = text_column(null=True)
    recorded_at: datetime = moment_column()
