"""The durable append behind a webhook's 202, over a connection of its own and the bare driver.

Through the ORM a batch costs more than all that stands before it. Here it is one trip: on SQLite a transaction of a few
multi-row statements in a thread, on PostgreSQL one statement over arrays, which is its own transaction. Both answer
after the commit, and both leave a delivery that is there already as it is.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import asyncpg
import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import SQLITE_SETTINGS, Database
from app.store.deliveries import NewDelivery, Stored
from app.store.types import microseconds
from app.store.wal_upkeep import WalUpkeep

#: Seconds that a batch may wait for the database.
PATIENCE = 15.0
# SQLite's own busy handler sleeps for up to 100 ms at a time, and so finds the lock taken again by a busy worker.
_PAUSE = 0.0005
# Pages of the log at which a commit copies it after all: where `WalUpkeep` could not (256 MB).
_CHECKPOINT = "wal_autocheckpoint=64000"
# A page's bytes, and the pages that a delivery writes beside its body's: of the table and of the index of its key.
_PAGE, _PAGES = 4_096, 2
_COLUMNS = 6
# One of each size of batch, so that each is parsed once.
_STATEMENTS = 160
_FIND = "SELECT id, digest FROM delivery WHERE connection_id = ? AND dedupe_key = ?"

_INTO = "INSERT INTO delivery (connection_id, dedupe_key, digest, received_at, headers, body, is_pending, conflicts)"
_UNLESS_THERE = "ON CONFLICT (connection_id, dedupe_key) DO NOTHING"

_encode = msgspec.json.Encoder().encode


class DeliveryLog(Protocol):
    """Where deliveries are appended. One per process; `append` is called by one task at a time."""

    async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        """Store a batch in one transaction, redeliveries having no effect; one `Stored` each, in order."""
        ...

    async def close(self) -> None: ...


def delivery_log(database: Database) -> DeliveryLog:
    """The log over this database; it connects with the first batch."""
    return SqliteLog(database.url) if database.dialect == "sqlite" else PostgresLog(database)


# --- SQLite ----------------------------------------------------------------------------------------------------------


class SqliteLog:
    """One thread with one connection."""

    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deliveries")
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._upkeep = WalUpkeep(self._path)

    async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._append, batch)

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
            self._thread.shutdown()

    def _append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        connection = self._connected()
        values: list[Any] = []
        for new in batch:
            values += (
                new.connection_id,
                new.dedupe_key,
                new.digest,
                microseconds(new.received_at),
                _encode(new.headers).decode(),
                new.body,
            )
        self._upkeep.finish(connection)
        _begin(connection)
        try:
            inserted = connection.execute(_insert(len(batch)), values)
            # No RETURNING: each of its rows is a step for which this thread would wait for the interpreter's lock.
            # Nobody else writes meanwhile, so the ids follow each other in the order of the batch.
            first = (inserted.lastrowid or 0) - inserted.rowcount + 1
            if inserted.rowcount == len(batch):
                answers = [Stored(first + index, True, False) for index in range(len(batch))]
            else:
                answers = self._redelivered(connection, batch, first if inserted.rowcount else None)
            connection.execute("COMMIT")
        except BaseException:
            self._disconnect()  # with it goes the transaction, whatever state it is in
            raise
        self._upkeep.written(sum([_PAGES + len(new.body) // _PAGE for new in batch]))
        return answers

    def _redelivered(
        self, connection: sqlite3.Connection, batch: Sequence[NewDelivery], first: int | None
    ) -> list[Stored]:
        """The answers to a batch of which some were there before; ids from `first` on are new."""
        created: dict[tuple[int, str], int] = {}
        known: dict[tuple[int, str], tuple[int, str]] = {}
        for key in dict.fromkeys((new.connection_id, new.dedupe_key) for new in batch):
            row = connection.execute(_FIND, key).fetchone()
            if first is not None and row[0] >= first:
                created[key] = row[0]
            else:
                known[key] = row
        answers, conflicts = _answers(batch, created, known)
        connection.executemany("UPDATE delivery SET conflicts = conflicts + 1 WHERE id = ?", conflicts)
        return answers

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, cached_statements=_STATEMENTS)
            try:
                for pragma in (
                    "busy_timeout=15000",
                    "journal_mode=WAL",
                    *SQLITE_SETTINGS,
                    _CHECKPOINT,
                    "busy_timeout=0",
                ):
                    connection.execute(f"PRAGMA {pragma}")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        self._upkeep.close()
        self._disconnect()


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock as soon as it is free."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


@lru_cache(maxsize=_STATEMENTS)
def _insert(rows: int) -> str:
    marks = ", ".join([f"({', '.join('?' * _COLUMNS)}, 1, 0)"] * rows)
    return f"{_INTO} VALUES {marks} {_UNLESS_THERE}"


# --- PostgreSQL ------------------------------------------------------------------------------------------------------

_NEW = """
SELECT connection_id, dedupe_key, digest, received_at, headers, body, true, 0
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bytea[])
  AS new (connection_id, dedupe_key, digest, received_at, headers, body)
