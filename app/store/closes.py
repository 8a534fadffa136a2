"""Closed cycles: what was sealed, how it was graded, and what it would be now."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import CycleClose, KeyResult, Objective, Restatement, SealedKeyResult, Team


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed key result with the close that it is part of, and its restatements, oldest first."""

    row: SealedKeyResult
    close: CycleClose
    restatements: list[Restatement] = field(default_factory=list)


async def standing_close(session: AsyncSession, team_id: int, cycle: str) -> CycleClose | None:
    """The close of a cycle that was not reopened since."""
    query = select(CycleClose).where(
        col(CycleClose.team_id) == team_id, col(CycleClose.cycle) == cycle, col(CycleClose.reopened_at).is_(None)
    )
    return (await session.scalars(query.order_by(col(CycleClose.id).desc()).limit(1))).first()


async def closes_of(session: AsyncSession, team_ids: Collection[int]) -> dict[tuple[int, str], CycleClose]:
    """The newest close of every cycle of these teams, reopened or not, by (team, cycle)."""
    query = select(CycleClose).where(col(CycleClose.team_id).in_(team_ids)).order_by(col(CycleClose.id))
    return {(row.team_id, row.cycle): row for row in await session.scalars(query)}


async def closed_cycles(session: AsyncSession, team_id: int) -> frozenset[str]:
    """The names of a team's cycles that are closed."""
    query = select(col(CycleClose.cycle)).where(
        col(CycleClose.team_id) == team_id, col(CycleClose.reopened_at).is_(None)
    )
    return frozenset(await session.scalars(query))


async def append_close(session: AsyncSession, close: CycleClose, sealed: Collection[SealedKeyResult]) -> None:
    """Keep a close with all that it seals."""
    session.add(close)
    await session.flush()
    for row in sealed:
        row.close_id = close.id
        session.add(row)
    await session.flush()


_SEALED = (
    select(SealedKeyResult, CycleClose)
    .join(CycleClose, col(CycleClose.id) == col(SealedKeyResult.close_id))
    .where(
        col(SealedKeyResult.key_result_id).in_(bindparam("ids", expanding=True)), col(CycleClose.reopened_at).is_(None)
    )
)


async def sealed_key_results(session: AsyncSession, key_result_ids: Collection[int]) -> dict[int, Sealed]:
    """The key results among these that are sealed by a standing close, by id."""
    if not key_result_ids:
        return {}
    rows = await session.execute(_SEALED, {"ids": list(key_result_ids)})
    found = {row[0].key_result_id: Sealed(row[0], row[1]) for row in rows}
    await _add_restatements(session, found.values())
    return found


async def sealed_of(session: AsyncSession, close_id: int) -> list[tuple[Sealed, KeyResult]]:
    """What one close sealed, in the order of the key results."""
    query = (
        select(SealedKeyResult, CycleClose, KeyResult)
        .join(CycleClose, col(CycleClose.id) == col(SealedKeyResult.close_id))
        .join(KeyResult, col(KeyResult.id) == col(SealedKeyResult.key_result_id))
        .where(col(SealedKeyResult.close_id) == close_id)
        .order_by(col(KeyResult.position), col(KeyResult.id))
    )
    found = [(Sealed(row[0], row[1]), row[2]) for row in await session.execute(query)]
    await _add_restatements(session, [sealed for sealed, _ in found])
    return found


async def _add_restatements(session: AsyncSession, sealed: Collection[Sealed]) -> None:
    by_id = {item.row.id: item for item in sealed}
    if not by_id:
        return
    query = select(Restatement).where(col(Restatement.sealed_id).in_(by_id)).order_by(col(Restatement.id))
    for row in await session.scalars(query):
        by_id[row.sealed_id].restatements.append(row)


async def sealed_to_check(session: AsyncSession, before: datetime, limit: int) -> list[int]:
    """The key results of standing closes that were last compared before a moment, those that waited longest first."""
    query = (
        select(col(SealedKeyResult.key_result_id))
        .join(CycleClose, col(CycleClose.id) == col(SealedKeyResult.close_id))
        .where(
            col(CycleClose.reopened_at).is_(None),
            func.coalesce(col(SealedKeyResult.checked_at), col(CycleClose.closed_at)) < before,
        )
        .order_by(col(SealedKeyResult.checked_at), col(SealedKeyResult.id))
        .limit(limit)
    )
    return list(await session.scalars(query))


async def hold_sealed(session: AsyncSession, sealed_id: int) -> None:
    """Hold a sealed key result until the transaction ends: one restatement at a time."""
    await session.execute(select(col(SealedKeyResult.id)).where(col(SealedKeyResult.id) == sealed_id).with_for_update())


async def note_check(session: AsyncSession, sealed_id: int, now: datetime) -> None:
    """A sealed value was compared with what it would be now."""
    await session.execute(update(SealedKeyResult).where(col(SealedKeyResult.id) == sealed_id).values(checked_at=now))


async def append_restatement(session: AsyncSession, row: Restatement) -> None:
    session.add(row)
    await session.flush()


async def key_results_of(session: AsyncSession, team_id: int, cycle: str) -> list[int]:
    """The key results of a team's cycle, current or not."""
    query = select(col(KeyResult.id)).where(col(KeyResult.team_id) == team_id, col(KeyResult.cycle) == cycle)
    return list(await session.scalars(query.order_by(col(KeyResult.position), col(KeyResult.id))))


async def objectives_of(session: AsyncSession, team_id: int, cycle: str) -> list[Objective]:
    """The objectives of a team's cycle, current or not."""
    query = select(Objective).where(col(Objective.team_id) == team_id, col(Objective.cycle) == cycle)
    return list(await session.scalars(query.order_by(col(Objective.position), col(Objective.id))))


@dataclass(frozen=True, slots=True)
class TeamCycle:
    """A cycle that a team has objectives in, and how many; `is_current` where the team's file still names it."""

    team: Team
    cycle: str
    objectives: int
    key_results: int
    is_current: bool


async def team_cycles(
    session: AsyncSession,
    *,
    team: str | None = None,
    cycle: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 1000,
    hidden: Collection[str] = (),
) -> list[TeamCycle]:
    """The cycles that teams have objectives in, by (team, cycle)."""
    key_results = (
        select(func.count())
        .select_from(KeyResult)
        .where(col(KeyResult.team_id) == col(Team.id), col(KeyResult.cycle) == col(Objective.cycle))
        .scalar_subquery()
    )
    current = (
        select(func.count())
        .select_from(KeyResult)
        .where(
            col(KeyResult.team_id) == col(Team.id),
            col(KeyResult.cycle) == col(Objective.cycle),
            col(KeyResult.is_current).is_(True),
        )
        .scalar_subquery()
    )
    query = (
        select(Team, col(Objective.cycle), func.count(col(Objective.id)), key_results, current)
        .join(Objective, col(Objective.team_id) == col(Team.id))
        .group_by(col(Team.id), col(Objective.cycle))
        .order_by(col(Team.name), col(Objective.cycle))
        .limit(limit)
    )
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    if team is not None:
        query = query.where(col(Team.name) == team)
    if cycle is not None:
        query = query.where(col(Objective.cycle) == cycle)
    if after is not None:
        query = query.where(
            or_(col(Team.name) > after[0], (col(Team.name) == after[0]) & (col(Objective.cycle) > after[1]))
        )
    return [TeamCycle(row[0], row[1], row[2], row[3], bool(row[4])) for row in await session.execute(query)]
