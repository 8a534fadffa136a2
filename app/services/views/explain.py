"""A number taken apart."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.shared import ExactString, MetricReference, View, WindowView


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
    inputs: list[ExplainedInput] = Field(default_factory=list)
    steps: list[ExplainedStep] = Field(default_factory=list)
    coverage: float | None = None
    delta: ExplainDelta | None
