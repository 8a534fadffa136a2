"""SQLite for the engine: aiosqlite, with one trip to the connection's thread for each statement.

aiosqlite makes a trip for the cursor, one for the statement, one for its rows and one to close it, and a trip costs
more than most statements do. Here a statement comes back with its first rows; with the last of them its cursor is
closed.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as aiosqlite_dialect
from sqlalchemy.engine import make_url

#: Rows that come back with the statement; where there are more, they are asked for.
AT_ONCE = 1_000

Row = tuple[Any, ...]


class Cursor:
    """What SQLAlchemy uses of an aiosqlite cursor. Errors are those of `sqlite3`."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "Cursor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, statement: str, parameters: Any = ()) -> "Cursor":
        """Run one statement."""
        self._rows = await self._connection.trip(self._execute, statement, parameters)
        return self

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> "Cursor":
        """Run one statement with each of the parameters."""
        await self._connection.trip(self._execute_many, statement, parameters)
        return self

    async def fetchone(self) -> Row | None:
        """The next row, or None."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next so many rows; fewer where they end."""
        wanted = self.arraysize if size is None else size
        if len(self._rows) < wanted and self._open is not None:
            self._rows += await self._connection.trip(self._fetch, max(wanted, AT_ONCE))
        rows, self._rows = self._rows[:wanted], self._rows[wanted:]
        return rows

    async def fetchall(self) -> list[Row]:
        """The rows that are left."""
        if self._open is not None:
            self._rows += await self._connection.trip(self._fetch, None)
        rows, self._rows = self._rows, []
        return rows

    async def __aiter__(self) -> AsyncIterator[Row]:
        while rows := await self.fetchmany(AT_ONCE):
            for row in rows:
                yield row

    async def close(self) -> None:
        """Give up the rows that were not asked for."""
        self._rows = []
        if self._open is not None:
            await self._connection.trip(self._close)

    # In the connection's thread:

    def _execute(self, statement: str, parameters: Any) -> list[Row]:
        self._close()
        self._open = self._connection.cursor_of_driver()
        try:
            self._open.execute(statement, parameters)
            return self._fetch(AT_ONCE)
        except BaseException:
            self._close()
            raise

    def _execute_many(self, statement: str, parameters: Iterable[Any]) -> None:
        self._close()
        self._open = self._connection.cursor_of_driver()
        try:
            self._open.executemany(statement, parameters)
        finally:
            self._note()
            self._close()

    def _fetch(self, size: int | None) -> list[Row]:
        assert self._open is not None
        rows = self._open.fetchall() if size is None else self._open.fetchmany(size)
        self._note()
        if size is None or len(rows) < size:
            self._close()
        return rows

    def _note(self) -> None:
        assert self._open is not None
        self.description = self._open.description
        self.rowcount, self.lastrowid = self._open.rowcount, self._open.lastrowid

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class Connection(aiosqlite.Connection):
    """aiosqlite's, with those cursors."""

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    def cursor_of_driver(self) -> sqlite3.Cursor:
        """A new cursor; to be called in the connection's thread."""
        return self._conn.cursor()

    async def trip(self, work: Any, *arguments: Any) -> Any:
        """Do something in the connection's thread."""
        return await self._execute(work, *arguments)  # type: ignore[no-untyped-call]


def creator(url: str) -> Any:
    """What makes the engine's connections: for `create_async_engine(url, async_creator=…)`."""
    arguments, options = aiosqlite_dialect().create_connect_args(make_url(url))
    connect: Callable[[], sqlite3.Connection] = partial(sqlite3.connect, *arguments, **options)

    def create() -> Connection:
        connection = Connection(connect, iter_chunk_size=AT_ONCE)
        connection._thread.daemon = True  # as SQLAlchemy has it with aiosqlite's own
        return connection

    return create
