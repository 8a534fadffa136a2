"""What a health check looks at, gathered for a team's cycle in a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.cycle import Cycle, CycleKind, current_cycle, parse_cycle
from app.domain.forecast import Forecast, NotEnough
from app.domain.health_check import EarlierCycle, KeyResultFacts
from app.domain.health_detectors import first_met
from app.services.definitions import definition_of, fiscal_year_start, team_cycle, team_zone
from app.services.input_graph import InputGraph, input_graph
from app.services.read import Judged
from app.services.read.outlook import forecasts_of
from app.store import audit, organisation, samples
from app.store.database import Session
from app.store.organisation import KeyResultFilter, RevisedMetric, SourceRow
from app.store.tables import Team

_EARLIER_CYCLES = 2
_HISTORY = timedelta(days=400)
_STEPS = {"week": timedelta(days=7), "month": timedelta(days=31), "quarter": timedelta(days=92)}
_KINDS: dict[str, CycleKind] = {"": "year", "Q": "quarter", "H": "half"}
#: What an edit of a key result moves, for goalposts that wander.
_GOALPOSTS = ("target", "baseline", "metric")

History = Sequence[tuple[datetime, Decimal]]
Series = Mapping[tuple[int, str], History]


@dataclass(frozen=True, slots=True)
class _Behind:
    """What feeds the key results' metrics."""

    graph: InputGraph
    sources: Mapping[int, Sequence[SourceRow]]


async def facts_of(
    session: Session, team: Team, cycle: Cycle, judged: Sequence[Judged], *, now: datetime
) -> dict[int, KeyResultFacts]:
    """The facts of a team's judged key results by their id."""
    forecasts = await forecasts_of(session, judged, now=now)
    earlier = await _earlier_cycles(session, team, cycle, judged)
    since = min([now - _HISTORY, *(one.start for found in earlier.values() for one in found)])
    series = {
        (item.row.metric.id, name)
        for item in judged
        for name in ("", cycle.name, *(one.name for one in earlier[item.row.key_result.id]))
    }
    histories = await samples.values_of(session, series, since=since, until=min(now, cycle.end), daily=True)
    behind = await _behind(session, judged)
    edits = await _edits(session, judged, cycle.start)
    return {
        item.row.key_result.id: _facts(
            item,
            cycle,
            forecasts[item.row.key_result.id],
            histories,
            earlier[item.row.key_result.id],
            behind,
            edits.get(item.view.id, 0),
        )
        for item in judged
    }


def _facts(
    item: Judged,
    cycle: Cycle,
    forecast: Forecast | NotEnough,
    histories: Series,
    earlier: Sequence[Cycle],
    behind: _Behind,
    edits: int,
) -> KeyResultFacts:
    view, judgement, spec = item.view, item.judgement, item.spec
    definition = None if item.row.revision is None else definition_of(item.row.revision)
    history = _history(histories, item.row.metric.id, cycle.name)
    here = [(at, value) for at, value in history if at >= cycle.start]
    met = None
    # A total that is judged on its projection begins within its target: being there is no news.
    if judgement.target is not None and view.baseline is not None and judgement.projected_value is None:
        met = first_met(here, judgement.target, view.baseline, cycle.start)
    changes = [at for (at, value), before in zip(history[1:], history, strict=False) if value != before[1]]
    return KeyResultFacts(
        name=view.id,
        title=view.title,
        unit=view.metric.unit,
        form="manual" if definition is None else definition.spec.form,
        kind=view.kind,
        judgement=judgement,
        value=view.value,
        baseline=view.baseline,
        forecast=forecast,
        first_met_at=met,
        value_since=history[0][0] if history else view.observed_at,
        last_changed_at=changes[-1] if changes else None,
        last_check_in_at=None if view.check_in is None else view.check_in.at,
        edits=edits,
        earlier=tuple(
            EarlierCycle(name=one.name, value=value)
            for one in earlier
            if (value := _value_at_end(histories, item, one)) is not None
        ),
        aggregate=None
        if definition is None or definition.spec.form not in ("records", "duration")
        else definition.aggregate_of("value"),
        moves_every=None if spec.steps is None else _STEPS[spec.steps],
        formula_depth=_depth(behind.graph, item.row.metric.id, frozenset()),
        sources=max(1, len(_feeding(behind, item))),
    )


