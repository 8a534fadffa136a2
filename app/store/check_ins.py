"""What people said of key results. Rows are only ever added."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import CheckIn


async def append_check_in(session: AsyncSession, row: CheckIn) -> None:
    session.add(row)
    await session.flush()


async def latest(
    session: AsyncSession, key_result_ids: Collection[int], *, as_of: datetime | None = None
) -> dict[int, CheckIn]:
    """The last check-in of key results, by their id; with `as_of`, the last one by then."""
    given: dict[str, Any] = {"ids": list(key_result_ids)}
    if as_of is not None:
        given["as_of"] = as_of
    rows = await session.scalars(_latest(by_then=as_of is not None), given)
    return {row.key_result_id: row for row in rows}


@cache
def _latest(*, by_then: bool) -> Select[CheckIn]:
    newest = select(func.max(col(CheckIn.id))).where(col(CheckIn.key_result_id).in_(bindparam("ids", expanding=True)))
    if by_then:
        newest = newest.where(col(CheckIn.at) <= bindparam("as_of"))
    return select(CheckIn).where(col(CheckIn.id).in_(newest.group_by(col(CheckIn.key_result_id))))


async def list_check_ins(
    session: AsyncSession, key_result_id: int, *, before: int | None = None, limit: int = 100
) -> list[CheckIn]:
    """A key result's check-ins, newest first, with an id below `before`."""
    query = select(CheckIn).where(col(CheckIn.key_result_id) == key_result_id)
    if before is not None:
        query = query.where(col(CheckIn.id) < before)
    return list(await session.scalars(query.order_by(col(CheckIn.id).desc()).limit(limit)))
