"""What people said of key results. Rows are only ever added."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import CheckIn


async def append_check_in(session: AsyncSession, row: CheckIn) -> None:
    session.add(row)
    await session.flush()


async def latest_by(session: AsyncSession, key_result_ids: Collection[int], as_of: datetime) -> dict[int, CheckIn]:
    """The last check-in of key results by a moment, by their id. The last one of all is in their rows."""
    newest = select(func.max(col(CheckIn.id))).where(
        col(CheckIn.key_result_id).in_(key_result_ids), col(CheckIn.at) <= as_of
    )
    query = select(CheckIn).where(col(CheckIn.id).in_(newest.group_by(col(CheckIn.key_result_id))))
    return {row.key_result_id: row for row in await session.scalars(query)}


async def list_check_ins(
    session: AsyncSession, key_result_id: int, *, before: int | None = None, limit: int = 100
) -> list[CheckIn]:
    """A key result's check-ins, newest first, with an id below `before`."""
    query = select(CheckIn).where(col(CheckIn.key_result_id) == key_result_id)
    if before is not None:
        query = query.where(col(CheckIn.id) < before)
    return list(await session.scalars(query.order_by(col(CheckIn.id).desc()).limit(limit)))
