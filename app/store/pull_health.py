"""How reading a connection goes: requests, what webhooks missed, what the last complete reads warned of."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Plan, Run


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


async def requests_since(session: AsyncSession, connection_id: int, moment: datetime) -> int:
    """How many requests the runs of a connection made that ended after a moment."""
    query = (
        select(func.sum(col(Run.calls)))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .where(col(Plan.connection_id) == connection_id, col(Run.finished_at) > moment)
    )
    return int(await session.scalar(query) or 0)
