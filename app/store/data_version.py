"""What there is to read, as one value that is another one after every commit, by whichever process.

Equal versions mean equal answers: SQLite counts the commits of other connections for a connection that itself writes
nothing (https://sqlite.org/pragma.html#pragma_data_version); on PostgreSQL it is the snapshot, which says of every
transaction that wrote anything whether it is visible.
"""

import asyncio
import sqlite3
from typing import Any, Protocol

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Database

#: Seconds that a version may take to be read.
PATIENCE = 5.0

#: The number of the connection that told it, and what it told: counts of two connections say nothing of each other.
Version = tuple[int, int | str]


class DataVersion(Protocol):
    """One per process."""

    async def read(self) -> Version | None:
        """The version now, no older than the call; None where it can not be told."""
        ...

    async def close(self) -> None: ...


def data_version(database: Database) -> DataVersion:
    """The version of this database; it connects when it is first read."""
    return SqliteVersion(database.url) if database.dialect == "sqlite" else PostgresVersion(database)


class SqliteVersion:
    """One connection, asked from the loop itself: it looks into shared memory, waits for nobody, and takes 2 µs."""

    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""
        self._connection: sqlite3.Connection | None = None
        self._number = 0

    async def read(self) -> Version | None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
                self._number += 1
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            await self.close()
            return None
        return self._number, int(version)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresVersion:
    """One connection of the pool, kept. Those who ask while it is busy share the next answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: AsyncConnection | None = None
        self._number = 0
        self._is_busy = asyncio.Lock()
        self._next: asyncio.Task[Version | None] | None = None

    async def read(self) -> Version | None:
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def _read(self) -> Version | None:
        async with self._is_busy:
            self._next = None  # who asks from now on may have seen a commit that this answer does not
            try:
                async with asyncio.timeout(PATIENCE):
                    driver = await self._driver()
                    return self._number, str(await driver.fetchval("SELECT pg_current_snapshot()::text"))
            except Exception:
                await self._drop()
                return None

    async def _driver(self) -> "asyncpg.Connection[Any]":
        if self._kept is None:
            self._kept = await self._database.engine.connect()
            self._number += 1
        raw = await self._kept.get_raw_connection()
        driver: asyncpg.Connection[Any] = raw.driver_connection
        return driver

    async def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.invalidate()
            await kept.close()
