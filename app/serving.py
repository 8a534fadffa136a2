"""The server of the API: uvicorn that answers what it knows already, and takes webhooks, without a task for each, lets
event streams end at once, and lets clients go that do not read, or never finish what they begin to send."""

import asyncio
import json
import socket
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.application import Api
from app.api.front import Answer
from app.api.hook_delivery import PREFIX
from app.api.hook_headers import Shape, plain_length, shape_of
from app.api.hooks import Hooks
from app.api.live import PATH as LIVE_PATH
from app.api.live_stream import HOLD, Stream
from app.collector import settle
from app.taken import HeldStream, Taken

#: Seconds that a client may leave what was sent to it unread.
PATIENCE = 60.0
#: Seconds within which a request's headers have to arrive, and the rest of a body that was answered already.
HEADERS_WITHIN = 20.0
#: Bytes of headers that may come in pieces.
MOST_HEADERS = 64 * 1024
#: Seconds that the rest of a webhook's body is waited for here; after that it is a request like any other.
REST_WITHIN = 1.0
_HOOKS = PREFIX.encode()
_LIVE = LIVE_PATH.encode()


class _Lingering:
    """What writes the answer to a request after which the connection is closed. Closed with unread data, it would be
    reset, and the client would never see why it was refused: so only our half is closed, and the rest is let in."""

    def __init__(self, protocol: "Protocol") -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self.write = self._transport.write
        self.is_closing = self._transport.is_closing

    def close(self) -> None:
        if self._protocol.owes() and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()


class _Coming:
    """A webhook of which the body is on its way in. Where it does not come with its headers, there is `room` for it and
    an end to waiting."""

    __slots__ = ("hooks", "length", "pieces", "room", "shape", "wait")

    def __init__(self, hooks: Hooks, shape: Shape, length: int) -> None:
        self.hooks = hooks
        self.shape = shape
        self.length = length
        self.pieces: list[bytes] = []
        self.room = 0
        self.wait: asyncio.TimerHandle | None = None

    def settle(self) -> None:
        """It is there, or nobody waits for it any more."""
        if self.wait is not None:
            self.wait.cancel()
            self.wait = None
            self.hooks.release(self.room)


