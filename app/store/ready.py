"""Whether the database can serve requests."""

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from app.store.database import Database, is_unavailable
from app.store.tables import Team


async def is_ready(database: Database) -> bool:
    """Whether the database answers and holds our tables."""
    try:
        async with database.reading() as session:
            await session.execute(select(col(Team.id)).limit(1))
    except SQLAlchemyError:
        return False
    except Exception as error:
        if not is_unavailable(error):
            raise
        return False
    return True
