"""Stored definitions as domain values: a team's zone and calendar, a revision's spec, extraction and window."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from app.domain.aggregate import exact, rounded
from app.domain.calendar import BusinessCalendar, business_calendar
from app.domain.cycle import Cycle, dated_cycle, parse_cycle
from app.domain.durations import wall_seconds
from app.domain.extract import PartExtraction, compile_part
from app.domain.language import (
    TIME_UNITS,
    AggregateSpec,
    CalendarSpec,
    DatasetSource,
    Distinct,
    MetricSpec,
    QuerySource,
    ToDate,
)
from app.domain.window import TimeSpan, next_edge, resolve
from app.store.rollup_rules import Rule
from app.store.tables import MetricRevision, Team

#: Where a team's inherited settings have the cycles that others must not move; app.services.kept_cycles writes it.
KEPT_CYCLES = "closed_cycles"
#: What a metric says of itself that does not change its numbers.
_UNMEASURED = ("title", "description", "renamed_from", "silence")


def dump(model: BaseModel) -> dict[str, Any]:
    """A spec as JSON: what was written and nothing else, so that it can be exported as it came."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def digest(value: Any) -> str:
    """A stable hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def team_timezone(team: Team) -> str:
    """The team's timezone by name: its own, else the organisation's."""
    name: str = team.spec.get("timezone") or team.inherited.get("timezone", "UTC")
    return name


def fiscal_year_start(team: Team) -> int:
    """The first month of the fiscal year, 1 to 12: the organisation's."""
    month: int = team.inherited.get("fiscal_year_start", 1)
    return month


def team_zone(team: Team) -> ZoneInfo:
    return ZoneInfo(team_timezone(team))


def team_calendar(team: Team) -> BusinessCalendar:
    return _calendar(json.dumps(team.spec.get("calendar", {}), sort_keys=True), team_timezone(team))


@lru_cache(maxsize=256)
def _calendar(spec: str, zone: str) -> BusinessCalendar:
    return business_calendar(CalendarSpec.model_validate(json.loads(spec)), ZoneInfo(zone))


def can_look_back(spec: MetricSpec) -> bool:
    """Whether a past period's value can be had afterwards: a query without a window only tells of today."""
    asks = any(isinstance(source, QuerySource) for source in spec.parts().values())
    return not asks or spec.window not in ("now", "all")


def split_reference(reference: str, team: str) -> tuple[str, str]:
    """The (team, metric) that a reference means: `headcount` is of the team itself, `hr.headcount` or `hr/headcount`
    is not."""
    other, separator, name = reference.replace("/", ".").partition(".")
    return (other, name) if separator else (team, reference)


def team_cycle(team: Team, name: str) -> Cycle:
    """A cycle of the team, in its timezone: of the calendar with the organisation's fiscal year, or one that the team
    or the organisation dates itself; ValueError for any other."""
    kept = team.inherited.get(KEPT_CYCLES, {}).get(name)
    if kept is not None:
        # It was closed under other settings, or these know it no more: it stays where it was.
        return Cycle(name, datetime.fromisoformat(kept["start"]), datetime.fromisoformat(kept["end"]))
    own = team.spec.get("cycles", {}).get(name) or team.inherited.get("cycles", {}).get(name)
    if own is not None:
        return dated_cycle(name, date.fromisoformat(own["start"]), date.fromisoformat(own["end"]), team_zone(team))
    return parse_cycle(name, team_zone(team), fiscal_year_start(team))


def cycle_span(team: Team, name: str) -> TimeSpan | None:
    """A cycle's span, None where the team knows no cycle of that name: another team may ask for one of its own."""
    try:
        return team_cycle(team, name).span
    except ValueError:
        return None


