"""The version of the data: another one after every commit, the same one while there is none."""

import asyncio
from datetime import UTC, datetime

from sqlalchemy import text

from app.store.audit import append_audit
from app.store.data_version import PostgresVersion, data_version
from app.store.database import Database

NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def test_every_commit_is_another_version(database_url: str) -> None:
    database, other = Database(database_url), Database(database_url)
    version = data_version(database)
    seen = [await version.read()]
    for statement in (
        None,
        "UPDATE audit SET actor = 'c'",
        "UPDATE audit SET actor = 'b'",
        "DELETE FROM audit",
    ):
        async with other.writing() as session:
            if statement is None:
                await append_audit(session, at=NOW, actor="a", action="create", object_kind="team", object_id="t")
            else:
                await session.execute(text(statement))
        seen.append(await version.read())
    assert None not in seen
    assert len(set(seen)) == len(seen)
    await version.close()
    await database.close()
    await other.close()


async def test_the_latest_version_is_relied_on_until_something_is_written_here(database_url: str) -> None:
    database = Database(database_url)
    version = data_version(database)
    first = await version.read()
    if isinstance(version, PostgresVersion):
        version.relied_on = 1e9
    assert version.latest() == first
    async with database.writing() as session:
        await append_audit(session, at=NOW, actor="a", action="create", object_kind="team", object_id="t")
    version.forget()
    assert (version.latest() or await version.read()) not in (None, first)
    if isinstance(version, PostgresVersion):
        # A round that began before the commit was told does not count.
        under_way = asyncio.create_task(version.read())
        while not version._is_busy.locked():
            await asyncio.sleep(0)
        version.forget()
        await under_way
        assert version.latest() is None
        version.relied_on = 0.0
        assert version.latest() is None
    await version.close()
    await database.close()


async def test_what_is_not_committed_is_no_version_and_its_commit_is(database_url: str) -> None:
    database = Database(database_url)
    version = data_version(database)
    before = await version.read()
    async with database.writing() as session:
        await append_audit(session, at=NOW, actor="a", action="create", object_kind="team", object_id="t")
        await session.flush()
        during = await version.read()
    after = await version.read()
    assert after not in (before, during)
    if database.dialect == "sqlite":
        assert during == before
        assert await version.read() == after
    again = data_version(database)
    # Many at once are told the same, and none of them less than there was when it asked.
    many = await asyncio.gather(*(again.read() for _ in range(50)))
    assert None not in many
    await again.close()
    await version.close()
    await database.close()


async def test_a_lost_connection_is_no_version_that_was_there_before(database_url: str) -> None:
    database = Database(database_url)
    version = data_version(database)
    before = await version.read()
    await version.close()
    assert await version.read() not in (None, before)
    await version.close()
    await database.close()
