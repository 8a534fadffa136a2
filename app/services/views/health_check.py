"""A team's health check: what the numbers say of each key result, and what is proposed."""

from datetime import datetime
from typing import Literal

from app.domain.health_check import FindingCode, Proposal, Severity
from app.domain.judgement import KeyResultStatus
from app.services.views.key_results import CheckInView, ForecastView, GuardrailView
from app.services.views.shared import CycleView, ExactString, FreshnessView, View


class FindingView(View):
    """Something that the numbers say: a code, a sentence with the numbers, how bad it is, what it is about."""

    code: FindingCode
    message: str
    severity: Severity
    subject: str


class KeyResultHealthView(View):
    """A key result in a health check: its numbers, the findings worst first, the proposal and what speaks for it.
    `edits` counts the changes of its target, baseline or metric since the cycle began."""

    id: str
    title: str
    objective: str
    kind: Literal["committed", "aspirational"]
    lifecycle: Literal["active", "paused", "dropped"]
    unit: str
    value: ExactString | None
    progress: float | None
    expected_progress: float | None
    status: KeyResultStatus
    freshness: FreshnessView
    forecast: ForecastView | None
    forecast_reason: str | None
    guardrails: list[GuardrailView]
    edits: int
    check_in: CheckInView | None
    findings: list[FindingView]
    proposal: Proposal
    reason: str


class HealthCheckView(View):
    """The health check of a team's cycle, as of `made_at`; `elapsed` is the part of the cycle that had passed.
    `is_stored` is false for one that was made only to be read."""

    id: int | None
    team: str
    cycle: CycleView
    made_at: datetime
    made_by: str
    is_stored: bool
    elapsed: float
    proposals: dict[Proposal, int]
    key_results: list[KeyResultHealthView]
    findings: list[FindingView]
