"""What has to be pulled for a team, and how often: one plan per connection and dataset, or per connection and query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.extract import fields_needed
from app.domain.language import DatasetSpec, KeyResultSpec, MeasuredBaseline, MetricSpec, QuerySource
from app.domain.schedule import cadence
from app.services.baselines import baseline_plan
from app.services.definitions import can_look_back, cycle_span, team_timezone
from app.services.input_graph import asked_by
from app.services.queries import query_identity
from app.services.revisions import window_value
from app.store import organisation, plans
from app.store.database import Session
from app.store.inputs import Asking
from app.store.organisation import TeamRows
from app.store.tables import Connection, Metric, Plan, Team
from connectors.contract import Connector

#: How often a source is read where no key result asks for a freshness.
DEFAULT_CADENCE = timedelta(minutes=15)
#: A plan that nothing needs any more.
UNUSED = "unused"


@dataclass(slots=True)
class _Wanted:
    connection: Connection
    dataset_id: int | None = None
    query_digest: str | None = None
    cycle: str = ""
    query: dict[str, Any] | None = None
    link: str | None = None
    fresh_within: list[timedelta] = field(default_factory=list)


async def plan_pulls(session: Session, team: Team, connectors: Mapping[str, Connector], *, now: datetime) -> None:
    """Create the plans that the team's datasets and queries need, adjust their cadence, and retire the others."""
    rows = await organisation.load_team(session, team)
    metrics = [metric.id for metric in (*rows.metrics.values(), *rows.inline_metrics.values())]
    wanted = _wanted(rows, connectors, await asked_by(session, metrics))
    existing = {plan.key: plan for plan in await plans.plans_of_team(session, team.id)}
    for key, want in wanted.items():
        connector = connectors.get(want.connection.connector)
        if connector is None:
            continue
        every = cadence(want.fresh_within, connector.min_interval, DEFAULT_CADENCE)
        seconds = int(min(every, max(DEFAULT_CADENCE, connector.min_interval)).total_seconds())
        plan = existing.get(key)
        if plan is None:
            session.add(
                Plan(
                    key=key,
                    connection_id=want.connection.id,
                    dataset_id=want.dataset_id,
                    query_digest=want.query_digest,
                    cycle=want.cycle,
                    query=want.query,
                    link=want.link,
                    cadence_seconds=seconds,
                    next_due_at=now,
                )
            )
            continue
        plan.cadence_seconds = seconds
        if want.link is not None or want.dataset_id is not None:
            plan.link = want.link  # that of a query over a window is known from its last measurement
        if plan.dataset_id is not None and plan.query != want.query:
            if not set(want.query["fields"] if want.query else []) <= set((plan.query or {"fields": []})["fields"]):
                # A field that was never fetched: only the tool knows it, so everything is read again.
                plan.cursor, plan.full_due_at, plan.next_due_at = None, None, now
                plan.paused_code = None
            plan.query = want.query
        if plan.paused_code is not None:
            # It is wanted again, or its query was wrong: what it asks for may have been mended where it is.
            plan.paused_code, plan.next_due_at = None, now
    for key, plan in existing.items():
        if key not in wanted:
            plan.paused_code, plan.next_due_at = UNUSED, None
    await session.flush()


def _wanted(
    rows: TeamRows, connectors: Mapping[str, Connector], askers: Mapping[int, list[Asking]]
) -> dict[str, _Wanted]:
    found: dict[str, _Wanted] = {}
    by_id = {connection.id: connection for connection in rows.connections.values()}
    for dataset in rows.datasets.values():
        if dataset.shape == "entities":
            connection = by_id[dataset.connection_id]
            options = DatasetSpec.model_validate(dataset.spec).options
            found[f"dataset:{dataset.id}"] = _Wanted(
                connection,
                dataset_id=dataset.id,
                query={"fields": []},
                link=_link(connectors, connection, "dataset", options),
            )
    for metric in (*rows.metrics.values(), *rows.inline_metrics.values()):
        asking = askers.get(metric.id, [])
        # A guardrail is watched in its cycle; how fresh a value has to be is for those to say whose own it is.
        asked = [KeyResultSpec.model_validate(one.key_result.spec) for one in asking if not one.is_guardrail]
        cycles = {one.key_result.cycle for one in asking if cycle_span(rows.team, one.key_result.cycle) is not None}
        _of_metric(found, rows, connectors, metric, asked, cycles)
    return found


def _of_metric(
    found: dict[str, _Wanted],
    rows: TeamRows,
    connectors: Mapping[str, Connector],
    metric: Metric,
    asked: list[KeyResultSpec],
    cycles: set[str],
) -> None:
    spec = MetricSpec.model_validate(metric.spec)
    fresh_within = [one.fresh_within for one in asked if one.fresh_within is not None]
    zone = team_timezone(rows.team)
    for source in spec.parts().values():
        dataset = rows.datasets.get(getattr(source, "dataset", ""))
        if dataset is not None:
            want = found.get(f"dataset:{dataset.id}")
            if want is not None and want.query is not None:
                want.fresh_within += fresh_within
                needed = fields_needed(source, spec.aggregate)  # type: ignore[arg-type]
                want.query["fields"] = sorted(needed.union(want.query["fields"]))
            continue
        if not isinstance(source, QuerySource):
            continue
        connection = rows.connections[source.connection]
        identity, kept = query_identity(connection.id, source, window_value(spec), zone)
        names = set(cycles) if spec.needs_cycle else {""}
        if can_look_back(spec):
            periods = {one.baseline.measure for one in asked if isinstance(one.baseline, MeasuredBaseline)}
            names |= {baseline_plan(period) for period in periods}
        link = _link(connectors, connection, "query", kept["options"])
        for cycle in names:
            key = f"query:{connection.id}:{identity}:{cycle}"
            want = found.setdefault(key, _Wanted(connection, query_digest=identity, cycle=cycle, query=kept, link=link))
            want.fresh_within += fresh_within


def _link(
    connectors: Mapping[str, Connector], connection: Connection, kind: str, options: dict[str, Any]
) -> str | None:
    """Where a person sees in the tool what is read."""
    connector = connectors.get(connection.connector)
    model = None if connector is None else (connector.dataset if kind == "dataset" else connector.query)
    if connector is None or connector.browse is None or model is None:
        return None
    return connector.browse(connector.config.model_validate(connection.spec), model.model_validate(options))
