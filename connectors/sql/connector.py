"""The SQL connector: its hooks, and the value that names them."""

from collections.abc import Sequence
from datetime import timedelta

from connectors.answer import digest_of
from connectors.contract import Checked, Connector, Discovered, Measurement, Window
from connectors.errors import QueryError
from connectors.sql.answers import DivisionByZeroError, answer_of
from connectors.sql.models import SqlConfig, SqlQuery
from connectors.sql.session import SqlSession, open_sql
from connectors.windows import is_past

_UNBOUNDED = Window(None, None)
_MOST_TABLES = 1_000
_TABLES = """
select table_schema, table_name, table_type from information_schema.tables
where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2
"""


async def check(session: SqlSession) -> Checked:
    """Which database it reaches; raises what `connectors.errors` says otherwise."""
    [[version, account]] = await session.rows("select version(), current_user::text", _UNBOUNDED, most=1)
    named = " ".join(str(version).split()[:2])
    summary = f"Connected to {session.dsn.place} as {account} ({named})."
    return Checked(summary, {"server": str(version), "account": str(account)})


async def discover(session: SqlSession) -> Sequence[Discovered]:
    """The tables and views that the account can see, up to a thousand."""
    found = await session.rows(_TABLES, _UNBOUNDED, most=_MOST_TABLES)
    return [
        Discovered("view" if kind == "VIEW" else "table", f"{schema}.{name}", str(name), str(schema))
        for schema, name, kind in found
    ]


async def measure(session: SqlSession, query: SqlQuery, window: Window) -> Measurement:
    """The query's number over the window. Unknown for no row, NULL, NaN and a division by zero.

    QueryError for a query that gives no single number, or that does not look at the window it is asked for.
    """
    now = session.toolbox.now()
    if window.start is not None and not query.windowed():
        raise QueryError("The metric has a window that its query ignores: use :from and :to in it.")
    if is_past(window, now) and not query.windowed():
        raise QueryError("The window ended in the past and the query tells of now: use :to in it.")
    try:
        rows = await session.rows(query.sql, window, most=2)
    except DivisionByZeroError:
        return Measurement(None, now, query.sql, reason="the query divides by zero")
    answer = answer_of(rows)
    return Measurement(answer.value, now, query.sql, reason=answer.reason, digest=digest_of(rows))


SQL = Connector(
    key="sql",
    title="SQL",
    config=SqlConfig,
    query=SqlQuery,
    min_interval=timedelta(minutes=1),
    open=open_sql,
    check=check,
    discover=discover,
    measure=measure,
)
