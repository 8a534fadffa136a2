"""The server of the API: uvicorn that answers polls of what did not change without a task for each, lets event streams
end at once, and lets clients go that do not read, or never finish what they begin to send."""

import asyncio
import json
import socket
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.application import Api

#: Seconds that a client may leave what was sent to it unread.
PATIENCE = 60.0
#: Seconds within which a request's headers have to arrive, and the rest of a body that was answered already.
HEADERS_WITHIN = 20.0
#: Bytes of headers that may come in pieces.
MOST_HEADERS = 64 * 1024


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


class Protocol(HttpToolsProtocol):
    """A connection that is cut when its client reads nothing for a while (closing it would wait for the client), or
    owes the rest of a request for too long: a byte every second would hold it for ever. Bodies have a deadline of their
    own where they are read (`app.api.body`)."""

    _stuck: asyncio.TimerHandle | None = None
    _owing: asyncio.TimerHandle | None = None
    _is_answered = False
    _in_headers = False
    _in_message = False
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            self._expect()
            if self._header_bytes > MOST_HEADERS:
                self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._in_headers = self._in_message = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message:
            self._expect()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._settle()
        self._is_answered = self._answer_at_once()
        if not self._is_answered:
            super().on_headers_complete()
            if self.cycle is not None and not self.cycle.keep_alive:
                self.cycle.transport = _Lingering(self)  # type: ignore[assignment]

    def owes(self) -> bool:
        """Whether a part of the request is still to come."""
        return self._in_message

    def on_body(self, body: bytes) -> None:
        if not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._settle()
        if not self._is_answered:
            super().on_message_complete()
            if self.cycle is not None and self.cycle.response_complete and not self.cycle.keep_alive:
                self.transport.close()
            return
        self._is_answered = False
        self.on_response_complete()

    def _answer_at_once(self) -> bool:
        """Whether the request was a poll of what did not change, and is answered."""
        api = _api_of(self.app)
        if api is None or self.parser.get_method() != b"GET" or self.flow.write_paused:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # another answer comes first
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive():
            return False
        if self.parser.should_upgrade() or self.expect_100_continue or b"%" in self.url or self.root_path:
            return False
        path, _, query = self.url.partition(b"?")
        lines = api.reads.at_once(path.decode("latin-1"), query.partition(b"#")[0], self.headers)
        if lines is None:
            return False
        own = b"".join([b"%s: %s\r\n" % pair for pair in self.server_state.default_headers])
        self.transport.write(b"HTTP/1.1 304 Not Modified\r\n%s%s\r\n" % (own, lines))
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        api = _api_of(self.config.loaded_app)
        if api is not None:
            api.live.end()
        await super().shutdown(sockets)


def _api_of(app: Any) -> Api | None:
    while app is not None and not isinstance(app, Api):
        app = getattr(app, "app", None)  # what uvicorn wraps it in
    return app
