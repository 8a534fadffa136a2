"""What it means: facts, and their roll-up."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import exact_column, id_column, moment_column, ref_column, text_column
from app.store.types import BigId, Bytes, Exact


class Fact(SQLModel, table=True):
    """What one subject adds to one part of a revision, on both time axes. `recorded_to` empty: known now.

    `awaits_rollup`: the roll-up does not hold it yet, or (once it is closed) still does."""

    __tablename__ = "fact"
    __table_args__ = (
        # Partial, so that it is no choice where an entity's facts are asked for: it would be a costly one.
        Index(
            "ix_fact_window",
            "revision_id",
            "part",
            "at",
            sqlite_where=text("at IS NOT NULL"),
            postgresql_where=text("at IS NOT NULL"),
        ),
        Index("ix_fact_entity", "revision_id", "part", "entity"),
        Index(
            "ix_fact_sorted",
            "revision_id",
            "part",
            "sort_key",
            "at",
            sqlite_where=text("sort_key IS NOT NULL"),
            postgresql_where=text("sort_key IS NOT NULL"),
        ),
        Index(
            "ix_fact_open",
            "revision_id",
            "part",
            "valid_to",
            sqlite_where=text("since IS NOT NULL AND at IS NULL AND recorded_to IS NULL"),
            postgresql_where=text("since IS NOT NULL AND at IS NULL AND recorded_to IS NULL"),
        ),
        Index(
            "ix_fact_awaiting",
            "revision_id",
            "part",
            sqlite_where=text("awaits_rollup = 1"),  # as SQLAlchemy writes it there, or the index is not taken
            postgresql_where=text("awaits_rollup"),
        ),
    )
    id: int = id_column()
    revision_id: int = ref_column("metric_revision")
    part: str = text_column()
    entity: str = text_column()
    subject: str = text_column()
    at: datetime | None = moment_column(null=True)
    value: Decimal | None = exact_column()
    reason: str | None = text_column(null=True)
    valid_from: datetime | None = moment_column(null=True)
    valid_to: datetime | None = moment_column(null=True)
    label: str = text_column()
    link: str | None = text_column(null=True)
    group: str | None = Field(default=None, sa_column=Column("group_key", Text, nullable=True))
    since: datetime | None = moment_column(null=True)
    recorded_from: datetime = moment_column()
    recorded_to: datetime | None = moment_column(null=True)
    sort_key: bytes | None = Field(default=None, sa_column=Column(Bytes, nullable=True))
    awaits_rollup: bool = Field(
        default=False, sa_column=Column(Boolean, default=False, server_default=text("false"), nullable=False)
    )


class RollUp(SQLModel, table=True):
    """The facts of a part that hold from now on, summed up over `days` local days from ordinal `day` on (0: over all
    of them). `total` is the sum of the values, or of a distinct count the groups whose last fact lies there; `buckets`
    counts the facts by value.

    The row over everything also says as of when the roll-up is right (`settled_from`), and whether some facts hold
    only from a later moment or until one (`has_ahead`)."""

    __tablename__ = "rollup"
    revision_id: int = ref_column("metric_revision", pk=True)
    part: str = Field(sa_column=Column(Text, primary_key=True))
    days: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    day: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    facts: int = Field(sa_column=Column(BigId, nullable=False))
    total: Decimal = Field(sa_column=Column(Exact, nullable=False))
    buckets: bytes = Field(sa_column=Column(Bytes, nullable=False))
    settled_from: datetime | None = moment_column(null=True)
    has_ahead: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))


class RollUpScale(SQLModel, table=True):
    """Where the buckets of a part's roll-up begin."""

    __tablename__ = "rollup_scale"
    revision_id: int = ref_column("metric_revision", pk=True)
    part: str = Field(sa_column=Column(Text, primary_key=True))
    bounds: bytes = Field(sa_column=Column(Bytes, nullable=False))


class FactAhead(SQLModel, table=True):
    """A fact that begins or ceases to hold at a moment that was still to come when it was recorded."""

    __tablename__ = "fact_ahead"
    __table_args__ = (Index("ix_fact_ahead_part", "revision_id", "part"),)
    fact_id: int = Field(
        sa_column=Column(BigId, ForeignKey("fact.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    )
    revision_id: int = Field(sa_column=Column(BigId, nullable=False))
    part: str = text_column()
    until: datetime = moment_column()
