"""What webhooks told of a plan's entities: who is to be read again by its id."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import Hint, Plan

_IN = 500  # rows in one statement


async def note_hints(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Keep hints (`plan_id`, `entity`, `is_deleted`, `told_at`), one per entity: the latest word counts."""
    newest = {(row["plan_id"], row["entity"]): row for row in sorted(rows, key=lambda row: row["told_at"])}
    ordered = [newest[key] for key in sorted(newest)]
    for start in range(0, len(ordered), _IN):
        statement = upsert(session, Hint).values(ordered[start : start + _IN])
        new = statement.excluded
        is_newer = new.told_at >= col(Hint.told_at)
        changes = {
            "is_deleted": case((is_newer, new.is_deleted), else_=col(Hint.is_deleted)),
            "told_at": case((is_newer, new.told_at), else_=col(Hint.told_at)),
        }
        await session.execute(statement.on_conflict_do_update(index_elements=["plan_id", "entity"], set_=changes))


async def read_soon(session: AsyncSession, plan_ids: Collection[int], at: datetime) -> None:
    """These plans have hints: they are due at `at`, if not before."""
    await session.execute(
        update(Plan).where(col(Plan.id).in_(plan_ids), col(Plan.next_due_at) > at).values(next_due_at=at)
    )


async def hints_of(session: AsyncSession, plan_id: int, limit: int) -> dict[str, tuple[bool, datetime]]:
    """By entity: whether it is said to be gone, and when that was told; the oldest ones first."""
    query = (
        select(col(Hint.entity), col(Hint.is_deleted), col(Hint.told_at))
        .where(col(Hint.plan_id) == plan_id)
        .order_by(col(Hint.told_at), col(Hint.id))
        .limit(limit)
    )
    return {row[0]: (row[1], row[2]) for row in await session.execute(query)}


async def hinted(session: AsyncSession, plan_id: int, entities: Collection[str]) -> set[str]:
    """Which of these entities are hinted at."""
    names, found = list(entities), set[str]()
    for start in range(0, len(names), _IN):
        query = select(col(Hint.entity)).where(
            col(Hint.plan_id) == plan_id, col(Hint.entity).in_(names[start : start + _IN])
        )
        found.update(await session.scalars(query))
    return found


async def drop_hints(session: AsyncSession, plan_id: int, heard: Mapping[str, datetime]) -> None:
    """Forget hints that were followed; one that was told again since stays."""
    by_moment: dict[datetime, list[str]] = {}
    for entity, told_at in heard.items():
        by_moment.setdefault(told_at, []).append(entity)
    for told_at, entities in by_moment.items():
        for start in range(0, len(entities), _IN):
            await session.execute(
                delete(Hint).where(
                    col(Hint.plan_id) == plan_id,
                    col(Hint.entity).in_(entities[start : start + _IN]),
                    col(Hint.told_at) <= told_at,
                )
            )


async def has_hints(session: AsyncSession, plan_id: int) -> bool:
    """Whether any hint waits."""
    return bool(await session.scalar(select(func.count()).where(col(Hint.plan_id) == plan_id)))
