"""Revisions of a metric: a rule edit makes a new one, built from what is stored while the old one is served."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from app.domain.language import DatasetSource, MetricSpec, QuerySource
from app.services.definitions import digest, revision_definition, team_timezone
from app.services.queries import query_identity
from app.store import deliveries, inputs, organisation, records
from app.store.database import Session
from app.store.organisation import TeamRows
from app.store.tables import Metric, MetricPart, MetricRevision, Team


async def revise_metric(
    session: Session,
    metric: Metric,
    spec: MetricSpec,
    team: Team,
    rows: TeamRows,
    *,
    reads: Mapping[str, int] | None = None,
    author: str,
    now: datetime,
) -> Literal["current", "building"]:
    """Give the metric a new revision if anything that its hash covers has changed. A revision with nothing stored to
    extract is current at once; another is built by the workers first. `reads` has the metrics that a formula names."""
    datasets = {name: {"shape": row.shape, "spec": row.spec} for name, row in rows.datasets.items()}
    definition = revision_definition(spec, team, datasets)
    identity = digest(definition)
    newest = await organisation.newest_revision(session, metric.id)
    if newest is not None and newest.digest == identity:
        return "building" if metric.building_revision_id is not None else "current"
    revision = MetricRevision(
        metric_id=metric.id,
        number=1 if newest is None else newest.number + 1,
        digest=identity,
        definition=definition,
        author=author,
        created_at=now,
    )
    session.add(revision)
    await session.flush()
    has_stored = False
    for part, source in spec.parts().items():
        row = _part(revision.id, part, source, spec, team, rows)
        session.add(row)
        if isinstance(source, DatasetSource):
            dataset = rows.datasets[source.dataset]
            has_stored = (
                has_stored
                or await records.has_content(session, dataset)
                or (dataset.shape == "events" and await deliveries.has_pending(session, dataset.connection_id))
            )
    await inputs.save_inputs(session, revision.id, reads or {})
    if has_stored:
        metric.building_revision_id = revision.id
    else:
        metric.revision_id, metric.building_revision_id = revision.id, None
    await session.flush()
    return "building" if has_stored else "current"


def _part(revision_id: int, part: str, source: Any, spec: MetricSpec, team: Team, rows: TeamRows) -> MetricPart:
    row = MetricPart(revision_id=revision_id, part=part)
    if isinstance(source, DatasetSource):
        row.dataset_id = rows.datasets[source.dataset].id
    elif isinstance(source, QuerySource):
        connection = rows.connections[source.connection]
        row.query_digest, _ = query_identity(connection.id, source, window_value(spec), team_timezone(team))
    return row


def window_value(spec: MetricSpec) -> Any:
    """A metric's window as JSON."""
    return spec.window if isinstance(spec.window, str) else spec.window.model_dump(mode="json")
