"""A Jira answer that is not a plain success, as one of `connectors.errors`. Pure.

Status codes: https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes
Rate limits: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec

from connectors.answer import parse_retry_after
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)

_LONGEST_WORDS = 600

# Jira answers an unreadable credential as it would a stranger, with 200 and fewer issues, and says so here only.
_LOGIN_HEADER = "x-seraph-loginreason"
_LOGIN_REFUSED = "AUTHENTICATED_FAILED"
#: After many wrong logins one's own server wants a person in front of a browser, whatever the token is.
#: https://confluence.atlassian.com/jirakb/configure-captcha-login-protection-in-jira-server-and-data-center-1018784905.html
_LOGIN_DENIED = "AUTHENTICATION_DENIED"
_REFUSED = "Jira does not accept the token: it is wrong, expired or revoked, or not this account's."


# https://developer.atlassian.com/cloud/jira/platform/rate-limiting/#rate-limit-response-headers
_LIMITS = {
    "burst": "too many at a time",
    "quota": "the points of this hour are used up",
    "per-issue": "too many for one issue",
}
LONGEST_WAIT = timedelta(seconds=5)
_SHORTEST_WAIT = timedelta(milliseconds=50)
_COUNT = re.compile(r"[1-9][0-9]{0,6}")


class _Refusal(msgspec.Struct):
    errorMessages: list[str] = []
    errors: dict[str, str] = {}
    message: str | None = None


def failure(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ConnectorError | None:
    """The failure that an answer stands for, or None for a success. `headers` looks names up in any case."""
    login = headers.get(_LOGIN_HEADER, "").upper()
    if _LOGIN_DENIED in login:
        return AuthenticationError("Jira wants the account to log in with a browser once: too many logins failed.")
    if _LOGIN_REFUSED in login:
        return AuthenticationError(_REFUSED)
    if 200 <= status < 300:
        return None
    words = jira_words(body)
    said = f": {words}" if words else "."
    wait = parse_retry_after(headers.get("retry-after"), now)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status in (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE) and _is_rate_limit(status, headers)
    ):
        return RateLimitedError(f"Jira asks for fewer requests{_limit(headers)}.", retry_after=wait)
    if status == HTTPStatus.UNAUTHORIZED:
        # The gateway's word for a token that is right and lacks a scope: another token helps, and no other account.
        is_scope = "scope does not match" in words.casefold()
        return AccessDeniedError(f"The API token lacks a scope{said}") if is_scope else AuthenticationError(_REFUSED)
    if status == HTTPStatus.FORBIDDEN:
        return AccessDeniedError(f"The Jira account may not read this{said}")
    if status == HTTPStatus.BAD_REQUEST:
        return QueryError(f"Jira refuses the query{said}")
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"Jira is not available (HTTP {status}).", retry_after=wait)
    if 300 <= status < 400:
        return UnexpectedResponseError(f"Jira answers with a redirect (HTTP {status}): check the connection's url.")
    return UnexpectedResponseError(f"Jira answers HTTP {status}{said}")


def _limit(headers: Mapping[str, str]) -> str:
    """Which of its limits Jira means, in words where they are known."""
    reason = headers.get("ratelimit-reason", "")
    if not reason.replace("-", "").isalnum():
        return ""
    meaning = next((words for part, words in _LIMITS.items() if part in reason), None)
    return f" ({reason[:60]}: {meaning})" if meaning else f" ({reason[:60]})"


def short_wait(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long to hold still and go on, where a limit is of requests at a time and soon over; None for any other.

    Points for an hour are waited for by ending the run. Data Center's bucket gives tokens back every few seconds, and
    says 0 where one is there already.
    """
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    is_bucket = "ratelimit-reason" not in headers and "x-ratelimit-fillrate" in headers
    if not is_bucket and "burst" not in headers.get("ratelimit-reason", ""):
        return None
    wait = parse_retry_after(headers.get("retry-after"), now)
    if wait is None or wait > LONGEST_WAIT:
        return None
    return max(wait, _next_token(headers) if is_bucket else _SHORTEST_WAIT)


def _next_token(headers: Mapping[str, str]) -> timedelta:
    """How long a bucket takes to give one token back, within our bounds.
    https://confluence.atlassian.com/adminjiraserver/adjusting-your-code-for-rate-limiting-987143384.html"""
    fill, interval = headers.get("x-ratelimit-fillrate", ""), headers.get("x-ratelimit-interval-seconds", "")
    if not (_COUNT.fullmatch(fill) and _COUNT.fullmatch(interval)):
        return _SHORTEST_WAIT
    return min(max(timedelta(seconds=int(interval)) / int(fill), _SHORTEST_WAIT), LONGEST_WAIT)


def _is_rate_limit(status: int, headers: Mapping[str, str]) -> bool:
    if "ratelimit-reason" in headers or headers.get("x-ratelimit-remaining", "").strip() == "0":
        return True
    # A 503 may be told to come back later for any reason; a 403 never is, unless it is a limit.
    return status == HTTPStatus.FORBIDDEN and "retry-after" in headers


def jira_words(body: bytes) -> str:
    """What Jira says is wrong, in its own words and cut to a readable length; empty where it says nothing."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""
    words = [*refusal.errorMessages, *(f"{key}: {value}" for key, value in refusal.errors.items())]
    if not words and refusal.message:
        words = [refusal.message]
    return " ".join(" ".join(words).split())[:_LONGEST_WORDS]
