"""What plans ask of their tools: how often, and how many requests a pull of each has taken."""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Connection, Dataset, Plan, Run, Team

#: So many of a plan's last pulls say what the next one takes.
RECENT = 10


@dataclass(frozen=True, slots=True)
class Pull:
    """A plan as it is now: `requests` that a pull takes (None: there was none yet), and that a complete read took."""

    key: str
    connection: str
    connector: str
    dataset: str | None
    cadence_seconds: int
    is_active: bool
    has_cursor: bool
    query: dict[str, Any] | None
    requests: Fraction | None
    full_requests: int | None

    @property
    def per_hour(self) -> Fraction:
        """Requests in an hour; a pull that was never made is taken for one."""
        if not self.is_active:
            return Fraction(0)
        each = Fraction(1) if self.requests is None else self.requests
        return each * Fraction(3600, self.cadence_seconds)


async def pulls_of(session: AsyncSession, team_ids: Collection[int], *, unused: str) -> dict[str, Pull]:
    """The plans of some teams' connections by key; one that is paused as `unused` is not active."""
    query = (
        select(
            col(Plan.id),
            col(Plan.key),
            col(Team.name),
            col(Connection.name),
            col(Connection.connector),
            col(Dataset.name),
            col(Plan.cadence_seconds),
            col(Plan.paused_code),
            col(Plan.cursor),
            col(Plan.query),
            col(Plan.cycle),
        )
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .outerjoin(Dataset, col(Dataset.id) == col(Plan.dataset_id))
        .where(col(Team.id).in_(team_ids))
        .order_by(col(Plan.id))
    )
    rows = list(await session.execute(query))
    recent, full = await _requests(session, [row[0] for row in rows])
    found = {}
    for identity, key, team, connection, connector, dataset, cadence, paused, cursor, asked, cycle in rows:
        found[key] = Pull(
            key=key,
            connection=f"{team}/{connection}",
            connector=connector,
            dataset=None if dataset is None else f"{team}/{dataset}",
            cadence_seconds=cadence,
            # A past period is asked for once.
            is_active=paused != unused and not cycle.startswith("baseline:"),
            has_cursor=cursor is not None,
            query=asked,
            requests=recent.get(identity),
            full_requests=full.get(identity),
        )
    return found


async def _requests(session: AsyncSession, plan_ids: Collection[int]) -> tuple[dict[int, Fraction], dict[int, int]]:
    """By plan: the mean of its last pulls' requests, and what its last complete read took."""
    # A sweep is complete too, but costs little more than a read of what changed.
    is_full = (col(Run.is_full) & (col(Run.kind) != "sweep")).label("is_full")
    place = func.row_number().over(partition_by=[col(Run.plan_id), is_full], order_by=col(Run.id).desc())
    ranked = (
        select(col(Run.plan_id), is_full, col(Run.calls), place.label("place"))
        .where(col(Run.plan_id).in_(plan_ids), col(Run.outcome) == "succeeded")
        .subquery()
    )
    recent: dict[int, list[int]] = {}
    full: dict[int, int] = {}
    for plan_id, was_full, calls, rank in await session.execute(select(ranked).where(ranked.c.place <= RECENT)):
        if was_full and rank == 1:
            full[plan_id] = calls
        if not was_full:
            recent.setdefault(plan_id, []).append(calls)
    means = {plan_id: Fraction(sum(calls), len(calls)) for plan_id, calls in recent.items()}
    return means, full
