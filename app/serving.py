"""The server of the API: uvicorn that answers polls of what did not change without a task for each, lets event streams
end at once, and readers go that do not read."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.application import Api

#: Seconds that a client may leave what was sent to it unread.
PATIENCE = 60.0


class Protocol(HttpToolsProtocol):
    """A connection that is cut when its client reads nothing for a while: closing it would wait for the client."""

    _stuck: asyncio.TimerHandle | None = None
    _is_answered = False

    def on_headers_complete(self) -> None:
        self._is_answered = self._answer_at_once()
        if not self._is_answered:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_answered:
            super().on_message_complete()
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
