"""Key results as every reader gets them."""

from datetime import datetime
from typing import Any, Literal

from app.domain.judgement import KeyResultStatus
from app.services.views.shared import CycleView, ExactString, FreshnessView, MetricReference, SourceView, View


class GuardrailView(View):
    metric: str
    must: str
    value: ExactString | None
    baseline: ExactString | None = None
    holds: bool | None


class ComplianceView(View):
    """A `maintain` target: whether the bound holds and how much room is left to it."""

    bound: str
    holds: bool | None
    remaining: ExactString | None = None


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
    freshness: FreshnessView
    compliance: ComplianceView | None = None
    guardrails: list[GuardrailView]
    forecast: None = None
    source: SourceView
    managed_by: Literal["file", "api"]
    version: int
