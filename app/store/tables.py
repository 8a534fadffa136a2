"""The tables: one class each, no behaviour. `docs/architecture.md` says what one row of each is.

Column helpers keep the declarations short; every moment is a `Moment`, every measured number an `Exact`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.types import BigId, Bytes, Exact, ExactJson, Moment

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata


def _id() -> Any:
    return Field(default=None, sa_column=Column("id", BigId, primary_key=True, autoincrement=True))


def _ref(target: str, *, null: bool = False, index: bool = False, ondelete: str = "CASCADE", pk: bool = False) -> Any:
    column = Column(BigId, ForeignKey(f"{target}.id", ondelete=ondelete), nullable=null, index=index, primary_key=pk)
    return Field(default=None, sa_column=column)


def _moment(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Moment, nullable=null, index=index))


def _exact() -> Any:
    return Field(default=None, sa_column=Column(Exact, nullable=True))


def _json(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(ExactJson, nullable=null))


def _text(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Text, nullable=null))


# --- the organisation's words ----------------------------------------------------------------------------------------


class Team(SQLModel, table=True):
    __tablename__ = "team"
    id: int = _id()
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    spec: dict[str, Any] = _json()
    inherited: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class Organisation(SQLModel, table=True):
    """What holds for every team: one row. Teams carry a copy of what they need of it (`team.inherited`)."""

    __tablename__ = "organisation"
    id: int = _id()
    spec: dict[str, Any] = _json()
    version: int = 1
    updated_at: datetime = _moment()
    updated_by: str = _text()


class Connection(SQLModel, table=True):
    __tablename__ = "connection"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: int = _id()
    team_id: int = _ref("team")
    name: str = _text()
    connector: str = _text()
    spec: dict[str, Any] = _json()
    silence: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()
    paused_code: str | None = _text(null=True)
    paused_reason: str | None = _text(null=True)
    failing_since: datetime | None = _moment(null=True)
    failing_code: str | None = _text(null=True)
    failing_reason: str | None = _text(null=True)
    last_success_at: datetime | None = _moment(null=True)
    last_delivery_at: datetime | None = _moment(null=True)
    #: Who is told when its credential is refused, by e-mail.
    owner: str | None = _text(null=True)
    #: Until when the tool wants to be left alone; how many runs in a row it did not answer, and when it is tried again.
    silent_until: datetime | None = _moment(null=True)
    away_until: datetime | None = _moment(null=True)
    away_runs: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))


class SealedSecret(SQLModel, table=True):
    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("connection_id", "name"),)
    id: int = _id()
    connection_id: int = _ref("connection")
    name: str = _text()
    key_id: str = _text()
    sealed: bytes = Field(sa_column=Column(Bytes, nullable=False))
    created_at: datetime = _moment()


class Dataset(SQLModel, table=True):
    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: int = _id()
    team_id: int = _ref("team")
    connection_id: int = _ref("connection", index=True)
    name: str = _text()
    shape: str = _text()
    spec: dict[str, Any] = _json()
    silence: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(ExactJson, nullable=False, server_default="{}")
    )
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class Metric(SQLModel, table=True):
    __tablename__ = "metric"
    __table_args__ = (UniqueConstraint("team_id", "name", "is_inline"),)
    id: int = _id()
    team_id: int = _ref("team")
    name: str = _text()
    is_inline: bool = False
    unit: str = _text()
    spec: dict[str, Any] = _json()
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()
    revision_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    building_revision_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    next_evaluation_at: datetime | None = _moment(null=True, index=True)
    #: How many values of past moments were added: what was made of its history is made anew.
    history_version: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))


class MetricRevision(SQLModel, table=True):
    __tablename__ = "metric_revision"
    __table_args__ = (UniqueConstraint("metric_id", "number"),)
    id: int = _id()
    metric_id: int = _ref("metric")
    number: int
    digest: str = _text()
    definition: dict[str, Any] = _json()
    author: str = _text()
    created_at: datetime = _moment()
    built_parts: int = 0
    built_through: str | None = _text(null=True)
    #: Of how many entities the facts are extracted, of how many (known once the build has begun).
    built_entities: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))
    entities_to_build: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))


class MetricPart(SQLModel, table=True):
    """What one part of a revision reads: a dataset or a query plan; neither for a manual metric."""

    __tablename__ = "metric_part"
    revision_id: int = _ref("metric_revision", pk=True)
    part: str = Field(sa_column=Column(Text, primary_key=True))
    dataset_id: int | None = _ref("dataset", null=True, index=True)
    query_digest: str | None = Field(default=None, sa_column=Column(Text, nullable=True, index=True))


class MetricInput(SQLModel, table=True):
    """A metric that a formula's revision reads, by the name it uses for it; none where that metric is no more."""

    __tablename__ = "metric_input"
    revision_id: int = _ref("metric_revision", pk=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    metric_id: int | None = _ref("metric", null=True, index=True, ondelete="SET NULL")


class Objective(SQLModel, table=True):
    __tablename__ = "objective"
    __table_args__ = (UniqueConstraint("team_id", "name", "cycle"),)
    id: int = _id()
    team_id: int = _ref("team")
    name: str = _text()
    cycle: str = _text()
    is_current: bool = True
    position: int = 0
    spec: dict[str, Any] = _json()
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class KeyResult(SQLModel, table=True):
    __tablename__ = "key_result"
    __table_args__ = (UniqueConstraint("team_id", "name", "cycle"),)
    id: int = _id()
    team_id: int = _ref("team")
    objective_id: int = _ref("objective", index=True)
    metric_id: int = _ref("metric", index=True)
    name: str = _text()
    cycle: str = _text()
    is_current: bool = True
    awaits_baseline: bool = False
    position: int = 0
    spec: dict[str, Any] = _json()
    managed_by: str = _text()
    version: int = 1
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class GuardrailMetric(SQLModel, table=True):
    """A metric that a guardrail watches, of this team or another, by the name the key result uses for it."""

    __tablename__ = "guardrail_metric"
    key_result_id: int = _ref("key_result", pk=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    metric_id: int = _ref("metric", index=True)


class FrozenBaseline(SQLModel, table=True):
    """A baseline that was measured once: of a key result (`guardrail` empty) or of one of its guardrails."""

    __tablename__ = "frozen_baseline"
    key_result_id: int = _ref("key_result", pk=True)
    guardrail: str = Field(sa_column=Column(Text, primary_key=True))
    rule: str = _text()
    value: Decimal = Field(sa_column=Column(Exact, nullable=False))
    evidence: dict[str, Any] = _json()
    frozen_at: datetime = _moment()


# --- what people say, and what a cycle ended with --------------------------------------------------------------------


class CheckIn(SQLModel, table=True):
    """A person's word on a key result: a note, how confident they are (0 to 1), what blocks it."""

    __tablename__ = "check_in"
    __table_args__ = (Index("ix_check_in_key_result", "key_result_id", "at"),)
    id: int = _id()
    key_result_id: int = _ref("key_result")
    at: datetime = _moment()
    author: str = _text()
    note: str | None = _text(null=True)
    confidence: Decimal | None = _exact()
    blockers: list[str] = _json()
    value: Decimal | None = _exact()


class KeyResultTerms(SQLModel, table=True):
    """The target, baseline and guardrails of a key result from a moment on: past points keep theirs."""

    __tablename__ = "key_result_terms"
    __table_args__ = (Index("ix_key_result_terms_key_result", "key_result_id", "since"),)
    id: int = _id()
    key_result_id: int = _ref("key_result")
    since: datetime = _moment()
    spec: dict[str, Any] = _json()
    author: str = _text()


class CycleClose(SQLModel, table=True):
    """A team's cycle, sealed: `digest` covers the sealed key results. Reopened: who, when and why; the row stays."""

    __tablename__ = "cycle_close"
    __table_args__ = (Index("ix_cycle_close_team", "team_id", "cycle"),)
    id: int = _id()
    team_id: int = _ref("team")
    cycle: str = _text()
    closed_at: datetime = _moment()
    closed_by: str = _text()
    note: str | None = _text(null=True)
    digest: str = _text()
    objectives: list[Any] = _json()
    reopened_at: datetime | None = _moment(null=True)
    reopened_by: str | None = _text(null=True)
    reopened_because: str | None = _text(null=True)


class SealedKeyResult(SQLModel, table=True):
    """A key result as its cycle was closed: the view that was served, its evidence, and its grade."""

    __tablename__ = "sealed_key_result"
    __table_args__ = (Index("ix_sealed_key_result_key_result", "key_result_id"),)
    id: int = _id()
    close_id: int = _ref("cycle_close", index=True)
    key_result_id: int = _ref("key_result")
    view: dict[str, Any] = _json()
    evidence: dict[str, Any] = _json()
    value: Decimal | None = _exact()
    recommended: dict[str, Any] = _json()
    grade: dict[str, Any] | None = _json(null=True)
    graded_by: str | None = _text(null=True)
    grade_note: str | None = _text(null=True)
    checked_at: datetime | None = _moment(null=True, index=True)


class Restatement(SQLModel, table=True):
    """What a sealed value would be now: data came late, or a rule changed. The sealed one stays."""

    __tablename__ = "restatement"
    id: int = _id()
    sealed_id: int = _ref("sealed_key_result", index=True)
    at: datetime = _moment()
    value_before: Decimal | None = _exact()
    value_now: Decimal | None = _exact()
    reason: str = _text()


class HealthCheck(SQLModel, table=True):
    """A health check of a team's cycle, as it was made."""

    __tablename__ = "health_check"
    __table_args__ = (Index("ix_health_check_team", "team_id", "cycle", "made_at"),)
    id: int = _id()
    team_id: int = _ref("team")
    cycle: str = _text()
    made_at: datetime = _moment()
    made_by: str = _text()
    report: dict[str, Any] = _json()


# --- what came in ----------------------------------------------------------------------------------------------------


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
    id: int = _id()
    connection_id: int = _ref("connection")
    dedupe_key: str = _text()
    digest: str = _text()
    received_at: datetime = _moment()
    headers: list[list[str]] = _json()
    body: bytes = Field(sa_column=Column(Bytes, nullable=False))
    is_pending: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    conflicts: int = 0
    encoding: str | None = _text(null=True)


class Intake(SQLModel, table=True):
    """What became of a delivery for one dataset it feeds: applied, ignored (why) or dead (why)."""

    __tablename__ = "intake"
    delivery_id: int = _ref("delivery", pk=True)
    dataset_id: int = _ref("dataset", pk=True)
    outcome: str = Field(sa_column=Column(Text, nullable=False, index=True))
    reason: str | None = _text(null=True)
    event: str | None = _text(null=True)
    recorded_at: datetime = _moment()


class Refusal(SQLModel, table=True):
    """What the door did not take of a connection, by reason: how often, and when first and last."""

    __tablename__ = "refusal"
    connection_id: int = _ref("connection", pk=True)
    code: str = Field(sa_column=Column(Text, primary_key=True))
    count: int = Field(sa_column=Column(BigId, nullable=False))
    first_at: datetime = _moment()
    last_at: datetime = _moment()


class Record(SQLModel, table=True):
    """An entity's newest version with its transitions, and how often complete sweeps have missed it."""

    __tablename__ = "record"
    __table_args__ = (UniqueConstraint("dataset_id", "entity"),)
    id: int = _id()
    dataset_id: int = _ref("dataset")
    entity: str = _text()
    name: str = _text()
    version: int = Field(sa_column=Column(BigId, nullable=False))
    created: datetime | None = _moment(null=True)
    fields: dict[str, Any] = _json()
    transitions: list[Any] = _json()
    link: str | None = _text(null=True)
    is_deleted: bool = False
    #: The tool still has it, but the dataset's query does not take it any more.
    is_out_of_scope: bool = Field(
        default=False, sa_column=Column(Boolean, default=False, server_default=text("false"), nullable=False)
    )
    missed_sweeps: int = 0
    recorded_at: datetime = _moment()


class Event(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("dataset_id", "key"), Index("ix_event_entity", "dataset_id", "entity"))
    id: int = _id()
    dataset_id: int = _ref("dataset")
    delivery_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    entity: str = _text()
    key: str = _text()
    at: datetime = _moment()
    at_is_receipt: bool = False
    is_deletion: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    event: str | None = _text(null=True)
    body: Any = _json(null=True)
    headers: dict[str, Any] = _json()
    link: str | None = _text(null=True)
    recorded_at: datetime = _moment()


# --- what it means ---------------------------------------------------------------------------------------------------


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
    id: int = _id()
    revision_id: int = _ref("metric_revision")
    part: str = _text()
    entity: str = _text()
    subject: str = _text()
    at: datetime | None = _moment(null=True)
    value: Decimal | None = _exact()
    reason: str | None = _text(null=True)
    valid_from: datetime | None = _moment(null=True)
    valid_to: datetime | None = _moment(null=True)
    label: str = _text()
    link: str | None = _text(null=True)
    group: str | None = Field(default=None, sa_column=Column("group_key", Text, nullable=True))
    since: datetime | None = _moment(null=True)
    recorded_from: datetime = _moment()
    recorded_to: datetime | None = _moment(null=True)
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
    revision_id: int = _ref("metric_revision", pk=True)
    part: str = Field(sa_column=Column(Text, primary_key=True))
    days: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    day: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    facts: int = Field(sa_column=Column(BigId, nullable=False))
    total: Decimal = Field(sa_column=Column(Exact, nullable=False))
    buckets: bytes = Field(sa_column=Column(Bytes, nullable=False))
    settled_from: datetime | None = _moment(null=True)
    has_ahead: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))


