"""The team file as values: what a team connects to, keeps, measures and wants.

These models say the *shape*; `app.services.team_file` adds what needs more than one object (names that must exist,
rules that must compile, connectors' own options). The same models read the API's JSON. Numbers are `Decimal` or int,
floats never reach them; names match `[a-z][a-z0-9_]*`.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.domain.goals import (
    Baseline,
    Change,
    Checkpoint,
    Contribution,
    Curve,
    CycleDates,
    ExpectedPoints,
    ExpectedShares,
    GuardrailSpec,
    KeyResultSpec,
    Maintain,
    MeasuredBaseline,
    MetricOrReference,
    ObjectiveSpec,
    PresetSpec,
    Steps,
    Target,
)
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
from app.domain.notify import NotifySpec
from app.domain.scalars import Name, Title, format_timedelta, parse_timedelta
from app.domain.shapes import (
    CalendarSpec,
    ConnectionSpec,
    DatasetSpec,
    Model,
    Objection,
    Silences,
    ToDate,
    Trailing,
    Weekday,
    WindowSpec,
    refuse,
)

__all__ = [
    "SOURCE_FORMS",
    "TIME_UNITS",
    "AggregateSpec",
    "Baseline",
    "CalendarSpec",
    "Change",
    "Checkpoint",
    "ConnectionSpec",
    "Contribution",
    "Curve",
    "CycleDates",
    "DatasetSource",
    "DatasetSpec",
    "Distinct",
    "DurationSource",
    "Edge",
    "ExpectedPoints",
    "ExpectedShares",
    "GuardrailSpec",
    "KeyResultSpec",
    "Maintain",
    "ManualSource",
    "MeasuredBaseline",
    "MetricOrReference",
    "MetricSpec",
    "Milestone",
    "Model",
    "NotifySpec",
    "Objection",
    "ObjectiveSpec",
    "OrganisationFile",
    "PresetSpec",
    "QuerySource",
    "RatioSource",
    "RecordsSource",
    "Side",
    "Silences",
    "SourceForm",
    "StateShareSource",
    "Steps",
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


class TeamFile(Model):
    """One team, whole."""

    version: Literal[1]
    team: Name
    title: Title | None = None
    parent: Name | None = None
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    calendar: CalendarSpec = CalendarSpec()
    private: bool = False
    preset: PresetSpec | None = None
    cycles: dict[Name, CycleDates] = Field(default_factory=dict)
    silence: Silences = Field(default_factory=dict)
    notify: NotifySpec | None = None
    connections: dict[Name, ConnectionSpec] = Field(default_factory=dict)
    datasets: dict[Name, DatasetSpec] = Field(default_factory=dict)
    metrics: dict[Name, MetricSpec] = Field(default_factory=dict)
    objectives: dict[Name, ObjectiveSpec] = Field(default_factory=dict)


class OrganisationFile(Model):
    """`organisation.yaml`: what holds for every team, unless the team says otherwise."""

    version: Literal[1]
    name: Title
    fiscal_year_start: Annotated[int, Field(ge=1, le=12)] = 1
    cycles: dict[Name, CycleDates] = Field(default_factory=dict)
    teams: dict[Name, Name | None] = Field(default_factory=dict)
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    presets: dict[Name, PresetSpec] = Field(default_factory=dict)
    preset: PresetSpec | None = None
