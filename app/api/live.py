"""`GET /v1/live`: server-sent events for what changes, for as long as a reader stays.

A bare ASGI application beside the routes, as thousands of streams may be open: each holds its place in the hub's log
and nothing else. It resumes by `Last-Event-ID`; a reader that can not keep up is let go.
"""

import asyncio
import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

import structlog
from starlette.types import Message, Receive, Scope, Send

from app.api.front import as_app_error, request_id_of, send_problem
from app.api.problem import plain_error
from app.errors import Forbidden, StoreUnavailable, Unauthenticated
from app.services.live import Expired, Listener, LiveHub, Sight, Start
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
#: Seconds that one piece may take to be sent before its reader is let go.
PATIENCE = 30.0

_RESET = b"event: reset\ndata: {}\n"
_LAST_ID = re.compile(rb"[0-9a-f.]{1,120}")


@dataclass(frozen=True, slots=True)
class LiveDoor:
    """What the endpoint works with; there from the start of the lifespan to its end."""

    database: Database
    hub: LiveHub


class _Stream:
    """One open stream. Its principal is another one once what the token may see has changed."""

    __slots__ = ("listener", "principal", "sight")

    def __init__(self, listener: Listener, principal: Principal) -> None:
        self.listener = listener
        self.see_as(principal)

    def see_as(self, principal: Principal) -> None:
        self.principal = principal
        self.sight: Sight = (principal.team, principal.hidden)


class Live:
    """The endpoint. `door` is set by the lifespan, which also keeps `watch` running."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.door: LiveDoor | None = None
        self._telemetry = telemetry
        self._streams: dict[str, set[_Stream]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        try:
            door, token, principal = await self._let_in(scope)
            stream = _Stream(await door.hub.join(), principal)
        except Exception as error:
            await send_problem(send, as_app_error(error), request_id, with_body=scope["method"] != "HEAD")
            return
        self._add(token, stream)
        try:
            # What a frame here refers to is kept as long as the stream is: there are a thousand of them.
            del principal
            number = await _begin(door.hub, stream, scope, request_id, send)
            if number is not None:
                await _serve(door.hub, stream, number, receive, send)
        except TimeoutError:
            log.info("live.slow_reader", request_id=request_id)
            raise
        finally:
            door.hub.leave(stream.listener)
            self._remove(token, stream)

    def end(self) -> None:
        """End every stream: the server is about to go. Readers come back by themselves."""
        for streams in self._streams.values():
            for stream in streams:
                stream.listener.end()

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
            for token, streams in list(self._streams.items()):
                await _look_at(door.database, token, streams, is_due=is_due)

    async def _let_in(self, scope: Scope) -> tuple[LiveDoor, str, Principal]:
        if scope["method"] != "GET":
            raise plain_error(405, "Read the stream by GET.", Allow="GET")
        if scope["query_string"]:
            raise plain_error(400, "It takes no parameters; a token in an address would end up in logs.")
        door = self.door
        if door is None:
            raise StoreUnavailable
        token = _token(scope)
        principal = await authenticate(door.database, token)
        if not principal.may("read"):
            raise Forbidden("It needs the scope read.")
        if door.hub.listeners >= MOST_STREAMS or len(self._streams.get(token, ())) >= MOST_OF_A_TOKEN:
            raise StoreUnavailable("Too many streams are open.", retry_after=30)
        return door, token, principal

    def _add(self, token: str, stream: _Stream) -> None:
        streams = self._streams.setdefault(token, set())
        twin = next(iter(streams), None)
        if twin is not None and twin.principal == stream.principal:
            stream.principal, stream.sight = twin.principal, twin.sight  # kept once
        streams.add(stream)
        self._telemetry.streams.inc()

    def _remove(self, token: str, stream: _Stream) -> None:
        streams = self._streams[token]
        streams.discard(stream)
        if not streams:
            del self._streams[token]
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


async def _begin(hub: LiveHub, stream: _Stream, scope: Scope, request_id: str, send: Send) -> int | None:
    """Tell a reader what it missed; the number of the event to go on from, None where it was refused. No change after
    this begins is lost."""
    start = Start(hub.end, hub.mark)
    try:
        begin = await _beginning(hub, stream, _header(scope, b"last-event-id"), start)
    except Exception as error:
        await send_problem(send, as_app_error(error), request_id)
        return None
    await send(_start(request_id))
    await send(_piece(b"retry: 2000\n\n" + begin))
    return start.number


async def _serve(hub: LiveHub, stream: _Stream, number: int, receive: Receive, send: Send) -> None:
    """Tell a reader what comes, until it leaves or has to go."""
    listener = stream.listener
    await receive()  # the request's body, of which there is none
    leaving = asyncio.ensure_future(receive())
    leaving.add_done_callback(listener.left)
    try:
        while not listener.is_over:
            if number == hub.end and not await listener.wait():
                break
            try:
                piece = hub.piece(number, stream.sight, stream.principal.may_see)
            except Expired:
                piece = hub.joined([_RESET])
            number = hub.end
            if listener.is_due:
                listener.is_due = False
                piece = piece or b": alive\n" + hub.mark
            if piece:
                async with asyncio.timeout(PATIENCE):
                    await send(_piece(piece))
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()


async def _beginning(hub: LiveHub, stream: _Stream, last_id: bytes | None, start: Start) -> bytes:
    """What a reader that comes back has missed; where it stands, for one that comes for the first time."""
    if last_id is None:
        return b"event: ready\ndata: {}\n" + start.mark
    try:
        if not _LAST_ID.fullmatch(last_id):
            raise Expired
        missed = await hub.missed(last_id.decode(), start)
    except Expired:
        return _RESET + start.mark
    return b"\n".join(event.data for event in missed if stream.principal.may_see(event.team)) + start.mark


async def _look_at(database: Database, token: str, streams: set[_Stream], *, is_due: bool) -> None:
    """See whether a token still opens the door, and to what; its streams end where it does not."""
    principal: Principal | None = None
    try:
        principal = await authenticate(database, token)
        is_valid = principal.may("read")
    except Unauthenticated:
        is_valid = False
    except Exception as error:
        log.warning("live.token_not_checked", error=type(error).__name__)
        is_valid = True
    for stream in list(streams):
        if not is_valid:
            stream.listener.end()
            continue
        if principal is not None:
            stream.see_as(principal)
        if is_due:
            stream.listener.beat()


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


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
