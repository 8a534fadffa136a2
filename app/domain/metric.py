"""Metrics: named questions with a unit, a window and exactly one source form."""

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, Tag, model_validator

from app.domain.formula import Formula, parse_formula
from app.domain.scalars import (
    AGGREGATE_PATTERN,
    PATTERN_MEANINGS,
    Expression,
    FormulaText,
    Name,
    Number,
    Span,
    StepName,
    Text,
    Title,
    one_of,
)
from app.domain.shapes import Model, Objection, Silences, ToDate, WindowSpec, refuse


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
    open: Literal["exclude", "include"] = "exclude"


class StateShareSource(Model):
    """The share of measured time that an entity (of all entities without `of`) spent in good states: names of events of
    an event dataset, or statuses. Time in an excluded state or before the first known one is not measured."""

    dataset: Name
    of: Text | None = None
    good: tuple[Text, ...]
    exclude: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _disjoint(self) -> "StateShareSource":
        both = sorted(set(self.good) & set(self.exclude))
        if not self.good:
            refuse([Objection("states", "at least one good state is expected", "good")])
        if both:
            refuse([Objection("states", f"{both[0]!r} is both good and excluded", "exclude")])
        return self


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


MOST_MILESTONES = 100


class Milestone(Model):
    """A weighted step: done where its query counts more than nothing, or where a person ticked it."""

    name: StepName
    weight: Number = Decimal(1)
    done: Annotated[
        Annotated[Literal["manual"], Tag("<word>")] | Annotated[QuerySource, Tag("<mapping>")],
        one_of({"<word>": str, "<mapping>": QuerySource}, "a query is expected, or manual"),
    ]

    @model_validator(mode="after")
    def _weighs(self) -> "Milestone":
        if self.weight <= 0:
            refuse([Objection("weight", "a step's weight is positive", "weight")])
        return self


class Distinct(Model):
    """How many different values there are, `{distinct: record.entity}`."""

    distinct: Expression


AggregateName = Annotated[str, StringConstraints(pattern=AGGREGATE_PATTERN)]
AggregateSpec: TypeAlias = Annotated[
    Annotated[AggregateName, Tag("<word>")] | Annotated[Distinct, Tag("<mapping>")],
    one_of(
        {"<word>": str, "<mapping>": Distinct},
        PATTERN_MEANINGS[AGGREGATE_PATTERN],
    ),
]

SourceForm: TypeAlias = (
    QuerySource
    | RecordsSource
    | DurationSource
    | StateShareSource
    | RatioSource
    | FormulaText
    | ManualSource
    | tuple[Milestone, ...]
)
#: The sources that read a dataset, record by record.
DatasetSource: TypeAlias = RecordsSource | DurationSource | StateShareSource
SOURCE_FORMS = ("query", "records", "duration", "state_share", "ratio", "formula", "manual", "milestones")
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
    state_share: StateShareSource | None = None
    ratio: RatioSource | None = None
    formula: FormulaText | None = None
    manual: ManualSource | None = None
    milestones: tuple[Milestone, ...] | None = None
    aggregate: AggregateSpec | None = None
    window: WindowSpec = "now"
    min_samples: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    renamed_from: Name | None = None
    silence: Silences = Field(default_factory=dict)

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
        if self.state_share is not None and self.unit != "percent":
            found.append(Objection("unit", "a share of time is in percent", "unit"))
        if self.state_share is not None and self.window == "now":
            found.append(Objection("window", "a share of time needs a window, such as {trailing: 28d}", "window"))
        if self.manual is not None and self.window != "now":
            found.append(Objection("window", "a manual metric has no window", "window"))
        if self.formula is not None and self.window != "now":
            found.append(Objection("window", "a formula's window is that of its metrics", "window"))
        if self.milestones is not None:
            found.extend(self._milestone_objections())
        if self.min_samples is not None and self.form not in ("records", "duration", "ratio"):
            found.append(Objection("min_samples", "only records, duration and ratio have samples", "min_samples"))
        return found

    def _milestone_objections(self) -> "list[Objection]":
        found = []
        names = [step.name for step in self.milestones or ()]
        if not 1 <= len(names) <= MOST_MILESTONES:
            found.append(Objection("milestones", f"1 to {MOST_MILESTONES} milestones are expected", "milestones"))
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            found.append(Objection("duplicate_name", f"two milestones are called {twice!r}", "milestones"))
        if self.unit != "percent":
            found.append(Objection("unit", "milestones are in percent of their weight", "unit"))
        if self.window != "now":
            found.append(Objection("window", "milestones have no window", "window"))
        return found

    @property
    def form(self) -> str:
        """The name of the one source form."""
        return next(name for name in SOURCE_FORMS if getattr(self, name) is not None)

    def parts(self) -> dict[str, QuerySource | DatasetSource | ManualSource]:
        """The sources by part: `good` and `total` of a ratio, milestones' steps that ask a tool by name, none of a
        formula, `value` of every other form."""
        if self.ratio is not None:
            sides = {"good": self.ratio.good, "total": self.ratio.total}
            return {name: (side.query or side.records) for name, side in sides.items()}  # type: ignore[misc]
        if self.formula is not None:
            return {}
        if self.milestones is not None:
            return {step.name: step.done for step in self.milestones if isinstance(step.done, QuerySource)}
        return {"value": getattr(self, self.form)}

    @property
    def parsed_formula(self) -> Formula | None:
        """The formula, read; None for every other form."""
        return None if self.formula is None else parse_formula(self.formula)

    @property
    def needs_cycle(self) -> bool:
        """Whether its own window depends on the cycle of the key result that asks. A formula has none: its metrics
        do."""
        return self.window == "cycle" or (isinstance(self.window, ToDate) and self.window.to_date == "cycle")