class RollUpScale(SQLModel, table=True):
    """Where the buckets of a part's roll-up begin."""

    __tablename__ = "rollup_scale"
    revision_id: int = _ref("metric_revision", pk=True)
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
    part: str = _text()
    until: datetime = _moment()


class Measurement(SQLModel, table=True):
    """A number the tool computed for one query over one window; `digest` is of its answer, where that has one."""

    __tablename__ = "measurement"
    __table_args__ = (Index("ix_measurement_query", "query_digest", "cycle", "observed_at"),)
    id: int = _id()
    query_digest: str = _text()
    cycle: str = _text()
    window_start: datetime | None = _moment(null=True)
    window_end: datetime | None = _moment(null=True)
    value: Decimal | None = _exact()
    reason: str | None = _text(null=True)
    observed_at: datetime = _moment()
    recorded_at: datetime = _moment()
    query: str = _text()
    link: str | None = _text(null=True)
    is_exact: bool = True
    digest: str | None = _text(null=True)


class AssertedValue(SQLModel, table=True):
    """A value that a person or a script asserts for a local day of a manual metric; the newest of a day counts.

    An override stands for an automated metric's value until that changes from what it was (`overridden_sample_id`)."""

    __tablename__ = "asserted_value"
    __table_args__ = (Index("ix_asserted_value_metric", "metric_id", "effective_at"),)
    id: int = _id()
    metric_id: int = _ref("metric")
    day: str = _text()
    effective_at: datetime = _moment()
    value: Decimal = Field(sa_column=Column(Exact, nullable=False))
    note: str | None = _text(null=True)
    link: str | None = _text(null=True)
    author: str = _text()
    recorded_at: datetime = _moment()
    is_override: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    overridden_sample_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    expired_at: datetime | None = _moment(null=True)


