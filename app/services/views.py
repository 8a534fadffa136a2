"""What every reader gets: the shapes of `GET` answers, built by the services and served by the API as they are.

Measured quantities are decimal strings (exact), ratios are JSON numbers, moments are RFC 3339 UTC.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from app.domain.judgement import KeyResultStatus

ExactString = Annotated[
    Decimal, PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json-unless-none")
]


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class CycleView(View):
    """A cycle by its first local day and the first day after it."""

    name: str
    start: date
    end: date


class MetricReference(View):
    id: str
    unit: str
    revision: int


class FreshnessView(View):
    level: Literal["fresh", "stale", "no_data", "error"]
    age_seconds: int | None
    fresh_within_seconds: int
    reason: str | None


class GuardrailView(View):
    metric: str
    must: str
    value: ExactString | None
    baseline: ExactString | None = None
    holds: bool | None


class SourceView(View):
    """Where the value comes from: the connection, how it is doing, and a link into the tool where there is one."""

    connection: str | None
    health: Literal["ok", "waiting", "failing", "paused"]
    reason: str | None = None
    link: str | None = None


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


class RollUpView(View):
    """An objective's progress, worst status, and how much of its weight is known."""

    progress: float | None
    status: KeyResultStatus
    coverage: float


class ObjectiveView(View):
    id: str
    title: str
    description: str | None
    team: str
    cycle: CycleView
    focus: str | None
    owner: str | None
    supports: list[str]
    roll_up: RollUpView
    key_result_ids: list[str]
    key_results: list[KeyResultView] | None = None
    managed_by: Literal["file", "api"]
    version: int


class TeamView(View):
    id: str
    title: str
    parent: str | None
    timezone: str
    calendar: dict[str, Any]
    managed_by: Literal["file", "api"]
    version: int


class MetricView(View):
    id: str
    title: str | None
    description: str | None
    unit: str
    form: str
    definition: dict[str, Any]
    revision: int
    revised_at: datetime
    revised_by: str
    is_building: bool
    value: ExactString | None
    reason: str | None
    sample_size: int | None
    observed_at: datetime | None
    measured_at: datetime | None
    freshness: FreshnessView
    source: SourceView
    managed_by: Literal["file", "api"]
    version: int


class SampleView(View):
    """One stored value. `supersedes` is the sample that this one restates."""

    id: int
    value: ExactString | None
    reason: str | None
    sample_size: int | None
    numerator: ExactString | None
    denominator: ExactString | None
    coverage: float | None = None
    quality: str
    revision: int
    window: "WindowView"
    observed_at: datetime
    measured_at: datetime
    recorded_at: datetime
    supersedes: int | None
    progress: float | None = None


class WindowView(View):
    start: datetime | None
    end: datetime | None
    rule: Any = None


class DatasetView(View):
    id: str
    connection: str
    shape: Literal["events", "entities"]
    definition: dict[str, Any]
    records: int
    managed_by: Literal["file", "api"]
    version: int


class RecordView(View):
    entity: str
    name: str
    at: datetime | None
    event: str | None = None
    fields: Any
    link: str | None
    is_deleted: bool = False


class ConnectionView(View):
    """A configured connector. Secrets appear as references only; `hook_url` is what to paste into the tool."""

    id: str
    connector: str
    definition: dict[str, Any]
    health: Literal["ok", "waiting", "failing", "paused"]
    reason: str | None
    last_success_at: datetime | None
    last_delivery_at: datetime | None
    next_due_at: datetime | None
    hook_url: str | None
    deliveries: dict[str, int] = {}
    managed_by: Literal["file", "api"]
    version: int


class RunView(View):
    id: int
    plan: int
    connection: str
    dataset: str | None
    is_full: bool
    outcome: Literal["running", "succeeded", "failed", "crashed", "superseded"]
    started_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None
    calls: int
    records: int
    changed: int
    error_code: str | None
    error: str | None


class IntakeView(View):
    dataset: str
    outcome: Literal["applied", "ignored", "dead"]
    reason: str | None


class DeliveryView(View):
    id: int
    connection: str
    received_at: datetime
    dedupe_key: str
    size: int
    outcome: Literal["pending", "applied", "ignored", "dead"]
    conflicts: int
    intakes: list[IntakeView]


