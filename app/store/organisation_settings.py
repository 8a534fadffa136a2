"""What holds for every team: one row, and the copy of it that each team carries."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Organisation, Team


async def get_organisation(session: AsyncSession) -> Organisation | None:
    return (await session.scalars(select(Organisation).order_by(col(Organisation.id)).limit(1))).first()


async def lock_organisation(session: AsyncSession) -> Organisation | None:
    """The organisation's settings, held until the transaction ends."""
    query = select(Organisation).order_by(col(Organisation.id)).limit(1).with_for_update()
    return (await session.scalars(query)).first()


async def save_organisation(session: AsyncSession, spec: dict[str, Any], *, actor: str, now: datetime) -> Organisation:
    """Make these the settings; the version counts up where they are others than before."""
    row = await lock_organisation(session)
    if row is None:
        row = Organisation(spec=spec, version=1, updated_at=now, updated_by=actor)
        session.add(row)
    elif row.spec != spec:
        row.spec, row.version, row.updated_at, row.updated_by = spec, row.version + 1, now, actor
    await session.flush()
    return row


async def lock_teams(session: AsyncSession) -> list[Team]:
    """Every team by name, held until the transaction ends."""
    return list(await session.scalars(select(Team).order_by(col(Team.name)).with_for_update()))
