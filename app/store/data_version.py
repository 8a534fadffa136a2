"""What there is to read, as one value that is another one after every commit, by whichever process.

Equal versions mean equal answers: SQLite counts the commits of other connections for a connection that itself writes
nothing (https://sqlite.org/pragma.html#pragma_data_version); on PostgreSQL it is the snapshot, which says of every
transaction that wrote anything whether it is visible.
"""

import asyncio
import sqlite3
import time
from typing import Any, Protocol

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Database

#: Seconds that a version may take to be read.
PATIENCE = 5.0

#: On PostgreSQL, the seconds that a version is relied on from the moment it was asked for: how much older than the
#: database an answer can be. Our own process's commits count at once (`forget`).
RELIED_ON = 0.05
#: The age at which the next one is asked for, so that nobody waits while there are polls all the time.
_RENEWED = RELIED_ON / 2

#: The number of the connection that told it, and what it told: counts of two connections say nothing of each other.
Version = tuple[int, int | str]


class DataVersion(Protocol):
    """One per process."""

    async def read(self) -> Version | None:
        """The version now, no older than the call; None where it can not be told."""
        ...

    def latest(self) -> Version | None:
        """The version without waiting, at most RELIED_ON seconds old; None where `read` has to be asked."""
        ...

    def forget(self) -> None:
        """Something was committed here: what was told before is not `latest` any more."""
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
        version = self.latest()
        if version is None:
            await self.close()
        return version

    def forget(self) -> None:
        """It is asked every time."""

    def latest(self) -> Version | None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
                self._number += 1
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return self._number, int(version)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresVersion:
    """One connection of the pool, kept. Those who ask while it is busy share the next answer; while polls keep coming,
    one round every half of RELIED_ON tells them all."""

    def __init__(self, database: Database, *, relied_on: float = RELIED_ON) -> None:
        self.relied_on = relied_on
        self._latest: Version | None = None
        self._asked_at = float("-inf")
        self._times_forgotten = 0
        self._database = database
        self._kept: AsyncConnection | None = None
        self._driver: asyncpg.Connection[Any] | None = None
        self._number = 0
        self._is_busy = asyncio.Lock()
        self._next: asyncio.Task[Version | None] | None = None

    async def read(self) -> Version | None:
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return await asyncio.shield(self._next)

    def latest(self) -> Version | None:
        age = time.monotonic() - self._asked_at
        if age >= self.relied_on:
            return None
        if age >= _RENEWED and self._next is None and not self._is_busy.locked():
            self._next = asyncio.create_task(self._read())
        return self._latest

    def forget(self) -> None:
        self._times_forgotten += 1
        self._asked_at = float("-inf")

    async def close(self) -> None:
        if self._next is not None:
            await asyncio.gather(self._next, return_exceptions=True)
        kept, self._kept, self._driver = self._kept, None, None
        if kept is not None:
            await kept.close()

    async def _read(self) -> Version | None:
        async with self._is_busy:
            self._next = None  # who asks from now on may have seen a commit that this answer does not
            asked_at, times_forgotten = time.monotonic(), self._times_forgotten
            try:
                async with asyncio.timeout(PATIENCE):
                    driver = await self._connected()
                    version = self._number, str(await driver.fetchval("SELECT pg_current_snapshot()::text"))
            except Exception:
                await self._drop()
                return None
            if times_forgotten == self._times_forgotten:
                self._latest, self._asked_at = version, asked_at
            return version

    async def _connected(self) -> "asyncpg.Connection[Any]":
        if self._driver is None:
            self._kept = await self._database.engine.connect()
            self._number += 1
            self._driver = (await self._kept.get_raw_connection()).driver_connection
        assert self._driver is not None
        return self._driver

    async def _drop(self) -> None:
        kept, self._kept, self._driver = self._kept, None, None
        if kept is not None:
            await kept.invalidate()
            await kept.close()