class ExplainedRecord(View):
    """A record in the number, or left out of it: `reason` says why.

    Of what is measured with the clock `since` is the start. An unfinished duration is open, its value the time until
    now. A stretch in one `state` is shown as far as it lies in the window: from `since` to `at`, its value in seconds.
    """

    part: str
    entity: str
    label: str
    at: datetime | None
    value: ExactString | None
    reason: str | None = None
    link: str | None = None
    since: datetime | None = None
    state: str | None = None
    is_good: bool | None = None
    is_open: bool = False


class ExplainedPart(View):
    """One side of the number: its source, its aggregate over the records in, and the counts. `open` counts the
    unfinished among the included; `coverage` is the part (0 to 1) of all time that could be measured."""

    part: str
    source: dict[str, Any]
    aggregate: str | None
    value: ExactString | None
    included: int
    excluded: int
    excluded_reasons: dict[str, int]
    open: int = 0
    coverage: float | None = None
    query: str | None = None
    link: str | None = None
    is_exact: bool = True


class ExplainedInput(View):
    """A metric that a formula reads, by the name it uses: its own value, and where that is taken apart."""

    name: str
    metric: MetricReference | None
    value: ExactString | None
    reason: str | None
    observed_at: datetime | None
    explain: str | None


class ExplainedStep(View):
    """A milestone: done, not done, or unknown (null) with the reason; by whose word or query, and when."""

    name: str
    weight: ExactString
    done: bool | None
    source: Literal["manual", "query"]
    at: datetime | None
    reason: str | None = None
    author: str | None = None
    note: str | None = None
    query: str | None = None
    link: str | None = None


class RevisionView(View):
    number: int
    author: str
    since: datetime


class BaselineView(View):
    value: ExactString | None
    rule: Any
    frozen_at: datetime | None = None
    evidence: dict[str, Any] | None = None


class ExplainDelta(View):
    """What changed since the sample before: its value, and the records that entered, left or changed."""

    since_sample: int
    since: datetime
    value_before: ExactString | None
    value_now: ExactString | None
    entered: list[ExplainedRecord]
    left: list[ExplainedRecord]
    changed: list[ExplainedRecord]
    counts: dict[str, int]
    rule_changed: bool


class ExplainView(View):
    """A number taken apart."""

    id: str
    metric: MetricReference
    as_of: datetime
    known_at: datetime | None
    value: ExactString | None
    reason: str | None
    progress: float | None
    status: KeyResultStatus | None
    formula: str
    baseline: BaselineView | None
    target: ExactString | None
    window: WindowView
    revision: RevisionView
    parts: list[ExplainedPart]
    counts: dict[str, int]
    included: list[ExplainedRecord]
    excluded: list[ExplainedRecord]
    inputs: list[ExplainedInput] = []
    steps: list[ExplainedStep] = []
    coverage: float | None = None
    delta: ExplainDelta | None


class ChangeView(View):
    """One object that an apply creates, updates, deletes or leaves to others."""

    kind: Literal["team", "connection", "dataset", "metric", "objective", "key_result"]
    id: str
    action: Literal["create", "update", "delete", "unchanged", "kept"]
    fields: list[str] = []
    reason: str | None = None


class KeyResultEffect(View):
    """A key result before and after, on stored records."""

    id: str
    value_before: ExactString | None
    value_after: ExactString | None
    progress_before: float | None
    progress_after: float | None
    status_before: KeyResultStatus | None
    status_after: KeyResultStatus | None


class WarningView(View):
    pointer: str
    code: str
    detail: str


class PlanView(View):
    """What an apply does (or would do): objects, key results in numbers, warnings."""

    team: str
    is_applied: bool
    changes: list[ChangeView]
    effects: list[KeyResultEffect]
    baselines_to_freeze: list[str] = []
    warnings: list[WarningView] = []


class TokenView(View):
    id: int
    name: str
    scopes: list[str]
    team: str | None
    created_at: datetime
    revoked_at: datetime | None


class AuditView(View):
    id: int
    at: datetime
    actor: str
    action: str
    kind: str
    object: str
    before: Any
    after: Any