class MilestoneTick(SQLModel, table=True):
    """A person's or a script's word that a step is done, or that it is not; the newest one holds."""

    __tablename__ = "milestone_tick"
    __table_args__ = (Index("ix_milestone_tick_metric", "metric_id", "step", "effective_at"),)
    id: int = _id()
    metric_id: int = _ref("metric")
    step: str = _text()
    is_done: bool = False
    effective_at: datetime = _moment()
    note: str | None = _text(null=True)
    author: str = _text()
    recorded_at: datetime = _moment()


class Sample(SQLModel, table=True):
    __tablename__ = "sample"
    __table_args__ = (Index("ix_sample_metric", "metric_id", "cycle", "observed_at"),)
    id: int = _id()
    metric_id: int = _ref("metric")
    revision_id: int = _ref("metric_revision")
    cycle: str = _text()
    window_start: datetime | None = _moment(null=True)
    window_end: datetime | None = _moment(null=True)
    value: Decimal | None = _exact()
    reason: str | None = _text(null=True)
    sample_size: int | None = None
    numerator: Decimal | None = _exact()
    denominator: Decimal | None = _exact()
    quality: str = _text()
    coverage: Decimal | None = _exact()
    observed_at: datetime = _moment()
    measured_at: datetime = _moment()
    recorded_at: datetime = _moment()
    supersedes: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))


