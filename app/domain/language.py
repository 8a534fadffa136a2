"""The team file as values: what a team connects to, keeps, measures and wants.

These models say the *shape*; `app.services.team_file` adds what needs more than one object (names that must exist,
rules that must compile, connectors' own options). The same models read the API's JSON. Numbers are `Decimal` or int,
floats never reach them; names match `[a-z][a-z0-9_]*`.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

# --- scalars ---------------------------------------------------------------------------------------------------------

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
Reference = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*([./][a-z][a-z0-9_]*)?$", max_length=127)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4000)]

_DURATION = re.compile(r"^([1-9][0-9]{0,5})(s|m|h|d|w)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_timedelta(text: object) -> timedelta:
    """`30d`, `24h`, `15m`, `2w` as a timedelta; raises a pydantic error for anything else."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise PydanticCustomError("duration", "a duration is a whole number and a unit: 30d, 24h, 15m, 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def format_timedelta(span: timedelta) -> str:
    """The shortest spelling that `parse_timedelta` reads back as the same span, weeks never used."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _exact(value: object) -> object:
    if isinstance(value, bool) or isinstance(value, float):
        raise PydanticCustomError("number", "a number is expected")
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,28}(\.[0-9]{1,28})?", value):
            raise PydanticCustomError("number", "a decimal number is expected, such as 12 or 99.9")
        return Decimal(value)
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > 27 or len(value.as_tuple().digits) > 28):
        raise PydanticCustomError("number", "a finite number of at most 28 digits is expected")
    return value


Number = Annotated[
    Decimal, BeforeValidator(_exact), PlainSerializer(lambda value: format(value, "f"), return_type=str)
]
Span = Annotated[timedelta, BeforeValidator(parse_timedelta), PlainSerializer(format_timedelta, return_type=str)]


class Model(BaseModel):
    """A strict, frozen shape: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- where and when --------------------------------------------------------------------------------------------------

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CalendarSpec(Model):
    """Business time: the working week, the hours of a day and the public holidays (ISO 3166-2, such as `DE-BE`)."""

    workweek: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$")] = (
        "09:00-17:00"
    )
    holidays: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")] | None = None


class Trailing(Model):
    trailing: Span


class ToDate(Model):
    to_date: Literal["month", "quarter", "year", "cycle"]


WindowSpec: TypeAlias = Literal["now", "cycle", "all"] | Trailing | ToDate


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


class Edge(Model):
    """A moment of one entity: when it entered a status or category, when a field says, or when an event came."""

    status: Text | tuple[Text, ...] | None = None
    category: Literal["to_do", "in_progress", "done"] | None = None
    field: Text | None = None
    event: Text | tuple[Text, ...] | None = None
    pick: Literal["first", "last"] = "first"

    @model_validator(mode="after")
    def _one(self) -> "Edge":
        if sum(x is not None for x in (self.status, self.category, self.field, self.event)) != 1:
            raise PydanticCustomError("edge", "exactly one of status, category, field or event is expected")
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
    def _one(self) -> "Side":
        if (self.query is None) == (self.records is None):
            raise PydanticCustomError("side", "exactly one of query or records is expected")
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


AggregateName = Annotated[
    str, StringConstraints(pattern=r"^(count|sum|avg|median|min|max|last|p[1-9][0-9]?)$")
]
AggregateSpec: TypeAlias = AggregateName | Distinct

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
            raise PydanticCustomError(
                "source_form",
                "exactly one source form is expected ({forms}), found {found}",
                {"forms": ", ".join(SOURCE_FORMS), "found": ", ".join(forms) or "none"},
            )
        if self.duration is not None:
            if self.unit not in TIME_UNITS:
                raise PydanticCustomError("unit", "a duration's unit is one of {units}", {"units": ", ".join(TIME_UNITS)})
            if isinstance(self.aggregate, Distinct) or self.aggregate in ("count", None):
                raise PydanticCustomError("aggregate", "a duration needs an aggregate: avg, median, p90, min, max, sum, last")
        if self.records is not None:
            if self.aggregate is None and self.records.value is not None:
                raise PydanticCustomError("aggregate", "records with a value need an aggregate, such as sum or avg")
            if self.aggregate not in ("count", None) and not isinstance(self.aggregate, Distinct) and self.records.value is None:
                raise PydanticCustomError("aggregate", "this aggregate needs records with a value")
        if self.aggregate is not None and forms[0] not in ("records", "duration"):
            raise PydanticCustomError("aggregate", "only records and duration take an aggregate")
        if self.ratio is not None and self.unit != "percent" and not self.unit:
            raise PydanticCustomError("unit", "a ratio needs a unit")
        return self

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

CycleName = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?$")]


class MeasuredBaseline(Model):
    """The metric's own window rule at the end of that period, measured once and frozen with its evidence."""

    measure: CycleName


class Change(Model):
    """A target relative to the baseline: `-25%` or `+3`."""

    change: Annotated[str, StringConstraints(pattern=r"^[+-][0-9]{1,15}(\.[0-9]{1,10})?%?$")]


class Maintain(Model):
    """A bound to hold, inclusive where it says so: `>= 99.9`, `<= 2`."""

    maintain: Annotated[str, StringConstraints(pattern=r"^(>=|<=|>|<)\s*-?[0-9]{1,15}(\.[0-9]{1,10})?$")]


class GuardrailSpec(Model):
    """What must hold beside the key result: `>= 40`, or `>= 97% of baseline`."""

    metric: Reference
    must: Annotated[str, StringConstraints(pattern=r"^(>=|<=|>|<)\s*-?[0-9]{1,15}(\.[0-9]{1,10})?(% of baseline)?$")]
    baseline: Number | None = None


class KeyResultSpec(Model):
    """From a baseline to a target by the end of the objective's cycle."""

    title: Title | None = None
    metric: Reference | MetricSpec
    baseline: Number | MeasuredBaseline | None = None
    target: Number | Change | Maintain
    kind: Literal["committed", "aspirational"] = "committed"
    weight: Number = Decimal(1)
    owner: Title | None = None
    fresh_within: Span | None = None
    guardrails: tuple[GuardrailSpec, ...] = ()

    @model_validator(mode="after")
    def _meaningful(self) -> "KeyResultSpec":
        if self.weight < 0:
            raise PydanticCustomError("weight", "a weight is not negative")
        if isinstance(self.target, Maintain):
            return self
        if self.baseline is None:
            raise PydanticCustomError("baseline", "a baseline is expected: a number, or {measure: 2026-Q3}")
        if isinstance(self.baseline, Decimal) and self.baseline == self.target:
            raise PydanticCustomError("baseline_is_target", "baseline and target are equal: there is nothing to reach")
        return self


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
