"""The team file as values: what a team connects to, keeps, measures and wants.

These models say the *shape*; `app.services.team_file` adds what needs more than one object (names that must exist,
rules that must compile, connectors' own options). The same models read the API's JSON. Numbers are `Decimal` or int,
floats never reach them; names match `[a-z][a-z0-9_]*`.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from app.domain.scalars import (
    AGGREGATE_PATTERN,
    PATTERN_MEANINGS,
    BoundText,
    ChangeText,
    CycleName,
    DurationText,
    Expression,
    GuardrailText,
    HoursText,
    Name,
    Number,
    Reference,
    RegionText,
    Span,
    Text,
    Title,
    one_of,
)
from app.domain.scalars import NAME_PATTERN as NAME_PATTERN
from app.domain.scalars import format_timedelta as format_timedelta
from app.domain.scalars import parse_timedelta as parse_timedelta


class Model(BaseModel):
    """A strict, frozen shape: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objection(NamedTuple):
    """What does not fit together in an object: a code, a sentence, and the key it is about."""

    code: str
    message: str
    key: str | None = None


def refuse(objections: list[Objection]) -> None:
    """Raise the first objection; the error's context holds them all, for those who report every problem at once."""
    if objections:
        raise PydanticCustomError(objections[0].code, objections[0].message, {"objections": objections})


# --- where and when --------------------------------------------------------------------------------------------------

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CalendarSpec(Model):
    """Business time: the working week, the hours of a day and the public holidays (ISO 3166-2, such as `DE-BE`)."""

    workweek: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: HoursText = "09:00-17:00"
    holidays: RegionText | None = None


class Trailing(Model):
    """The last days (whole local days, today included), or the last hours or minutes, which move with the clock."""

    trailing: DurationText

    @property
    def span(self) -> timedelta:
        return parse_timedelta(self.trailing)

    @property
    def is_in_days(self) -> bool:
        """Whether it was said in days or weeks: `24h` is not `1d`."""
        return self.trailing[-1] in "dw"


class ToDate(Model):
    to_date: Literal["month", "quarter", "year", "cycle"]


WindowSpec: TypeAlias = Annotated[
    Annotated[Literal["now", "cycle", "all"], Tag("<word>")]
    | Annotated[Trailing, Tag("<trailing>")]
    | Annotated[ToDate, Tag("<to_date>")],
    one_of(
        {"<word>": str, "<trailing>": Trailing, "<to_date>": ToDate},
        "a window is now, cycle, all, {trailing: 30d} or {to_date: quarter}",
    ),
]


# --- connections and datasets ----------------------------------------------------------------------------------------


class ConnectionSpec(BaseModel):
    """A configured connector. Everything but `connector` is the connector's own (`model_extra`)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    connector: Name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DatasetSpec(BaseModel):
    """What is kept of a connection. `entity at event where link` are rules over a delivery (CEL over `body` and
    `headers`) and make an event dataset; other keys are the connector's own (`model_extra`), such as `jql`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    connection: Name
    entity: Expression | None = None
    at: Expression | None = None
    event: Expression | None = None
    where: Expression | None = None
    link: Expression | None = None

    @property
    def shape(self) -> Literal["events", "entities"]:
        return "events" if self.entity is not None else "entities"

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


# --- source forms ----------------------------------------------------------------------------------------------------


class QuerySource(BaseModel):
    """Push-down: the tool computes one number. Keys but `connection` are the connector's own (`jql`, `promql`, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    connection: Name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class RecordsSource(Model):
    """Filter records, take a value. `per: entity` groups an event dataset by its entity."""

    dataset: Name
    where: Expression | None = None
    value: Expression | None = None
    at: Expression | None = None
    per: Literal["entity"] | None = None


Words: TypeAlias = Annotated[
    Annotated[Text, Tag("<word>")] | Annotated[tuple[Text, ...], Tag("<words>")],
    one_of({"<word>": str, "<words>": (list, tuple)}, "a text or a list of texts is expected"),
]


class Edge(Model):
    """A moment of one entity: when it entered a status or category, when a field says, or when an event came."""

    status: Words | None = None
    category: Literal["to_do", "in_progress", "done"] | None = None
    field: Text | None = None
    event: Words | None = None
    pick: Literal["first", "last"] = "first"

    @model_validator(mode="after")
    def _one(self) -> "Edge":
        moments = [x for x in (self.status, self.category, self.field, self.event) if x is not None]
        if len(moments) != 1 or moments == [()]:
            refuse([Objection("edge", "exactly one of status, category, field or event is expected")])
        return self


class DurationSource(Model):
    """Time between two moments of one entity; wall or business time by the metric's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    dataset: Name
    from_: Edge = Field(alias="from")
    to: Edge
    where: Expression | None = None
    within: Span | None = None
    attribute: Literal["to", "from"] = "to"


