"""The server of the API: uvicorn that lets event streams end at once, and readers go that do not read."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.application import Api

#: Seconds that a client may leave what was sent to it unread.
PATIENCE = 60.0


class Protocol(HttpToolsProtocol):
    """A connection that is cut when its client reads nothing for a while: closing it would wait for the client."""

    _stuck: asyncio.TimerHandle | None = None

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
        app = self.config.loaded_app
        while app is not None and not isinstance(app, Api):
            app = getattr(app, "app", None)  # what uvicorn wraps it in
        if app is not None:
            app.live.end()
        await super().shutdown(sockets)
