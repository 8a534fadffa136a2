"""Whether the database can serve requests, and whether one that failed may be tried again."""

import sqlite3

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
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


def is_conflict(error: BaseException) -> bool:
    """Whether a transaction lost against another one at the same moment: a key that both made, a deadlock."""
    if isinstance(error, IntegrityError | sqlite3.IntegrityError | asyncpg.IntegrityConstraintViolationError):
        return True
    # Class 40 of SQLSTATE is "transaction rollback": serialization failures and deadlocks.
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")).startswith("40")
