"""Ticks of milestones: appended, never changed."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import MilestoneTick


async def append_tick(session: AsyncSession, tick: MilestoneTick) -> None:
    session.add(tick)
    await session.flush()


async def latest_ticks(
    session: AsyncSession, metric_id: int, *, as_of: datetime, known_at: datetime | None = None
) -> dict[str, MilestoneTick]:
    """By step: the word that held at `as_of`, as recorded by `known_at`."""
    place = func.row_number().over(
        partition_by=col(MilestoneTick.step),
        order_by=(col(MilestoneTick.effective_at).desc(), col(MilestoneTick.id).desc()),
    )
    ranked = select(col(MilestoneTick.id), place.label("place")).where(
        col(MilestoneTick.metric_id) == metric_id, col(MilestoneTick.effective_at) <= as_of
    )
    if known_at is not None:
        ranked = ranked.where(col(MilestoneTick.recorded_at) <= known_at)
    found = ranked.subquery()
    query = select(MilestoneTick).join(found, found.c.id == col(MilestoneTick.id)).where(found.c.place == 1)
    return {tick.step: tick for tick in await session.scalars(query)}
