"""The samples behind key results and metrics."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.progress import is_budget, progress, projected_value
from app.domain.window import TimeSpan
from app.services.definitions import team_cycle
from app.services.input_graph import input_graph
from app.services.read.sealed import restatement_views
from app.services.read.shown import coverage_of, number
from app.services.terms import Terms, TermsHistory, terms_histories
from app.services.views import (
    RestatementView,
    SampleView,
    WindowView,
)
from app.store import closes, organisation, samples
from app.store.database import Session
from app.store.organisation import KeyResultFilter, KeyResultRow
from app.store.tables import FrozenBaseline, Sample

EVERY_CYCLE = "all"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The span of time in which an instance of a key result asked for one metric."""

    instance: KeyResultRow
    metric_id: int
    since: datetime | None
    until: datetime | None


async def key_result_history(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    qualities: Collection[str] | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """The samples behind a key result in the order they were recorded, each with the progress that it meant under the
    terms in force; None where there is none. `step` and `qualities` choose among them as `list_samples` does. With
    `EVERY_CYCLE`, through all its cycles. Where the key result came to ask for another metric, the history goes on with
    that one's."""
    every = cycle == EVERY_CYCLE
    wanted = KeyResultFilter(
        team=team, name=name, cycle=None if every else cycle, current_only=not every and cycle is None
    )
    rows = await organisation.key_result_rows(session, wanted)
    if not rows:
        return None
    rows.sort(key=lambda row: team_cycle(row.team, row.key_result.cycle).start)
    terms = await terms_histories(session, [row.key_result for row in rows])
    frozen = await samples.frozen_baselines(session, [row.key_result.id for row in rows])
    stretches = [one for index in range(len(rows)) for one in _stretches(rows, index, terms, now)]
    revised = await organisation.revised_metrics(session, {one.metric_id for one in stretches})
    graph = await input_graph(session, revised.values())
    found: list[tuple[Sample, int, KeyResultRow]] = []
    totals = {metric_id for metric_id in revised if graph.is_cumulative(metric_id)}
    for one in stretches:
        is_known = one.metric_id in revised
        asked = one.instance.key_result.cycle if is_known and graph.needs_cycle(one.metric_id) else ""
        part = await samples.list_samples(
            session,
            one.metric_id,
            asked,
            since=max((moment for moment in (since, one.since) if moment is not None), default=None),
            until=min((moment for moment in (until, one.until) if moment is not None), default=None),
            step=step,
            qualities=qualities,
            after=after,
            limit=limit,
        )
        found += [(sample, revision, one.instance) for sample, revision in part]
    found.sort(key=lambda item: item[0].id)
    views = []
    for sample, revision, instance in found[:limit]:
        held = terms[instance.key_result.id].at(sample.observed_at)
        is_total = held.metric_id in totals
        reached = _reached(sample, held, frozen.get((instance.key_result.id, "")), is_total=is_total)
        views.append(sample_view(sample, revision, reached, instance.key_result.cycle))
    return views


async def key_result_restatements(
    session: Session, team: str, name: str, *, cycle: str | None = None
) -> list[RestatementView]:
    """What the sealed values of a key result would be, each since when and why, oldest first; of the current instance,
    of a cycle's, or of all."""
    every = cycle == EVERY_CYCLE
    wanted = KeyResultFilter(
        team=team, name=name, cycle=None if every else cycle, current_only=not every and cycle is None
    )
    ids = [row.key_result.id for row in await organisation.key_result_rows(session, wanted)]
    sealed = await closes.sealed_key_results(session, ids)
    found = [view for one in sealed.values() for view in restatement_views(one)]
    return sorted(found, key=lambda one: one.at)


def _stretches(
    rows: Sequence[KeyResultRow], index: int, histories: Mapping[int, TermsHistory], now: datetime
) -> list[_Stretch]:
    """What one instance asked for, when: from its cycle's start, where another one came before, to the next one's, or
    to its own end once that is over."""
    row = rows[index]
    cycle = team_cycle(row.team, row.key_result.cycle)
    first = cycle.start if index else None
    last = cycle.end if now >= cycle.end else None
    if index + 1 < len(rows):
        last = team_cycle(row.team, rows[index + 1].key_result.cycle).start
    terms = histories[row.key_result.id].terms
    found: list[_Stretch] = []
    for place, one in enumerate(terms):
        if found and found[-1].metric_id == one.metric_id:
            continue
        since = first if not place else max(moment for moment in (one.since, first) if moment is not None)
        if found:
            found[-1] = replace(found[-1], until=since)
        found.append(_Stretch(row, one.metric_id, since, None))
    found[-1] = replace(found[-1], until=last)
    return found


def _reached(sample: Sample, terms: Terms, frozen: FrozenBaseline | None, *, is_total: bool) -> float | None:
    """The progress that a value meant under its terms: of a total that should stay low, where it was heading."""
    baseline, target = terms.baseline(frozen), terms.target(frozen)
    value = sample.value
    if value is None or baseline is None or target is None:
        return None
    if is_budget(baseline, target, is_total=is_total):
        value = projected_value(value, TimeSpan(sample.window_start, sample.window_end), sample.observed_at)
    return None if value is None else number(progress(value, baseline, target))


async def metric_history(
    session: Session,
    team: str,
    name: str,
    *,
    cycle: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """A metric's samples, oldest first."""
    metric = await organisation.get_metric(session, team, name)
    if metric is None:
        return None
    found = await samples.list_samples(
        session, metric.id, cycle, since=since, until=until, step=step, after=after, limit=limit
    )
    return [sample_view(sample, revision) for sample, revision in found]


def sample_view(sample: Sample, revision: int, reached: float | None = None, cycle: str | None = None) -> SampleView:
    return SampleView(
        id=sample.id,
        value=sample.value,
        reason=sample.reason,
        sample_size=sample.sample_size,
        numerator=sample.numerator,
        denominator=sample.denominator,
        coverage=coverage_of(sample),
        quality=sample.quality,
        revision=revision,
        window=WindowView(start=sample.window_start, end=sample.window_end),
        observed_at=sample.observed_at,
        measured_at=sample.measured_at,
        recorded_at=sample.recorded_at,
        supersedes=sample.supersedes,
        progress=reached,
        cycle=cycle or sample.cycle or None,
    )
