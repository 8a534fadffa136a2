"""Opening the database and its transactions, the same way on SQLite and PostgreSQL."""

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.util import await_only

from app.store import sqlite_driver
from app.store.patience import Patience, keep_patience

#: A transaction, as the layers above pass it on: they never look into it.
Session = AsyncSession

#: Errors that mean "the store is away or full": the door answers 503, a worker tries again.
STORE_UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError, TimeoutError, OSError)
#: The same where a driver is used by itself.
_DRIVER_UNAVAILABLE = (sqlite3.OperationalError, asyncpg.InterfaceError, asyncpg.InternalClientError)

#: Classes of SQLSTATE that say the same: connection, rollback for others' sake, resources (a full disk), shutdown.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_AWAY_STATES = ("08", "40", "53", "57P")
_DISK_FULL = "53100"

#: SQLite below this can corrupt a WAL database under rare races (fixed in 3.51.3, 3.50.7 and 3.44.6).
_SAFE_SQLITE = ((3, 44, 6), (3, 45, 0), (3, 50, 7), (3, 51, 0), (3, 51, 3))


_WAL_ATTEMPTS = 250

#: What every connection to a SQLite file has set, beside WAL. A process has up to 16, each with a cache of its own, of
#: 8 MB: at 32 MB a worker grew by 150 MB, and the file is in the system's cache anyway.
SQLITE_SETTINGS = ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-8000")


def sqlite_has_wal_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the WAL-reset bug (https://sqlite.org/wal.html, fixed in 3.51.3, 3.50.7, 3.44.6)."""
    if version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0))


def is_unavailable(error: BaseException) -> bool:
    """Whether an exception says that the store itself is away, full, restarting or busy: the same may work later."""
    if not isinstance(error, DBAPIError):
        # While connecting, the driver's own errors come as they are.
        if isinstance(error, _DRIVER_UNAVAILABLE):
            return not isinstance(error, ValueError)  # a value that can not be sent will never work
        return _is_away(getattr(error, "sqlstate", None)) or isinstance(error, STORE_UNAVAILABLE)
    if error.connection_invalidated or _is_away(getattr(error.orig, "sqlstate", None)):
        return True
    if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InternalClientError):
        return True  # asyncpg lost track of a connection that was cut under it
    # A value that asyncpg can not send is an InterfaceError too, and will never work.
    is_bad_value = error.orig is not None and isinstance(error.orig.__cause__, ValueError)
    return isinstance(error, STORE_UNAVAILABLE) and not is_bad_value


def why_unavailable(error: BaseException) -> str:
    """What an operator has to know of a store that is unavailable: that its disk is full, or the kind of the error. The
    driver's own words may quote a row."""
    said = getattr(error, "orig", None) or error
    state, number = getattr(said, "sqlstate", None), getattr(said, "errno", None)
    is_full = state == _DISK_FULL or number == errno.ENOSPC or "disk is full" in str(said)
    return "the disk is full" if is_full else type(error).__name__


def _is_away(state: object) -> bool:
    return isinstance(state, str) and state.startswith(_AWAY_STATES)


class Database:
    """An engine and its two kinds of transaction: `reading()` and `writing()`.

    On SQLite a writing transaction starts with `BEGIN IMMEDIATE`: a deferred one that reads first and writes later
    fails under concurrency whatever the busy timeout.

    On PostgreSQL a transaction ends with TimeoutError where the server takes longer than `patience` (seconds; None: no
    limit) for one answer: as one that hangs does, whose connections stay open.
    """

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        self.url = url
        self.dialect = make_url(url).get_backend_name()
        self.patience = None if self.dialect == "sqlite" else patience
        self.engine = _create_engine(url)
        self._reading = async_sessionmaker(self.engine, expire_on_commit=False, autoflush=False)
        self._writing = async_sessionmaker(
            self.engine.execution_options(krsync_writing=True), expire_on_commit=False, autoflush=False
        )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session over one consistent snapshot, rolled back at the end."""
        async with Patience(self.patience) as patience, self._reading() as session:
            if self.dialect != "sqlite":
                await patience.connect(session, isolation_level="REPEATABLE READ")
            try:
                yield session
            finally:
                patience.wait()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed as one at the end, or rolled back by an exception."""
        async with Patience(self.patience) as patience, self._writing() as session, session.begin():
            if self.dialect != "sqlite":
                await patience.connect(session)
            try:
                yield session
            finally:
                patience.wait()

    async def close(self) -> None:
        await self.engine.dispose()


def _use_wal(cursor: Any) -> None:
    """Switch the file to WAL. Where several processes open a new file at once, SQLite tells those that come second
    that it is locked without waiting: each would wait for the other."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            await_only(asyncio.sleep(0.02))


def _create_engine(url: str) -> AsyncEngine:
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_async_engine(
            url, hide_parameters=True, pool_size=10, max_overflow=10, pool_timeout=5, pool_pre_ping=True
        )
        keep_patience(engine)
        return engine
    engine = create_async_engine(
        url,
        async_creator=sqlite_driver.creator(url),
        hide_parameters=True,
        pool_size=8,
        max_overflow=8,
        pool_timeout=30,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we emit BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=15000")
        _use_wal(cursor)
        for pragma in SQLITE_SETTINGS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def _roll_back(connection: Any, _: object, __: object) -> None:
        # A statement that is cancelled loses its connection. Closing that is not enough: SQLite keeps it, with its
        # transaction and the write lock, for as long as anything refers to one of its cursors, such as a traceback.
        with contextlib.suppress(Exception):
            connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: SyncConnection) -> None:
        writing = connection.get_execution_options().get("krsync_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
