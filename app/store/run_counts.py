"""How many pulls ended which way, by connection."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Connection, Plan, Run, Team


async def runs_since(session: AsyncSession, since: datetime) -> list[tuple[str, str, str, int]]:
    """(team, connection, outcome, count) of the runs that started at a moment or later."""
    query = (
        select(col(Team.name), col(Connection.name), col(Run.outcome), func.count())
        .join(Plan, col(Plan.id) == col(Run.plan_id))
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .where(col(Run.started_at) >= since)
        .group_by(col(Team.name), col(Connection.name), col(Run.outcome))
        .order_by(col(Team.name), col(Connection.name), col(Run.outcome))
    )
    return [
        (team, connection, outcome, int(count)) for team, connection, outcome, count in await session.execute(query)
    ]
