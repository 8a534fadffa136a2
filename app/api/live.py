"""`GET /v1/live`: server-sent events for what changes, for as long as a reader stays.

A bare ASGI application beside the routes, as thousands of streams may be open: each holds its place in the hub's log
and nothing else. It resumes by `Last-Event-ID`; a reader that can not keep up is let go.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

import structlog
from starlette.types import Message, Receive, Scope, Send

from app.api.front import as_app_error, request_id_of, send_problem
from app.api.problem import plain_error
from app.errors import Forbidden, StoreUnavailable, Unauthenticated
from app.services.live import Expired, Listener, LiveHub
from app.services.tokens import COOKIE, Principal, authenticate
from app.store.database import Database
from app.telemetry import Telemetry

log = structlog.get_logger(__name__)

PATH = "/v1/live"
#: Streams of one process, and of one token.
MOST_STREAMS = 2_000
MOST_OF_A_TOKEN = 1_200
#: Seconds between signs of life; the token is looked at again as often.
HEARTBEAT = 15.0
#: Seconds that one piece may take to be sent before its reader is let go.
PATIENCE = 30.0

_RESET = b"event: reset\ndata: {}\n"
_LAST_ID = re.compile(rb"[0-9.]{1,40}")


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
        self._streams: dict[str, set[Listener]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        try:
            door, token, principal = await self._let_in(scope)
            begin = await _beginning(door.hub, principal, _header(scope, b"last-event-id"))
        except Exception as error:
            await send_problem(send, as_app_error(error), request_id, with_body=scope["method"] != "HEAD")
            return
        self._telemetry.streams.inc()
        streams = self._streams.setdefault(token, set())
        async with door.hub.listening() as listener:
            streams.add(listener)
            leaving = asyncio.create_task(_left(receive, listener))
            try:
                await send(_start(request_id))
                await _stream(door.hub, listener, principal, begin, send)
            except TimeoutError:
                log.info("live.slow_reader", request_id=request_id)
                raise
            finally:
                leaving.cancel()
                streams.discard(listener)
                if not streams:
                    self._streams.pop(token, None)
                self._telemetry.streams.dec()

    async def watch(self) -> None:
        """Signs of life for every stream, and the end of those whose token was revoked; for ever."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            door = self.door
            for token, listeners in list(self._streams.items()):
                is_valid = door is not None and await _is_still_valid(door.database, token)
                for listener in list(listeners):
                    if is_valid:
                        listener.beat()
                    else:
                        listener.end()

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


async def _stream(hub: LiveHub, listener: Listener, principal: Principal, begin: list[bytes], send: Send) -> None:
    number = hub.end
    await send(_piece([b"retry: 2000\n\n", *begin]))
    while not listener.is_over:
        await listener.wait()
        pieces, number = _missed(hub, principal, number)
        if listener.is_due:
            listener.is_due = False
            pieces = pieces or [b": alive\n\n"]
        if pieces:
            async with asyncio.timeout(PATIENCE):
                await send(_piece(pieces))
    await send({"type": "http.response.body", "body": b""})


def _missed(hub: LiveHub, principal: Principal, number: int) -> tuple[list[bytes], int]:
    """What a reader has not had, and the number to go on from."""
    end = hub.end
    try:
        return [entry.data for entry in hub.since(number) if principal.may_see(entry.team)], end
    except Expired:
        return [_RESET + b"\n"], end


async def _beginning(hub: LiveHub, principal: Principal, last_id: bytes | None) -> list[bytes]:
    """What a reader that comes back has missed; where it stands, for one that comes for the first time."""
    place = await hub.place()
    mark = f"id: {place.sample}.{place.audit}\n\n".encode()
    if last_id is None:
        return [b"event: ready\ndata: {}\n", mark]
    try:
        if not _LAST_ID.fullmatch(last_id):
            raise Expired
        missed = await hub.missed(last_id.decode())
    except Expired:
        return [_RESET, mark]
    return [data + mark for team, data in missed if principal.may_see(team)]


async def _left(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()


async def _is_still_valid(database: Database, token: str) -> bool:
    try:
        await authenticate(database, token)
    except Unauthenticated:
        return False
    except Exception as error:
        log.warning("live.token_not_checked", error=type(error).__name__)
    return True


def _piece(parts: Sequence[bytes]) -> Message:
    return {"type": "http.response.body", "body": b"".join(parts), "more_body": True}


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
