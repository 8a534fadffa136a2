"""Pull plans and their runs. The database owns time: what is due, who holds the lease, and the fencing token."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.store.tables import Connection, Dataset, Plan, Run, StagedChange, Team
from connectors.errors import QueryError

_IN = 500
#: After so many runs in a row that a tool did not answer, its connection is tried by one run at a time.
AWAY_AT = 5


async def claim_due(
    session: AsyncSession, *, now: datetime, lease_until: datetime, owner: str, limit: int
) -> list[tuple[int, int]]:
    """Take the lease of due plans, the most overdue ones, whose connection is neither paused nor silent and that nobody
    holds; one that is paused for its query is due once in a while. Of a connection whose tool is away one plan alone
    tries whether it is back.
    Returns (plan, fencing token), most overdue first; every claim raises the token, so a former holder can write
    nothing more."""
    other = aliased(Plan)
    is_tried = exists().where(col(other.connection_id) == col(Plan.connection_id), col(other.lease_until) > now)
    due = (
        select(col(Plan.id), col(Plan.connection_id), col(Connection.away_runs))
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .where(
            col(Plan.next_due_at) <= now,
            or_(col(Plan.paused_code).is_(None), col(Plan.paused_code) == QueryError.code),
            col(Connection.paused_code).is_(None),
            or_(col(Connection.silent_until).is_(None), col(Connection.silent_until) <= now),
            or_(col(Connection.away_until).is_(None), col(Connection.away_until) <= now),
            or_(col(Connection.away_runs) < AWAY_AT, ~is_tried),
            or_(col(Plan.lease_until).is_(None), col(Plan.lease_until) <= now),
        )
        .order_by(col(Plan.next_due_at), col(Plan.id))
        .limit(limit)
        .with_for_update(of=Plan, skip_locked=True)
    )
    rows = [(row[0], row[1], row[2]) for row in await session.execute(due)]
    ids = [plan for plan, _, away_runs in rows if away_runs < AWAY_AT]
    ids += await _one_each(session, [(plan, connection) for plan, connection, runs in rows if runs >= AWAY_AT])
    if not ids:
        return []
    claimed = await session.execute(
        update(Plan)
        .where(col(Plan.id).in_(ids))
        .values(lease_owner=owner, lease_until=lease_until, fence=col(Plan.fence) + 1, last_attempt_at=now)
        .returning(col(Plan.id), col(Plan.fence))
    )
    fences = {row[0]: row[1] for row in claimed}  # in whatever order
    return [(plan, fences[plan]) for plan in ids if plan in fences]


async def _one_each(session: AsyncSession, due: Sequence[tuple[int, int]]) -> list[int]:
    """The first plan of each connection that no other worker is about to try."""
    if not due:
        return []
    first = {connection: plan for plan, connection in reversed(due)}
    free = select(col(Connection.id)).where(col(Connection.id).in_(first))
    free = free.with_for_update(skip_locked=True, key_share=True)
    return [first[connection] for connection in await session.scalars(free)]


async def renew_lease(session: AsyncSession, plan_id: int, fence: int, lease_until: datetime) -> bool:
    """Whether the lease is still held under that token; it is then extended."""
    renewed = await session.execute(
        update(Plan)
        .where(col(Plan.id) == plan_id, col(Plan.fence) == fence, col(Plan.lease_owner).is_not(None))
        .values(lease_until=lease_until)
        .returning(col(Plan.id))
    )
    return renewed.first() is not None


async def hold_plan(session: AsyncSession, plan_id: int, fence: int, run_id: int | None = None) -> Plan | None:
    """The plan, locked, if the token is still the newest: a fenced-off worker gets None and writes nothing. With a run,
    only while that is open: of two runs under one token (a job that came twice) the later one holds the plan."""
    query = select(Plan).where(col(Plan.id) == plan_id, col(Plan.fence) == fence).with_for_update()
    plan = (await session.scalars(query)).first()
    if plan is None or run_id is None:
        return plan
    is_open = select(col(Run.id)).where(col(Run.id) == run_id, col(Run.outcome) == "running")
    return plan if (await session.execute(is_open)).first() is not None else None


async def get_plan(session: AsyncSession, plan_id: int) -> tuple[Plan, Connection, Team, Dataset | None] | None:
    """A plan with its connection, team and dataset (None for a query)."""
    query = (
        select(Plan, Connection, Team, Dataset)
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .outerjoin(Dataset, col(Dataset.id) == col(Plan.dataset_id))
        .where(col(Plan.id) == plan_id)
    )
    row = (await session.execute(query)).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def plans_by_key(session: AsyncSession, keys: Collection[str]) -> dict[str, Plan]:
    query = select(Plan).where(col(Plan.key).in_(keys))
    return {plan.key: plan for plan in await session.scalars(query)}


async def plans_of_team(session: AsyncSession, team_id: int) -> list[Plan]:
    """Every plan of a team's connections."""
    query = select(Plan).join(Connection, col(Connection.id) == col(Plan.connection_id))
    return list(await session.scalars(query.where(col(Connection.team_id) == team_id)))