class CurrentSample(SQLModel, table=True):
    """The one stored derivative: which sample is a metric's current one, by cycle ("" where the window has none)."""

    __tablename__ = "current_sample"
    metric_id: int = _ref("metric", pk=True)
    cycle: str = Field(sa_column=Column(Text, primary_key=True))
    sample_id: int = _ref("sample")


# --- pulling ---------------------------------------------------------------------------------------------------------


class Plan(SQLModel, table=True):
    """What to pull and when: one row per connection and dataset, or per connection, query, window and cycle."""

    __tablename__ = "plan"
    __table_args__ = (
        Index("ix_plan_due", "next_due_at"),
        Index("ix_plan_query", "query_digest", "cycle"),
    )
    id: int = _id()
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    connection_id: int = _ref("connection", index=True)
    dataset_id: int | None = _ref("dataset", null=True, index=True)
    query_digest: str | None = _text(null=True)
    cycle: str = _text()
    query: dict[str, Any] | None = _json(null=True)
    link: str | None = _text(null=True)
    cadence_seconds: int = 300
    next_due_at: datetime | None = _moment(null=True)
    full_due_at: datetime | None = _moment(null=True)
    #: When the next sweep is due, and the next read of what changed; before that the plan is due for hints alone.
    sweep_due_at: datetime | None = _moment(null=True)
    read_due_at: datetime | None = _moment(null=True)
    #: So many entities went at once that a person has to say that it is right; and whether one has.
    held_drop: int = Field(default=0, sa_column=Column(BigId, nullable=False, server_default=text("0")))
    is_drop_confirmed: bool = Field(
        default=False, sa_column=Column(Boolean, default=False, server_default=text("false"), nullable=False)
    )
    lease_owner: str | None = _text(null=True)
    lease_until: datetime | None = _moment(null=True)
    fence: int = 0
    cursor: dict[str, Any] | None = _json(null=True)
    failures: int = 0
    failing_code: str | None = _text(null=True)
    failing_reason: str | None = _text(null=True)
    paused_code: str | None = _text(null=True)
    last_attempt_at: datetime | None = _moment(null=True)
    last_success_at: datetime | None = _moment(null=True)


