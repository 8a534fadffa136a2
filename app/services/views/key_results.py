"""Key results as every reader gets them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.closes import GradeView, RestatementView, SealView
from app.services.views.shared import CycleView, ExactString, FreshnessView, MetricReference, SourceView, View


class GuardrailView(View):
    """What must hold beside a key result. Broken: since when, by which value then (the evidence), and the worst so
    far."""

    metric: str
    must: str
    value: ExactString | None
    baseline: ExactString | None = None
    holds: bool | None
    reason: str | None = None
    since: datetime | None = None
    value_then: ExactString | None = None
    worst_value: ExactString | None = None


class ForecastView(View):
    """The value at the cycle's end, the interval that holds it four times out of five, the chance of the target."""

    value_at_end: ExactString
    low: ExactString
    high: ExactString
    chance_of_target: float | None


class HeadlineView(View):
    """The one word where only one is shown, and the tone of its colour: silence outranks status, and is never good."""

    word: str
    tone: Literal["good", "warning", "bad", "neutral", "silent"]


class CheckInView(View):
    """A person's word on a key result: how confident they are (0 to 1) and what blocks it; a manual metric's value."""

    id: int
    at: datetime
    author: str
    note: str | None
    confidence: float | None
    blockers: list[str]
    value: ExactString | None


class ComplianceView(View):
    """A `maintain` target: whether the bound holds and how much room is left to it."""

    bound: str
    holds: bool | None
    remaining: ExactString | None = None


class OverrideView(View):
    """A value that a person put in the place of the automated one, until that changes."""

    by: str
    at: datetime
    note: str | None
    automated_value: ExactString | None


class KeyResultView(View):
    id: str
    title: str
    objective: str
    cycle: CycleView
    kind: Literal["committed", "aspirational"]
    weight: ExactString
    owner: str | None
    metric: MetricReference
    baseline: ExactString | None
    target: ExactString | None
    target_rule: dict[str, Any]
    value: ExactString | None
    projected_value: ExactString | None
    sample_size: int | None
    coverage: float | None = None
    observed_at: datetime | None
    measured_at: datetime | None
    progress: float | None
    expected_progress: float | None
    status: KeyResultStatus
    reason: str | None
    headline: HeadlineView
    lifecycle: Literal["active", "paused", "dropped"] = "active"
    lifecycle_reason: str | None = None
    freshness: FreshnessView
    compliance: ComplianceView | None = None
    guardrails: list[GuardrailView]
    forecast: ForecastView | None = None
    forecast_reason: str | None = None
    check_in: CheckInView | None = None
    source: SourceView
    override: OverrideView | None = None
    grade: GradeView | None = None
    restatements: list[RestatementView] = Field(default_factory=list)
    sealed: SealView | None = None
    managed_by: Literal["file", "api"]
    version: int
