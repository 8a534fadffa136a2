"""`GET /v1/live`: server-sent events for what changes, for as long as a reader stays.

A bare ASGI application beside the routes, as thousands of streams may be open: each holds its place in the hub's log
and nothing else, and our own server takes them over (`app.taken`), so that none needs a task. It resumes by
`Last-Event-ID`; a reader that can not keep up is let go.
"""

import asyncio
import re
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie

import structlog
from starlette.types import Message, Receive, Scope, Send

from app.api.front import as_app_error, request_id_of, send_problem
from app.api.live_stream import HOLD, RESET, Audience, Hold, Stream, part, sent_by
from app.api.problem import plain_error
from app.errors import Forbidden, StoreUnavailable, Unauthenticated
from app.services.live import Expired, LiveHub, Start
from app.services.tokens import COOKIE, Principal, authenticate
from app.store.database import Database
from app.telemetry import Telemetry

log = structlog.get_logger(__name__)

PATH = "/v1/live"
#: Streams of one process, and of one token.
MOST_STREAMS = 2_000
MOST_OF_A_TOKEN = 1_200
#: Seconds between signs of life; every token is looked at again as often, and whenever one changes.
HEARTBEAT = 15.0

_LAST_ID = re.compile(rb"[0-9a-f.]{1,120}")


@dataclass(frozen=True, slots=True)
class LiveDoor:
    """What the endpoint works with; there from the start of the lifespan to its end."""

    database: Database
    hub: LiveHub


class Live:
    """The endpoint. `door` is set by the lifespan, which also keeps `watch` running."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.door: LiveDoor | None = None
        self._telemetry = telemetry
        self._audiences: dict[str, Audience] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        try:
            stream, beginning = await self._let_in(scope)
        except Exception as error:
            await send_problem(send, as_app_error(error), request_id, with_body=scope["method"] != "HEAD")
            return
        is_held = False
        try:
            await send(_start(request_id))
            await send(part(b"retry: 2000\n\n" + beginning))
            hold: Hold | None = scope.get("extensions", {}).get(HOLD)
            is_held = hold is not None and hold(stream)
            if not is_held:
                await sent_by(stream, receive, send)
        except TimeoutError:
            log.info("live.slow_reader", request_id=request_id)
            raise
        finally:
            if not is_held:
                stream.leave()

    def end(self) -> None:
        """End every stream, and let nobody in: the server is about to go. Readers come back by themselves."""
        self.door = None
        for audience in list(self._audiences.values()):
            for stream in list(audience.streams):
                stream.end()

    async def watch(self) -> None:
        """Signs of life for every stream, and the end of those whose token was revoked; for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time() + HEARTBEAT
        while True:
            door = self.door
            if door is None:
                await asyncio.sleep(HEARTBEAT)
                continue
            try:
                async with asyncio.timeout_at(due):
                    await door.hub.access_changed.wait()
            except TimeoutError:
                pass
            door.hub.access_changed.clear()
            is_due = loop.time() >= due
            if is_due:
                due = loop.time() + HEARTBEAT
            for token, audience in list(self._audiences.items()):
                await _look_at(door.database, token, audience, is_due=is_due)

    async def _let_in(self, scope: Scope) -> tuple[Stream, bytes]:
        """The stream of who may read, and what is told first. No change after that is lost."""
        if scope["method"] != "GET":
            raise plain_error(405, "Read the stream by GET.", Allow="GET")
        if scope["query_string"]:
            raise plain_error(400, "It takes no parameters; a token in an address would end up in logs.")
        door = self._open_door()
        token = _token(scope)
        principal = await authenticate(door.database, token)
        if not principal.may("read"):
            raise Forbidden("It needs the scope read.")
        stream = self._add(token, principal)
        try:
            await door.hub.join(stream)
            return stream, await _beginning(door.hub, stream, _header(scope, b"last-event-id"))
        except BaseException:
            stream.leave()
            raise

    def _open_door(self) -> LiveDoor:
        if self.door is None:
            raise StoreUnavailable
        return self.door

    def _add(self, token: str, principal: Principal) -> Stream:
        hub = self._open_door().hub
        audience = self._audiences.get(token)
        if hub.listeners >= MOST_STREAMS or (audience is not None and len(audience.streams) >= MOST_OF_A_TOKEN):
            raise StoreUnavailable("Too many streams are open.", retry_after=30)
        if audience is None:
            audience = self._audiences[token] = Audience(hub, principal, partial(self._lost_one, token))
        stream = Stream(audience)
        audience.streams.add(stream)
        self._telemetry.streams.inc()
        return stream

    def _lost_one(self, token: str, audience: Audience) -> None:
        if not audience.streams:
            del self._audiences[token]
        self._telemetry.streams.dec()


def _start(request_id: str) -> Message:
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", request_id.encode()),
        ],
    }


async def _beginning(hub: LiveHub, stream: Stream, last_id: bytes | None) -> bytes:
    """What a reader that comes back has missed; where it stands, for one that comes for the first time."""
    start = Start(hub.end, hub.mark)
    stream.begin_at(start.number)
    if last_id is None:
        return b"event: ready\ndata: {}\n" + start.mark
    try:
        if not _LAST_ID.fullmatch(last_id):
            raise Expired
        missed = await hub.missed(last_id.decode(), start)
    except Expired:
        return RESET + start.mark
    return b"\n".join(event.data for event in missed if stream.may_see(event.team)) + start.mark


async def _look_at(database: Database, token: str, audience: Audience, *, is_due: bool) -> None:
    """See whether a token still opens the door, and to what; its streams end where it does not."""
    try:
        principal = await authenticate(database, token)
        is_valid = principal.may("read")
        audience.see_as(principal)
    except Unauthenticated:
        is_valid = False
    except Exception as error:
        log.warning("live.token_not_checked", error=type(error).__name__)
        is_valid = True
    for stream in list(audience.streams):
        if not is_valid:
            stream.end()
        elif is_due:
            stream.beat()


def _header(scope: Scope, name: bytes) -> bytes | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0] if len(found) == 1 else None


def _token(scope: Scope) -> str:
    """The bearer token, or the one that the dashboard keeps in a cookie; Unauthenticated without either."""
    given = _header(scope, b"authorization")
    if given is not None:
        scheme, _, token = given.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        return token
    site = _header(scope, b"sec-fetch-site")
    cookie: SimpleCookie | None = None
    try:
        cookie = SimpleCookie((_header(scope, b"cookie") or b"").decode("latin-1"))
    except CookieError:
        cookie = None
    kept = None if cookie is None else cookie.get(COOKIE)
    if kept is None or site not in (None, b"same-origin"):
        raise Unauthenticated
    return str(kept.value)