class Run(SQLModel, table=True):
    __tablename__ = "run"
    __table_args__ = (Index("ix_run_plan", "plan_id", "id"),)
    id: int = _id()
    plan_id: int = _ref("plan")
    fence: int
    is_full: bool = False
    started_at: datetime = _moment()
    finished_at: datetime | None = _moment(null=True)
    outcome: str = _text()
    calls: int = 0
    records: int = 0
    changed: int = 0
    #: `full`, `sweep`, `changes`, `hints`; `query` for a number that the tool computes.
    kind: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    #: How many of the changed records no webhook had told of; None where none is expected to.
    untold: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    warnings: list[Any] | None = _json(null=True)
    error_code: str | None = _text(null=True)
    error: str | None = _text(null=True)


class Hint(SQLModel, table=True):
    """An entity of which a webhook told that it changed, or (`is_deleted`) that it is gone: to be read by its id."""

    __tablename__ = "hint"
    __table_args__ = (UniqueConstraint("plan_id", "entity"),)
    id: int = _id()
    plan_id: int = _ref("plan")
    entity: str = _text()
    is_deleted: bool = False
    told_at: datetime = _moment()


class StagedChange(SQLModel, table=True):
    """A page's record, kept under its run until the read is complete."""

    __tablename__ = "staged_change"
    __table_args__ = (Index("ix_staged_change_run", "run_id", "id"),)
    id: int = _id()
    run_id: int = _ref("run")
    change: dict[str, Any] = _json()


