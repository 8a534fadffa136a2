"""Every way an answer can fail, and the error that tells what to do next."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.jira.failures import failure, short_wait

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def _failure(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> ConnectorError | None:
    return failure(status, httpx.Headers(headers or {}), body, NOW)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, None),
        (204, {}, None),
        (200, {"X-Seraph-LoginReason": "OK"}, None),
        (200, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}, AuthenticationError),
        (404, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}, AuthenticationError),
        (403, {"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}, AuthenticationError),
        (301, {"Location": "http://169.254.169.254/"}, UnexpectedResponseError),
        (400, {}, QueryError),
        (401, {}, AuthenticationError),
        (403, {}, AccessDeniedError),
        (403, {"Retry-After": "7"}, RateLimitedError),
        (403, {"X-RateLimit-Remaining": "0"}, RateLimitedError),
        (404, {}, UnexpectedResponseError),
        (408, {}, UnavailableError),
        (410, {}, UnexpectedResponseError),
        (429, {}, RateLimitedError),
        (500, {}, UnavailableError),
        (502, {}, UnavailableError),
        (503, {}, UnavailableError),
        (503, {"Retry-After": "7"}, UnavailableError),
        (503, {"RateLimit-Reason": "jira-burst-based"}, RateLimitedError),
    ],
)
def test_a_status_names_what_to_do(status: int, headers: dict[str, str], expected: type[ConnectorError] | None) -> None:
    found = _failure(status, headers)
    assert (type(found) if found else None) is expected


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("7", timedelta(seconds=7)),
        ("0", timedelta(0)),
        ("0.25", timedelta(milliseconds=250)),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("99999999999999999999", timedelta(days=1)),
        ("Sun, 22 Nov 2026 09:31:00 GMT", timedelta(seconds=60)),
        ("Sun, 22 Nov 2026 09:00:00 GMT", timedelta(0)),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_is_what_the_tool_asks_for_within_sense(status: int, value: str | None, wait: timedelta | None) -> None:
    found = _failure(status, {} if value is None else {"Retry-After": value})
    assert isinstance(found, (RateLimitedError, UnavailableError))
    assert found.retry_after == wait


def test_a_refused_query_is_told_in_jiras_own_words() -> None:
    words = "Field 'foo' does not exist or you do not have permission to view it."
    body = json.dumps({"errorMessages": [words, "Second\nline."], "errors": {"jql": "bad"}}).encode()
    assert words in str(_failure(400, body=body))
    assert "Second line. jql: bad" in str(_failure(400, body=body))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errorMessages":"x"}', b"[" * 99_999, b"\xff"])
def test_words_that_can_not_be_read_are_left_out(body: bytes) -> None:
    assert str(_failure(400, body=body)) == "Jira refuses the query."


def test_words_are_cut_to_what_a_person_reads() -> None:
    assert len(str(_failure(400, body=json.dumps({"errorMessages": ["x" * 99_999]}).encode()))) < 1_000


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("jira-burst-based", "too many at a time"),
        ("jira-quota-global-based", "points of this hour"),
        ("jira-quota-tenant-based", "points of this hour"),
        ("jira-per-issue-on-write", "one issue"),
        ("something-new", "(something-new)."),
    ],
)
def test_which_limit_was_met_is_told(reason: str, words: str) -> None:
    assert words in str(_failure(429, {"RateLimit-Reason": reason}))


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"RateLimit-Reason": "jira-burst-based", "Retry-After": "2"}, timedelta(seconds=2)),
        (429, {"RateLimit-Reason": "jira-burst-based", "Retry-After": "0"}, timedelta(milliseconds=50)),
        (429, {"RateLimit-Reason": "jira-burst-based", "Retry-After": "6"}, None),
        (429, {"RateLimit-Reason": "jira-burst-based", "Retry-After": "soon"}, None),
        (429, {"RateLimit-Reason": "jira-burst-based"}, None),
        (429, {"RateLimit-Reason": "jira-quota-global-based", "Retry-After": "2"}, None),
        (429, {"X-RateLimit-FillRate": "1", "Retry-After": "0"}, timedelta(milliseconds=50)),
        (
            429,
            {"X-RateLimit-FillRate": "10", "X-RateLimit-Interval-Seconds": "4", "Retry-After": "0"},
            timedelta(milliseconds=400),
        ),
        (
            429,
            {"X-RateLimit-FillRate": "1", "X-RateLimit-Interval-Seconds": "3600", "Retry-After": "0"},
            timedelta(seconds=5),
        ),
        (
            429,
            {"X-RateLimit-FillRate": "0", "X-RateLimit-Interval-Seconds": "1", "Retry-After": "0"},
            timedelta(milliseconds=50),
        ),
        (429, {"Retry-After": "2"}, None),
        (503, {"RateLimit-Reason": "jira-burst-based", "Retry-After": "2"}, None),
    ],
)
def test_only_a_limit_of_requests_at_a_time_is_waited_for(
    status: int, headers: dict[str, str], wait: timedelta | None
) -> None:
    assert short_wait(status, httpx.Headers(headers), NOW) == wait


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected", "words"),
    [
        (401, {}, b"Client must be authenticated", AuthenticationError, "wrong, expired or revoked"),
        (401, {}, b'{"code":401,"message":"Unauthorized; scope does not match"}', AccessDeniedError, "lacks a scope"),
        (403, {"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}, b"", AuthenticationError, "with a browser"),
        (403, {}, b'{"errorMessages":["No."]}', AccessDeniedError, "may not read this: No."),
    ],
)
def test_what_is_refused_says_what_helps(
    status: int, headers: dict[str, str], body: bytes, expected: type[ConnectorError], words: str
) -> None:
    found = _failure(status, headers, body)
    assert type(found) is expected
    assert words in str(found)
