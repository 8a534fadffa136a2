"""A reader of `/v1/live` that speaks ASGI, for an application that is not behind a server."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.api.conftest import World


@dataclass(frozen=True)
class Told:
    """One event."""

    kind: str
    data: Any

    @property
    def name(self) -> str | None:
        return self.data.get("id")  # type: ignore[no-any-return]


class Reader:
    """One open stream: the events in order, and the last id that came."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.last_id = ""
        self.comments = 0
        self.has_left = asyncio.Event()
        self.is_read = asyncio.Event()
        self.is_read.set()
        self._is_asked = False
        self._events: asyncio.Queue[Told | None] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.is_read.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        if self.status == 200:
            *blocks, self.body = self.body.split(b"\n\n")
            for block in blocks:
                self._take(block.decode())
        if not message.get("more_body"):
            self._events.put_nowait(None)

    def _take(self, block: str) -> None:
        fields = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            self.comments += name == ""
            fields[name] = value
        self.last_id = fields.get("id", self.last_id)
        if "event" in fields:
            self._events.put_nowait(Told(fields["event"], json.loads(fields["data"])))

    async def next(self) -> Told:
        """The next event."""
        told = await asyncio.wait_for(self._events.get(), 120)
        assert told is not None, "the stream ended"
        return told

    async def until(self, kind: str, name: str | None = None) -> list[Told]:
        """The events up to the one of that kind (about that name), it included."""
        found = []
        while True:
            found.append(await self.next())
            if found[-1].kind == kind and name in (None, found[-1].name):
                return found

    async def ended(self) -> None:
        """Wait for the end of the stream."""
        async with asyncio.timeout(120):
            while await self._events.get() is not None:
                pass


@asynccontextmanager
async def reading(
    world: World, headers: Mapping[str, str], *, last_id: str | None = None, method: str = "GET", query: bytes = b""
) -> AsyncIterator[Reader]:
    """A stream, open from its first bytes on."""
    given = {**headers} if last_id is None else {**headers, "Last-Event-ID": last_id}
    scope = {
        "type": "http",
        "method": method,
        "path": "/v1/live",
        "query_string": query,
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }
    reader = Reader()
    task = asyncio.create_task(world.api(scope, reader.receive, reader.send))
    try:
        yield reader
    finally:
        reader.has_left.set()
        await asyncio.wait([task], timeout=120)
        assert task.done()
