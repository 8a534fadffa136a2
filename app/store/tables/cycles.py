"""What people say about key results, and what a cycle ended with."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index
from sqlmodel import SQLModel

from app.store.tables.columns import exact_column, id_column, json_column, moment_column, ref_column, text_column


class CheckIn(SQLModel, table=True):
    """A person's word on a key result: a note, how confident they are (0 to 1), what blocks it."""

    __tablename__ = "check_in"
    __table_args__ = (Index("ix_check_in_key_result", "key_result_id", "at"),)
    id: int = id_column()
    key_result_id: int = ref_column("key_result")
    at: datetime = moment_column()
    author: str = text_column()
    note: str | None = text_column(null=True)
    confidence: Decimal | None = exact_column()
    blockers: list[str] = json_column()
    value: Decimal | None = exact_column()


class KeyResultTerms(SQLModel, table=True):
    """The target, baseline and guardrails of a key result from a moment on: past points keep theirs."""

    __tablename__ = "key_result_terms"
    __table_args__ = (Index("ix_key_result_terms_key_result", "key_result_id", "since"),)
    id: int = id_column()
    key_result_id: int = ref_column("key_result")
    since: datetime = moment_column()
    spec: dict[str, Any] = json_column()
    author: str = text_column()


class CycleClose(SQLModel, table=True):
    """A team's cycle, sealed: `digest` covers the sealed key results. Reopened: who, when and why; the row stays."""

    __tablename__ = "cycle_close"
    __table_args__ = (Index("ix_cycle_close_team", "team_id", "cycle"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    cycle: str = text_column()
    closed_at: datetime = moment_column()
    closed_by: str = text_column()
    note: str | None = text_column(null=True)
    digest: str = text_column()
    objectives: list[Any] = json_column()
    reopened_at: datetime | None = moment_column(null=True)
    reopened_by: str | None = text_column(null=True)
    reopened_because: str | None = text_column(null=True)


class SealedKeyResult(SQLModel, table=True):
    """A key result as its cycle was closed: the view that was served, its evidence, and its grade."""

    __tablename__ = "sealed_key_result"
    __table_args__ = (Index("ix_sealed_key_result_key_result", "key_result_id"),)
    id: int = id_column()
    close_id: int = ref_column("cycle_close", index=True)
    key_result_id: int = ref_column("key_result")
    view: dict[str, Any] = json_column()
    evidence: dict[str, Any] = json_column()
    value: Decimal | None = exact_column()
    recommended: dict[str, Any] = json_column()
    grade: dict[str, Any] | None = json_column(null=True)
    graded_by: str | None = text_column(null=True)
    grade_note: str | None = text_column(null=True)
    checked_at: datetime | None = moment_column(null=True, index=True)


class Restatement(SQLModel, table=True):
    """What a sealed value would be now: data came late, or a rule changed. The sealed one stays."""

    __tablename__ = "restatement"
    id: int = id_column()
    sealed_id: int = ref_column("sealed_key_result", index=True)
    at: datetime = moment_column()
    value_before: Decimal | None = exact_column()
    value_now: Decimal | None = exact_column()
    reason: str = text_column()


class HealthCheck(SQLModel, table=True):
    """A health check of a team's cycle, as it was made."""

    __tablename__ = "health_check"
    __table_args__ = (Index("ix_health_check_team", "team_id", "cycle", "made_at"),)
    id: int = id_column()
    team_id: int = ref_column("team")
    cycle: str = text_column()
    made_at: datetime = moment_column()
    made_by: str = text_column()
    report: dict[str, Any] = json_column()
