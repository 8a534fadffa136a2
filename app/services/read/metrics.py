"""Metrics as readers get them."""

from collections.abc import Collection
from datetime import datetime

from app.domain.language import MetricSpec
from app.services.definitions import definition_of
from app.services.formula_sources import formula_sources
from app.services.read.shown import freshness_view
from app.services.sources import SourceState, source_state
from app.services.views import MetricView
from app.services.views.metrics import BuildingView
from app.store import organisation, samples
from app.store.database import Session
from app.store.tables import Metric, Sample


async def list_metrics(
    session: Session,
    *,
    now: datetime,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[MetricView], int | None]:
    """A page of metrics and the id to go on after (None: this was the last)."""
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
    views = []
    for metric_id in page:
        item = current.get(metric_id) or building.get(metric_id)
        if item is None:
            continue
        sample = values.get((metric_id, "")) or next((s for (m, _), s in values.items() if m == metric_id), None)
        definition = definition_of(item.revision)
        if formulas is not None and definition.spec.formula is not None:
            state = formulas.state(metric_id, None)
        else:
            state = source_state(
                item.team.name,
                sources.get(item.revision.id, []),
                definition,
                None,
                asserted_at=None if sample is None or sample.value is None else sample.observed_at,
            )
        views.append(_metric_view(item, building.get(metric_id), sample, state, definition.spec, now))
    return views, page[-1] if more else None


async def get_metric(session: Session, team: str, name: str, *, now: datetime) -> MetricView | None:
    """One metric with its current value."""
    views, _ = await list_metrics(session, now=now, team=team, name=name, limit=1)
    return views[0] if views else None


def _building_view(item: organisation.RevisedMetric | None) -> BuildingView | None:
    if item is None:
        return None
    done, total = item.revision.built_entities, item.revision.entities_to_build
    # More may come while it is built.
    return BuildingView(revision=item.revision.number, done=done, total=None if total is None else max(done, total))


def _metric_view(
    item: organisation.RevisedMetric,
    building: organisation.RevisedMetric | None,
    sample: Sample | None,
    state: SourceState,
    spec: MetricSpec,
    now: datetime,
) -> MetricView:
    metric: Metric = item.metric
    value = None if sample is None else sample.value
    return MetricView(
        id=f"{item.team.name}/{metric.name}",
        title=metric.spec.get("title"),
        description=metric.spec.get("description"),
        unit=metric.unit,
        form=spec.form,
        definition=metric.spec,
        revision=item.revision.number,
        revised_at=item.revision.created_at,
        revised_by=item.revision.author,
        is_building=metric.building_revision_id is not None,
        building=_building_view(building),
        value=value,
        reason=None if sample is None else sample.reason,
        sample_size=None if sample is None else sample.sample_size,
        observed_at=None if sample is None else sample.observed_at,
        measured_at=None if sample is None else sample.measured_at,
        freshness=freshness_view(state.freshness(now)),
        source=state.view(),
        managed_by=metric.managed_by,
        version=metric.version,
    )