"""
_APPEND = " ".join((_INTO, _NEW, _UNLESS_THERE, "RETURNING id, connection_id, dedupe_key"))
_KNOWN = """
SELECT delivery.connection_id, delivery.dedupe_key, delivery.id, delivery.digest
FROM delivery JOIN unnest($1::bigint[], $2::text[]) AS wanted (connection_id, dedupe_key)
  USING (connection_id, dedupe_key)
"""
_CONFLICT = "UPDATE delivery SET conflicts = conflicts + 1 WHERE id = $1"


class PostgresLog:
    """One connection of the pool, kept; a new one after an error."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: AsyncConnection | None = None

    async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._append(await self._driver(), batch)
        except BaseException:
            await self._drop()
            raise

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def _append(self, driver: "asyncpg.Connection[Any]", batch: Sequence[NewDelivery]) -> list[Stored]:
        ids, keys, digests, moments, headers, bodies = _columns(batch)
        rows = await driver.fetch(_APPEND, ids, keys, digests, moments, headers, bodies)
        created = {(row[1], row[2]): row[0] for row in rows}
        known: dict[tuple[int, str], tuple[int, str]] = {}
        missing = _missing(batch, created)
        if missing:
            found = await driver.fetch(_KNOWN, [key[0] for key in missing], [key[1] for key in missing])
            known = {(row[0], row[1]): (row[2], row[3]) for row in found}
        answers, conflicts = _answers(batch, created, known)
        if conflicts:
            await driver.executemany(_CONFLICT, conflicts)
        return answers

    async def _driver(self) -> "asyncpg.Connection[Any]":
        if self._kept is None:
            self._kept = await self._database.engine.connect()
        raw = await self._kept.get_raw_connection()
        driver: asyncpg.Connection[Any] = raw.driver_connection
        return driver

    async def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.invalidate()
            await kept.close()


def _columns(
    batch: Sequence[NewDelivery],
) -> tuple[list[int], list[str], list[str], list[datetime], list[str], list[bytes]]:
    return (
        [new.connection_id for new in batch],
        [new.dedupe_key for new in batch],
        [new.digest for new in batch],
        [new.received_at for new in batch],
        [_encode(new.headers).decode() for new in batch],
        [new.body for new in batch],
    )


# --- what became of each ---------------------------------------------------------------------------------------------


def _missing(batch: Sequence[NewDelivery], created: dict[tuple[int, str], int]) -> list[tuple[int, str]]:
    """The keys that were there before."""
    if len(created) == len(batch):
        return []
    return list({(new.connection_id, new.dedupe_key): None for new in batch}.keys() - created.keys())


def _answers(
    batch: Sequence[NewDelivery], created: dict[tuple[int, str], int], known: dict[tuple[int, str], tuple[int, str]]
) -> tuple[list[Stored], list[tuple[int]]]:
    """What the store made of each, and the deliveries that another body came for. The first one of a key in the batch
    is the one that was stored; what follows under that key is a redelivery."""
    answers: list[Stored] = []
    conflicts: list[tuple[int]] = []
    for new in batch:
        key = (new.connection_id, new.dedupe_key)
        if key not in known:
            known[key] = (created[key], new.digest)
            answers.append(Stored(created[key], True, False))
            continue
        identity, digest = known[key]
        is_conflict = digest != new.digest
        if is_conflict:
            conflicts.append((identity,))
        answers.append(Stored(identity, False, is_conflict))
    return answers, conflicts
