"""What teams define: connections, datasets, metrics with their revisions, objectives and key results."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import id_column, json_column, moment_column, ref_column, text_column
from app.store.types import BigId, Bytes, Exact, ExactJson


class Team(SQLModel, table=True):
    __tablename__ = "team"
    id: int = id_column()
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    spec: dict[str, Any] = json_column()
    inherited: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()


class Organisation(SQLModel, table=True):
    """What holds for every team: one row. Teams carry a copy of what they need of it (`team.inherited`)."""

    __tablename__ = "organisation"
    id: int = id_column()
    spec: dict[str, Any] = json_column()
    version: int = 1
    updated_at: datetime = moment_column()
    updated_by: str = text_column()


class Connection(SQLModel, table=True):
    __tablename__ = "connection"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    name: str = text_column()
    connector: str = text_column()
    spec: dict[str, Any] = json_column()
    silence: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()
    paused_code: str | None = text_column(null=True)
    paused_reason: str | None = text_column(null=True)
    failing_since: datetime | None = moment_column(null=True)
    failing_code: str | None = text_column(null=True)
    failing_reason: str | None = text_column(null=True)
    last_success_at: datetime | None = moment_column(null=True)
    last_delivery_at: datetime | None = moment_column(null=True)
    #: Who is told when its credential is refused, by e-mail.
    owner: str | None = text_column(null=True)
    #: Until when the tool wants to be left alone; how many runs in a row it did not answer, and when it is tried again.
    silent_until: datetime | None = moment_column(null=True)
    away_until: datetime | None = moment_column(null=True)
    away_runs: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))


class SealedSecret(SQLModel, table=True):
    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("connection_id", "name"),)
    id: int = id_column()
    connection_id: int = ref_column("connection")
    name: str = text_column()
    key_id: str = text_column()
    sealed: bytes = Field(sa_column=Column(Bytes, nullable=False))
    created_at: datetime = moment_column()


class Dataset(SQLModel, table=True):
    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    connection_id: int = ref_column("connection", index=True)
    name: str = text_column()
    shape: str = text_column()
    spec: dict[str, Any] = json_column()
    silence: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()


class Metric(SQLModel, table=True):
    __tablename__ = "metric"
    __table_args__ = (UniqueConstraint("team_id", "name", "is_inline"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    name: str = text_column()
    is_inline: bool = False
    unit: str = text_column()
    spec: dict[str, Any] = json_column()
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()
    revision_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    building_revision_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    next_evaluation_at: datetime | None = moment_column(null=True, index=True)
    #: How many values of past moments were added: what was made of its history is made anew.
    history_version: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))


class MetricRevision(SQLModel, table=True):
    __tablename__ = "metric_revision"
    __table_args__ = (UniqueConstraint("metric_id", "number"),)
    id: int = id_column()
    metric_id: int = ref_column("metric")
    number: int
    digest: str = text_column()
    definition: dict[str, Any] = json_column()
    author: str = text_column()
    created_at: datetime = moment_column()
    built_parts: int = 0
    built_through: str | None = text_column(null=True)
    #: Of how many entities the facts are extracted, of how many (known once the build has begun).
    built_entities: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))
    entities_to_build: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))


class MetricPart(SQLModel, table=True):
    """What one part of a revision reads: a dataset or a query plan; neither for a manual metric."""

    __tablename__ = "metric_part"
    revision_id: int = ref_column("metric_revision", pk=True)
    part: str = Field(sa_column=Column(Text, primary_key=True))
    dataset_id: int | None = ref_column("dataset", null=True, index=True)
    query_digest: str | None = Field(default=None, sa_column=Column(Text, nullable=True, index=True))


class MetricInput(SQLModel, table=True):
    """A metric that a formula's revision reads, by the name it uses for it; none where that metric is no more."""

    __tablename__ = "metric_input"
    revision_id: int = ref_column("metric_revision", pk=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    metric_id: int | None = ref_column("metric", null=True, index=True, ondelete="SET NULL")


class Objective(SQLModel, table=True):
    __tablename__ = "objective"
    __table_args__ = (UniqueConstraint("team_id", "name", "cycle"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    name: str = text_column()
    cycle: str = text_column()
    is_current: bool = True
    position: int = 0
    spec: dict[str, Any] = json_column()
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()


class KeyResult(SQLModel, table=True):
    __tablename__ = "key_result"
    __table_args__ = (UniqueConstraint("team_id", "name", "cycle"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    objective_id: int = ref_column("objective", index=True)
    metric_id: int = ref_column("metric", index=True)
    name: str = text_column()
    cycle: str = text_column()
    is_current: bool = True
    awaits_baseline: bool = False
    position: int = 0
    spec: dict[str, Any] = json_column()
    managed_by: str = text_column()
    version: int = 1
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()


class GuardrailMetric(SQLModel, table=True):
    """A metric that a guardrail watches, of this team or another, by the name the key result uses for it."""

    __tablename__ = "guardrail_metric"
    key_result_id: int = ref_column("key_result", pk=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    metric_id: int = ref_column("metric", index=True)


class FrozenBaseline(SQLModel, table=True):
    """A baseline that was measured once: of a key result (`guardrail` empty) or of one of its guardrails."""

    __tablename__ = "frozen_baseline"
    key_result_id: int = ref_column("key_result", pk=True)
    guardrail: str = Field(sa_column=Column(Text, primary_key=True))
    rule: str = text_column()
    value: Decimal = Field(sa_column=Column(Exact, nullable=False))
    evidence: dict[str, Any] = json_column()
    frozen_at: datetime = moment_column()