async def dataset_plans(session: AsyncSession, connection_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """By plan: the connection and the dataset that it reads, of those that are needed."""
    query = select(col(Plan.id), col(Plan.connection_id), col(Plan.dataset_id)).where(
        col(Plan.connection_id).in_(connection_ids), col(Plan.dataset_id).is_not(None), is_needed()
    )
    return {row[0]: (row[1], row[2]) for row in await session.execute(query) if row[2] is not None}


async def plans_reading(
    session: AsyncSession, dataset_ids: Collection[int], query_digests: Collection[str]
) -> list[Plan]:
    """The plans that feed these datasets and queries."""
    query = select(Plan).where(or_(col(Plan.dataset_id).in_(dataset_ids), col(Plan.query_digest).in_(query_digests)))
    return list(await session.scalars(query))


def is_needed() -> ColumnElement[bool]:
    """Plans that are pulled, or would be but for their query: not those that nothing needs, nor baselines that are
    measured."""
    return or_(col(Plan.next_due_at).is_not(None), col(Plan.paused_code) == QueryError.code)


async def make_due(session: AsyncSession, plan_ids: Collection[int], now: datetime) -> list[int]:
    """Those of these plans that are needed are due now, one that is paused for its query too; returns which."""
    woken = await session.scalars(
        update(Plan)
        .where(col(Plan.id).in_(plan_ids), is_needed())
        .values(next_due_at=now, read_due_at=now, paused_code=None)
        .returning(col(Plan.id))
    )
    return sorted(woken)


async def confirm_drop(session: AsyncSession, dataset_id: int, now: datetime) -> int:
    """Let the next sweep, due now, drop what is held back; returns how many that are (0: nothing is)."""
    held = await session.scalars(
        update(Plan)
        .where(col(Plan.dataset_id) == dataset_id, col(Plan.held_drop) > 0)
        .values(is_drop_confirmed=True, next_due_at=now, sweep_due_at=now)
        .returning(col(Plan.held_drop))
    )
    return sum(held)


async def sweep_soon(session: AsyncSession, plan_ids: Collection[int], at: datetime) -> None:
    """A hint that something changed, perhaps much: these plans' datasets are read again and swept from `at` on, if
    nobody does so before."""
    for moment in (col(Plan.next_due_at), col(Plan.read_due_at), col(Plan.sweep_due_at)):
        await session.execute(update(Plan).where(col(Plan.id).in_(plan_ids), moment > at).values({moment: at}))


async def next_due(session: AsyncSession, connection_ids: Collection[int]) -> dict[int, datetime]:
    """By connection: when its next pull is due."""
    query = (
        select(col(Plan.connection_id), func.min(col(Plan.next_due_at)))
        .where(col(Plan.connection_id).in_(connection_ids), col(Plan.paused_code).is_(None))
        .group_by(col(Plan.connection_id))
    )
    return {row[0]: row[1] for row in await session.execute(query) if row[1] is not None}


# --- runs ------------------------------------------------------------------------------------------------------------


async def open_run(session: AsyncSession, run: Run) -> int:
    """Start a run; runs of the same plan that never closed are closed as superseded, with what they staged."""
    abandoned = list(
        await session.scalars(
            update(Run)
            .where(col(Run.plan_id) == run.plan_id, col(Run.outcome) == "running")
            .values(outcome="superseded", finished_at=run.started_at, error="The worker died or lost its lease.")
            .returning(col(Run.id))
        )
    )
    await discard_staged(session, abandoned)
    session.add(run)
    await session.flush()
    return run.id


async def note_calls(session: AsyncSession, run_id: int, calls: int) -> None:
    """A run that goes on has made, or is expected to make, at least so many requests."""
    is_more = (col(Run.id) == run_id) & (col(Run.outcome) == "running") & (col(Run.calls) < calls)
    await session.execute(update(Run).where(is_more).values(calls=calls))


async def last_calls(session: AsyncSession, plan_id: int, kind: str) -> int | None:
    """How many requests the plan's last run that succeeded took, of that kind if there was one; None where there was
    none at all."""
    query = select(col(Run.calls)).where(col(Run.plan_id) == plan_id, col(Run.outcome) == "succeeded")
    like_it = case((col(Run.kind) == kind, 0), else_=1)
    found: int | None = await session.scalar(query.order_by(like_it, col(Run.id).desc()).limit(1))
    return found


async def close_run(session: AsyncSession, run_id: int, **values: Any) -> None:
    """Write a run's outcome, unless another worker closed it as superseded."""
    await session.execute(update(Run).where(col(Run.id) == run_id, col(Run.outcome) == "running").values(**values))


async def stage_changes(session: AsyncSession, run_id: int, changes: Sequence[dict[str, Any]]) -> None:
    """Keep a page's records under their run until the read is complete."""
    for start in range(0, len(changes), _IN):
        rows = [{"run_id": run_id, "change": change} for change in changes[start : start + _IN]]
        await session.execute(insert(StagedChange), rows)


async def staged_changes(
    session: AsyncSession, run_id: int, *, after: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """A batch of what a run staged, in order."""
    query = (
        select(col(StagedChange.id), col(StagedChange.change))
        .where(col(StagedChange.run_id) == run_id, col(StagedChange.id) > after)
        .order_by(col(StagedChange.id))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def discard_staged(session: AsyncSession, run_ids: Collection[int]) -> None:
    await session.execute(delete(StagedChange).where(col(StagedChange.run_id).in_(run_ids)))


async def list_runs(
    session: AsyncSession,
    *,
    team: str | None = None,
    connection: str | None = None,
    outcome: str | None = None,
    plan_ids: Collection[int] | None = None,
    before: int | None = None,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> list[tuple[Run, str, str | None]]:
    """Runs newest first, with `team/connection` and `team/dataset`."""
    query = (
        select(Run, col(Team.name), col(Connection.name), col(Dataset.name))
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .outerjoin(Dataset, col(Dataset.id) == col(Plan.dataset_id))
        .order_by(col(Run.id).desc())
        .limit(limit)
    )
    if team is not None:
        query = query.where(col(Team.name) == team)
    if connection is not None:
        query = query.where(col(Connection.name) == connection)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    if outcome is not None:
        query = query.where(col(Run.outcome) == outcome)
    if plan_ids is not None:
        query = query.where(col(Run.plan_id).in_(plan_ids))
    if before is not None:
        query = query.where(col(Run.id) < before)
    return [
        (row[0], f"{row[1]}/{row[2]}", None if row[3] is None else f"{row[1]}/{row[3]}")
        for row in await session.execute(query)
    ]
