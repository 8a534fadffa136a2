"""What an answer's status and headers mean."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import decode_json, parse_retry_after, raise_for_status

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("0.5", timedelta(seconds=0.5)),
        ("0.0000001", timedelta(microseconds=1)),
        ("-5", None),
        ("+5", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("１２", None),
        ("86400", timedelta(days=1)),
        ("86401", timedelta(days=1)),
        ("9" * 30, timedelta(days=1)),
        ("9" * 5000, None),
        ("Sun, 22 Nov 2026 09:31:00 GMT", timedelta(minutes=1)),
        ("Sunday, 22-Nov-26 09:31:00 GMT", timedelta(minutes=1)),
        ("Sun, 22 Nov 2026 09:29:00 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("Sun, 99 Nov 2026 09:31:00 GMT", None),
        ("Sun, 22 Nov 99999999999999999999 09:31:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: timedelta | None) -> None:
    assert parse_retry_after(value, NOW) == expected


def test_a_date_says_nothing_without_a_now() -> None:
    assert parse_retry_after("Sun, 22 Nov 2026 09:31:00 GMT", None) is None
    assert parse_retry_after("5", None) == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, AuthenticationError),
        (403, {}, AccessDeniedError),
        (403, {"retry-after": "60"}, RateLimitedError),
        (403, {"x-ratelimit-remaining": "0"}, RateLimitedError),
        (403, {"x-ratelimit-remaining": "10"}, AccessDeniedError),
        (429, {}, RateLimitedError),
        (503, {"x-ratelimit-remaining": "0"}, RateLimitedError),
        (503, {"retry-after": "60"}, UnavailableError),
        *((status, {}, QueryError) for status in (400, 404, 405, 410, 413, 414, 422)),
        *((status, {}, UnavailableError) for status in (408, 425, 500, 502, 503, 504, 599)),
        *((status, {}, UnexpectedResponseError) for status in (301, 302, 304, 307, 308, 402, 407, 418, 451)),
    ],
)
def test_a_status_is_named_by_what_to_do_next(
    status: int, headers: dict[str, str], expected: type[ConnectorError]
) -> None:
    with pytest.raises(expected) as caught:
        raise_for_status(httpx.Response(status, headers=headers), tool="Acme")

    assert type(caught.value) is expected
    assert str(caught.value).startswith("Acme ")
    if isinstance(caught.value, TransientError):
        assert caught.value.retry_after == (timedelta(minutes=1) if "retry-after" in headers else None)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_success_is_no_error(status: int) -> None:
    raise_for_status(httpx.Response(status), tool="Acme")


@pytest.mark.parametrize(("status", "said"), [(302, "a redirect"), (304, "nothing has changed")])
def test_what_is_no_redirect_is_not_called_one(status: int, said: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=f"^Acme answered .*{said} .HTTP {status}."):
        raise_for_status(httpx.Response(status), tool="Acme")


def test_a_retry_date_counts_from_the_tools_own_clock_where_that_is_two_hours_off() -> None:
    date = {"retry-after": "Sun, 22 Nov 2026 11:31:00 GMT"}
    with_clock = {**date, "date": "Sun, 22 Nov 2026 11:30:00 GMT"}

    with pytest.raises(RateLimitedError) as caught:
        raise_for_status(httpx.Response(429, headers=with_clock), tool="Acme", now=NOW)
    assert caught.value.retry_after == timedelta(minutes=1)

    with pytest.raises(RateLimitedError) as caught:
        raise_for_status(httpx.Response(429, headers=date), tool="Acme", now=NOW)
    assert caught.value.retry_after == timedelta(hours=2, minutes=1)


def test_the_tools_own_words_end_the_message() -> None:
    with pytest.raises(QueryError, match=r"^Acme .*HTTP 400\): no such field$"):
        raise_for_status(httpx.Response(400), tool="Acme", detail="no such field")


def test_json_is_read_exactly() -> None:
    assert decode_json(httpx.Response(200, content=b'{"n": [1.10, 2]}')) == {"n": [Decimal("1.10"), 2]}
    assert decode_json(httpx.Response(200, content=b"[]")) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>Please log in</html>", "login page"),
        (b'{"issues": [', "well-formed"),
        (b'{"n": NaN}', "NaN"),
    ],
)
def test_an_answer_that_is_no_json_is_unexpected(body: bytes, reason: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=f"^The answer of Acme .*{reason}"):
        decode_json(httpx.Response(200, content=body), tool="Acme")
