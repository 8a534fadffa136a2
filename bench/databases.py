"""Databases to measure on: one that is given, or a fresh SQLite file and a PostgreSQL of our own in turn."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from sqlalchemy import text

from app.store.database import Database
from app.store.migrate import upgrade
from tests.services_fixtures.postgres import PostgresServer


async def databases(url: str | None) -> AsyncIterator[tuple[str, Database]]:
    """Migrated databases by name; ours are gone afterwards."""
    if url is not None:
        yield await _opened(url)
        return
    with tempfile.TemporaryDirectory(prefix="krsync-bench-") as folder:
        name, database = await _opened(f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}")
        yield name, database
        await database.close()
    server = PostgresServer(is_durable=True)
    await asyncio.to_thread(server.start)
    try:
        connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
        await connection.execute("CREATE DATABASE bench")
        await connection.close()
        name, database = await _opened(server.url("bench"))
        yield name, database
        await database.close()
    finally:
        await asyncio.to_thread(server.stop)


async def _opened(url: str) -> tuple[str, Database]:
    await asyncio.to_thread(upgrade, url)
    database = Database(url)
    return database.dialect, database


async def settle(database: Database) -> None:
    """What autovacuum does in its own time: statistics, and on PostgreSQL the map of pages that all can see."""
    if database.dialect == "postgresql":
        engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("VACUUM ANALYZE fact"))
