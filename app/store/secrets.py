"""Sealed secrets of connections: ciphertext in, ciphertext out."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import Connection, SealedSecret, Team


async def get_secret(session: AsyncSession, connection_id: int, name: str) -> tuple[str, bytes] | None:
    """(key id, sealed bytes) of a connection's secret."""
    found = await session.execute(
        select(col(SealedSecret.key_id), col(SealedSecret.sealed)).where(
            col(SealedSecret.connection_id) == connection_id, col(SealedSecret.name) == name
        )
    )
    row = found.first()
    return None if row is None else (row[0], row[1])


async def save_secret(
    session: AsyncSession, connection_id: int, name: str, *, key_id: str, sealed: bytes, at: datetime
) -> bool:
    """Keep a sealed secret in the place of an earlier one of that name; True where there was none."""
    is_new = await get_secret(session, connection_id, name) is None
    values = {"key_id": key_id, "sealed": sealed, "created_at": at}
    statement = (
        upsert(session, SealedSecret)
        .values(connection_id=connection_id, name=name, **values)
        .on_conflict_do_update(index_elements=["connection_id", "name"], set_=values)
    )
    await session.execute(statement)
    return is_new


async def delete_secrets(session: AsyncSession, connection_id: int, name: str | None = None) -> None:
    """Forget one secret of a connection, or all of them: a connection whose host changes loses its secrets."""
    statement = delete(SealedSecret).where(col(SealedSecret.connection_id) == connection_id)
    if name is not None:
        statement = statement.where(col(SealedSecret.name) == name)
    await session.execute(statement)


async def connection_id_of(session: AsyncSession, team: str, connection: str) -> int | None:
    """The id of a connection by its team's name and its own."""
    found: int | None = await session.scalar(
        select(col(Connection.id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .where(col(Team.name) == team, col(Connection.name) == connection)
    )
    return found
