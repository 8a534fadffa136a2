"""One event stream, and where it is written to.

A stream that is told of news writes them at once: it has a place in the log, and no task. How its bytes get out is its
outlet's business: that of any ASGI server is here (`sent_by`), that of a connection of our own in `app.taken`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import Message, Receive, Send

from app.services.live import Expired, LiveHub, Sight
from app.services.tokens import Principal

#: Tells a reader to read everything again.
RESET = b"event: reset\ndata: {}\n"
#: The extension of a scope by which a server takes streams over: a `Hold`.
HOLD = "krsync.hold"
#: Seconds that one piece may take to be sent before its reader is let go. Our own server has its own.
PATIENCE = 30.0


class Outlet(Protocol):
    """Where a stream is written to."""

    @property
    def is_full(self) -> bool:
        """Whether the reader has yet to take what was written. When it has, the outlet tells the stream."""

    def write(self, piece: bytes) -> None:
        """Send a piece."""

    def end(self) -> None:
        """Send the end: there is nothing after it."""


class Stream:
    """One who reads, from one place in the log on."""

    __slots__ = ("_audience", "_is_over", "_number", "_outlet")

    def __init__(self, audience: "Audience") -> None:
        self._audience = audience
        self._outlet: Outlet | None = None
        self._number = 0
        self._is_over = False

    def open(self, outlet: Outlet) -> None:
        """Write to it from here on, beginning with what came since `begin_at`."""
        if self._is_over:
            outlet.end()
            return
        self._outlet = outlet
        self.tell()

    def begin_at(self, number: int) -> None:
        """The event of that number is the first one that is told."""
        self._number = number

    def may_see(self, team: str) -> bool:
        """Whether its reader may see what is a team's."""
        return self._audience.principal.may_see(team)

    def tell(self) -> None:
        """Write what is new, where the reader has read what was before."""
        self._write(b"")

    def beat(self) -> None:
        """Write what is new, or a sign of life."""
        self._write(b": alive\n" + self._audience.hub.mark)

    def end(self) -> None:
        """Send the reader away."""
        outlet = self._outlet
        self.leave()
        if outlet is not None:
            outlet.end()

    def leave(self) -> None:
        """Nobody reads it any more."""
        if not self._is_over:
            self._is_over, self._outlet = True, None
            self._audience.lose(self)

    def _write(self, otherwise: bytes) -> None:
        outlet = self._outlet
        if outlet is None or outlet.is_full:
            return
        piece = self._audience.news(self._number) or otherwise
        self._number = self._audience.hub.end
        if piece:
            outlet.write(piece)


class Audience:
    """The streams of one token, which all see the same. Its principal is another one once that has changed."""

    def __init__(self, hub: LiveHub, principal: Principal, on_loss: Callable[["Audience"], None]) -> None:
        self.hub = hub
        self.streams: set[Stream] = set()
        self._on_loss = on_loss
        self.see_as(principal)

    def see_as(self, principal: Principal) -> None:
        """See what somebody may see."""
        self.principal = principal
        self._sight: Sight = (principal.team, principal.hidden)

    def news(self, number: int) -> bytes:
        """What is told of the events from a number on."""
        try:
            return self.hub.piece(number, self._sight, self.principal.may_see)
        except Expired:
            return self.hub.joined([RESET])

    def lose(self, stream: Stream) -> None:
        """One stream less."""
        self.hub.leave(stream)
        self.streams.discard(stream)
        self._on_loss(self)


#: Takes over a stream that has begun, once its server sent the beginning; False where it can not.
Hold = Callable[[Stream], bool]


class _Sending:
    """The outlet of a server that has to be waited for: one piece is on its way at a time."""

    def __init__(self) -> None:
        self.is_full = False
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, piece: bytes) -> None:
        self.is_full = True
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        self._pieces.put_nowait(b"")

    def left(self, receiving: "asyncio.Future[Any]") -> None:
        """The connection said something: there is only one thing that it can say."""
        if not receiving.cancelled():
            receiving.exception()
        self.end()

    async def next(self) -> bytes:
        """The next piece; an empty one is the end."""
        return await self._pieces.get()


async def sent_by(stream: Stream, receive: Receive, send: Send) -> None:
    """Send a stream as an ASGI server does, until its reader leaves or has to go; TimeoutError where it is too slow."""
    outlet = _Sending()
    await receive()  # the request's body, of which there is none
    leaving = asyncio.ensure_future(receive())
    leaving.add_done_callback(outlet.left)
    try:
        stream.open(outlet)
        while piece := await outlet.next():
            async with asyncio.timeout(PATIENCE):
                await send(part(piece))
            outlet.is_full = False
            stream.tell()
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()


def part(body: bytes) -> Message:
    """A part of a body, with more to come."""
    return {"type": "http.response.body", "body": body, "more_body": True}
