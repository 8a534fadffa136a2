"""The tables: one class each, no behaviour. `docs/architecture.md` says what one row of each is."""

from app.store.tables.columns import metadata
from app.store.tables.cycles import CheckIn, CycleClose, HealthCheck, KeyResultTerms, Restatement, SealedKeyResult
from app.store.tables.definitions import (
    Connection,
    Dataset,
    FrozenBaseline,
    GuardrailMetric,
    KeyResult,
    Metric,
    MetricInput,
    MetricPart,
    MetricRevision,
    Objective,
    Organisation,
    SealedSecret,
    Team,
)
from app.store.tables.facts import Fact, FactAhead, RollUp, RollUpScale
from app.store.tables.incoming import Delivery, Event, Intake, Record, Refusal
from app.store.tables.pulling import BackfillJob, Hint, Plan, Run, StagedChange
from app.store.tables.telling import Notice, Outbox, ToldStanding
from app.store.tables.upkeep import Audit, IdempotencyKey, Token, Touch
from app.store.tables.values import AssertedValue, CurrentSample, Measurement, MilestoneTick, Sample

__all__ = [
    "AssertedValue",
    "Audit",
    "BackfillJob",
    "CheckIn",
    "Connection",
    "CurrentSample",
    "CycleClose",
    "Dataset",
    "Delivery",
    "Event",
    "Fact",
    "FactAhead",
    "FrozenBaseline",
    "GuardrailMetric",
    "HealthCheck",
    "Hint",
    "IdempotencyKey",
    "Intake",
    "KeyResult",
    "KeyResultTerms",
    "Measurement",
    "Metric",
    "MetricInput",
    "MetricPart",
    "MetricRevision",
    "MilestoneTick",
    "Notice",
    "Objective",
    "Organisation",
    "Outbox",
    "Plan",
    "Record",
    "Refusal",
    "Restatement",
    "RollUp",
    "RollUpScale",
    "Run",
    "Sample",
    "SealedKeyResult",
    "SealedSecret",
    "StagedChange",
    "Team",
    "Token",
    "ToldStanding",
    "Touch",
    "metadata",
]
