"""Metrics as readers get them."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from app.services.definitions import definition_of
from app.services.evaluate import Computed, compute
from app.services.formula_sources import formula_sources
from app.services.input_graph import cycles_asked, needs_cycle
from app.services.read.shown import freshness_view
from app.services.sources import SourceState, source_state, sources_then
from app.services.views import MetricView
from app.services.views.metrics import BuildingView
from app.store import organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Metric, Sample


async def list_metrics(
    session: Session,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[MetricView], int | None]:
    """A page of metrics and the id to go on after (None: this was the last); with `as_of` or `known_at` with the values
    that were true or known then, under the rule of then."""
    ids = await organisation.list_metric_ids(session, team=team, name=name, after=after, limit=limit + 1, hidden=hidden)
    page, more = ids[:limit], len(ids) > limit
    current = await organisation.revised_metrics(session, page)
    building = await organisation.revised_metrics(session, page, building=True)
    values = await samples.current_samples(session, page)
    revisions = [item.revision.id for item in (current | building).values()]
    sources = await organisation.metric_sources(session, revisions)
    formulas = await formula_sources(
        session,
        [item for item in (building | current).values() if definition_of(item.revision).spec.formula is not None],
    )
    is_past = as_of is not None or known_at is not None
    moment = as_of or now
    then = None
    if is_past:
        rows = [row for found in sources.values() for row in found]
        fed = [*rows, *(() if formulas is None else formulas.rows())]
        then = await sources_then(session, fed, as_of=moment, known_at=known_at or now)
        formulas = None if formulas is None else replace(formulas, then=then)
    views = []
    for metric_id in page:
        item = current.get(metric_id) or building.get(metric_id)
        if item is None:
            continue
        sample = values.get((metric_id, "")) or next((s for (m, _), s in values.items() if m == metric_id), None)
        shown: Sample | Computed | None = sample
        revision_id = item.revision.id
        if is_past:
            item = await _then(session, item, known_at)
            shown = await _value_then(session, item, as_of or now, known_at)
        definition = definition_of(item.revision)
        if formulas is not None and definition.spec.formula is not None:
            state = formulas.state(metric_id, None)
        else:
            state = source_state(
                item.team.name,
                sources.get(revision_id, []),
                definition,
                None,
                asserted_at=None if shown is None or shown.value is None else shown.observed_at,
                then=then,
            )
        measured_at = None if sample is None or is_past else sample.measured_at
        views.append(_metric_view(item, building.get(metric_id), shown, measured_at, state, moment))
    return views, page[-1] if more else None


async def _then(session: Session, item: RevisedMetric, known_at: datetime | None) -> RevisedMetric:
    revision = None if known_at is None else await organisation.revision_at(session, item.metric.id, known_at)
    if revision is None or revision.id == item.revision.id:
        return item
    return await organisation.with_revision(session, item, revision)


async def _value_then(
    session: Session, item: RevisedMetric, as_of: datetime, known_at: datetime | None
) -> Computed | None:
    """A metric's value then; over a cycle's window in the newest cycle that it is asked for, None without one."""
    cycle = ""
    if await needs_cycle(session, item):
        asked = await cycles_asked(session, [item.metric.id])
        cycle = max(asked.get(item.metric.id, set()), default="")
        if not cycle:
            return None
    return await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at)


async def get_metric(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> MetricView | None:
    """One metric with its value, now or at another moment."""
    views, _ = await list_metrics(session, now=now, as_of=as_of, known_at=known_at, team=team, name=name, limit=1)
    return views[0] if views else None


def _building_view(item: RevisedMetric | None) -> BuildingView | None:
    if item is None:
        return None
    done, total = item.revision.built_entities, item.revision.entities_to_build
    # More may come while it is built.
    return BuildingView(revision=item.revision.number, done=done, total=None if total is None else max(done, total))


def _metric_view(
    item: RevisedMetric,
    building: RevisedMetric | None,
    shown: Sample | Computed | None,
    measured_at: datetime | None,
    state: SourceState,
    moment: datetime,
) -> MetricView:
    metric: Metric = item.metric
    is_live = item.revision.id in (metric.revision_id, metric.building_revision_id)
    return MetricView(
        id=f"{item.team.name}/{metric.name}",
        title=metric.spec.get("title"),
        description=metric.spec.get("description"),
        unit=definition_of(item.revision).spec.unit,
        form=definition_of(item.revision).spec.form,
        definition=metric.spec if is_live else item.revision.definition["metric"],
        revision=item.revision.number,
        revised_at=item.revision.created_at,
        revised_by=item.revision.author,
        is_building=metric.building_revision_id is not None,
        building=_building_view(building),
        value=None if shown is None else shown.value,
        reason=None if shown is None else shown.reason,
        sample_size=None if shown is None else shown.sample_size,
        observed_at=None if shown is None else shown.observed_at,
        measured_at=measured_at,
        freshness=freshness_view(state.freshness(moment)),
        source=state.view(),
        managed_by=metric.managed_by,
        version=metric.version,
    )
