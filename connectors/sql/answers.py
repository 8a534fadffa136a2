"""Rows as a number, and errors of a database as `connectors.errors`. Pure.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from connectors.answer import Answer
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    QueryError,
    UnavailableError,
    UnexpectedResponseError,
)

_LONGEST_WORDS = 600


class DivisionByZeroError(QueryError):
    """A statement that divides by zero: a number that is unknown, not a statement that is wrong."""


def answer_of(rows: Sequence[Sequence[object]]) -> Answer:
    """The one number of up to two rows; QueryError where they hold anything else."""
    if not rows:
        return Answer(None, "the query found no row")
    if len(rows) > 1 or len(rows[0]) != 1:
        many = "more than one row" if len(rows) > 1 else f"{len(rows[0])} columns"
        raise QueryError(f"The query gives {many} where one number is asked for: select one value.")
    [value] = rows[0]
    if value is None:
        return Answer(None, "the query gives NULL, as an aggregate of no rows does")
    if isinstance(value, (int, Decimal, float)) and not isinstance(value, bool):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return Answer(number) if number.is_finite() else Answer(None, "the query gives NaN or infinity")
    raise QueryError(f"The query gives {_kind(value)} where a number is asked for.")


def _kind(value: object) -> str:
    if isinstance(value, timedelta):
        return "an interval (take extract(epoch from …) of it)"
    if isinstance(value, (date, datetime)):
        return "a date or moment"
    if isinstance(value, bool):
        return "true or false (count or sum what is true)"
    return "a text" if isinstance(value, str) else "something else"


def failure(state: str | None, words: str) -> ConnectorError:
    """What an error of the database stands for, by its SQLSTATE."""
    said = " ".join(words.split())[:_LONGEST_WORDS]
    code = state or ""
    if code.startswith("28"):
        return AuthenticationError(f"The database refuses the account: {said}")
    if code.startswith(("08", "40", "53", "57", "58")):
        return UnavailableError(f"The database could not answer for now: {said}")
    if code == "22012":
        return DivisionByZeroError(f"The database says of the query: {said}")
    if code == "25006":
        return QueryError(f"A query may only read: {said}")
    if code.startswith(("0A", "21", "22", "3D", "3F", "42", "54")):
        return QueryError(f"The database says of the query: {said}")
    return UnexpectedResponseError(f"The database failed in a way that is not known (SQLSTATE {code or 'none'}).")
