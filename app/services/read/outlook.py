"""What is shown beside a judgement: where the value is heading, since when a guardrail is broken, the last check-in.

Each is one query for a whole page, whatever its length (one more for metrics with steps). Forecasts are kept until a
value comes, of now or of the past, or the hour ends.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from weakref import WeakKeyDictionary

from app.domain.forecast import Forecast, NotEnough, Shape, forecast, goal, shape_of
from app.domain.guardrail import Breach, breaches
from app.domain.language import TIME_UNITS
from app.domain.window import TimeSpan
from app.services.definitions import Definition, definition_of, split_reference, team_cycle, team_zone
from app.services.input_graph import InputGraph, input_graph
from app.services.read.judged import Judged
from app.services.read.terms import pace_of
from app.services.views import CheckInView, ForecastView
from app.store import backfills, check_ins, organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import CheckIn

#: How far back a forecast looks, and where a metric moves at steps alone.
REACH, REACH_OF_STEPS = timedelta(days=400), timedelta(days=3650)

Known = dict[tuple[int, int, str], tuple[datetime, Forecast | NotEnough]]
#: By database: (key result, sample, history and terms) → the hour it was made in, and what.
_forecasts: WeakKeyDictionary[object, Known] = WeakKeyDictionary()
_MOST_KEPT = 10_000
#: A forecast takes up to two milliseconds: so many are made without a pause.
_AT_ONCE = 6
#: Of a history with a hole in it nothing is foretold.
_HALF_TOLD = NotEnough("its history is still being told", "short_history")

History = Sequence[tuple[datetime, Decimal]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of the numbers of a key result's metric."""

    is_cumulative: bool
    definition: Definition | None
    """Whose window the value accumulates over: the metric's own, or of what its formula reads."""


async def with_outlook(
    session: Session,
    judged: Sequence[Judged],
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> list[Judged]:
    """The same with `forecast`, `check_in` and the moments of breaches in their views. What is sealed stays as it
    was."""
    if not judged:
        return []
    moment = as_of or now
    live = [item for item in judged if item.view.sealed is None]
    forecasts = await forecasts_of(session, live, now=moment, known_at=known_at)
    broken = await breaches_of(session, live, now=moment, known_at=known_at)
    said = await _said(session, live, moment if as_of or known_at else None)
    found = {}
    for item in live:
        identity = item.row.key_result.id
        guardrails = [
            view
            if (breach := broken.get((identity, spec.metric))) is None
            else view.model_copy(
                update={"since": breach.since, "value_then": breach.value, "worst_value": breach.worst}
            )
            for view, spec in zip(item.view.guardrails, item.spec.guardrails, strict=True)
        ]
        ahead = forecasts[identity]
        changes = {
            "forecast": _forecast_view(ahead),
            "forecast_reason": ahead.reason if isinstance(ahead, NotEnough) else None,
            "guardrails": guardrails,
            "check_in": None if (last := said.get(identity)) is None else check_in_view(last),
        }
        found[identity] = replace(item, view=item.view.model_copy(update=changes))
    return [found.get(item.row.key_result.id, item) for item in judged]


async def _said(session: Session, judged: Sequence[Judged], as_of: datetime | None) -> Mapping[int, CheckIn | None]:
    """The last check-in of each key result, by its id."""
    by_id = {item.row.key_result.id: item.row.check_in for item in judged}
    return by_id if as_of is None else await check_ins.latest_by(session, by_id, as_of)


def check_in_view(row: CheckIn) -> CheckInView:
    """A check-in as readers get it."""
    return CheckInView(
        id=row.id,
        at=row.at,
        author=row.author,
        note=row.note,
        confidence=None if row.confidence is None else float(row.confidence),
        blockers=list(row.blockers),
        value=row.value,
    )


def _forecast_view(ahead: Forecast | NotEnough) -> ForecastView | None:
    if isinstance(ahead, NotEnough):
        return None
    chance = ahead.chance_of_target
    return ForecastView(
        value_at_end=ahead.value_at_end,
        low=ahead.low,
        high=ahead.high,
        chance_of_target=None if chance is None else float(chance),
    )


# --- forecasts -------------------------------------------------------------------------------------------------------


async def forecasts_of(
    session: Session, judged: Sequence[Judged], *, now: datetime, known_at: datetime | None = None
) -> dict[int, Forecast | NotEnough]:
    """The forecast of each key result by its id, from what was known at `known_at` (None: now)."""
    kept = _forecasts.setdefault(session.get_bind(), {})
    found: dict[int, Forecast | NotEnough] = {}
    missing: list[Judged] = []
    for item in judged:
        made = None if known_at is not None else kept.get(_key(item))
        if made is not None and made[0] == _hour(now):
            found[item.row.key_result.id] = made[1]
        elif now >= _end(item):
            found[item.row.key_result.id] = NotEnough("the cycle has ended: its value is known", "ended")
        elif item.judgement.lifecycle != "active":
            found[item.row.key_result.id] = NotEnough(f"it is {item.judgement.lifecycle}", "ended")
        else:
            missing.append(item)
    if missing and known_at is None:
        half_told = await backfills.half_told(session)
        found |= {item.row.key_result.id: _HALF_TOLD for item in missing if item.row.metric.id in half_told}
        missing = [item for item in missing if item.row.metric.id not in half_told]
    if not missing:
        return found
    kinds = await _kinds(session, missing)
    histories = await _histories(session, missing, now, known_at)
    if len(kept) > _MOST_KEPT:
        kept.clear()
    for number, item in enumerate(missing):
        ahead = _forecast(item, histories.get(_series(item), ()), kinds[item.row.key_result.id], now)
        found[item.row.key_result.id] = ahead
        if known_at is None:
            kept[_key(item)] = (_hour(now), ahead)
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)  # others are served meanwhile
    return found


