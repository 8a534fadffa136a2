"""Bringing a database to the newest schema: Alembic, driven from code so that no ini file is needed."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from app.store.database import Database
from app.store.touch_triggers import install

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_301_977  # an arbitrary advisory lock key: two migrating processes must not interleave


def upgrade(url: str) -> None:
    """Migrate the database at `url` (async driver URL) to the newest revision. Blocking; safe to run twice at once."""

    def action(config: Config) -> None:
        command.upgrade(config, "head")
        install(config.attributes["connection"])

    asyncio.run(_with_connection(url, action))


def check(url: str) -> None:
    """Raise where the tables in the code and the migrated database differ (`alembic check`)."""
    asyncio.run(_with_connection(url, command.check))


def create(url: str, message: str) -> None:
    """Write a new migration from the difference between the code and the database (for developers)."""
    asyncio.run(_with_connection(url, lambda config: command.revision(config, message=message, autogenerate=True)))


async def _with_connection(url: str, action: "object") -> None:
    database = Database(url)

    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        action(config)  # type: ignore[operator]

    try:
        async with database.engine.execution_options(krsync_writing=True).begin() as connection:
            await connection.run_sync(run)
    finally:
        await database.close()
