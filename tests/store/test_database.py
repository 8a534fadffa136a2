"""The two kinds of transaction, and which failures mean that the store itself is away."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.store import audit
from app.store.database import Database, is_unavailable
from app.store.patience import Patience

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def note(database: Database, action: str, after: object = None) -> None:
    async with database.writing() as session:
        await audit.append_audit(
            session, at=NOW, actor="dana", action=action, object_kind="team", object_id="x", before=None, after=after
        )


async def actions(database: Database) -> list[str]:
    async with database.reading() as session:
        return list(await session.scalars(text("SELECT action FROM audit ORDER BY id")))


async def _fail_after_writing(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("UPDATE audit SET action = 'lost'"))
        raise LookupError


async def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    await note(database, "kept")
    with pytest.raises(LookupError):
        await _fail_after_writing(database)
    assert await actions(database) == ["kept"]


async def test_writers_that_read_first_do_not_fail_each_other(database: Database) -> None:
    await note(database, "0")

    async def count_up() -> None:
        async with database.writing() as session:
            lock = "" if database.dialect == "sqlite" else " FOR UPDATE"
            seen = int((await session.scalars(text(f"SELECT action FROM audit{lock}"))).one())
            await asyncio.sleep(0)
            await session.execute(text("UPDATE audit SET action = :next"), {"next": str(seen + 1)})

    await asyncio.gather(*(count_up() for _ in range(20)))
    assert await actions(database) == ["20"]


async def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(database: Database) -> None:
    await note(database, "first")
    async with database.reading() as session:
        before = list(await session.scalars(text("SELECT action FROM audit")))
        await note(database, "second")
        assert list(await session.scalars(text("SELECT action FROM audit"))) == before
    assert await actions(database) == ["first", "second"]


async def test_a_writer_that_is_cancelled_anywhere_leaves_no_lock_behind(database: Database) -> None:
    """Even while its traceback is kept: SQLite holds a closed connection's lock for as long as a cursor lives."""
    await note(database, "0")
    spans = random.Random(7)
    kept = []

    async def write() -> None:
        async with database.writing() as session:
            await session.execute(text("UPDATE audit SET actor = 'x'"))
            await session.execute(text("UPDATE audit SET actor = 'y'"))
            await session.execute(text("SELECT * FROM audit"))

    for _ in range(60):
        tasks = [asyncio.create_task(write()) for _ in range(spans.choice([1, 1, 2]))]
        await asyncio.sleep(spans.random() * 0.006)
        for task in tasks:
            task.cancel()
        kept.append(await asyncio.gather(*tasks, return_exceptions=True))
        await note(database, "free")
    assert any(isinstance(outcome, asyncio.CancelledError) for outcomes in kept for outcome in outcomes)
    assert (await actions(database)).count("free") == 60


@pytest.mark.parametrize(
    "value",
    ["0.1", "1E+2", "-0.00", "12345678901234567890.12345678901234567890", "1e-30"],
)
async def test_numbers_in_json_keep_their_digits(database: Database, value: str) -> None:
    await note(database, "kept", {"value": Decimal(value), "list": [1, None, "1", True]})
    async with database.reading() as session:
        (row,) = await audit.list_audit(session, team=None, kind=None, before=None, limit=1)
    assert str(row.after["value"]) == str(Decimal(value))
    assert row.after["list"] == [1, None, "1", True]
    assert row.at == NOW


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (PoolTimeoutError(), True),
        (asyncpg.CannotConnectNowError("the database system is starting up"), True),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), True),
        (asyncpg.DiskFullError("could not extend file"), True),
        (asyncpg.AdminShutdownError("terminating connection"), True),
        (asyncpg.DeadlockDetectedError("deadlock detected"), True),
        (asyncpg.UniqueViolationError("duplicate key"), False),
        (asyncpg.UndefinedTableError("no such table"), False),
        (ValueError("no"), False),
        (KeyError("sqlstate"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_may_work_later_is_told_from_what_never_will(error: Exception, is_away: bool) -> None:
    assert is_unavailable(error) is is_away


async def _cut_while_writing(database: Database) -> None:
    async with database.writing() as session:
        pid = (await session.scalars(text("SELECT pg_backend_pid()"))).one()
        async with database.reading() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        await session.execute(text("SELECT 1"))


async def test_a_connection_that_is_cut_in_a_transaction_is_the_store_away_and_the_next_one_works(
    database: Database,
) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no connection to cut")
    with pytest.raises(Exception, match=r"closed|terminat|another operation") as cut:
        await _cut_while_writing(database)
    assert is_unavailable(cut.value)
    await note(database, "works")
    assert await actions(database) == ["works"]


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
async def test_a_value_that_postgresql_can_not_hold_is_not_the_store_away(database: Database, value: str) -> None:
    if database.dialect == "sqlite" and "\0" in value:
        pytest.skip("SQLite keeps a NUL")
    with pytest.raises(Exception, match=r".+") as refused:
        await note(database, value)
    assert not is_unavailable(refused.value)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_answer_that_does_not_come_is_waited_for_so_long_and_no_longer(database: Database) -> None:
    database.patience = 0.2
    for transaction in (database.reading, database.writing):
        with pytest.raises(TimeoutError) as failure:
            async with transaction() as session:
                await session.execute(text("SELECT pg_sleep(3600)"))
        assert is_unavailable(failure.value)
    database.patience = None
    await note(database, "kept")
    assert await actions(database) == ["kept"]


async def _wait_for_ever(patience: Patience) -> None:
    async with patience:
        patience.wait()
        await asyncio.Event().wait()


async def test_patience_is_for_the_database_alone() -> None:
    async with Patience(0) as patience:
        for _ in range(3):
            patience.wait()
            patience.answered()
            await asyncio.sleep(0.001)
    with pytest.raises(TimeoutError):
        await _wait_for_ever(Patience(0))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_body_is_not_compressed_before_its_sender_is_answered(database: Database) -> None:
    async with database.reading() as session:
        storage = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'delivery'::regclass AND attname = 'body'"
        assert (await session.execute(text(storage))).scalar_one() == b"e"
