"""The fixtures give what they say: real servers, and a database of one's own."""

import asyncpg
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def test_valkey_is_real_keeps_its_data_and_evicts_nothing(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        server = await client.info("server")
        assert server["server_name"] == "valkey"
        assert await client.config_get("appendonly", "maxmemory-policy", "save", "port") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "save": "",
            "port": "0",
        }


async def test_postgres_is_real(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        assert await connection.fetchval("SELECT current_setting('server_version_num')::int") >= 150000
    finally:
        await connection.close()


async def test_a_database_is_migrated_and_empty(database_url: str) -> None:
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1
            assert (await connection.execute(text("SELECT count(*) FROM team"))).scalar_one() == 0
    finally:
        await engine.dispose()


async def test_a_blank_database_has_no_table(blank_database_url: str) -> None:
    engine = create_async_engine(blank_database_url)
    catalogue = "sqlite_master" if "sqlite" in blank_database_url else "pg_tables WHERE schemaname = 'public'"
    try:
        async with engine.begin() as connection:
            assert (await connection.execute(text(f"SELECT count(*) FROM {catalogue}"))).scalar_one() == 0
    finally:
        await engine.dispose()
