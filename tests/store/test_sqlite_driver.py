"""One trip to SQLite's thread for a statement, and rows for which one is not enough."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Database
from app.store.sqlite_driver import AT_ONCE, Connection


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Database, AsyncConnection]]:
    database = Database(f"sqlite+aiosqlite:///{folder / 'a file.db'}")
    try:
        async with database.engine.begin() as connection:
            await connection.execute(text("CREATE TABLE number (n INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
            yield database, connection
    finally:
        await database.close()


async def count(connection: AsyncConnection, upto: int) -> None:
    await connection.execute(
        text(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :upto)"
            " INSERT INTO number (n) SELECT n FROM c"
        ),
        {"upto": upto},
    )


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What connections' threads were asked to do."""
    made: list[str] = []
    trip = Connection.trip

    async def noting(self: Connection, work: Any, *arguments: Any) -> Any:
        made.append(work.__name__)
        return await trip(self, work, *arguments)

    monkeypatch.setattr(Connection, "trip", noting)
    return made


async def test_a_statement_with_few_rows_is_one_trip(tmp_path: Path, trips: list[str]) -> None:
    async with opened(tmp_path) as (_, connection):
        await count(connection, 3)
        trips.clear()
        assert (await connection.execute(text("SELECT n FROM number"))).all() == [(1,), (2,), (3,)]
        assert (await connection.execute(text("SELECT n FROM number WHERE n > 3"))).all() == []
        assert len(trips) == 2


@pytest.mark.parametrize("rows", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
async def test_all_rows_come_in_order_once(tmp_path: Path, rows: int) -> None:
    wanted = list(range(1, rows + 1))
    query = text("SELECT n FROM number ORDER BY n")
    async with opened(tmp_path) as (_, connection):
        await count(connection, rows)
        assert list((await connection.execute(query)).scalars()) == wanted
        streamed = await connection.stream_scalars(query, execution_options={"yield_per": 700})
        assert [number async for number in streamed] == wanted
        streamed = await connection.stream_scalars(query)
        assert [await anext(streamed) for _ in range(3)] == [1, 2, 3]
        await streamed.close()
        # Nothing is left open that would keep others from writing, or the table from going.
        await connection.execute(text("DROP TABLE number"))


async def test_counts_of_rows_and_new_ids_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, connection):
        inserted = await connection.execute(text("INSERT INTO number (word) VALUES ('one')"))
        assert (inserted.lastrowid, inserted.rowcount) == (1, 1)
        many = await connection.execute(
            text("INSERT INTO number (word) VALUES (:word)"), [{"word": f"w{number}"} for number in range(2_500)]
        )
        assert many.rowcount == 2_500
        assert (await connection.execute(text("UPDATE number SET word = NULL WHERE n <= 10"))).rowcount == 10
        returned = await connection.execute(text("DELETE FROM number RETURNING n"))
        assert len(returned.all()) == 2_501
        assert (await connection.scalar(text("SELECT count(*) FROM number"))) == 0


async def test_what_sqlite_refuses_is_raised_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, connection):
        with pytest.raises(OperationalError, match="no such table"):
            await connection.execute(text("SELECT * FROM nowhere"))
        await connection.execute(text("INSERT INTO number (word) VALUES ('one')"))
        with pytest.raises(IntegrityError):
            await connection.execute(
                text("INSERT INTO number (word) VALUES (:word)"), [{"word": "two"}, {"word": "one"}]
            )
        # An error that comes with a later row: of 2,000, the last overflows.
        await connection.execute(text("DELETE FROM number"))
        await count(connection, 2_000)
        with pytest.raises(OperationalError, match="overflow"):
            await connection.execute(
                text("SELECT abs(CASE WHEN n = 2000 THEN -9223372036854775807 - 1 ELSE n END) FROM number")
            )
        assert (await connection.scalar(text("SELECT max(n) FROM number"))) == 2_000
