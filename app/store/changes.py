"""What happened since a place that a listener knows: new samples and new audit entries, both append-only.

Nothing is written for it: the tables that tell what was known when tell listeners too. On PostgreSQL a row may appear
after one with a higher id, from a transaction that took longer; listeners therefore look a little further back than the
place they know.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Audit, Connection, GuardrailMetric, KeyResult, Sample, Team


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The newest sample and the newest audit entry that a listener knows."""

    sample: int = 0
    audit: int = 0


async def newest_place(session: AsyncSession) -> Place:
    """Where a listener begins that wants only what is to come."""
    sample = await session.scalar(select(func.max(col(Sample.id))))
    entry = await session.scalar(select(func.max(col(Audit.id))))
    return Place(sample or 0, entry or 0)


async def samples_after(session: AsyncSession, after: int, limit: int) -> list[tuple[int, int]]:
    """(sample id, metric id) of measured samples after an id, oldest first; history that was rebuilt is no news."""
    query = (
        select(col(Sample.id), col(Sample.metric_id))
        .where(col(Sample.id) > after, col(Sample.quality) != "reconstructed")
        .order_by(col(Sample.id))
        .limit(limit)
    )
    return [(sample, metric) for sample, metric in await session.execute(query)]


async def audits_after(session: AsyncSession, after: int, limit: int) -> list[tuple[int, str, str]]:
    """(id, kind, object id) of audit entries after an id, oldest first."""
    query = (
        select(col(Audit.id), col(Audit.object_kind), col(Audit.object_id))
        .where(col(Audit.id) > after)
        .order_by(col(Audit.id))
        .limit(limit)
    )
    return [(entry, kind, name) for entry, kind, name in await session.execute(query)]


async def key_results_over(session: AsyncSession, metric_ids: Collection[int]) -> set[int]:
    """The current key results that ask for one of these metrics, or have a guardrail on one."""
    if not metric_ids:
        return set()
    watching = select(col(GuardrailMetric.key_result_id)).where(col(GuardrailMetric.metric_id).in_(metric_ids))
    query = select(col(KeyResult.id)).where(
        col(KeyResult.is_current), or_(col(KeyResult.metric_id).in_(metric_ids), col(KeyResult.id).in_(watching))
    )
    return set(await session.scalars(query))


async def key_results_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> set[int]:
    """The current key results of these (team, name)."""
    if not names:
        return set()
    query = (
        select(col(KeyResult.id))
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .where(col(KeyResult.is_current), tuple_(col(Team.name), col(KeyResult.name)).in_(list(names)))
    )
    return set(await session.scalars(query))


async def connections_with_teams(session: AsyncSession) -> list[tuple[Connection, str]]:
    """Every connection with its team's name."""
    query = select(Connection, col(Team.name)).join(Team, col(Team.id) == col(Connection.team_id))
    return [(connection, team) for connection, team in await session.execute(query)]
