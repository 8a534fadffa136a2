"""Reads answered ahead of the routes: polls whose answer did not change, and pages off the shelf.

The routes give every read an entity tag over its content. Which tag a reader got is kept together with the version of
the data (`app.store.data_version`) and the minute: judgements have a resolution of a minute. As long as neither moved,
the same token asking the same thing with that tag is answered at once. Whatever is written, a revoked token and a team
that became private among it, makes the next read a whole one: at once on SQLite and for what this process wrote; on
PostgreSQL, where one look every 25 milliseconds serves all polls, `RELIED_ON` seconds later at the most.

A list of key results that did change is joined from ready bytes for whoever the routes have answered before
(`app.api.ready_pages`).
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import JSON, is_known
from app.api.front import SAFE, request_id_of
from app.api.ready_pages import Key, ReadyPage, ReadyPages
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

At = tuple[Version, int]
Headers = list[tuple[bytes, bytes]]
#: A status, the lines of the headers, and the body.
Answer = tuple[int, bytes, bytes]


class FastReads:
    """Wraps the routes. `version`, `clock` and the pages' shelf are set by the lifespan."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.version: DataVersion | None = None
        self.clock: Callable[[], datetime] | None = None
        self.pages = ReadyPages()
        self._app = app
        self._telemetry = telemetry
        self._at: At | None = None
        self._tags: dict[Key, str] = {}
        self._asking: dict[tuple[Key, At], asyncio.Event] = {}
        self._counters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

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
                await self._not_modified(scope, send, tag)
                self._count(route, 304, time.perf_counter() - began)
                return
        page = await self._page(key)
        if page is None:
            await self._read(scope, receive, send, key, at)
            return
        if at is not None:
            self._keep(key, at, page.etag)
        if _has(given, page.etag):
            await self._not_modified(scope, send, page.etag)
            self._count(route, 304, time.perf_counter() - began)
            return
        body = page.body()
        own = [(b"content-length", b"%d" % len(body)), (b"content-type", JSON.encode())]
        await self._start(scope, send, 200, [*own, *_of_a_read(page.etag)])
        await send({"type": "http.response.body", "body": body})
        self._count(route, 200, time.perf_counter() - began)

    def at_once(self, path: str, query: bytes, headers: Headers) -> Answer | None:
        """What a GET gets, where that is known without waiting for anything; else None. For a server that can answer
        before it makes a task of a request."""
        began = time.perf_counter()
        if self.version is None:
            return None
        route = _route(path)
        asked = None if route is None else _asked(path, query, headers)
        if route is None or asked is None:
            return None
        key, given = asked
        body = b""
        tag = None if given is None else self._tags.get(key)
        if tag is None or not _has(given, tag) or self._at != self._at_now(self.version.latest()):
            page = self.pages.find_now(key)
            if page is None:
                return None
            tag = page.etag
            body = b"" if _has(given, tag) else page.body()
        status = 200 if body else 304
        self._count(route, status, time.perf_counter() - began)
        lines = b"%sx-request-id: %s\r\n" % (_lines(tag), request_id_of({"headers": headers}).encode())
        if body:
            lines += b"content-length: %d\r\ncontent-type: %s\r\n" % (len(body), JSON.encode())
        return status, lines, body

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

    async def _page(self, key: Key) -> ReadyPage | None:
        try:
            return await self.pages.find(key)
        except Exception:
            return None  # the routes find the same and say what it is

    async def _not_modified(self, scope: Scope, send: Send, etag: str) -> None:
        await self._start(scope, send, 304, _of_a_read(etag))
        await send(_EMPTY)

    async def _start(self, scope: Scope, send: Send, status: int, headers: Headers) -> None:
        head = [*headers, (b"x-request-id", request_id_of(scope).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})

    def _count(self, route: str, status: int, seconds: float) -> None:
        if (route, status) not in self._counters:
            requests = self._telemetry.requests.labels("GET", route, str(status))
            self._counters[route, status] = (requests, self._telemetry.request_seconds.labels(route))
        requests, timing = self._counters[route, status]
        requests.inc()
        timing.observe(seconds)

    def _at_now(self, version: Version | None) -> At | None:
        # Before the answer is computed, never after: what is written meanwhile makes this version one of the past.
        return None if version is None or self.clock is None else (version, int(self.clock().timestamp()) // 60)

    async def _read(self, scope: Scope, receive: Receive, send: Send, key: Key, at: At | None) -> None:
        """Ask the routes, and keep the tag that they give and the page that they note."""
        access = self.pages.access()
        inner, note = self.pages.noting(scope)
        is_good = False

        async def answer(message: Message) -> None:
            nonlocal is_good
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                is_good = True
                for name, value in message["headers"]:
                    if name == b"etag" and at is not None:
                        self._keep(key, at, value.decode("latin-1"))
            await send(message)

        is_over = asyncio.Event() if at is None else self._asking.setdefault((key, at), asyncio.Event())
        try:
            await self._app(inner, receive, answer)
        finally:
            is_over.set()
            if at is not None:
                self._asking.pop((key, at), None)
        if is_good:
            self.pages.keep(key, note, access)

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
    if query and _is_past(query):
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


@lru_cache(maxsize=1_024)
def _is_past(query: bytes) -> bool:
    return any(word in query for word in _PAST)


def _has(given: str | None, tag: str) -> bool:
    return given is not None and (given == tag or is_known([given], tag.removeprefix("W/")))


@lru_cache(maxsize=1_024)
def _of_a_read(tag: str) -> Headers:
    return [(b"etag", tag.encode("latin-1")), (b"cache-control", b"private, no-cache"), *SAFE]


@lru_cache(maxsize=1_024)
def _lines(tag: str) -> bytes:
    return b"".join(b"%s: %s\r\n" % pair for pair in _of_a_read(tag))
