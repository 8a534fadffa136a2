"""Health checks of teams' cycles, as they were made. Rows are only ever added."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import HealthCheck


async def append_health_check(session: AsyncSession, row: HealthCheck) -> None:
    session.add(row)
    await session.flush()


async def latest_health_check(session: AsyncSession, team_id: int, cycle: str) -> HealthCheck | None:
    """The newest health check of a team's cycle."""
    query = select(HealthCheck).where(col(HealthCheck.team_id) == team_id, col(HealthCheck.cycle) == cycle)
    return (await session.scalars(query.order_by(col(HealthCheck.id).desc()).limit(1))).first()


async def health_checks_since(session: AsyncSession, team_id: int, since: datetime) -> list[HealthCheck]:
    """A team's health checks that were made since a moment, oldest first."""
    query = select(HealthCheck).where(col(HealthCheck.team_id) == team_id, col(HealthCheck.made_at) >= since)
    return list(await session.scalars(query.order_by(col(HealthCheck.id))))


async def checked_cycles(session: AsyncSession, made_by: str, team_ids: Collection[int]) -> set[tuple[int, str]]:
    """The (team, cycle) pairs of these teams that have a health check of that maker."""
    query = select(col(HealthCheck.team_id), col(HealthCheck.cycle)).where(
        col(HealthCheck.made_by) == made_by, col(HealthCheck.team_id).in_(team_ids)
    )
    return {(row[0], row[1]) for row in await session.execute(query)}
