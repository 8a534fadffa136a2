"""The bad days of a tool that every connector has to name: the "Tool's answer" list of the promises."""

import functools
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import httpx

from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.testing.case import Site

METADATA = "http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True)
class Failure:
    """A bad day of a tool: its answer to every request, and the errors that say so."""

    name: str
    answer: Site
    expected: tuple[type[ConnectorError], ...]


def _status(
    status: int,
    *expected: type[ConnectorError],
    name: str = "",
    body: bytes = b'{"message": "no"}',
    headers: Mapping[str, str] | None = None,
) -> Failure:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))  # a stream is sent as it is

    return Failure(name or str(status), answer, expected)


def _body(name: str, content: bytes, *, kind: str = "application/json", coding: str = "identity") -> Failure:
    headers = {"content-type": kind, "content-encoding": coding}
    return _status(200, UnexpectedResponseError, name=name, body=content, headers=headers)


def _raising(name: str, error: Callable[[str], Exception]) -> Failure:
    def answer(request: httpx.Request) -> NoReturn:
        raise error("the tool is away")

    return Failure(name, answer, (UnavailableError,))


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(200 * 1024 * 1024))


RETRY_AFTER = {
    "none": None,
    "seconds": "7",
    "fraction": "0.5",
    "negative": "-5",
    "absurd": "99999999999999999999",
    "a date": "Sun, 22 Nov 2026 09:31:00 GMT",
    "a past date": "Thu, 01 Jan 1970 00:00:00 GMT",
    "no sense": "soon",
}

FAILURES: tuple[Failure, ...] = (
    _status(401, AuthenticationError),
    _status(403, AccessDeniedError),
    _status(403, RateLimitedError, name="403 as a rate limit", headers={"retry-after": "7"}),
    _status(404, QueryError, AccessDeniedError, UnexpectedResponseError),
    *(
        _status(429, RateLimitedError, name=f"429 with {name}", headers={"retry-after": value} if value else None)
        for name, value in RETRY_AFTER.items()
    ),
    _status(500, UnavailableError),
    _status(502, UnavailableError, name="502 with HTML", body=b"<html>Bad gateway</html>"),
    _status(503, UnavailableError, RateLimitedError, name="503 with Retry-After", headers={"retry-after": "7"}),
    _status(302, UnexpectedResponseError, AuthenticationError, name="a redirect", headers={"location": METADATA}),
    _raising("a time-out", httpx.ReadTimeout),
    _raising("a refused connection", httpx.ConnectError),
    _raising("a cut connection", httpx.ReadError),
    _body("an HTML login page", b"<!DOCTYPE html><html>Log in</html>", kind="text/html"),
    _body("truncated JSON", b'{"issues": [{"id": "1", '),
    _body("an empty body", b""),
    _body("JSON of another shape", b"7"),
    _body("null", b"null"),
    _body("NaN", b"NaN"),
    _body("deep JSON", b"[" * 100_000),
    _body("text that is not UTF-8", b'{"\xff": 1}'),
    _body("bad gzip", b"not gzip", coding="gzip"),
    _body("an encoding that was not asked for", b"x", coding="br"),
    Failure(
        "200 MiB inflated from 200 KB",
        lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(_bomb())),
        (UnexpectedResponseError,),
    ),
)
