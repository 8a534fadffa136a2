"""A number taken apart."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.closes import GradeView, RestatementView, SealView
from app.services.views.key_results import OverrideView
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
    unfinished among the included; `coverage` is the part (0 to 1) of all time that could be measured.

    Of what a tool computed: the query as it was sent, when that was so, and the digest of the tool's answer."""

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
    digest: str | None = None
    observed_at: datetime | None = None


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
    digest: str | None = None


class RevisionView(View):
    number: int
    author: str
    since: datetime


class BaselineView(View):
    """The baseline. Of a measured one: since when it is frozen, the evidence kept with it (window, records, revision,
    tools' answers) and where its records are taken apart as they were known then."""

    value: ExactString | None
    rule: Any
    frozen_at: datetime | None = None
    evidence: dict[str, Any] | None = None
    explain: str | None = None


class ExplainedChange(View):
    """A record that a number has and had not, had and has not, or has otherwise: its value before and now."""

    change: Literal["entered", "left", "changed"]
    part: str
    entity: str
    label: str
    at: datetime | None
    value_before: ExactString | None
    value_now: ExactString | None
    link: str | None = None


Cause = Literal[
    "late_data", "left", "changed", "entered", "measured", "asserted", "override", "input", "milestone", "rule_changed"
]


class DeltaCause(View):
    """One cause of a change: what the value was before it and after it, one cause after the other, so that the
    contributions add up to the whole difference. The contribution is null where one of the two is unknown.

    `late_data` is what belongs to before `since` and was recorded after it; `rule_changed` is the value under the old
    rule on today's records against that under the new one. `name` is the input or the milestone that is meant, `before`
    and `now` say what itself was and is. `count` is whole, `records` are the first of them.
    """

    cause: Cause
    value_before: ExactString | None
    value_after: ExactString | None
    contribution: ExactString | None
    count: int
    records: list[ExplainedChange] = Field(default_factory=list)
    name: str | None = None
    before: str | None = None
    now: str | None = None
    detail: str | None = None


class ExplainDelta(View):
    """What changed since an earlier sample: its value, the records that entered, left or changed on the whole (first of
    them; `counts` are whole), and the causes one by one. `reason` says why these are not told."""

    since_sample: int
    since: datetime
    value_before: ExactString | None
    value_now: ExactString | None
    progress_before: float | None = None
    entered: list[ExplainedRecord]
    left: list[ExplainedRecord]
    changed: list[ExplainedRecord]
    counts: dict[str, int]
    rule_changed: bool
    causes: list[DeltaCause] = Field(default_factory=list)
    reason: str | None = None


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
    override: OverrideView | None = None
    grade: GradeView | None = None
    restatements: list[RestatementView] = Field(default_factory=list)
    sealed: SealView | None = None