async def _histories(
    session: Session, judged: Sequence[Judged], now: datetime, known_at: datetime | None
) -> dict[tuple[int, str], Sequence[tuple[datetime, Decimal]]]:
    found: dict[tuple[int, str], Sequence[tuple[datetime, Decimal]]] = {}
    by_steps = {_series(item) for item in judged if item.spec.steps is not None}
    daily = {_series(item) for item in judged} - by_steps
    for some, reach in ((daily, REACH), (by_steps, REACH_OF_STEPS)):
        if some:
            found |= await samples.values_of(session, some, since=now - reach, until=now, known_at=known_at, daily=True)
    return found


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _key(item: Judged) -> tuple[int, int, str]:
    sample, history = item.row.sample, item.row.metric.history_version
    terms = f"{history} {item.row.key_result.version} {item.view.baseline} {item.view.target}"
    return item.row.key_result.id, 0 if sample is None else sample.id, terms


def _series(item: Judged) -> tuple[int, str]:
    """Which samples are the key result's: of its metric, in its cycle where the metric's window needs one."""
    sample = item.row.sample
    return item.row.metric.id, "" if sample is None else sample.cycle


def _end(item: Judged) -> datetime:
    return team_cycle(item.row.team, item.row.key_result.cycle).end


async def _kinds(session: Session, judged: Iterable[Judged]) -> dict[int, _Kind]:
    formulas = [
        RevisedMetric(item.row.metric, item.row.revision, item.row.metric_team, {})
        for item in judged
        if item.row.revision is not None and definition_of(item.row.revision).spec.formula is not None
    ]
    graph = await input_graph(session, formulas)
    return {item.row.key_result.id: _kind(item, graph) for item in judged}


