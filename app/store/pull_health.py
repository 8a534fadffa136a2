"""How reading a connection goes: requests, what webhooks missed, what the last complete reads warned of."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Connection, Dataset, Plan, Run


@dataclass(slots=True)
class PullHealth:
    """Requests since a moment; records changed where webhooks are expected and, of those, how many none told of."""

    requests: int = 0
    changed: int | None = None
    untold: int = 0
    warnings: list[str] = field(default_factory=list)


async def pull_health(
    session: AsyncSession, connection_ids: Collection[int], *, requests_since: datetime, drift_since: datetime
) -> dict[int, PullHealth]:
    """By connection."""
    found = {connection_id: PullHealth() for connection_id in connection_ids}
    in_hour = case((col(Run.started_at) >= requests_since, col(Run.calls)), else_=0)
    # Only what webhooks told of, and what a read found where they are expected to tell.
    measured = case((col(Run.untold).is_not(None), col(Run.changed)), else_=None)
    sums = (
        select(col(Plan.connection_id), func.sum(in_hour), func.sum(measured), func.sum(col(Run.untold)))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .where(col(Plan.connection_id).in_(connection_ids), col(Run.started_at) >= drift_since)
        .group_by(col(Plan.connection_id))
    )
    for connection_id, requests, changed, untold in await session.execute(sums):
        health = found[connection_id]
        health.requests, health.untold = int(requests or 0), int(untold or 0)
        health.changed = None if changed is None else int(changed)
    newest = (
        select(func.max(col(Run.id)))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .where(col(Plan.connection_id).in_(connection_ids), col(Run.is_full).is_(True), col(Run.outcome) == "succeeded")
        .group_by(col(Run.plan_id))
    )
    said = (
        select(col(Plan.connection_id), col(Run.warnings))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .where(col(Run.id).in_(newest))
        .order_by(col(Run.plan_id))
    )
    for connection_id, warnings in await session.execute(said):
        found[connection_id].warnings += [one for one in warnings or () if one not in found[connection_id].warnings]
    return found


async def requests_since(session: AsyncSession, connection_id: int, moment: datetime, *, but_run: int = 0) -> int:
    """How many requests the runs of a connection made that ended after a moment, and those that go on make; without
    those of one run. Locks the connection: what is counted and what is noted next belong together."""
    await session.execute(
        select(col(Connection.id)).where(col(Connection.id) == connection_id).with_for_update(key_share=True)
    )
    query = (
        select(func.sum(col(Run.calls)))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .where(
            col(Plan.connection_id) == connection_id,
            or_(col(Run.finished_at) > moment, col(Run.outcome) == "running"),
            col(Run.id) != but_run,
        )
    )
    return int(await session.scalar(query) or 0)


@dataclass(frozen=True, slots=True)
class PlanPace:
    """How often a pull plan asks: of what, each so many seconds, and its requests since a moment."""

    dataset: str | None
    query: dict[str, Any] | None
    cadence_seconds: int
    requests: int
    runs: int


async def paces(session: AsyncSession, connection_id: int, moment: datetime) -> list[PlanPace]:
    """Of each plan of a connection that is pulled."""
    recent = and_(col(Run.plan_id) == col(Plan.id), col(Run.started_at) >= moment)
    query = (
        select(
            col(Dataset.name),
            col(Plan.query),
            col(Plan.cadence_seconds),
            func.coalesce(func.sum(col(Run.calls)), 0),
            func.count(col(Run.id)),
        )
        .outerjoin(Dataset, col(Dataset.id) == col(Plan.dataset_id))
        .outerjoin(Run, recent)
        .where(col(Plan.connection_id) == connection_id, col(Plan.next_due_at).is_not(None))
        .group_by(col(Plan.id), col(Dataset.name))
        .order_by(col(Plan.id))
    )
    return [
        PlanPace(row[0], None if row[0] is not None else row[1], row[2], int(row[3]), int(row[4]))
        for row in await session.execute(query)
    ]