class BackfillJob(SQLModel, table=True):
    """A wish for history from before there were samples, worked off metric by metric, day by day.

    `metrics` are the ids still to do, `day` the next day of the first of them; `done` of `total` days; `notes` say what
    could not be reconstructed, and why."""

    __tablename__ = "backfill_job"
    __table_args__ = (Index("ix_backfill_job_team", "team_id", "id"),)
    id: int = _id()
    team_id: int = _ref("team")
    since: str = _text()
    metrics: list[int] = _json()
    day: str | None = _text(null=True)
    state: str = Field(sa_column=Column(Text, nullable=False, index=True))
    done: int = 0
    total: int = 0
    samples: int = 0
    notes: list[str] = _json()
    created_at: datetime = _moment()
    created_by: str = _text()
    finished_at: datetime | None = _moment(null=True)


# --- what is told ----------------------------------------------------------------------------------------------------


class ToldStanding(SQLModel, table=True):
    """How a key result stood when it was last told, and the change that waits until it has settled.

    `version` counts what was told: two workers that see the same change tell it once. `opened_by` is the notice that
    told of a problem which is not resolved yet."""

    __tablename__ = "told_standing"
    key_result_id: int = _ref("key_result", pk=True)
    told: dict[str, Any] = _json()
    waiting: dict[str, Any] | None = _json(null=True)
    waiting_since: datetime | None = _moment(null=True)
    away_since: datetime | None = _moment(null=True)
    opened_by: str | None = _text(null=True)
    version: int = 0
    watched_since: datetime = _moment()


class Notice(SQLModel, table=True):
    """Something worth telling, as it was then. `uid` is what receivers know it by, `key` what makes it one of a
    kind."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_team", "team_id", "id"),)
    id: int = _id()
    uid: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    team_id: int = _ref("team")
    kind: str = _text()
    subject: str | None = _text(null=True)
    at: datetime = _moment()
    payload: dict[str, Any] = _json()
    resolves: str | None = _text(null=True)


class Outbox(SQLModel, table=True):
    """A notice on its way through one channel. `attempts` is the fencing token of whoever sends it."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("notice_id", "channel"), Index("ix_outbox_due", "state", "next_attempt_at"))
    id: int = _id()
    notice_id: int = _ref("notice")
    team_id: int = _ref("team", index=True)
    channel: str = _text()
    state: str = _text()
    attempts: int = 0
    failures: int = 0
    next_attempt_at: datetime = _moment()
    lease_until: datetime | None = _moment(null=True)
    sent_at: datetime | None = _moment(null=True)
    receipt: str | None = _text(null=True)
    error_code: str | None = _text(null=True)
    error: str | None = _text(null=True)


# --- what changed ----------------------------------------------------------------------------------------------------


class Touch(SQLModel, table=True):
    """A word of a write to what judgements are made of, left by a trigger (`app.store.touch_triggers`): the kind of
    what was touched, and which. `at` in seconds since 1970; `writer` is PostgreSQL's id of the transaction."""

    __tablename__ = "touch"
    id: int = _id()
    kind: str = _text()
    ref: str = _text()
    at: int = Field(sa_column=Column(BigId, nullable=False))
    writer: int | None = Field(default=None, sa_column=Column(BigId, nullable=True, index=True))


# --- who did what ----------------------------------------------------------------------------------------------------


class Token(SQLModel, table=True):
    __tablename__ = "token"
    id: int = _id()
    name: str = _text()
    digest: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    scopes: list[str] = _json()
    team_id: int | None = _ref("team", null=True)
    created_at: datetime = _moment()
    created_by: str = _text()
    revoked_at: datetime | None = _moment(null=True)


class Audit(SQLModel, table=True):
    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_object", "object_kind", "object_id"),)
    id: int = _id()
    at: datetime = _moment()
    actor: str = _text()
    action: str = _text()
    object_kind: str = _text()
    object_id: str = _text()
    before: Any = _json(null=True)
    after: Any = _json(null=True)
    reason: str | None = _text(null=True)


class IdempotencyKey(SQLModel, table=True):
    __tablename__ = "idempotency_key"
    token_id: int = _ref("token", pk=True)
    key: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = _text()
    status: int
    body: bytes = Field(sa_column=Column(Bytes, nullable=False))
    created_at: datetime = _moment()
