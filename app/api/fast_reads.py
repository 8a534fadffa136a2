"""Polls whose answer did not change: 304 without judging, ahead of the routes.

The routes give every read an entity tag over its content. Which tag a reader got is kept together with the version of
the data (`app.store.data_version`) and the minute: judgements have a resolution of a minute. As long as neither moved,
the same token asking the same thing with that tag is answered at once. Whatever is written, a revoked token and a team
that became private among it, makes the next read a whole one: at once on SQLite and for what this process wrote; on
PostgreSQL, where one look every few milliseconds serves all polls, `RELIED_ON` seconds later at the most.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import is_known
from app.api.front import SAFE, request_id_of
from app.store.data_version import DataVersion, Version
from app.telemetry import Telemetry

#: What depends on nothing but the database, the minute and who asks; with the name that the counters know it by.
_ROUTES = {
    "/v1/key-results": "/v1/key-results/{team}/{name}",
    "/v1/objectives": "/v1/objectives/{team}/{name}",
    "/v1/metrics": "/v1/metrics/{team}/{name}",
    "/v1/alignment": "",
}
#: Another moment than now is computed every time.
_PAST = (b"as_of", b"known_at", b"%")
_MOST = 10_000
_EMPTY: Message = {"type": "http.response.body", "body": b""}
_READING = ("GET", "HEAD", "OPTIONS")

Key = tuple[bytes, str, bytes, bytes]
At = tuple[Version, int]
Headers = list[tuple[bytes, bytes]]


class FastReads:
    """Wraps the routes. `version` and `clock` are set by the lifespan."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.version: DataVersion | None = None
        self.clock: Callable[[], datetime] | None = None
        self._app = app
        self._telemetry = telemetry
        self._at: At | None = None
        self._tags: dict[Key, str] = {}
        self._asking: dict[tuple[Key, At], asyncio.Event] = {}
        self._counters: dict[str, tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._other(scope, receive, send)
            return
        route = _route(scope["path"])
        asked = None if route is None else _asked(scope["path"], scope["query_string"], scope["headers"])
        if route is None or asked is None or self.version is None:
            await self._app(scope, receive, send)
            return
        key, given = asked
        at = self._at_now(self.version.latest() or await self.version.read())
        if at is not None and given is not None:
            tag = await self._tag(key, at)
            if tag is not None and _has(given, tag):
                head = [*_not_modified(tag), (b"x-request-id", request_id_of(scope).encode())]
                await send({"type": "http.response.start", "status": 304, "headers": head})
                await send(_EMPTY)
                self._count(route, time.perf_counter() - began)
                return
        await self._read(scope, receive, send, key, at)

    def at_once(self, path: str, query: bytes, headers: Headers) -> bytes | None:
        """The lines of the headers of the 304 that a GET gets, where that is known without waiting for anything; else
        None. For a server that can answer before it makes a task of a request."""
        began = time.perf_counter()
        if self.version is None:
            return None
        route = _route(path)
        asked = None if route is None else _asked(path, query, headers)
        if route is None or asked is None or asked[1] is None or (tag := self._tags.get(asked[0])) is None:
            return None
        if self._at != self._at_now(self.version.latest()) or not _has(asked[1], tag):
            return None
        self._count(route, time.perf_counter() - began)
        return b"%sx-request-id: %s\r\n" % (_lines(tag), request_id_of({"headers": headers}).encode())

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is no poll. Whoever is told that something was changed finds it changed."""
        if self.version is None or scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        forget = self.version.forget

        async def answer(message: Message) -> None:
            forget()
            await send(message)

        await self._app(scope, receive, answer)

    async def _tag(self, key: Key, at: At) -> str | None:
        """The tag of what is asked, where it is known at that version; waits for whoever is finding it out just now."""
        asking = self._asking.get((key, at))
        if asking is not None:
            await asking.wait()
        return self._tags.get(key) if at == self._at else None

    def _count(self, route: str, seconds: float) -> None:
        if route not in self._counters:
            requests = self._telemetry.requests.labels("GET", route, "304")
            self._counters[route] = (requests, self._telemetry.request_seconds.labels(route))
        requests, timing = self._counters[route]
        requests.inc()
        timing.observe(seconds)

    def _at_now(self, version: Version | None) -> At | None:
        # Before the answer is computed, never after: what is written meanwhile makes this version one of the past.
        return None if version is None or self.clock is None else (version, int(self.clock().timestamp()) // 60)

    async def _read(self, scope: Scope, receive: Receive, send: Send, key: Key, at: At | None) -> None:
        """Ask the routes, and keep the tag that they give."""
        if at is None:
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                for name, value in message["headers"]:
                    if name == b"etag":
                        self._keep(key, at, value.decode("latin-1"))
            await send(message)

        is_over = self._asking.setdefault((key, at), asyncio.Event())
        try:
            await self._app(scope, receive, answer)
        finally:
            is_over.set()
            self._asking.pop((key, at), None)

    def _keep(self, key: Key, at: At, tag: str) -> None:
        if at != self._at or len(self._tags) >= _MOST:
            self._at = at
            self._tags.clear()
        self._tags[key] = tag


def _route(path: str) -> str | None:
    """How the counters name a path that may be answered here, None for any other."""
    if path in _ROUTES:
        return path
    parts = path.split("/")
    return _ROUTES.get(f"/v1/{parts[2]}") or None if len(parts) == 5 and parts[1] == "v1" else None


def _asked(path: str, query: bytes, headers: Headers) -> tuple[Key, str | None] | None:
    """What is asked by whom, and the tag that they have; None for what the routes are to answer in any case."""
    if query and any(word in query for word in _PAST):
        return None
    token = accept = given = None
    for name, value in headers:
        if name == b"authorization":
            if token is not None:
                return None
            token = value
        elif name == b"if-none-match":
            if given is not None:
                return None
            given = value
        elif name == b"accept":
            if accept is not None:
                return None
            accept = value
        elif name == b"content-length" or name == b"transfer-encoding":
            return None
    if token is None:
        return None
    return (token, path, query, accept or b""), None if given is None else given.decode("latin-1")


def _has(given: str, tag: str) -> bool:
    return given == tag or is_known([given], tag.removeprefix("W/"))


@lru_cache(maxsize=1_024)
def _not_modified(tag: str) -> Headers:
    return [(b"etag", tag.encode("latin-1")), (b"cache-control", b"private, no-cache"), *SAFE]


@lru_cache(maxsize=1_024)
def _lines(tag: str) -> bytes:
    return b"".join(b"%s: %s\r\n" % pair for pair in _not_modified(tag))
