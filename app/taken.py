"""What stands in the place of uvicorn's cycle where no task answers a request: what comes behind it waits too."""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from app.api.live_stream import Stream


class _Nobody:
    """Whom uvicorn wakes where nobody waits for a message."""

    def set(self) -> None:
        return


_NOBODY = _Nobody()


class Taken:
    """A request that waits for its answer."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.response_complete = self.disconnected = False
        self.keep_alive = True
        self.message_event = _NOBODY


class _Transport(Protocol):
    def is_closing(self) -> bool: ...

    def write(self, data: bytes) -> None: ...


class _Flow(Protocol):
    write_paused: bool


class HeldStream(Taken):
    """An event stream, written to its connection as it is told. `complete` sends the last of it."""

    __slots__ = ("_complete", "_flow", "_transport", "stream")

    def __init__(
        self, stream: Stream, transport: _Transport, flow: _Flow, complete: Callable[[Taken, bytes], None]
    ) -> None:
        super().__init__()
        self.stream = stream
        self._transport = transport
        self._flow = flow
        self._complete = complete

    @property
    def is_full(self) -> bool:
        return self._flow.write_paused or self._transport.is_closing()

    def write(self, piece: bytes) -> None:
        self._transport.write(_chunk(piece))

    def end(self) -> None:
        self._complete(self, b"0\r\n\r\n")


@lru_cache(maxsize=8)
def _chunk(piece: bytes) -> bytes:
    """A piece as one chunk: a thousand streams are told the same one."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