def _kind(item: Judged, graph: InputGraph) -> _Kind:
    if item.row.revision is None:
        return _Kind(False, None)
    definition = definition_of(item.row.revision)
    if definition.spec.formula is None:
        # A tool may compute anything over a period; what it counts or sums is no percent and no time.
        is_total = definition.spec.unit != "percent" and definition.spec.unit not in TIME_UNITS
        return _Kind(definition.is_cumulative and is_total, definition)
    if not graph.is_cumulative(item.row.metric.id):
        return _Kind(False, definition)
    leaves = [graph.definition(leaf) for leaf in graph.leaves(item.row.metric.id)]
    return _Kind(True, next((leaf for leaf in leaves if leaf.is_cumulative), definition))


def _forecast(item: Judged, history: History, kind: _Kind, now: datetime) -> Forecast | NotEnough:
    view = item.view
    if not history and view.value is not None and view.observed_at is not None:
        history = [(view.observed_at, view.value)]
    shape = _shape(item, kind, history, now)
    return forecast(history, now=now, end=_end(item), shape=shape, must=goal(item.spec.target, view.baseline))


def _shape(item: Judged, kind: _Kind, history: History, now: datetime) -> Shape:
    definition, team = kind.definition, item.row.team
    zone = team_zone(item.row.metric_team)
    pace = pace_of(item.spec, team, item.view.baseline)
    steps = pace if pace is not None and pace.steps is not None else None
    if definition is None:
        return Shape(steps=steps, zone=zone)
    shape = shape_of(
        definition.spec,
        zone=zone,
        first=history[0][0] if history else now,
        end=_end(item),
        fiscal_year_start=definition.fiscal_year_start,
        cycle=team_cycle(team, item.row.key_result.cycle).span,
        steps=steps,
    )
    return replace(shape, is_cumulative=shape.is_cumulative or kind.is_cumulative)


# --- guardrails ------------------------------------------------------------------------------------------------------


async def breaches_of(
    session: Session, judged: Sequence[Judged], *, now: datetime, known_at: datetime | None = None
) -> dict[tuple[int, str], Breach]:
    """For each guardrail that does not hold, by (key result, metric's name): the stretch in which it does not. Looks
    back to the cycle's start."""
    broken = [
        (item, index)
        for item in judged
        for index, guardrail in enumerate(item.judgement.guardrails)
        if guardrail.holds is False
    ]
    if not broken:
        return {}
    names = {_guardrail_name(item, index) for item, index in broken}
    metrics = await organisation.metrics_named(session, names)
    starts = [team_cycle(item.row.team, item.row.key_result.cycle).start for item, _ in broken]
    wanted = {
        (metrics[_guardrail_name(item, index)].id, cycle)
        for item, index in broken
        if _guardrail_name(item, index) in metrics
        for cycle in ("", item.row.key_result.cycle)
    }
    histories = await samples.values_of(session, wanted, since=min(starts), until=now, known_at=known_at)
    found: dict[tuple[int, str], Breach] = {}
    for item, index in broken:
        metric = metrics.get(_guardrail_name(item, index))
        if metric is None:
            continue
        cycle = team_cycle(item.row.team, item.row.key_result.cycle)
        values = _of_cycle(histories, metric.id, cycle.name, cycle.span, now)
        view, spec = item.view.guardrails[index], item.spec.guardrails[index]
        last = next(
            (one for one in reversed(breaches(spec.metric, spec.must, values, view.baseline)) if one.until is None),
            None,
        )
        if last is not None:
            found[(item.row.key_result.id, spec.metric)] = last
    return found


def _of_cycle(
    histories: Mapping[tuple[int, str], History], metric_id: int, name: str, cycle: TimeSpan, now: datetime
) -> Collection[tuple[datetime, Decimal]]:
    own = histories.get((metric_id, name)) or histories.get((metric_id, ""), ())
    end = now if cycle.end is None else min(now, cycle.end)
    return [(at, value) for at, value in own if cycle.start is not None and cycle.start <= at <= end]


def _guardrail_name(item: Judged, index: int) -> tuple[str, str]:
    return split_reference(item.spec.guardrails[index].metric, item.row.team.name)