class Protocol(HttpToolsProtocol):
    """A connection that is cut when its client reads nothing for a while (closing it would wait for the client), or
    owes the rest of a request for too long: a byte every second would hold it for ever. Bodies have a deadline of their
    own where they are read (`app.api.body`)."""

    cycle: Any  # uvicorn's, or a Taken
    _api: Api | None = None
    _stuck: asyncio.TimerHandle | None = None
    _owing: asyncio.TimerHandle | None = None
    _is_answered = False
    _coming: _Coming | None = None
    _held: HeldStream | None = None
    _in_headers = False
    _in_message = False
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._api = _api_of(self.app)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            self._expect()
            if self._header_bytes > MOST_HEADERS:
                self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._coming is not None and self._coming.wait is None:
            self._await_rest(self._coming)

    def on_message_begin(self) -> None:
        self._in_headers = self._in_message = True
        self._header_bytes = 0
        # The scope is made where a cycle begins: what is answered here does without.
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message:
            self._expect()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._settle()
        if self._api is not None and self._is_plain():
            if self.parser.get_method() == b"POST":
                if self.url.startswith(_HOOKS) and self._expect_webhook(self._api.hooks):
                    return
            else:
                self._is_answered = self._answer_at_once(self._api)
        if not self._is_answered:
            self._begin_cycle()

    def _begin_cycle(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()
        if self.cycle is not None and not self.cycle.keep_alive:
            self.cycle.transport = _Lingering(self)
        if url == _LIVE:
            self.scope["extensions"] = {HOLD: self._hold}  # type: ignore[dict-item]

    def owes(self) -> bool:
        """Whether a part of the request is still to come."""
        return self._in_message

    def on_body(self, body: bytes) -> None:
        if self._coming is not None:
            self._coming.pieces.append(body)
        elif not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._settle()
        if self._coming is not None and self._take(self._coming):
            return
        if not self._is_answered:
            super().on_message_complete()
            if self.cycle is not None and self.cycle.response_complete and not self.cycle.keep_alive:
                self.transport.close()
            return
        self._is_answered = False
        self.on_response_complete()

    def _is_plain(self) -> bool:
        """Whether the request can be answered by ourselves: nothing about it is unusual, and no other answer comes
        before."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and not self.root_path
            and b"%" not in self.url
        )

    def _answer_at_once(self, api: Api) -> bool:
        """Whether the request asks for what is known already, and is answered."""
        if self.parser.get_method() != b"GET":
            return False
        path, _, query = self.url.partition(b"?")
        answer = api.reads.at_once(path.decode("latin-1"), query.partition(b"#")[0], self.headers)
        if answer is None:
            return False
        status, lines, body = answer
        self.transport.write(b"%s%s%s\r\n" % (STATUS_LINE[status], self._own_headers(), lines))
        if body:
            self.transport.write(body)  # by itself: a megabyte is not worth copying
        return True

    def _expect_webhook(self, hooks: Hooks) -> bool:
        """Whether the request is a webhook of which nothing but the body is to come."""
        shape = shape_of(self.headers)
        length = plain_length(shape, self.headers)
        if length is not None:
            self._coming = _Coming(hooks, shape, length)
        return length is not None

    def _take(self, coming: _Coming) -> bool:
        """Whether a webhook that is there was taken; else it is a request like any other."""
        hook = coming.hooks.known(self.url.decode("latin-1"))
        if hook is None:
            self._hand_over()
            return False
        coming.settle()
        self._coming = None
        taken = Taken()
        self.cycle = taken
        body = coming.pieces[0] if len(coming.pieces) == 1 else b"".join(coming.pieces)
        coming.hooks.take(hook, coming.shape, self.headers, body, partial(self._answer, taken))
        return True

    def _answer(self, taken: Taken, given: Answer) -> None:
        status, headers, body = given
        lines = b"".join([b"%s: %s\r\n" % pair for pair in headers])
        end = b"\r\n" if taken.keep_alive else b"connection: close\r\n\r\n"
        self._complete(taken, b"".join((STATUS_LINE[status], self._own_headers(), lines, end, body)))

    def _hold(self, stream: Stream) -> bool:
        """Take over an event stream that has begun, so that its task can end; False where there is more to wait for
        than news."""
        cycle = self.cycle
        if self.pipeline or self._in_message or not cycle.chunked_encoding or self.transport.is_closing():
            return False
        cycle.response_complete = True  # as far as its task has to know
        held = HeldStream(stream, self.transport, self.flow, self._complete)
        held.keep_alive = cycle.keep_alive
        self._held = self.cycle = held
        self.headers, self.scope = [], None  # type: ignore[assignment]
        stream.open(held)
        return True

    def _complete(self, taken: Taken, rest: bytes) -> None:
        """Send what is left of the answer to a request that has no task."""
        taken.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(rest)
        if not taken.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _await_rest(self, coming: _Coming) -> None:
        """The body did not come with its headers: there has to be room for it, and it has to come soon."""
        if coming.hooks.reserve(coming.length):
            coming.room = coming.length
            coming.wait = self.loop.call_later(REST_WITHIN, self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Make a request of the webhook that is coming, as far as it is there."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.settle()
            self._begin_cycle()
            for piece in coming.pieces:
                super().on_body(piece)

    def _own_headers(self) -> bytes:
        return _lines(tuple(self.server_state.default_headers))

    def shutdown(self) -> None:
        self._hand_over()  # a body on its way is waited for, as that of any request
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._relax()
        if self._held is not None:
            self._held.stream.tell()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._coming is not None:
            self._coming.settle()
            self._coming = None
        if self._held is not None:
            self._held.stream.leave()
            if self.cycle is self._held:
                self.cycle = None
            self._held = None  # it refers to us: both would be there until a collection
        self._relax()
        self._settle()

    def _expect(self) -> None:
        """The client has so long from now, unless it was counted from earlier."""
        if self._owing is None:
            self._owing = self.loop.call_later(HEADERS_WITHIN, self._cut, HTTPStatus.REQUEST_TIMEOUT)

    def _settle(self) -> None:
        if self._owing is not None:
            self._owing.cancel()
            self._owing = None

    def _cut(self, status: HTTPStatus) -> None:
        """Answer, where a request has begun that has no answer, and close."""
        self._settle()
        if self.transport.is_closing():
            return
        if self._in_headers:
            code = status.name.lower()
            problem = {"type": f"urn:krsync:problem:{code}", "title": status.phrase, "status": status, "code": code}
            body = json.dumps(problem).encode()
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _relax(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class Server(uvicorn.Server):
    """Ends the event streams before it waits for requests: they never end by themselves."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.load()
        settle()  # the process is ours
        super().run(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        api = _api_of(self.config.loaded_app)
        if api is not None:
            api.live.end()
        await super().shutdown(sockets)


@lru_cache(maxsize=4)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The server's own headers, which are others every second."""
    return b"".join([b"%s: %s\r\n" % pair for pair in headers])


def _api_of(app: Any) -> Api | None:
    while app is not None and not isinstance(app, Api):
        app = getattr(app, "app", None)  # what uvicorn wraps it in
    return app
