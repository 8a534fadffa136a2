"""What a team's file does not name any more: dropped where that was asked for and nothing needs it, else told of."""

from collections.abc import Collection
from typing import Any

from app.domain.language import MetricSpec, TeamFile
from app.services.input_graph import in_order
from app.services.ledger import Ledger
from app.store import configuration, inputs
from app.store.database import Session
from app.store.organisation import TeamRows
from app.store.tables import Metric

_NOT_ASKED_FOR = "not in the file; --prune deletes it"


async def drop_left_over(
    session: Session, file: TeamFile, rows: TeamRows, ledger: Ledger, closed: Collection[str], *, prune: bool
) -> None:
    """With `prune`, drop the team's rows that the file does not name, each before what it needs; a row that has to stay
    is told with the reason. `closed` are the team's closed cycles, whose rows are kept."""
    for kind, known, names in (
        ("key_result", rows.key_results, _key_results(file)),
        ("objective", rows.objectives, set(file.objectives)),
        ("metric", await _formulas_first(session, rows), set(file.metrics)),
        ("dataset", rows.datasets, set(file.datasets)),
        ("connection", rows.connections, set(file.connections)),
    ):
        for name, row in list(known.items()):
            if name in names:
                continue
            reason = await _reason_to_keep(session, kind, row, ledger, closed) if prune else _NOT_ASKED_FOR
            if reason is not None:
                ledger.kept(kind, name, reason)
            else:
                await _drop(session, kind, row, ledger)
    inline = _key_results(file, with_own_metric=True)
    for name, metric in rows.inline_metrics.items():
        if name not in inline and not await configuration.is_metric_used(session, metric.id):
            await session.delete(metric)
    await session.flush()


def _key_results(file: TeamFile, *, with_own_metric: bool = False) -> set[str]:
    return {
        name
        for objective in file.objectives.values()
        for name, spec in objective.key_results.items()
        if not with_own_metric or isinstance(spec.metric, MetricSpec)
    }


async def _formulas_first(session: Session, rows: TeamRows) -> dict[str, Metric]:
    """The team's metrics, each before what it reads: a metric can be dropped once nobody reads it."""
    by_id = {row.id: row for row in rows.metrics.values()}
    order = in_order(by_id, await inputs.readers_of(session, by_id))
    return {by_id[metric_id].name: by_id[metric_id] for metric_id in reversed(order) if metric_id in by_id}


async def _reason_to_keep(session: Session, kind: str, row: Any, ledger: Ledger, closed: Collection[str]) -> str | None:
    if not ledger.may_drop(kind, row):
        return "managed through the API"
    if kind == "metric" and (users := await inputs.users_of(session, row.id)):
        return f"needed by {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}"
    if kind in ("objective", "key_result") and row.cycle in closed:
        return f"its cycle {row.cycle} is closed"
    if kind == "objective" and await configuration.is_objective_used(session, row.id):
        return "key results belong to it"
    if kind in ("dataset", "connection") and await configuration.is_source_used(session, kind, row.id):
        return "metrics read it"
    return None


async def _drop(session: Session, kind: str, row: Any, ledger: Ledger) -> None:
    name, before = row.name, row.spec
    await session.delete(row)
    await session.flush()
    await ledger.dropped(kind, name, before)
