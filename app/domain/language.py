"""The team file as values: what a team connects to, keeps, measures and wants.

These models say the *shape*; `app.services.team_file` adds what needs more than one object (names that must exist,
rules that must compile, connectors' own options). The same models read the API's JSON. Numbers are `Decimal` or int,
floats never reach them; names match `[a-z][a-z0-9_]*`.
"""

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, Tag, model_validator

from app.domain.metric import (
    SOURCE_FORMS,
    TIME_UNITS,
    AggregateSpec,
    DatasetSource,
    Distinct,
    DurationSource,
    Edge,
    ManualSource,
    MetricSpec,
    Milestone,
    QuerySource,
    RatioSource,
    RecordsSource,
    Side,
    SourceForm,
    StateShareSource,
)
from app.domain.scalars import (
    NAME_PATTERN,
    BoundText,
    ChangeText,
    CycleName,
    GuardrailText,
    Name,
    Number,
    Reference,
    Span,
    Text,
    Title,
    format_timedelta,
    one_of,
    parse_timedelta,
)
from app.domain.shapes import (
    CalendarSpec,
    ConnectionSpec,
    DatasetSpec,
    Model,
    Objection,
    ToDate,
    Trailing,
    Weekday,
    WindowSpec,
    refuse,
)

__all__ = [
    "NAME_PATTERN",
    "SOURCE_FORMS",
    "TIME_UNITS",
    "AggregateSpec",
    "Baseline",
    "CalendarSpec",
    "Change",
    "ConnectionSpec",
    "DatasetSource",
    "DatasetSpec",
    "Distinct",
    "DurationSource",
    "Edge",
    "GuardrailSpec",
    "KeyResultSpec",
    "Maintain",
    "ManualSource",
    "MeasuredBaseline",
    "MetricOrReference",
    "MetricSpec",
    "Milestone",
    "Model",
    "Objection",
    "ObjectiveSpec",
    "QuerySource",
    "RatioSource",
    "RecordsSource",
    "Side",
    "SourceForm",
    "StateShareSource",
    "Target",
    "TeamFile",
    "ToDate",
    "Trailing",
    "Weekday",
    "WindowSpec",
    "format_timedelta",
    "parse_timedelta",
    "refuse",
]


class MeasuredBaseline(Model):
    """The metric's own window rule at the end of that period, measured once and frozen with its evidence."""

    measure: CycleName


class Change(Model):
    """A target relative to the baseline: `-25%` or `+3`."""

    change: ChangeText


class Maintain(Model):
    """A bound to hold, inclusive where it says so: `>= 99.9`, `<= 2`."""

    maintain: BoundText


class GuardrailSpec(Model):
    """What must hold beside the key result: `>= 40`, or `>= 97% of baseline`."""

    metric: Reference
    must: GuardrailText
    baseline: Number | None = None


_NUMBERS = (int, Decimal, str, float)

MetricOrReference: TypeAlias = Annotated[
    Annotated[Reference, Tag("<word>")] | Annotated[MetricSpec, Tag("<mapping>")],
    one_of({"<word>": str, "<mapping>": MetricSpec}, "the name of a metric is expected, or a metric"),
]
Baseline: TypeAlias = Annotated[
    Annotated[Number, Tag("<number>")] | Annotated[MeasuredBaseline, Tag("<mapping>")],
    one_of({"<number>": _NUMBERS, "<mapping>": MeasuredBaseline}, "a baseline is a number, or {measure: 2026-Q3}"),
]
Target: TypeAlias = Annotated[
    Annotated[Number, Tag("<number>")] | Annotated[Change, Tag("<change>")] | Annotated[Maintain, Tag("<maintain>")],
    one_of(
        {"<number>": _NUMBERS, "<change>": Change, "<maintain>": Maintain},
        'a target is a number, {change: -25%} or {maintain: ">= 99.9"}',
    ),
]


class KeyResultSpec(Model):
    """From a baseline to a target by the end of the objective's cycle."""

    title: Title | None = None
    metric: MetricOrReference
    baseline: Baseline | None = None
    target: Target
    kind: Literal["committed", "aspirational"] = "committed"
    weight: Number = Decimal(1)
    owner: Title | None = None
    fresh_within: Span | None = None
    guardrails: tuple[GuardrailSpec, ...] = ()

    @model_validator(mode="after")
    def _meaningful(self) -> "KeyResultSpec":
        found: list[Objection] = []
        if self.weight < 0:
            found.append(Objection("weight", "a weight is not negative", "weight"))
        if isinstance(self.metric, MetricSpec) and self.metric.form not in ("records", "duration", "ratio"):
            message = "only records, duration and ratio are written inside a key result; give this metric a name"
            found.append(Objection("inline_metric", message, "metric"))
        if not isinstance(self.target, Maintain) and self.baseline is None:
            message = "a baseline is expected: a number, or {measure: 2026-Q3}"
            found.append(Objection("missing", message, "baseline"))
        if self._target_is_baseline():
            message = "baseline and target are equal: there is nothing to reach"
            found.append(Objection("baseline_is_target", message, "target"))
        refuse(found)
        return self

    def _target_is_baseline(self) -> bool:
        if isinstance(self.target, Change):
            is_relative, change = self.target.change.endswith("%"), Decimal(self.target.change.rstrip("%"))
            return change == 0 or (is_relative and self.baseline == 0)
        return isinstance(self.baseline, Decimal) and self.baseline == self.target


class ObjectiveSpec(Model):
    """What the team wants in a cycle, with 2–4 key results."""

    title: Title
    description: Text | None = None
    cycle: CycleName
    focus: Name | None = None
    owner: Title | None = None
    supports: tuple[Reference, ...] = ()
    key_results: dict[Name, KeyResultSpec] = Field(default_factory=dict)


class TeamFile(Model):
    """One team, whole."""

    version: Literal[1]
    team: Name
    title: Title | None = None
    parent: Name | None = None
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    calendar: CalendarSpec = CalendarSpec()
    connections: dict[Name, ConnectionSpec] = Field(default_factory=dict)
    datasets: dict[Name, DatasetSpec] = Field(default_factory=dict)
    metrics: dict[Name, MetricSpec] = Field(default_factory=dict)
    objectives: dict[Name, ObjectiveSpec] = Field(default_factory=dict)
