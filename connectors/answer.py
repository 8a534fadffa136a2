"""What every connector does with an answer: its status as an error, its Retry-After, its strict JSON, its number."""

import base64
import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from email.utils import parsedate_to_datetime

import httpx

from connectors.contract import JsonValue
from connectors.decoding import decode
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)

MAX_RETRY_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """The number of a query; None with the reason where there is none."""

    value: Decimal | None
    reason: str | None = None


def raise_for_status(
    response: httpx.Response, *, tool: str, now: datetime | None = None, detail: str | None = None
) -> None:
    """Return for a 2xx, else raise what the status means. `tool` begins the message ("Jira"), `detail` ends it.

    401 AuthenticationError; 403 AccessDeniedError, or RateLimitedError where it says so; 429 RateLimitedError; 400,
    404, 405, 410, 413, 414 and 422 QueryError; 408, 425 and 5xx UnavailableError; else UnexpectedResponseError. A date
    in Retry-After counts from the answer's own Date, or from `now`. `detail` must hold no secret.
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    end = f": {detail}" if detail else "."
    base = _http_date(response.headers.get("date")) or now
    retry_after = parse_retry_after(response.headers.get("retry-after"), base)
    says_limited = response.headers.get("x-ratelimit-remaining", "").strip() == "0"
    if status == 429 or (status in (403, 503) and says_limited) or (status == 403 and retry_after is not None):
        raise RateLimitedError(f"{tool} asks for fewer requests (HTTP {status}){end}", retry_after=retry_after)
    if status == 401:
        raise AuthenticationError(f"{tool} refused the credential (HTTP 401){end}")
    if status == 403:
        raise AccessDeniedError(f"{tool} refused access (HTTP 403){end}")
    if status in (400, 404, 405, 410, 413, 414, 422):
        raise QueryError(f"{tool} could not do what it was asked (HTTP {status}){end}")
    if status in (408, 425) or status >= 500:
        raise UnavailableError(f"{tool} is not available (HTTP {status}){end}", retry_after=retry_after)
    if status == 304:
        raise UnexpectedResponseError(
            f"{tool} answered that nothing has changed (HTTP 304), and not with what there is{end}"
        )
    if 300 <= status < 400:
        raise UnexpectedResponseError(f"{tool} answered with a redirect (HTTP {status}), which is not followed{end}")
    raise UnexpectedResponseError(f"{tool} answered with HTTP {status}{end}")


def digest_of(said: object) -> str:
    """`sha256:` of what a tool said, which tells it from another answer of the same number."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def parse_retry_after(value: str | None, now: datetime | None) -> timedelta | None:
    """The wait of a Retry-After header (RFC 9110, 10.2.3): seconds, fractions too, or an HTTP date counted from `now`.

    None where it says nothing usable (absent, negative, not a number, a date without `now`); a past date is zero, and
    more than a day is a day.
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?", value):
        seconds = Decimal(value)
        if seconds >= Decimal(int(MAX_RETRY_AFTER.total_seconds())):
            return MAX_RETRY_AFTER
        return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value(ROUND_CEILING)))
    date = _http_date(value)
    if date is None or now is None:
        return None
    return min(max(date - now, timedelta(0)), MAX_RETRY_AFTER)


def _http_date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    return date if date is not None and date.tzinfo is not None else None


def decode_json(response: httpx.Response, *, tool: str = "The tool") -> JsonValue:
    """The strict JSON value of a read answer (`decode`); UnexpectedResponseError on HTML, truncation and emptiness."""
    return decode(response.content, source=f"The answer of {tool}")


def without_credential(body: bytes, authorization: str) -> bytes:
    """`body` without the credential of an Authorization header: as it was sent, and the password of a Basic one."""
    credential = authorization.partition(" ")[2].strip() or authorization
    secrets = [credential.encode("utf-8", "surrogateescape")]
    if authorization.lower().startswith("basic "):
        with contextlib.suppress(ValueError):  # not base64: no password to find
            secrets.append(base64.b64decode(credential).partition(b":")[2])
    for secret in secrets:
        if len(secret) >= 4:  # a shorter one would take ordinary words apart, and is no secret
            body = body.replace(secret, b"[credential]")
    return body
