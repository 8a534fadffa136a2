"""A real PostgreSQL: what a SELECT gives over a window of a team's, and that nothing else can be done with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest

from connectors.contract import Window
from connectors.errors import AccessDeniedError, AuthenticationError, QueryError, UnavailableError
from connectors.http import create_client, parse_policy, toolbox
from connectors.secrets import bind
from connectors.sql import SqlConfig, SqlQuery
from connectors.sql.connector import check, discover, measure
from connectors.sql.session import SqlSession, open_sql

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
#: The quarter of a team in Berlin.
QUARTER = Window(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC), "Europe/Berlin")
UNBOUNDED = Window(None, None)
ROWS = """
create table gl (day date, at timestamptz, said timestamp, amount numeric, class text);
insert into gl values
  ('2026-09-30', '2026-09-30T21:59:59Z', '2026-09-30 23:59:59', 1000, 'overhead'),
  ('2026-10-01', '2026-09-30T22:00:00Z', '2026-10-01 00:00:00', 10.10, 'overhead'),
  ('2026-12-31', '2026-12-31T22:59:59Z', '2026-12-31 23:59:59', 20.20, 'overhead'),
  ('2027-01-01', '2026-12-31T23:00:00Z', '2027-01-01 00:00:00', 3000, 'overhead');
"""


@pytest.fixture
async def warehouse(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database with a few rows."""
    server = postgres_url.replace("+asyncpg", "")
    name = f"warehouse_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"create database {name}")
    address = f"{server.rsplit('/', 1)[0]}/{name}"
    inside = await asyncpg.connect(address)
    await inside.execute(ROWS)
    await inside.close()
    yield address
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@asynccontextmanager
async def session(address: str, allow: str = "127.0.0.0/8") -> AsyncIterator[SqlSession]:
    config = bind(SqlConfig.model_validate({"dsn": {"env": "WAREHOUSE_DSN"}}), lambda _: address)
    async with (
        create_client(parse_policy(allow)) as client,
        open_sql(config, toolbox(client, lambda: NOW)) as opened,
    ):
        yield opened


@pytest.mark.parametrize("column", ["day", "at", "said"])
async def test_a_window_has_its_edges_in_the_type_of_the_column(warehouse: str, column: str) -> None:
    sql = f"select sum(amount) from gl where class = 'overhead' and {column} >= :from and {column} < :to;"
    async with session(warehouse) as opened:
        measured = await measure(opened, SqlQuery(sql=sql), QUARTER)
    assert measured.value == Decimal("30.30")
    assert (measured.observed_at, measured.query, measured.is_exact) == (NOW, sql, True)


async def test_what_is_unknown_and_what_is_wrong_with_a_query(warehouse: str) -> None:
    async with session(warehouse) as opened:

        async def value(sql: str, window: Window = UNBOUNDED) -> tuple[Decimal | None, str | None]:
            measured = await measure(opened, SqlQuery(sql=sql), window)
            return measured.value, measured.reason

        assert await value("select count(*) from gl") == (Decimal(4), None)
        assert await value("select 0.1::float8 + 0.2::float8") == (Decimal("0.30000000000000004"), None)
        assert await value("with t as (select 2 as n) select n from t") == (Decimal(2), None)
        assert await value("select sum(amount) from gl where false") == (
            None,
            "the query gives NULL, as an aggregate of no rows does",
        )
        assert await value("select amount from gl where false") == (None, "the query found no row")
        assert await value("select 1 / (count(*) - 4) from gl") == (None, "the query divides by zero")
        assert await value("select 'NaN'::numeric") == (None, "the query gives NaN or infinity")
        for sql, says in (
            ("select amount from gl", "more than one row"),
            ("select sum(amuont) from gl", 'column "amuont" does not exist'),
            (
                "select sum(amount) from gl where class = :from",
                "Compare :from with a date or a timestamp, not with text",
            ),
            ("select 1; drop table gl", "cannot insert multiple commands"),
            ("delete from gl returning 1", "may only read"),
            ("create table x (y int)", "selects nothing"),
            ("set transaction read write", "selects nothing"),
        ):
            with pytest.raises(QueryError, match=says):
                await value(sql, QUARTER if ":from" in sql else UNBOUNDED)
        assert await value("select count(*) from gl") == (Decimal(4), None)  # the connection goes on, nothing was done


async def test_a_window_that_the_query_ignores_or_that_has_no_edge(warehouse: str) -> None:
    async with session(warehouse) as opened:
        with pytest.raises(QueryError, match="use :from and :to in it"):
            await measure(opened, SqlQuery(sql="select count(*) from gl"), QUARTER)
        with pytest.raises(QueryError, match="asks for :from and the metric's window has none"):
            await measure(opened, SqlQuery(sql="select count(*) from gl where at >= :from"), UNBOUNDED)
        past = Window(None, NOW - timedelta(days=30))
        with pytest.raises(QueryError, match="tells of now"):
            await measure(opened, SqlQuery(sql="select count(*) from gl"), past)


async def test_check_and_discover(warehouse: str) -> None:
    async with session(warehouse) as opened:
        checked = await check(opened)
        found = await discover(opened)
    assert checked.summary.startswith("Connected to warehouse_")
    assert "PostgreSQL" in checked.summary
    assert [(one.kind, one.id, one.name) for one in found] == [("table", "public.gl", "gl")]


async def test_what_keeps_a_connection_from_being_made(warehouse: str) -> None:
    async def refused(address: str, allow: str = "127.0.0.0/8") -> str:
        with pytest.raises((AccessDeniedError, AuthenticationError, QueryError, UnavailableError)) as caught:
            async with session(address, allow):
                pytest.fail("it was opened")
        return f"{type(caught.value).__name__}: {caught.value}"

    assert (await refused(warehouse, allow="")).startswith("AccessDeniedError: The host 127.0.0.1 is not on the public")
    head, _, name = warehouse.rpartition("/")
    assert "does not exist" in await refused(f"{head}/nowhere")
    assert await refused(warehouse + "?sslmode=require") == (
        "UnavailableError: The database at 127.0.0.1 can not be reached."
    )
    nobody = warehouse.replace("krsync@", "nobody_there@")
    assert (await refused(nobody)).startswith("AuthenticationError: The database refuses the account")
    closed = f"postgresql://krsync@127.0.0.1:1/{name}"
    assert await refused(closed) == "UnavailableError: The database at 127.0.0.1 can not be reached."