class Side(Model):
    """One side of a ratio: a query, or records with a count (default) or a sum of their value."""

    query: QuerySource | None = None
    records: RecordsSource | None = None
    aggregate: Literal["count", "sum"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Side":
        found: list[Objection] = []
        if (self.query is None) == (self.records is None):
            found.append(Objection("source_form", "exactly one of query or records is expected"))
        elif self.query is not None and self.aggregate is not None:
            found.append(Objection("aggregate", "a query has no aggregate: the tool counts", "aggregate"))
        elif self.records is not None and (self.aggregate == "sum") != (self.records.value is not None):
            found.append(
                Objection("aggregate", "a sum needs records with a value, and a value needs a sum", "aggregate")
            )
        refuse(found)
        return self


class RatioSource(Model):
    """`good / total`: sums divided, never an average of ratios."""

    good: Side
    total: Side


class ManualSource(Model):
    """A person's or a script's asserted value, expected `every` so often."""

    every: Span | None = None


class Distinct(Model):
    distinct: Expression


AggregateName = Annotated[str, StringConstraints(pattern=AGGREGATE_PATTERN)]
AggregateSpec: TypeAlias = Annotated[
    Annotated[AggregateName, Tag("<word>")] | Annotated[Distinct, Tag("<mapping>")],
    one_of(
        {"<word>": str, "<mapping>": Distinct},
        PATTERN_MEANINGS[AGGREGATE_PATTERN],
    ),
]

SourceForm: TypeAlias = QuerySource | RecordsSource | DurationSource | RatioSource | ManualSource
SOURCE_FORMS = ("query", "records", "duration", "ratio", "manual")
TIME_UNITS: dict[str, tuple[str, int]] = {
    # unit → (clock, seconds a unit; 0: the calendar's nominal day)
    "seconds": ("wall", 1),
    "minutes": ("wall", 60),
    "hours": ("wall", 3600),
    "days": ("wall", 86400),
    "weeks": ("wall", 604800),
    "business_hours": ("business", 3600),
    "business_days": ("business", 0),
}


class MetricSpec(Model):
    """A named question with a unit and a window; exactly one source form."""

    title: Title | None = None
    description: Text | None = None
    unit: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    query: QuerySource | None = None
    records: RecordsSource | None = None
    duration: DurationSource | None = None
    ratio: RatioSource | None = None
    manual: ManualSource | None = None
    aggregate: AggregateSpec | None = None
    window: WindowSpec = "now"
    min_samples: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "MetricSpec":
        forms = [name for name in SOURCE_FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            expected = f"exactly one source form is expected: {', '.join(SOURCE_FORMS)}"
            refuse([Objection("source_form", expected, forms[1] if forms else None)])
        refuse([*self._aggregate_objections(), *self._other_objections()])
        return self

    def _aggregate_objections(self) -> "list[Objection]":
        message = None
        is_distinct = isinstance(self.aggregate, Distinct)
        if self.duration is not None:
            if is_distinct or self.aggregate in ("count", None):
                message = "a duration needs an aggregate: avg, median, p90, min, max, sum or last"
        elif self.records is not None:
            if self.aggregate is None and self.records.value is not None:
                message = "records with a value need an aggregate, such as sum or avg"
            elif is_distinct and self.records.value is not None:
                message = "distinct counts its own expression: leave the value out"
            elif self.aggregate not in ("count", None) and not is_distinct and self.records.value is None:
                message = "this aggregate needs records with a value"
        elif self.aggregate is not None:
            message = "only records and duration take an aggregate"
        return [Objection("aggregate", message, "aggregate")] if message else []

    def _other_objections(self) -> "list[Objection]":
        found = []
        if self.duration is not None and self.unit not in TIME_UNITS:
            found.append(Objection("unit", f"a duration's unit is one of {', '.join(TIME_UNITS)}", "unit"))
        if self.manual is not None and self.window != "now":
            found.append(Objection("window", "a manual metric has no window", "window"))
        if self.min_samples is not None and (self.manual is not None or self.query is not None):
            found.append(Objection("min_samples", "only records, duration and ratio have samples", "min_samples"))
        return found

    @property
    def form(self) -> str:
        """The name of the one source form."""
        return next(name for name in SOURCE_FORMS if getattr(self, name) is not None)

    def parts(self) -> dict[str, QuerySource | RecordsSource | DurationSource | ManualSource]:
        """The sources by part: `good` and `total` of a ratio, `value` of every other form."""
        if self.ratio is not None:
            sides = {"good": self.ratio.good, "total": self.ratio.total}
            return {name: (side.query or side.records) for name, side in sides.items()}  # type: ignore[misc]
        return {"value": getattr(self, self.form)}

    @property
    def needs_cycle(self) -> bool:
        """Whether the window depends on the cycle of the key result that asks."""
        return self.window == "cycle" or (isinstance(self.window, ToDate) and self.window.to_date == "cycle")


# --- what the team wants ---------------------------------------------------------------------------------------------


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
        if isinstance(self.metric, MetricSpec) and self.metric.form in ("query", "manual"):
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