@dataclass(frozen=True)
class Definition:
    """A metric revision, compiled: its spec, the zone, calendar and fiscal year it was written under, and its
    extractions.

    `extractions` has an entry for each part that reads a dataset; `queries` for each that asks a tool.
    """

    spec: MetricSpec
    zone: ZoneInfo
    calendar: BusinessCalendar
    extractions: dict[str, PartExtraction]
    fiscal_year_start: int = 1

    @property
    def divisor(self) -> int:
        """Seconds in the metric's unit for durations, else 1."""
        if self.spec.duration is None:
            return 1
        return TIME_UNITS[self.spec.unit][1] or self.calendar.nominal_day

    def in_unit(self, amount: Decimal) -> Decimal:
        """What a record adds in the metric's unit: its amount, of durations in seconds."""
        return amount if self.divisor == 1 else rounded(exact(amount) / self.divisor)

    def elapsed(self, start: datetime, end: datetime) -> Decimal:
        """The seconds from one moment to another by the clock that the metric's durations are counted in."""
        return self.calendar.seconds_between(start, end) if _is_business(self.spec) else wall_seconds(start, end)

    def aggregate_of(self, part: str) -> str:
        """What is computed over a part's facts."""
        aggregate = _part_aggregate(self.spec, part)
        return "distinct" if isinstance(aggregate, Distinct) else aggregate or "count"

    def rollup_rule(self, part: str) -> Rule | None:
        """How a part's facts are rolled up, None where the value moves with the clock and is told from facts alone."""
        duration = self.spec.duration
        if self.spec.state_share is not None or (duration is not None and duration.open == "include"):
            return None
        return Rule.of(self.aggregate_of(part), self.zone)

    @property
    def is_asserted(self) -> bool:
        """Whether only people and scripts say what its value is: no tool is read for it."""
        steps = self.spec.milestones
        return self.spec.manual is not None or (steps is not None and all(step.done == "manual" for step in steps))

    @property
    def is_cumulative(self) -> bool:
        """A count or sum over a `to_date` or `cycle` window grows as the window passes."""
        if not (self.spec.window == "cycle" or isinstance(self.spec.window, ToDate)):
            return False
        return self.spec.query is not None or (
            self.spec.records is not None and self.aggregate_of("value") in ("count", "sum", "distinct")
        )

    def window(self, at: datetime, cycle: TimeSpan | None) -> TimeSpan:
        """The window at a moment, for the cycle of the key result that asks."""
        return resolve(self.spec.window, at=at, zone=self.zone, cycle=cycle, fiscal_year_start=self.fiscal_year_start)

    def next_edge(self, at: datetime, cycle: TimeSpan | None) -> datetime | None:
        return next_edge(self.spec.window, at=at, zone=self.zone, cycle=cycle, fiscal_year_start=self.fiscal_year_start)

    def query_of(self, part: str) -> QuerySource | None:
        source = self.spec.parts()[part]
        return source if isinstance(source, QuerySource) else None


def _is_business(spec: MetricSpec) -> bool:
    """Whether durations count business time: the calendar's, not the wall clock's."""
    return spec.duration is not None and TIME_UNITS[spec.unit][0] == "business"


def definition_of(revision: MetricRevision) -> Definition:
    """The compiled form of a stored revision."""
    return _compiled(json.dumps(revision.definition, sort_keys=True, default=str))


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Definition:
    stored = json.loads(text)
    spec = MetricSpec.model_validate(stored["metric"])
    zone = ZoneInfo(stored["timezone"])
    calendar = _calendar(json.dumps(stored["calendar"], sort_keys=True), stored["timezone"])
    extractions = {}
    for name, source in spec.parts().items():
        if isinstance(source, DatasetSource):
            extractions[name] = compile_part(
                name,
                source,
                _part_aggregate(spec, name),
                stored["datasets"][source.dataset]["shape"],
                calendar if _is_business(spec) else None,
            )
    return Definition(spec, zone, calendar, extractions, stored.get("fiscal_year_start", 1))


def _part_aggregate(spec: MetricSpec, part: str) -> AggregateSpec | None:
    """What a part's facts are for: a side of a ratio has an aggregate of its own."""
    if spec.ratio is None:
        return spec.aggregate
    side = spec.ratio.good if part == "good" else spec.ratio.total
    return side.aggregate or ("sum" if side.records is not None and side.records.value is not None else "count")


def revision_definition(spec: MetricSpec, team: Team, datasets: dict[str, Any]) -> dict[str, Any]:
    """What a revision's hash covers: the spec, and of the team and the datasets whatever changes its numbers."""
    used = {
        source.dataset: datasets[source.dataset]
        for source in spec.parts().values()
        if isinstance(source, DatasetSource)
    }
    definition = {
        "metric": {key: value for key, value in dump(spec).items() if key not in _UNMEASURED},
        "timezone": team_timezone(team),
        "calendar": team.spec.get("calendar", {}),
        "datasets": used,
    }
    is_fiscal = isinstance(spec.window, ToDate) and spec.window.to_date in ("quarter", "year")
    if is_fiscal and fiscal_year_start(team) != 1:
        definition["fiscal_year_start"] = fiscal_year_start(team)
    return definition
