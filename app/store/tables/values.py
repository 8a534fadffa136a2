"""Values of metrics: measured, asserted, ticked, and the samples made of them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Boolean, Column, Index, Text, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import exact_column, id_column, moment_column, ref_column, text_column
from app.store.types import BigId, Exact


class Measurement(SQLModel, table=True):
    """A number the tool computed for one query over one window; `digest` is of its answer, where that has one."""

    __tablename__ = "measurement"
    __table_args__ = (Index("ix_measurement_query", "query_digest", "cycle", "observed_at"),)
    id: int = id_column()
    query_digest: str = text_column()
    cycle: str = text_column()
    window_start: datetime | None = moment_column(null=True)
    window_end: datetime | None = moment_column(null=True)
    value: Decimal | None = exact_column()
    reason: str | None = text_column(null=True)
    observed_at: datetime = moment_column()
    recorded_at: datetime = moment_column()
    query: str = text_column()
    link: str | None = text_column(null=True)
    is_exact: bool = True
    digest: str | None = text_column(null=True)


class AssertedValue(SQLModel, table=True):
    """A value that a person or a script asserts for a local day of a manual metric; the newest of a day counts.

    An override stands for an automated metric's value until that changes from what it was (`overridden_sample_id`)."""

    __tablename__ = "asserted_value"
    __table_args__ = (Index("ix_asserted_value_metric", "metric_id", "effective_at"),)
    id: int = id_column()
    metric_id: int = ref_column("metric")
    day: str = text_column()
    effective_at: datetime = moment_column()
    value: Decimal = Field(sa_column=Column(Exact, nullable=False))
    note: str | None = text_column(null=True)
    link: str | None = text_column(null=True)
    author: str = text_column()
    recorded_at: datetime = moment_column()
    is_override: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    overridden_sample_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    expired_at: datetime | None = moment_column(null=True)


class MilestoneTick(SQLModel, table=True):
    """A person's or a script's word that a step is done, or that it is not; the newest one holds."""

    __tablename__ = "milestone_tick"
    __table_args__ = (Index("ix_milestone_tick_metric", "metric_id", "step", "effective_at"),)
    id: int = id_column()
    metric_id: int = ref_column("metric")
    step: str = text_column()
    is_done: bool = False
    effective_at: datetime = moment_column()
    note: str | None = text_column(null=True)
    author: str = text_column()
    recorded_at: datetime = moment_column()


class Sample(SQLModel, table=True):
    __tablename__ = "sample"
    __table_args__ = (Index("ix_sample_metric", "metric_id", "cycle", "observed_at"),)
    id: int = id_column()
    metric_id: int = ref_column("metric")
    revision_id: int = ref_column("metric_revision")
    cycle: str = text_column()
    window_start: datetime | None = moment_column(null=True)
    window_end: datetime | None = moment_column(null=True)
    value: Decimal | None = exact_column()
    reason: str | None = text_column(null=True)
    sample_size: int | None = None
    numerator: Decimal | None = exact_column()
    denominator: Decimal | None = exact_column()
    quality: str = text_column()
    coverage: Decimal | None = exact_column()
    observed_at: datetime = moment_column()
    measured_at: datetime = moment_column()
    recorded_at: datetime = moment_column()
    supersedes: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))


class CurrentSample(SQLModel, table=True):
    """The one stored derivative: which sample is a metric's current one, by cycle ("" where the window has none)."""

    __tablename__ = "current_sample"
    metric_id: int = ref_column("metric", pk=True)
    cycle: str = Field(sa_column=Column(Text, primary_key=True))
    sample_id: int = ref_column("sample")
