"""What waits is found by what waits, and not by all that was ever delivered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, text

from app.store import deliveries
from app.store.database import Database


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.mark.parametrize("what", ["the oldest that wait", "how many wait"])
async def test_what_waits_is_found_by_its_index(database: Database, what: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        asked.append((arguments[2], arguments[3]))

    engine = database.engine.sync_engine
    async with database.reading() as session:
        event.listen(engine, "before_cursor_execute", note)
        if what == "how many wait":
            assert await deliveries.count_pending(session) == 0
        else:
            assert await deliveries.pending_deliveries(session, 200) == []
        event.remove(engine, "before_cursor_execute", note)
        ((statement, parameters),) = [one for one in asked if one[0].startswith("SELECT")]
        explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        if database.dialect == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))  # for so few rows it would read them all
        connection = await session.connection()
        plan = (await connection.exec_driver_sql(explain + statement, parameters)).all()
        assert "ix_delivery_pending" in str(plan)