def _history(histories: Series, metric_id: int, cycle: str) -> History:
    """A metric's values: in the cycle where its window needs one, else altogether."""
    return histories.get((metric_id, cycle)) or histories.get((metric_id, ""), ())


def _value_at_end(histories: Series, item: Judged, cycle: Cycle) -> Decimal | None:
    """What was known within a cycle last. What is said of a last day is true at its end, where a total begins anew."""
    is_total = item.row.revision is not None and definition_of(item.row.revision).is_cumulative
    values = [
        value
        for at, value in _history(histories, item.row.metric.id, cycle.name)
        if cycle.start <= at < cycle.end or (at == cycle.end and not is_total)
    ]
    return values[-1] if values else None


# --- earlier cycles --------------------------------------------------------------------------------------------------


async def _earlier_cycles(
    session: Session, team: Team, cycle: Cycle, judged: Sequence[Judged]
) -> dict[int, list[Cycle]]:
    """By key result: the cycles before, oldest first: those it lived in already, and the calendar's own."""
    before = _before(cycle, team)
    instances = await organisation.key_result_rows(session, KeyResultFilter(team=team.name, current_only=False))
    found: dict[int, list[Cycle]] = {}
    for item in judged:
        lived = [
            team_cycle(team, row.key_result.cycle)
            for row in instances
            if row.key_result.name == item.row.key_result.name and row.metric.id == item.row.metric.id
        ]
        known = {one.name: one for one in (*before, *lived) if one.end <= cycle.start}
        found[item.row.key_result.id] = sorted(known.values(), key=lambda one: one.end)
    return found


def _before(cycle: Cycle, team: Team) -> list[Cycle]:
    """The last cycles of the same kind; none before a cycle of one's own, which has no kind."""
    zone, fiscal = team_zone(team), fiscal_year_start(team)
    try:
        own = parse_cycle(cycle.name, zone, fiscal)
    except ValueError:
        return []
    part = own.name.partition("-")[2]
    found: list[Cycle] = []
    while len(found) < _EARLIER_CYCLES:
        last = (found[-1] if found else cycle).start - timedelta(hours=1)
        kind = _KINDS.get(part[:1], "month")
        found.append(current_cycle(last, zone, kind, fiscal))
    return found


# --- what feeds it ---------------------------------------------------------------------------------------------------


async def _behind(session: Session, judged: Sequence[Judged]) -> _Behind:
    items = [
        RevisedMetric(item.row.metric, item.row.revision, item.row.metric_team, {})
        for item in judged
        if item.row.revision is not None
    ]
    graph = await input_graph(session, items)
    leaves = {leaf for item in items for leaf in graph.leaves(item.metric.id)}
    sources = await organisation.metric_sources(session, [graph.items[leaf].revision.id for leaf in leaves])
    return _Behind(graph, sources)


def _feeding(behind: _Behind, item: Judged) -> set[tuple[str, int]]:
    """The datasets and queries behind a key result; what people assert is one of its own."""
    found: set[tuple[str, int]] = set()
    for leaf in behind.graph.leaves(item.row.metric.id):
        sources = behind.sources.get(behind.graph.items[leaf].revision.id, ())
        for source in sources:
            if source.dataset is not None:
                found.add(("dataset", source.dataset.id))
            elif source.plan is not None:
                found.add(("plan", source.plan.id))
        if not sources:
            found.add(("metric", leaf))
    return found


def _depth(graph: InputGraph, metric_id: int, above: frozenset[int]) -> int:
    if metric_id not in graph.inputs or metric_id in above:
        return 0
    below = (read for read in graph.inputs[metric_id].values() if read is not None)
    return 1 + max((_depth(graph, read, above | {metric_id}) for read in below), default=0)


async def _edits(session: Session, judged: Sequence[Judged], since: datetime) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, before, after in await audit.edits_since(session, "key_result", [item.view.id for item in judged], since):
        if any((before or {}).get(key) != (after or {}).get(key) for key in _GOALPOSTS):
            counts[name] = counts.get(name, 0) + 1
    return counts
