"""What an apply does, or would do."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.shared import ExactString, View


class ChangeView(View):
    """One object that an apply creates, updates, renames, deletes or leaves to others."""

    kind: Literal["team", "connection", "dataset", "metric", "objective", "key_result"]
    id: str
    action: Literal["create", "update", "rename", "delete", "unchanged", "kept"]
    fields: list[str] = Field(default_factory=list)
    reason: str | None = None


class KeyResultEffect(View):
    """A key result before and after, on stored records; its values are in `unit`."""

    id: str
    unit: str = ""
    value_before: ExactString | None
    value_after: ExactString | None
    progress_before: float | None
    progress_after: float | None
    status_before: KeyResultStatus | None
    status_after: KeyResultStatus | None


class PlannedRecord(View):
    """A record that comes into a metric's number or goes out of it; `reason` says why it is not in the other one."""

    part: str
    label: str
    at: datetime | None
    value: ExactString | None
    reason: str | None = None
    link: str | None = None


class RecordsEffect(View):
    """The records of a metric that enter or leave its number, or are in it with another value or moment; the first of
    them by label. `is_new`: nothing was asked before. `key_results` want the metric, themselves or through a formula.
    """

    metric: str
    cycle: str | None
    is_new: bool
    entering: int
    leaving: int
    changing: int
    entered: list[PlannedRecord]
    left: list[PlannedRecord]
    key_results: list[str]


class BaselineEffect(View):
    """A baseline that is measured once: the value that it is frozen at, None while it has still to be measured."""

    key_result: str
    guardrail: str | None
    value: ExactString | None


class RequestsEffect(View):
    """What a connection is asked in an hour, by its plans' cadence and what their last pulls took."""

    connection: str
    per_hour_before: ExactString
    per_hour_after: ExactString


class ToolQuestion(View):
    """Something that only the tool can say: a dataset that is read whole, or a query that is asked for the first time.
    `requests` is what that took last time, None where it is not known."""

    connection: str
    dataset: str | None
    query: str | None
    reason: str
    fields: list[str] = Field(default_factory=list)
    requests: int | None = None


class DriftView(View):
    """A field of an object that was changed through the API since its file made it: what each of them says."""

    kind: str
    id: str
    field: str
    file: Any
    service: Any


class WarningView(View):
    """Something unwise; `docs/linter.md` has the codes. `silenced`: the reason that the file gives for it."""

    pointer: str
    code: str
    detail: str
    silenced: str | None = None


class BuildView(View):
    """A metric whose new rule is still being applied to what is stored: how much of it is done."""

    metric: str
    done: int
    total: int


class PlanView(View):
    """What an apply does (or would do): objects, key results in numbers, records, requests, warnings.

    After an apply, `building` has the metrics whose numbers are still those of the rule before; in a plan all is
    computed, so there are none.
    """

    team: str
    is_applied: bool
    changes: list[ChangeView]
    effects: list[KeyResultEffect]
    records: list[RecordsEffect] = Field(default_factory=list)
    requests: list[RequestsEffect] = Field(default_factory=list)
    asks: list[ToolQuestion] = Field(default_factory=list)
    drift: list[DriftView] = Field(default_factory=list)
    building: list[BuildView] = Field(default_factory=list)
    baselines: list[BaselineEffect] = Field(default_factory=list)
    baselines_to_freeze: list[str] = Field(default_factory=list)
    warnings: list[WarningView] = Field(default_factory=list)
