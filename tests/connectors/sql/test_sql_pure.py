"""SQL as text, addresses of databases, rows as numbers and errors by their codes."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    QueryError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.sql.answers import Answer, DivisionByZeroError, answer_of, failure
from connectors.sql.dsn import parse_dsn
from connectors.sql.statement import has_placeholder, numbered


@pytest.mark.parametrize(
    ("sql", "sent", "edges"),
    [
        ("select 1;", "select 1", []),
        ("select 1 from t where d >= :from and d < :to", "select 1 from t where d >= $1 and d < $2", ["from", "to"]),
        ("select :to::date - :from::date", "select $1::date - $2::date", ["to", "from"]),
        ("select ':from', \":to\", e'it\\':from', x::from", "select ':from', \":to\", e'it\\':from', x::from", []),
        ("select 'it''s :from' || :to", "select 'it''s :from' || $1", ["to"]),
        ("select $$:from$$, $a$ $$ :to $a$, :to", "select $$:from$$, $a$ $$ :to $a$, $1", ["to"]),
        ("select 1 -- :from\n, :to /* :from */", "select 1 -- :from\n, $1 /* :from */", ["to"]),
        ("select :fromage, :today, a[1:2]", "select :fromage, :today, a[1:2]", []),
        ("select 'never ended :from", "select 'never ended :from", []),
    ],
)  # fmt: skip
def test_placeholders_become_parameters_and_nothing_else_does(sql: str, sent: str, edges: list[str]) -> None:
    assert numbered(sql) == (sent, edges)
    assert has_placeholder(sql) is bool(edges)


def test_a_statement_of_quotes_is_read_in_a_moment() -> None:
    """What would take a matcher that goes back for ever."""
    assert numbered("select " + "'" * 19_001 + " :from")[1] in ([], ["from"])
    assert numbered("/*" + "x* " * 6_000 + ":to")[1] == []


def test_an_address_is_taken_apart_and_its_password_not_shown() -> None:
    dsn = parse_dsn("postgresql+asyncpg://okr%40acme:p%2Fw@db.acme.example:6543/ware%20house?sslmode=verify-full")
    assert (dsn.host, dsn.port, dsn.user, dsn.password) == ("db.acme.example", 6543, "okr@acme", "p/w")
    assert (dsn.database, dsn.sslmode, dsn.place) == ("ware house", "verify-full", "ware house at db.acme.example")
    assert "p/w" not in repr(dsn)
    assert parse_dsn("postgres://okr@[::1]").port == 5432


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("mysql://a@b/c", "begin with postgresql://"),
        ("sqlite:////etc/passwd", "begin with postgresql://"),
        ("postgresql:///name", "names no host"),
        ("postgresql://host/name", "names no user"),
        ("postgresql://a:canary@host:port/x", "is not an address"),
        ("postgresql://a@host/x?sslmode=allow", "sslmode has to be one of"),
        ("postgresql://a@host/x?options=-c%20a%3Db", "only option"),
        ("postgresql://a@host/x?host=/var/run", "only option"),
    ],
)
def test_addresses_that_are_refused_do_not_show_themselves(dsn: str, says: str) -> None:
    with pytest.raises(AuthenticationError, match=says) as caught:
        parse_dsn(dsn)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([(7,)], Answer(Decimal(7))),
        ([(Decimal("0.10"),)], Answer(Decimal("0.10"))),
        ([(0.1,)], Answer(Decimal("0.1"))),
        ([], Answer(None, "the query found no row")),
        ([(None,)], Answer(None, "the query gives NULL, as an aggregate of no rows does")),
        ([(float("nan"),)], Answer(None, "the query gives NaN or infinity")),
        ([(Decimal("Infinity"),)], Answer(None, "the query gives NaN or infinity")),
    ],
)
def test_rows_that_are_a_number_or_none(rows: list[tuple[object, ...]], answer: Answer) -> None:
    assert answer_of(rows) == answer


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(1,), (2,)], "more than one row"),
        ([(1, 2)], "2 columns"),
        ([()], "0 columns"),
        ([("7",)], "a text"),
        ([(True,)], "true or false"),
        ([(timedelta(days=1),)], "an interval"),
        ([(date(2026, 1, 1),)], "a date"),
        ([(datetime(2026, 1, 1),)], "a date"),  # noqa: DTZ001  as a database without zones gives it
        ([([1],)], "something else"),
    ],
)
def test_rows_that_are_no_number(rows: list[tuple[object, ...]], says: str) -> None:
    with pytest.raises(QueryError, match=says):
        answer_of(rows)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("28P01", AuthenticationError),
        ("3D000", QueryError),
        ("42P01", QueryError),
        ("42501", QueryError),
        ("22012", DivisionByZeroError),
        ("22003", QueryError),
        ("25006", QueryError),
        ("57014", UnavailableError),
        ("57P01", UnavailableError),
        ("53300", UnavailableError),
        ("40001", UnavailableError),
        ("XX000", UnexpectedResponseError),
        (None, UnexpectedResponseError),
    ],
)
def test_an_error_of_a_database_is_named_by_its_remedy(state: str | None, error: type[ConnectorError]) -> None:
    assert type(failure(state, "said\n  so")) is error
